/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a superblock says of how its filesystem was left, where that is a well-known bit: ext2, ext3
 * and ext4, vfat and exFAT. Hostile, as everything on a disk: read it where libblkid is. */

typedef enum FsFlags {
        FS_KNOWN = 1U << 0,   /* the others mean something */
        FS_CLEAN = 1U << 1,   /* unmounted; an ext whose journal is to be replayed is clean too */
        FS_ERRORS = 1U << 2,  /* the kernel, or Windows, met errors */
        FS_DUE = 1U << 3,     /* mounted as often as it may be between two checks */
        FS_FRAGILE = 1U << 4, /* an ext without a journal: left without unmounting, its structures
                                 may contradict each other */
        _FS_FLAGS_ALL = (1U << 5) - 1,
} FsFlags;

typedef struct FsState {
        uint64_t flags;   /* FsFlags */
        uint64_t due_sec; /* CLOCK_REALTIME, when a check is due; 0: never */
} FsState;

/* Of a filesystem of TYPE, as libblkid names it, in FD. 0, *ret being all zero where TYPE has no
 * such bits or they lie beyond the end, or -errno of reading. */
int fs_state_read(int fd, const char *type, FsState *ret);

/* Whether it is time for a check, at NOW_SEC (CLOCK_REALTIME). */
bool fs_state_is_due(const FsState *s, uint64_t now_sec);

/* Whether S, which came from a process that read hostile data, is of the form above. */
bool fs_state_is_valid(const FsState *s);
