/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"
#include "mounter.h"
#include "report.h"

/* Making a volume's disk one that may be taken away: everything is written, nobody has it, and the
 * kernel has let go of it. In a child, as what mounter.h does. */

/* Ejects the disk of NAME: that of the mount that its record speaks of, whatever the file says
 * today; or, where it is not mounted, of the one device that its file in SOURCE means. Where the
 * filesystem is on several devices, the disks of all that are attached: all or, before anything is
 * removed, none. Refuses a disk that backs anything else. A failure of step `eject` says that the
 * volume is unmounted by now, and by intent, but the disk is not to be taken away; with any other
 * nothing was changed. "Removed" in the report: whether the kernel let go of the disk (SCSI) or it
 * was released (a loop device); of others there is nothing to be removed. 0, or -errno with the
 * failure in the report.
 */
int eject_volume(const Mounter *m, const ConfigSource *source, const char *name, Report *report);
