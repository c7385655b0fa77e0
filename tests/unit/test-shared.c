/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "shared.h"
#include "test.h"
#include "text.h"

static void test_where(void)
{
        static const struct {
                const char *what, *conf, *want;
        } rows[] = {
                { "nothing said", "", "/mnt/wsl" },
                { "other sections", "[boot]\nsystemd=true\n", "/mnt/wsl" },
                { "said", "[automount]\nroot = /media/\n", "/media/wsl" },
                { "no slash at its end", "[automount]\nroot=/media\n", "/media/wsl" },
                { "the root", "[automount]\nroot = /\n", "/wsl" },
                { "quoted", "[automount]\nroot = \"/win dir/\"\n", "/win dir/wsl" },
                { "DOS lines", "[automount]\r\nroot=/x/\r\n", "/x/wsl" },
                { "in another section", "[network]\nroot=/x\n", "/mnt/wsl" },
                { "not absolute", "[automount]\nroot=media\n", "/mnt/wsl" },
                { "dots", "[automount]\nroot=/a/../b\n", "/mnt/wsl" },
                { "empty", "[automount]\nroot=\n", "/mnt/wsl" },
                { "not text", "\xff\xfe[automount]\nroot=/x\n", "/mnt/wsl" },
        };
        const char *dir = test_directory();
        _cleanup_free_ char *path = text_format("%s/wsl.conf", dir), *none = NULL;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *shared = NULL;

                test_row(rows[i].what);
                test_write(dir, "wsl.conf", rows[i].conf);
                ASSERT_OK(shared_find(path, &shared));
                ASSERT_STR(shared, rows[i].want);
        }
        test_row("no file");
        ASSERT_OK(shared_find("/nonexistent", &none));
        ASSERT_STR(none, "/mnt/wsl");
}

static bool is_there(const char *dir, const char *name)
{
        _cleanup_free_ char *path = text_format("%s/.wslbare/%s", dir, name);

        return access(path, F_OK) == 0;
}

static void test_marks(void)
{
        const dev_t device = makedev(7, 4000), other = makedev(7, 4001);
        const char *dir = test_directory();
        _cleanup_free_ char *where = text_format("%s/data", dir);

        if (geteuid() != 0)
                test_skip("marks are root's");
        ASSERT(!shared_is_marked(dir, device, 5));
        ASSERT_OK(shared_mark(dir, device, 5));
        ASSERT_OK(shared_mark(dir, device, 5));
        ASSERT(shared_is_marked(dir, device, 5));
        ASSERT(!shared_is_marked(dir, device, 6)); /* replugged */
        ASSERT(!shared_is_marked(dir, other, 5));
        shared_unmark(dir, where, other, 5);
        ASSERT(shared_is_marked(dir, device, 5));
        shared_unmark(dir, "/mnt/data", device, 5); /* of no concern to the others */
        ASSERT(shared_is_marked(dir, device, 5));
        shared_unmark(dir, where, device, 5);
        shared_unmark(dir, where, device, 5);
        ASSERT(!shared_is_marked(dir, device, 5));

        /* There is no such disk any more when the next one is marked. */
        ASSERT_OK(shared_mark(dir, device, 5));
        ASSERT(is_there(dir, "unmounted-7:4000-5"));
        ASSERT_OK(shared_mark(dir, other, 9));
        ASSERT(!is_there(dir, "unmounted-7:4000-5"));
        ASSERT(is_there(dir, "unmounted-7:4001-9"));
}

/* What anybody can put into a directory that all may write to. */
static void test_marks_of_others(void)
{
        const dev_t device = makedev(7, 4000);
        const char *dir = test_directory(), *elsewhere = test_directory();
        _cleanup_free_ char *marks = text_format("%s/.wslbare", dir);
        _cleanup_free_ char *mark = text_format("%s/unmounted-7:4000-5", marks);
        _cleanup_free_ char *where = text_format("%s/data", dir);

        if (geteuid() != 0)
                test_skip("marks are root's");
        ASSERT_EQ(shared_mark("/nonexistent", device, 5), -ENOENT);
        ASSERT(!shared_is_marked("/nonexistent", device, 5));

        test_write(dir, ".wslbare", "a file");
        ASSERT_EQ(shared_mark(dir, device, 5), -EPERM);
        ASSERT(!shared_is_marked(dir, device, 5));
        ASSERT_OK(unlink(marks));

        ASSERT_OK(symlink(elsewhere, marks));
        ASSERT_EQ(shared_mark(dir, device, 5), -EPERM);
        ASSERT_OK(unlink(marks));

        ASSERT_OK(mkdir(marks, 0755));
        test_write(marks, "unmounted-7:4000-5", "");
        ASSERT(shared_is_marked(dir, device, 5));
        ASSERT_OK(chmod(marks, 0777));
        ASSERT(!shared_is_marked(dir, device, 5));
        ASSERT_EQ(shared_mark(dir, device, 5), -EPERM);
        ASSERT_OK(chmod(marks, 0755));
        ASSERT_OK(chown(marks, 65534, 65534));
        ASSERT(!shared_is_marked(dir, device, 5));
        ASSERT_EQ(shared_mark(dir, device, 5), -EPERM);
        shared_unmark(dir, where, device, 5);
        ASSERT_OK(access(mark, F_OK));
}

TEST_MAIN(TEST(where), TEST(marks), TEST(marks_of_others))
