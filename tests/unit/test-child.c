/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "child.h"
#include "macro.h"
#include "test.h"

static void add_one(void *item)
{
        int *n = item;

        if (*n == 0)
                for (;;)
                        (void)pause();
        if (*n < 0)
                _exit(1);
        (*n)++;
}

static void test_rows(void)
{
        static const struct {
                const char *row;
                int before[6], after[6];
        } rows[] = {
                { "all answer", { 1, 2, 3, 4, 5, 6 }, { 2, 3, 4, 5, 6, 7 } },
                { "one is silent", { 1, 0, 3, 4, 5, 6 }, { 2, 0, 4, 5, 6, 7 } },
                { "the last", { 1, 2, 3, 4, 5, 0 }, { 2, 3, 4, 5, 6, 0 } },
                { "one dies", { -1, 2, 3, 4, 5, 6 }, { -1, 3, 4, 5, 6, 7 } },
                { "too many are silent", { 0, 2, 0, 0, 5, 6 }, { 0, 3, 0, 0, 5, 6 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int items[6];

                test_row(rows[i].row);
                memcpy(items, rows[i].before, sizeof(items));
                child_ask_each(items, ELEMENTSOF(items), sizeof(int), add_one);
                for (size_t k = 0; k < ELEMENTSOF(items); k++)
                        ASSERT_EQ(items[k], rows[i].after[k]);
        }
        child_ask_each(NULL, 0, sizeof(int), add_one);
}

static void write_to_all(void *item)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                (void)dprintf(fd, "%d", fd);
        *(int *)item = 1;
}

/* Who reads what we print would wait for one that hangs. */
static void test_standard_streams(void)
{
        int fds[2], saved[3], answered = 0;
        char text[8];

        ASSERT_OK(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
        for (int fd = 0; fd < 3; fd++) {
                saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                (void)dup2(fds[1], fd);
        }
        child_ask_each(&answered, 1, sizeof(int), write_to_all);
        for (int fd = 0; fd < 3; fd++) {
                (void)dup2(saved[fd], fd);
                close_fd(saved[fd]);
        }
        ASSERT_EQ(answered, 1);
        ASSERT_EQ(read(fds[0], text, sizeof(text)), -1);
        ASSERT_EQ(errno, EAGAIN);
        close_fd(fds[0]);
        close_fd(fds[1]);
}

TEST_MAIN(TEST(rows), TEST(standard_streams))
