/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "test.h"
#include "text.h"

static const struct {
        const char *data;
        const char *shown;
        size_t valid; /* bytes */
} escapes[] = {
        { "", "", 0 },
        { "plain text ~", "plain text ~", 12 },
        { "tab\there", "tab\\x09here", 3 },
        { "\n", "\\x0a", 0 },
        { "\x7f", "\\x7f", 0 },
        { "back\\slash \\x41", "back\\slash \\x41", 15 },
        { "D\xc3\xa4nen", "D\xc3\xa4nen", 6 },
        { "D\xe4nen", "D\\xe4nen", 1 },
        { "\xc2\x80", "\\xc2\\x80", 0 }, /* C1 controls */
        { "\xc2\x9f", "\\xc2\\x9f", 0 },
        { "\xc2\xa0", "\xc2\xa0", 2 },
        { "\xc0\xaf", "\\xc0\\xaf", 0 }, /* overlong forms */
        { "\xc1\xbf", "\\xc1\\xbf", 0 },
        { "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", 0 },
        { "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf", 0 },
        { "\xe0\xa0\x80", "\xe0\xa0\x80", 3 },
        { "\xed\x9f\xbf", "\xed\x9f\xbf", 3 },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80", 0 }, /* surrogates */
        { "\xed\xbf\xbf", "\\xed\\xbf\\xbf", 0 },
        { "\xef\xb7\x90", "\\xef\\xb7\\x90", 0 }, /* noncharacters */
        { "\xef\xb7\xaf", "\\xef\\xb7\\xaf", 0 },
        { "\xef\xb7\xb0", "\xef\xb7\xb0", 3 },
        { "\xef\xbf\xbf", "\\xef\\xbf\\xbf", 0 },
        { "\xf0\x9f\xbf\xbe", "\\xf0\\x9f\\xbf\\xbe", 0 },
        { "\xef\xbb\xbf", "\xef\xbb\xbf", 3 },
        { "\xf0\x9f\x92\xbe", "\xf0\x9f\x92\xbe", 4 },
        { "\xf4\x8f\xbf\xbd", "\xf4\x8f\xbf\xbd", 4 },
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", 0 }, /* above U+10FFFF */
        { "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80", 0 },
        { "\xe2\x82", "\\xe2\\x82", 0 }, /* cut */
        { "a\xe2\x82z", "a\\xe2\\x82z", 1 },
        { "\xf0\x9f\x92", "\\xf0\\x9f\\x92", 0 },
        { "\x80\xff", "\\x80\\xff", 0 },
};

static void test_one_line(void)
{
        static const struct {
                const char *data;
                size_t size;
                const char *line;
        } rows[] = {
                { "", 0, "" },
                { " \t\r\n", 4, "" },
                { "one", 3, "one" },
                { "\n one \r\n\n\t two\n", 15, "one two" },
                { "a\0b", 3, "a b" },
                { "a\n\0", 3, "a" },
                { "\x1b[2J\xff", 5, "\\x1b[2J\\xff" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *data =
                        memcpy(malloc(rows[i].size + 1), rows[i].data, rows[i].size);
                _cleanup_free_ char *line = text_one_line(data, rows[i].size);

                ASSERT_STR(line, rows[i].line);
        }
}

static void test_escape(void)
{
        for (size_t i = 0; i < ELEMENTSOF(escapes); i++) {
                /* On the heap, so that reading past the end is seen. */
                size_t size = strlen(escapes[i].data);
                _cleanup_free_ char *data = memcpy(malloc(size + !size), escapes[i].data, size);
                _cleanup_free_ char *shown = text_escape(data, size);
                _cleanup_free_ char *again = text_escape(shown, strlen(shown));

                test_row(escapes[i].shown);
                ASSERT_STR(shown, escapes[i].shown);
                ASSERT_STR(again, escapes[i].shown);
                ASSERT_EQ(text_valid_length(data, size), escapes[i].valid);
                ASSERT_EQ(text_valid_length(shown, strlen(shown)), strlen(shown));
        }
}

static void test_escape_ends_at_nul(void)
{
        _cleanup_free_ char *nul = text_escape("ab\0cd", 5), *cut = text_escape("abcd", 2);
        _cleanup_free_ char *nothing = text_escape(NULL, 0);

        ASSERT_STR(nul, "ab");
        ASSERT_STR(cut, "ab");
        ASSERT_STR(nothing, "");
}

static void test_from_udev(void)
{
        static const char *const rows[][2] = {
                { "", "" },
                { "DATA", "DATA" },
                { "My\\x20Disk", "My Disk" },
                { "a\\x2fb\\x5cc", "a/b\\c" },
                { "D\\xc3\\xa4nen", "D\xc3\xa4nen" },
                { "D\xc3\xa4nen", "D\xc3\xa4nen" },
                { "\\xE4", "\\xe4" },
                { "\\x0a\\x1b[31m", "\\x0a\\x1b[31m" },
                { "a\\x00b", "a" },
                { "\\", "\\" },
                { "\\x", "\\x" },
                { "\\x2", "\\x2" },
                { "\\x2g\\xg2", "\\x2g\\xg2" },
                { "\\y20", "\\y20" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = text_from_udev(rows[i][0]);

                test_row(rows[i][0]);
                ASSERT_STR(s, rows[i][1]);
        }
}

static void test_nearest(void)
{
        static const char *const keys[] = {
                "Where", "Type", "Options", "ReadOnly", "RetrySec", NULL
        };
        static const char *const rows[][2] = {
                { "Optoins", "Options" },
                { "options", "Options" },
                { "Option", "Options" },
                { "Opptions", "Options" },
                { "Oxxions", "Options" },
                { "Oxxxons", NULL },
                { "TYPE", "Type" },
                { "Tpyee", NULL },
                { "Tpye", "Type" },
                { "Typ", "Type" },
                { "Txxe", NULL },
                { "Hwere", "Where" },
                { "RetrySecs", "RetrySec" },
                { "RetryLimit", NULL },
                { "readonyl", "ReadOnly" },
                { "", NULL },
                { "x", NULL },
                { "Read-Only", "ReadOnly" },
        };
        char *longest = malloc(100000);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i][0]);
                ASSERT_STR(text_nearest(rows[i][0], keys), rows[i][1]);
        }
        test_row("the first of two that are as near");
        ASSERT_STR(text_nearest("cat", (const char *const[]){ "bat", "hat", NULL }), "bat");
        test_row("a long name");
        memset(longest, 'O', 99999);
        longest[99999] = '\0';
        ASSERT_STR(text_nearest(longest, keys), NULL);
        ASSERT_STR(text_nearest("Where", (const char *const[]){ longest, NULL }), NULL);
        longest[64] = '\0';
        ASSERT_STR(text_nearest(longest, (const char *const[]){ longest + 1, longest, NULL }),
                   longest);
        free(longest);
}

static void test_strv(void)
{
        _cleanup_(strv_freep) char **l = NULL;

        ASSERT_EQ(strv_length(NULL), 0);
        ASSERT_OK(strv_push(&l, "one"));
        ASSERT_OK(strv_take(&l, strdup("two")));
        ASSERT_EQ(strv_take(&l, NULL), -ENOMEM);
        ASSERT_EQ(strv_length(l), 2);
        ASSERT(strv_contains(l, "one") && strv_contains(l, "two"));
        ASSERT(!strv_contains(l, "on") && !strv_contains(NULL, "one"));
        ASSERT_STR(l[0], "one");
        ASSERT_STR(l[1], "two");
        ASSERT_STR(l[2], NULL);
        ASSERT(!strv_free(NULL));
}

static void test_join(void)
{
        static const struct {
                char *words[4];
                const char *separator;
                const char *want;
        } rows[] = {
                { { NULL }, ", ", "" },
                { { (char *)"a" }, ", ", "a" },
                { { (char *)"a", (char *)"", (char *)"bc" }, ", ", "a, , bc" },
                { { (char *)"a", (char *)"b" }, "", "ab" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = strv_join(rows[i].words, rows[i].separator);

                ASSERT_STR(s, rows[i].want);
        }
}

static void test_format(void)
{
        _cleanup_free_ char *s = text_format("%s-%d", "a", 7);

        ASSERT_STR(s, "a-7");
}

static void test_has_word(void)
{
        static const struct {
                const char *list;
                const char *word;
                bool want;
        } rows[] = {
                { "rw,nosuid,nodev", "rw", true },
                { "rw,nosuid,nodev", "nodev", true },
                { "rw,nosuid,nodev", "suid", false },
                { "nosuidx,nosuid", "nosuid", true },
                { "rw,nosuidx", "nosuid", false },
                { "", "rw", false },
                { ",rw", "rw", true },
                { "data=rw", "rw", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].list);
                ASSERT_EQ(text_has_word(rows[i].list, rows[i].word, strlen(rows[i].word)),
                          rows[i].want);
        }
        ASSERT(text_has_word("rw,ro", "ro,rest", 2));
}

TEST_MAIN(TEST(has_word), TEST(escape), TEST(one_line), TEST(escape_ends_at_nul), TEST(from_udev),
          TEST(nearest), TEST(strv), TEST(join), TEST(format))
