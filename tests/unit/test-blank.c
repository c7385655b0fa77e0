/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "blank.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define MiB (1024 * 1024)

static void test_rows(void)
{
        static const struct {
                const char *row;
                off_t size, at; /* of the one byte that is not 0; -1: none */
                bool is_known, is_blank;
        } rows[] = {
                { "zeros", 64 * MiB, -1, true, true },
                { "small", 4096, -1, true, true },
                { "odd", 100001, -1, true, true },
                { "first byte", 64 * MiB, 0, true, false },
                { "a superblock", 64 * MiB, 1080, true, false },
                { "just within", 64 * MiB, MiB - 1, true, false },
                { "last byte", 64 * MiB, 64 * MiB - 1, true, false },
                { "in the middle, which is data", 64 * MiB, 32 * MiB, true, true },
                { "nothing at all", 0, -1, false, false },
        };
        const char *dir = test_directory();
        _cleanup_free_ char *path = text_format("%s/image", dir);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                Blank b = { .node = path };

                test_row(rows[i].row);
                ASSERT_OK(ftruncate(fd, rows[i].size));
                if (rows[i].at >= 0)
                        ASSERT_EQ(pwrite(fd, "x", 1, rows[i].at), 1);
                blank_look(&b, 1);
                ASSERT_EQ(b.is_known, rows[i].is_known);
                ASSERT_EQ(b.is_blank, rows[i].is_blank);
        }
}

static void test_absent(void)
{
        Blank b = { .node = "/dev/no/such/device" };

        blank_look(&b, 1);
        ASSERT(!b.is_known && !b.is_blank);
}

TEST_MAIN(TEST(rows), TEST(absent))
