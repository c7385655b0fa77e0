/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <mntent.h>

#include "volume-config.h"

/* Lines of fstab(5) that would mount what a volume mounts. */

typedef struct FstabEntry {
        const struct mntent *line;
        const char *key; /* of [Match], "UUID", …: it means the same filesystem; NULL: it only has
                            the mount point of the volume */
} FstabEntry;

/* Calls FOUND for each of them in ROOT/etc/fstab (ROOT is "" but in tests), until it fails. Lines
 * with noauto wait to be asked for, and are none of them. 0, -ENOMEM, or what FOUND returned. */
typedef int (*FstabFound)(const FstabEntry *e, const VolumeConfig *v, void *userdata);
int fstab_find(const char *root, const VolumeConfig *v, FstabFound found, void *userdata);
