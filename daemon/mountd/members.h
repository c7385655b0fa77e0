/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "blockdev.h"
#include "config.h"
#include "macro.h"
#include "report.h"

/* The devices of one filesystem that are attached, open and proven to be that: one, or more where
 * it is a btrfs. In a child: opening and looking may hang. */

typedef struct Members {
        BlockDevice *devices; /* [0] is the one that was asked for. ->fd is -1 where an earlier one
                                 is on the same disk */
        size_t n;
} Members;

/* The filesystem that CONFIG means, attached and not mounted: what udev says chooses, what is found
 * there has the last word. What is in an encrypted device, unlocked, is meant, not that device. On
 * failure the report says why (`DeviceAbsent`, `Ambiguous`), and *RET is as with success the
 * caller's to members_done(). */
int members_open_meant(const VolumeConfig *config, Members *ret, Report *report);

/* Same, the filesystem on DEVNUM, as a mount has it. */
int members_open(dev_t devnum, uint64_t diskseq, Members *ret, Report *report);

void members_done(Members *m);
