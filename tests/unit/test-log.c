/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "log.h"
#include "macro.h"
#include "test.h"

static void test_levels(void)
{
        static const struct {
                const char *text;
                int level;
        } rows[] = {
                { "emerg", LOG_EMERG },
                { "err", LOG_ERR },
                { "warning", LOG_WARNING },
                { "info", LOG_INFO },
                { "debug", LOG_DEBUG },
                { "0", 0 },
                { "7", 7 },
                { "8", -EINVAL },
                { "-1", -EINVAL },
                { "07", -EINVAL },
                { "7 ", -EINVAL },
                { "error", -EINVAL },
                { "INFO", -EINVAL },
                { "", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int level = 99, r;

                test_row(rows[i].text);
                r = log_level_from_string(rows[i].text, &level);
                ASSERT_EQ(r, rows[i].level < 0 ? rows[i].level : 0);
                ASSERT_EQ(level, rows[i].level < 0 ? 99 : rows[i].level);
        }
}

/* What F writes to standard error. */
static const char *said(void (*f)(void))
{
        static char text[8192];
        int saved = dup(STDERR_FILENO), fd = memfd_create("stderr", MFD_CLOEXEC);
        ssize_t n;

        ASSERT(saved >= 0 && fd >= 0);
        ASSERT(dup2(fd, STDERR_FILENO) >= 0);
        f();
        ASSERT(dup2(saved, STDERR_FILENO) >= 0);
        close_fd(saved);
        n = pread(fd, text, sizeof(text) - 1, 0);
        close_fd(fd);
        ASSERT(n >= 0);
        text[n] = '\0';
        return text;
}

static void say_some(void)
{
        const LogContext about = { "data", "/dev/sda" };

        log_debug("too low");
        log_info("plain %d", 1);
        ASSERT_EQ(log_full(LOG_ERR, EIO, &about, "broken"), -EIO);
        ASSERT_EQ(log_error(-EIO, "negative"), -EIO);
        ASSERT_EQ(log_full(LOG_DEBUG, ENOENT, NULL, "too low as well"), -ENOENT);
        ASSERT_EQ(log_full(LOG_INFO, 0, NULL, "no error"), 0);
}

static void test_standard_error(void)
{
        ASSERT_OK(unsetenv("JOURNAL_STREAM"));
        log_set_level(LOG_INFO);
        ASSERT_STR(said(say_some), "plain 1\ndata: broken\nnegative\nno error\n");
}

static void say_a_lot(void)
{
        char text[5000];

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        log_info("%s", text);
}

static void test_a_long_message_is_cut(void)
{
        const char *text = said(say_a_lot);

        ASSERT_EQ(strspn(text, "x"), 2047);
        ASSERT_STR(text + 2047, "\n");
}

TEST_MAIN(TEST(levels), TEST(standard_error), TEST(a_long_message_is_cut))
