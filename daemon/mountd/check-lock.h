/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* What is being checked, known to all mountds that share this kernel's devices: what shares a disk
 * is checked one after the other, by whichever distribution. The locks are byte ranges of a file
 * that only root can open, so that nobody else can hold one. */

/* In devtmpfs, which all distributions of a WSL share. */
#define CHECK_LOCK_PATH "/dev/.wslbare-checks"

/* Takes the turn of DISK, for a check of DEVNUM on it (which may be the disk itself). The lock
 * lasts until *ret_fd is closed, also by all processes that inherited it. PATH is made where it is
 * missing. 0; -EAGAIN: something on the disk is being checked;
 * -EPERM: PATH is not a file that is ours alone; -errno. */
int check_lock_take(const char *path, dev_t disk, dev_t devnum, int *ret_fd);

/* Whether DEVNUM is being checked: 1, 0, or as above. */
int check_lock_is_taken(const char *path, dev_t devnum);
