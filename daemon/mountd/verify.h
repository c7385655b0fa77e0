/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "options.h"
#include "report.h"

/* Looking at a mount after it was made: what the kernel says counts, not what was asked for. */

/* Whether the mount ID is of D, on TARGET, with what of OPTIONS matters to safety in force; what
 * else of them is not gives a warning. Describes the mount in the report as verify_describe() does.
 */
int verify_mount(int id, const Device *d, const char *target, const MountOptions *options,
                 Report *report);

/* Puts mount ID, target, options in force and the device's name, type, UUID and label into the
 * report. */
int verify_describe(int id, const Device *d, Report *report);
