/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "device.h"
#include "mountinfo.h"
#include "options.h"
#include "report.h"

/* Looking at a mount after it was made: what the kernel says counts, not what was asked for. */

/* Whether E is a mount of the filesystem on D, and of the whole of it. What a mount calls its
 * source proves nothing: FUSE lets any user choose that. */
bool verify_is_device(const MountEntry *e, const Device *d);

/* Whether what TARGET shows is a mount of that kind: 1, then *ret_id is its ID; 0; -errno. */
int verify_find(const char *target, const Device *d, int *ret_id);

/* Whether the mount ID lacks what of OPTIONS matters to safety, or is of another subvolume, which
 * gives a warning. */
bool verify_lacks(int id, const MountOptions *options, Report *report);

/* Whether the mount ID is of D, on TARGET, with what of OPTIONS matters to safety in force; what
 * else of them is not gives a warning. Describes the mount in the report as verify_describe() does.
 */
int verify_mount(int id, const Device *d, const char *target, const MountOptions *options,
                 Report *report);

/* Puts mount ID, TARGET, where it was mounted, options in force and the device's name, type, UUID
 * and label into the report. */
int verify_describe(int id, const Device *d, const char *target, Report *report);
