/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "device.h"
#include "driver.h"
#include "options.h"
#include "report.h"

/* Mounting by a mount helper (/sbin/mount.ntfs and its like), which takes paths and may stay behind
 * as a process: it runs in a transient unit, mounts into a directory of ours that nobody else can
 * reach, and a detached copy of that mount then goes to the target by the same road as any other.
 */

/* Mounts D. 0, *ret_fd being the detached mount; else the report says why. STAGING is the directory
 * for such mounts, NAME the volume. */
int helper_mount(const Driver *driver, const char *staging, const char *name, const Device *d,
                 const MountOptions *options, uint64_t timeout_usec, int *ret_fd, Report *report);

/* Ends what an interrupted helper_mount() of NAME, of a device with DISKSEQ, left behind. */
void helper_clean(const char *staging, const char *name, uint64_t diskseq);
