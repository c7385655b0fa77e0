/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <locale.h>
#include <stdio.h>

#include "capture.h"
#include "client.h"
#include "detail.h"
#include "macro.h"
#include "no-volume.h"
#include "problems.h"
#include "table.h"
#include "term.h"
#include "test.h"
#include "text.h"

/* No control character that comes from elsewhere reaches a terminal. */

#define S(x) ((char *)(x))
/* The screen is cleared, a line begun, U+009B is CSI in one character, and a byte of no character.
 */
#define HOSTILE "M\xc3\xbcll\x1b[2J\nx\xc2\x9b\xff\x7f"
#define SHOWN "M\xc3\xbcll\\x1b[2J\\x0ax\\xc2\\x9b\\xff\\x7f"

/* Holds SHOWN, N times, and no control character but the end of a line that we wrote. */
static void check(const char *text, unsigned n)
{
        for (const char *p = text; (p = strstr(p, SHOWN)); p += strlen(SHOWN), n--)
                ;
        ASSERT_EQ(n, 0);
        ASSERT(!strstr(text, "\nx"));
        for (const char *p = text; *p; p++)
                if (*p != '\n')
                        ASSERT(text_valid_length(p, 1) == 1 || (*p & 0x80));
        ASSERT(!strstr(text, "\xc2\x9b") && !strchr(text, '\xff'));
}

static void test_lines(void)
{
        Capture c = capture_begin(stdout, STDOUT_FILENO);

        term_put(stdout, HOSTILE);
        term_line(stdout, ": %s %d", HOSTILE, 7);
        ASSERT_STR(capture_end(&c), SHOWN ": " SHOWN " 7\n");
}

static void test_errors(void)
{
        const sd_bus_error error =
                SD_BUS_ERROR_MAKE_CONST("org.wslbare1.Error.MountFailed", HOSTILE);
        Capture c = capture_begin(stderr, STDERR_FILENO);
        const char *text;
        int r = client_explain("mount '" HOSTILE "'", -EIO, &error);

        (void)no_volume_say(HOSTILE);
        text = capture_end(&c);
        ASSERT_EQ(r, -EIO);
        ASSERT(startswith(text, "wslbarectl: cannot mount '" SHOWN "': " SHOWN "\n"));
        check(text, 4);
}

static void test_problems(void)
{
        ClientProblem items[] = { { S(HOSTILE), 3, S("error"), S(HOSTILE) },
                                  { S("/etc/x.conf"), 0, S("warning"), S(HOSTILE) } };
        const ClientManager m = { .problems = items, .n_problems = ELEMENTSOF(items) };
        Capture c = capture_begin(stdout, STDOUT_FILENO);
        const char *text;

        problems_print(stdout, &m);
        text = capture_end(&c);
        ASSERT_STR(text, SHOWN ":3: error: " SHOWN "\n/etc/x.conf: warning: " SHOWN "\n");
}

static void test_details(void)
{
        char *candidates[] = { S(HOSTILE), S("/dev/sdc"), NULL };
        ClientHolder holder = { 7, S(HOSTILE) };
        const ClientVolume v = {
                .name = S(HOSTILE),
                .config_path = S(HOSTILE),
                .state = S(HOSTILE),
                .device = S(HOSTILE),
                .uuid = S(HOSTILE),
                .label = S(HOSTILE),
                .type = S(HOSTILE),
                .where = S(HOSTILE),
                .options = S(HOSTILE),
                .mounted_options = S(HOSTILE),
                .candidates = candidates,
                .failure_step = S(HOSTILE),
                .failure_message = S(HOSTILE),
                .holders = &holder,
                .n_holders = 1,
        };
        Capture c = capture_begin(stdout, STDOUT_FILENO);

        detail_print(&v, &(Space){ 0 });
        check(capture_end(&c), 14);
        c = capture_begin(stdout, STDOUT_FILENO);
        detail_print_trouble(&v);
        check(capture_end(&c), 6);
}

static const char *print_table(bool json)
{
        static const TableColumn columns[] = {
                { "TEXT", "", TABLE_TEXT, TABLE_SHOWN },
                { "LINES", "", TABLE_LINES, TABLE_SHOWN },
                { 0 },
        };
        const TableOptions options = { .json = json };
        _cleanup_(table_freep) Table *t = NULL;
        Capture c;
        int r;

        ASSERT_OK(table_new("rows", columns, &options, &t));
        ASSERT_OK(table_add(t, (const char *const[]){ HOSTILE, "a\x1b\nb\\x1b" }));
        c = capture_begin(stdout, STDOUT_FILENO);
        r = table_print(t);
        ASSERT_OK(r);
        return capture_end(&c);
}

/* Escaped once, whoever did it; in JSON too, which has to be UTF-8. */
static void test_tables(void)
{
        const char *text = print_table(false);

        check(text, 1);
        ASSERT_CONTAINS(text, "a\\x1b\n");
        ASSERT_CONTAINS(text, " b\\x1b\n");
        text = print_table(true);
        ASSERT_CONTAINS(text, "\"M\xc3\xbcll\\\\x1b[2J\\\\x0ax\\\\xc2\\\\x9b\\\\xff\\\\x7f\"");
        ASSERT_CONTAINS(text, "\"a\\\\x1b\"");
        ASSERT_CONTAINS(text, "\"b\\\\x1b\"");
}

/* Where the small letter of I is not i. */
static void test_turkish(void)
{
        static const TableColumn columns[] = {
                { "ID", "", TABLE_TEXT, TABLE_SHOWN },
                { "SIZE", "", TABLE_SIZE, TABLE_SHOWN },
                { 0 },
        };
        const TableOptions options = { .json = true, .output = "size" };
        const char *dir = test_directory(), *text;
        _cleanup_free_ char *command =
                text_format("localedef -i tr_TR -f UTF-8 %s/tr_TR.UTF-8 >/dev/null 2>&1", dir);
        _cleanup_(table_freep) Table *t = NULL;
        Capture c;
        int r;

        ASSERT(command && setenv("LOCPATH", dir, 1) == 0);
        if (system(command) < 0 || !setlocale(LC_CTYPE, "tr_TR.UTF-8"))
                test_skip("there is no Turkish locale");
        ASSERT_OK(unsetenv("LOCPATH"));
        r = table_new("rows", columns, &options, &t);
        (void)setlocale(LC_CTYPE, "C.UTF-8");
        ASSERT_OK(r);
        ASSERT_OK(table_add(t, (const char *const[]){ "a", "7" }));
        c = capture_begin(stdout, STDOUT_FILENO);
        r = table_print(t);
        text = capture_end(&c);
        ASSERT_OK(r);
        ASSERT_CONTAINS(text, "\"size\": 7");
}

int main(int argc, char *argv[])
{
        static const Test tests[] = { TEST(lines),   TEST(errors), TEST(problems),
                                      TEST(details), TEST(tables), TEST(turkish) };

        if (!setlocale(LC_ALL, "C.UTF-8"))
                return 1;
        return test_main(argc, argv, tests, ELEMENTSOF(tests));
}
