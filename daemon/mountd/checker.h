/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "blockdev.h"
#include "mounter.h"
#include "report.h"
#include "volume-config.h"

/* The check before the mount, as Check= and CheckFailure= want it. In a child. */

/* Checks what is on B, which was probed, where that is needed. 0: it may be mounted, *ret_read_only
 * says whether only for reading, and the report has what there is to tell; nobody's mountd begins
 * to check it before *ret_lock_fd, which is the caller's and may be -1, is closed. Else -errno with
 * the failure in the report. */
int checker_check(const Mounter *m, const VolumeConfig *config, const BlockDevice *b,
                  bool *ret_read_only, int *ret_lock_fd, Report *report);
