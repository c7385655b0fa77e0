/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "device.h"
#include "mounter.h"
#include "report.h"

/* The way back, from a mount that is recorded to none; each in a child, as mounter.h has it. */

/* Unmounts what the record of NAME says, removes the directory if we made it, and notes that it is
 * unmounted by intent. Where it is not mounted any more, does the rest. */
int unmounter_unmount(const Mounter *m, const char *name, bool lazy, Report *report);

/* Notes in the record that D, which CONFIG means, is not to be mounted before it is replugged. */
int unmounter_hold_back(const Mounter *m, const VolumeConfig *config, const Device *d,
                        Report *report);

/* Ends what a killed child or a crash left half done for NAME: a directory made for a mount that
 * never came, a helper's mount, a record of nothing. A mount that was made stays, to be adopted. */
void unmounter_tidy(const Mounter *m, const char *name);

/* Same, for every name that has a record. */
void unmounter_tidy_all(const Mounter *m);

/* Stops the targets of what is not mounted any more: of those that no file means now, wslbared
 * knows nothing. Waits for what stops. */
void unmounter_stop_stale_targets(const Mounter *m);
