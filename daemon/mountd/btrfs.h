/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* btrfs, whose filesystems may be on several devices. The kernel mounts one when it was told of all
 * of them, which udevd's rules do where there is one. In a child: each may hang. */

/* Tells the kernel of NODE. 1: it knows all devices of that filesystem now, which may be there or
 * not any more; 0: it misses some; -errno. */
int btrfs_scan(const char *node);

#define BTRFS_UUID_LENGTH 32U

/* The UUID of the mounted btrfs that FD (not O_PATH) is in, as hexadecimal digits: it stays
 * whatever becomes of its devices. 0; -ENOTTY: it is no btrfs; -errno. */
int btrfs_read_uuid(int fd, char ret[static BTRFS_UUID_LENGTH + 1]);

/* Whether what is mounted on TARGET is a btrfs that is on DEVNUM, maybe among others. */
bool btrfs_is_on_device(const char *target, dev_t devnum);
