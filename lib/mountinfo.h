/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "device.h"

/* /proc/PID/mountinfo, see proc_pid_mountinfo(5). */

typedef struct MountEntry {
        int id;
        int parent_id;
        dev_t devnum; /* btrfs, and whatever has no block device, has an anonymous one: major 0 */
        const char *root;    /* of the mount within its filesystem */
        const char *target;  /* octal escapes decoded, as are root and source */
        const char *options; /* of the mount */
        bool shared;         /* propagates: "shared:N" */
        bool slave;          /* "master:N" */
        bool unbindable;
        const char *type;
        const char *source;
        const char *super_options;
} MountEntry;

typedef struct Mountinfo {
        MountEntry *entries; /* in the kernel's order: a later one on the same target hides an
                                earlier one */
        size_t n_entries;
        char *text; /* what the entries point into */
} Mountinfo;

/* Takes TEXT (owned from then on, also on failure) apart. A line that is not well-formed is passed
 * over. 0, -ENOMEM. */
int mountinfo_parse(char *text, Mountinfo **ret);

/* Reads FD from its beginning. 0, -errno of the reading, -ENOMEM. */
int mountinfo_read(int fd, Mountinfo **ret);

/* Reads /proc/self/mountinfo. */
int mountinfo_read_self(Mountinfo **ret);

/* What a path lookup of TARGET meets: the uppermost mount there; NULL when TARGET is no mount
 * point. */
const MountEntry *mountinfo_find_target(const Mountinfo *m, const char *target);
const MountEntry *mountinfo_find_id(const Mountinfo *m, int id);

/* Whether E is a mount of the filesystem on D: by device number or, where that is anonymous
 * (btrfs), by D's node as its source. */
bool mount_entry_is_device(const MountEntry *e, const Device *d);

/* Read-only by the mount or by its filesystem. */
bool mount_entry_is_read_only(const MountEntry *e);

/* The filesystem is read-only and the mount is not. Unless it was mounted like that, as what can
 * only be read is, the kernel made it so after an error. */
bool mount_entry_is_turned_read_only(const MountEntry *e);

/* The filesystem shut itself down after an error, or was shut down; only some say so. */
bool mount_entry_is_shut_down(const MountEntry *e);

/* "rw,nosuid,…" of the mount, joined with those of the superblock that are not in it. NULL when out
 * of memory. */
char *mount_entry_options(const MountEntry *e);

Mountinfo *mountinfo_free(Mountinfo *m);
static inline void mountinfo_freep(Mountinfo **m)
{
        mountinfo_free(*m);
}
