/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "check-lock.h"
#include "macro.h"

static int open_file(const char *path, int flags, int *ret)
{
        _cleanup_close_ int fd =
                open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077))
                return -EPERM;
        *ret = TAKE_FD(fd);
        return 0;
}

/* Two bytes for each number: the disk's turn, and the device that is being checked. */
static struct flock turn_of(dev_t disk, short type)
{
        return (struct flock){
                .l_type = type, .l_whence = SEEK_SET, .l_start = 2 * (off_t)disk, .l_len = 1
        };
}

static struct flock check_of(dev_t devnum, short type)
{
        struct flock l = turn_of(devnum, type);

        l.l_start++;
        return l;
}

/* Of the open file, not of the process: children keep them. */
static int lock(int fd, struct flock l)
{
        if (fcntl(fd, F_OFD_SETLK, &l) < 0)
                return errno == EACCES ? -EAGAIN : -errno;
        return 0;
}

int check_lock_take(const char *path, dev_t disk, dev_t devnum, int *ret_fd)
{
        _cleanup_close_ int fd = -1;
        int r = open_file(path, O_CREAT, &fd);

        if (r >= 0)
                r = lock(fd, turn_of(disk, F_WRLCK));
        if (r >= 0)
                r = lock(fd, check_of(devnum, F_WRLCK));
        if (r >= 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

int check_lock_relax(int fd, dev_t disk, dev_t devnum)
{
        int r = lock(fd, check_of(devnum, F_RDLCK));

        return r < 0 ? r : lock(fd, turn_of(disk, F_UNLCK));
}

int check_lock_share(const char *path, dev_t devnum, int *ret_fd)
{
        _cleanup_close_ int fd = -1;
        int r = open_file(path, O_CREAT, &fd);

        if (r >= 0)
                r = lock(fd, check_of(devnum, F_RDLCK));
        if (r >= 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

int check_lock_is_taken(const char *path, dev_t devnum)
{
        struct flock check = check_of(devnum, F_WRLCK);
        _cleanup_close_ int fd = -1;
        int r = open_file(path, 0, &fd);

        if (r < 0)
                return r == -ENOENT ? 0 : r; /* nobody has checked anything yet */
        if (fcntl(fd, F_OFD_GETLK, &check) < 0)
                return -errno;
        return check.l_type != F_UNLCK;
}
