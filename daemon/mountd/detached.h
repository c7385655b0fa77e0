/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "device.h"
#include "options.h"
#include "report.h"
#include "volume-config.h"

/* The filesystem on a device, mounted and not attached anywhere yet. In a child. */

/* Mounts what is on D, which was probed, as CONFIG says, by the kernel or by a helper (see
 * helper.h, also for STAGING). READ_ONLY: only for reading, whatever it says. 0: *ret_fd is the
 * mount and *ret_options what was asked of it, both the caller's; else -errno with the failure in
 * the report. */
int detached_mount(const VolumeConfig *config, const char *staging, const Device *d, bool read_only,
                   MountOptions **ret_options, int *ret_fd, Report *report);
