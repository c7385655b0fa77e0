/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl.h"
#include "macro.h"
#include "syntax.h"
#include "test.h"

#define S(x) ((char *)(x))
#define ARGUMENTS_MAX 8

typedef struct Given {
        bool all;
        unsigned length;
        TableOptions table;
} Given;

static bool take_length(const char *argument, void *target)
{
        *(unsigned *)target = (unsigned)strlen(argument);
        return !streq(argument, "wrong");
}

static const SyntaxOption options[] = {
        { "all", 'a', NULL, syntax_take_true, offsetof(Given, all), "all of them" },
        { "length", 0, "TEXT", take_length, offsetof(Given, length), "of a text" },
        { 0 },
};

static const Syntax none = { .verb = "none", .help = "" };
static const Syntax names = { .verb = "names",
                              .words = "NAME…",
                              .min_words = 1,
                              .are_names = true,
                              .help = "",
                              .options = options };
static const Syntax two = {
        .verb = "two", .words = "A [B]", .min_words = 1, .max_words = 2, .help = ""
};
static const TableColumn columns[] = { { "A", "", TABLE_TEXT }, { 0 } };
static const Syntax any = { .verb = "any",
                            .words = "[A…]",
                            .help = "",
                            .options = options,
                            .columns = columns,
                            .table = offsetof(Given, table) };

static void test_words(void)
{
        static const struct {
                const Syntax *syntax;
                const char *arguments[ARGUMENTS_MAX];
                int first; /* 0: it makes no sense */
        } rows[] = {
                { &none, { "none" }, 1 },
                { &none, { "none", "x" }, 0 },
                { &none, { "none", "-a" }, 0 },
                { &none, { "none", "--" }, 2 },
                { &names, { "names" }, 0 },
                { &names, { "names", "x" }, 1 },
                { &names, { "names", "x", "y", "z" }, 1 },
                { &names, { "names", "../x" }, 0 },
                { &names, { "names", "x", "-a" }, 2 }, /* behind what was an option */
                { &names, { "names", "-a" }, 0 },
                { &two, { "two" }, 0 },
                { &two, { "two", "/x" }, 1 },
                { &two, { "two", "/x", "/y" }, 1 },
                { &two, { "two", "/x", "/y", "/z" }, 0 },
                { &any, { "any" }, 1 },
                { &any, { "any", "--", "-a" }, 2 },
                { &any, { "any", "--nonsense" }, 0 },
                { &any, { "any", "-Z" }, 0 },
                { &any, { "any", "--length" }, 0 },
                { &any, { "any", "--length=wrong" }, 0 },
                { &any, { "any", "--all=yes" }, 0 },
                { &any, { "any", "-osize" }, 2 },
                { &any, { "any", "--output=" }, 0 },
                { &any, { "any", "-o", "" }, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *argv[ARGUMENTS_MAX + 1] = { NULL };
                int argc = 0, status = -1;
                Given given = { 0 };

                while (argc < ARGUMENTS_MAX && rows[i].arguments[argc]) {
                        argv[argc] = S(rows[i].arguments[argc]);
                        argc++;
                }
                test_row(argc > 1 ? argv[1] : argv[0]);
                ASSERT_EQ(syntax_parse(rows[i].syntax, argc, argv, &given, &status), rows[i].first);
                ASSERT_EQ(status, CTL_USAGE);
        }
        test_row(NULL);
}

static void test_options(void)
{
        char *argv[] = { S("any"), S("-aJ"),         S("x"),       S("--length"),
                         S("abc"), S("--no-legend"), S("-o+SIZE"), NULL };
        Given given = { 0 };
        int status;

        ASSERT_EQ(syntax_parse(&any, 7, argv, &given, &status), 6);
        ASSERT_STR(argv[6], "x");
        ASSERT(given.all && given.table.json && given.table.no_legend && !given.table.no_signs);
        ASSERT_EQ(given.length, 3);
        ASSERT_STR(given.table.output, "+SIZE");
}

/* An option beyond what there is room for would be passed over. */
static void test_room(void)
{
        SyntaxOption many[SYNTAX_OPTIONS_MAX] = { 0 };
        const Syntax full = { .verb = "full", .help = "", .options = many };
        char *argv[] = { S("full"), S("--last"), NULL };
        bool last = false;
        int status;

        for (size_t i = 0; i + 1 < ELEMENTSOF(many); i++)
                many[i] = (SyntaxOption){ "other", 0, NULL, syntax_take_true, 0, "" };
        many[SYNTAX_OPTIONS_MAX - 2].name = "last";
        ASSERT_EQ(syntax_parse(&full, 2, argv, &last, &status), 2);
        ASSERT(last);
}

TEST_MAIN(TEST(words), TEST(options), TEST(room))
