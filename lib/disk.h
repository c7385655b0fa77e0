/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "device.h"
#include "mountinfo.h"

/* A whole disk: its parts, what uses them, and how the kernel lets go of it. From sysfs, mountinfo
 * and the list of swap areas; no device is opened. What other mount namespaces have mounted is not
 * in them. */

typedef struct Disk {
        Device **parts; /* as device_read_sysfs() leaves them: the disk itself, then its partitions
                         */
        size_t n_parts; /* at least 1 */
} Disk;

/* The disk that DEVNUM is, or is a partition of. 0, -ENODEV, -ENOMEM, -errno. SYSFS is "/sys" but
 * in tests, here and below. */
int disk_new(const char *sysfs, dev_t devnum, Disk **ret);
Disk *disk_free(Disk *d);
static inline void disk_freep(Disk **d)
{
        disk_free(*d);
}

/* What is known to be mounted, or swapped to. */
typedef struct DiskUsers {
        const Mountinfo *mounts;
        const char *swaps; /* as /proc/swaps has it */
} DiskUsers;

/* Looks for something that D backs beside the filesystem on its part OWN, as mounted by OWN_MOUNT
 * (one of USERS->mounts; NULL: it is not mounted): another mount, swap, a device above it (device
 * mapper, RAID, loop), another part as a member of a mounted btrfs. 1 and in *ret what it is, for a
 * person ("/dev/sdb2 is mounted on /srv"); 0 nothing; -errno. */
int disk_find_use(const char *sysfs, const Disk *d, const DiskUsers *users, dev_t own,
                  const MountEntry *own_mount, char **ret);

/* The kernel's name of a device that D is made of (of a device mapper's or a RAID's device). 1, 0
 * it is made of none, -errno. */
int disk_find_lower(const char *sysfs, const Disk *d, char **ret);

/* Opens what a "1" is to be written to, for the kernel to let go of D: SCSI's disks have that.
 * -ENOENT: there is no such thing. */
int disk_open_delete(const char *sysfs, const Disk *d);
