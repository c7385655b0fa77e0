/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "check-lock.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define DISK makedev(8, 16)
#define PARTITION makedev(8, 17)
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

        ASSERT_OK(check_lock_take(path, DISK, DISK, &fd));
        ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ASSERT_EQ(check_lock_take(path, DISK, DISK, &again_fd), -EAGAIN);
        ASSERT_EQ(again_fd, -1);
        ASSERT_OK(check_lock_take(path, OTHER, OTHER, &other_fd));
        fd = close_fd(fd);
        ASSERT_OK(check_lock_take(path, DISK, DISK, &again_fd));
        ASSERT_EQ(check_lock_take(path, OTHER, OTHER, &fd), -EAGAIN);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode, S_IFREG | 0600);
}

/* Of what shares a disk one is checked, and the others are known not to be. */
static void test_taken(void)
{
        _cleanup_free_ char *path = new_path();
        _cleanup_close_ int fd = -1, again_fd = -1;

        ASSERT_EQ(check_lock_is_taken(path, PARTITION), 0);
        ASSERT_EQ(access(path, F_OK), -1);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION, &fd));
        ASSERT_EQ(check_lock_is_taken(path, PARTITION), 1);
        ASSERT_EQ(check_lock_is_taken(path, PARTITION + 1), 0);
        ASSERT_EQ(check_lock_is_taken(path, DISK), 0);
        ASSERT_EQ(check_lock_take(path, DISK, PARTITION + 1, &again_fd), -EAGAIN);
        fd = close_fd(fd);
        ASSERT_EQ(check_lock_is_taken(path, PARTITION), 0);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION + 1, &again_fd));
}

/* While it is mounted, which takes longer than to look whether it is checked. */
static void test_mounted(void)
{
        _cleanup_free_ char *path = new_path();
        _cleanup_close_ int fd = -1, again_fd = -1, check_fd = -1;

        ASSERT_OK(check_lock_share(path, PARTITION, &fd));
        ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ASSERT_OK(check_lock_share(path, PARTITION, &again_fd));
        ASSERT_EQ(check_lock_is_taken(path, PARTITION), 1);
        ASSERT_EQ(check_lock_take(path, DISK, PARTITION, &check_fd), -EAGAIN);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION + 1, &check_fd));
        check_fd = close_fd(check_fd);
        fd = close_fd(fd);
        ASSERT_EQ(check_lock_take(path, DISK, PARTITION, &check_fd), -EAGAIN);
        again_fd = close_fd(again_fd);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION, &check_fd));
        ASSERT_EQ(check_lock_share(path, PARTITION, &fd), -EAGAIN);
        ASSERT_OK(check_lock_share(path, PARTITION + 1, &fd));

        /* After the check. */
        ASSERT_OK(check_lock_relax(check_fd, DISK, PARTITION));
        ASSERT_OK(check_lock_share(path, PARTITION, &again_fd));
        fd = close_fd(fd);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION + 1, &fd));
        fd = close_fd(fd);
        ASSERT_EQ(check_lock_take(path, DISK, PARTITION, &fd), -EAGAIN);
        again_fd = close_fd(again_fd);
        ASSERT_EQ(check_lock_take(path, DISK, PARTITION, &fd), -EAGAIN);
        check_fd = close_fd(check_fd);
        ASSERT_OK(check_lock_take(path, DISK, PARTITION, &fd));
}

/* By whoever has it from us, until he is gone. */
static void test_inherited(void)
{
        _cleanup_free_ char *path = new_path();
        int fd = -1, pipe_fds[2];
        pid_t pid;

        ASSERT_OK(check_lock_take(path, DISK, DISK, &fd));
        ASSERT_OK(pipe(pipe_fds));
        pid = fork();
        ASSERT(pid >= 0);
        if (pid == 0) {
                (void)close(pipe_fds[1]);
                _exit(read(pipe_fds[0], &(char){ 0 }, 1) == 0 ? 0 : 1);
        }
        fd = close_fd(fd);
        ASSERT_EQ(check_lock_is_taken(path, DISK), 1);
        ASSERT_EQ(check_lock_take(path, DISK, DISK, &fd), -EAGAIN);
        (void)close(pipe_fds[1]);
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        ASSERT_EQ(check_lock_is_taken(path, DISK), 0);
        (void)close(pipe_fds[0]);
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
                ASSERT_EQ(check_lock_take(path, DISK, DISK, &fd), -EPERM);
                ASSERT_EQ(check_lock_is_taken(path, DISK), -EPERM);
        }
        if (geteuid() == 0) {
                ASSERT_OK(chmod(path, 0600));
                ASSERT_OK(chown(path, 1, 1));
                ASSERT_EQ(check_lock_take(path, DISK, DISK, &fd), -EPERM);
        }
        ASSERT_OK(unlink(path));
        ASSERT_OK(symlink("/dev/null", path));
        ASSERT_EQ(check_lock_take(path, DISK, DISK, &fd), -ELOOP);
        ASSERT_OK(unlink(path));
        ASSERT_OK(mkfifo(path, 0600));
        ASSERT_EQ(check_lock_take(path, DISK, DISK, &fd), -EPERM);
        ASSERT_EQ(fd, -1);
}

TEST_MAIN(TEST(turn), TEST(taken), TEST(mounted), TEST(inherited), TEST(foreign))
