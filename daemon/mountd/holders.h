/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "device.h"
#include "report.h"

/* Who keeps a filesystem or a disk busy. */

#define HOLDERS_MAX 32 /* the rest is not worth reading */

/* Adds the processes of our PID namespace that have a file of the filesystem DEVNUM (as stat(2) has
 * it) open or mapped, or a working or root directory there. Looking may hang with a hanging
 * filesystem: in a child only. */
void holders_report(dev_t devnum, Report *report);

/* Adds those that have one of the N devices (a disk and its partitions) open, or mounted in a mount
 * namespace of their own. Returns how many. */
unsigned holders_report_devices(Device *const *devices, size_t n, Report *report);

/* Same, only those that have one of them open for writing. REPORT may be NULL. */
unsigned holders_report_writers(Device *const *devices, size_t n, Report *report);
