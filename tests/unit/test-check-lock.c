/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "check-lock.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define DISK makedev(8, 16)
#define OTHER makedev(4095, 1048575) /* the last that there can be */

static char *new_path(void)
{
        char *path = text_format("%s/lock", test_directory());

        ASSERT(path);
        return path;
}

static void test_turn(void)
{
        _cleanup_free_ char *path = new_path();
        _cleanup_close_ int fd = -1, again_fd = -1, other_fd = -1;
        struct stat st;

        ASSERT_OK(check_lock_take(path, DISK, &fd));
        ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ASSERT_EQ(check_lock_take(path, DISK, &again_fd), -EAGAIN);
        ASSERT_EQ(again_fd, -1);
        ASSERT_OK(check_lock_take(path, OTHER, &other_fd));
        fd = close_fd(fd);
        ASSERT_OK(check_lock_take(path, DISK, &again_fd));
        ASSERT_EQ(check_lock_take(path, OTHER, &fd), -EAGAIN);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode, S_IFREG | 0600);
}

/* What others can open, they can lock for ever. */
static void test_foreign(void)
{
        static const mode_t modes[] = { 0604, 0640, 0602, 0620, 0666 };
        _cleanup_free_ char *path = new_path();
        int fd = -1;

        test_write("/", path + 1, "");
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                ASSERT_OK(chmod(path, modes[i]));
                ASSERT_EQ(check_lock_take(path, DISK, &fd), -EPERM);
        }
        if (geteuid() == 0) {
                ASSERT_OK(chmod(path, 0600));
                ASSERT_OK(chown(path, 1, 1));
                ASSERT_EQ(check_lock_take(path, DISK, &fd), -EPERM);
        }
        ASSERT_OK(unlink(path));
        ASSERT_OK(symlink("/dev/null", path));
        ASSERT_EQ(check_lock_take(path, DISK, &fd), -ELOOP);
        ASSERT_OK(unlink(path));
        ASSERT_OK(mkfifo(path, 0600));
        ASSERT_EQ(check_lock_take(path, DISK, &fd), -EPERM);
        ASSERT_EQ(fd, -1);
}

TEST_MAIN(TEST(turn), TEST(foreign))
