/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* What is being checked, known to all mountds that share this kernel's devices: what shares a disk
 * is checked one after the other, by whichever distribution, and what is being mounted is not
 * checked: some check programs do not keep the kernel from mounting what they write to. The locks
 * are byte ranges of a file that only root can open, so that nobody else can hold one. */

/* In devtmpfs, which all distributions of a WSL share. */
#define CHECK_LOCK_PATH "/dev/.wslbare-checks"

/* Takes the turn of DISK, for a check of DEVNUM on it (which may be the disk itself). The lock
 * lasts until *ret_fd is closed, also by all processes that inherited it. PATH is made where it is
 * missing. 0; -EAGAIN: something on the disk is being checked, or DEVNUM is being mounted;
 * -EPERM: PATH is not a file that is ours alone; -errno. */
int check_lock_take(const char *path, dev_t disk, dev_t devnum, int *ret_fd);

/* After the check: others on the disk may be checked, and DEVNUM, which is mounted now, may not.
 * FD and the others as above. 0, -errno. */
int check_lock_relax(int fd, dev_t disk, dev_t devnum);

/* Keeps DEVNUM from being checked; any number may do so at once. As above. */
int check_lock_share(const char *path, dev_t devnum, int *ret_fd);

/* Whether DEVNUM is being checked or mounted: 1, 0, or as above. */
int check_lock_is_taken(const char *path, dev_t devnum);
