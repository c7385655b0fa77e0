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

int check_lock_take(const char *path, dev_t disk, int *ret_fd)
{
        struct flock turn = {
                .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)disk, .l_len = 1
        };
        _cleanup_close_ int fd = -1;
        int r = open_file(path, O_CREAT, &fd);

        if (r < 0)
                return r;
        /* Of the open file, not of the process. */
        if (fcntl(fd, F_OFD_SETLK, &turn) < 0)
                return errno == EACCES ? -EAGAIN : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
