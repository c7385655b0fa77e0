/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "report.h"

/* wslbare@NAME.target: what services bind to that need the volume. */

/* Starts it, without waiting for what it starts; or stops it and waits until everything bound to it
 * is stopped. Before the start the flag file FLAGS/NAME is written, and removed before the stop:
 * the target's own condition, so that nobody else starts it without the disk. FLAGS/.NAME is there
 * meanwhile, and stays where that failed. */
int unit_target_set(const char *flags, const char *name, bool active, Report *report);

/* Whether it was started, or is not known to be stopped. */
bool unit_target_may_be_active(const char *flags, const char *name);

/* Where it was started, begins to stop it, before a mount goes whose disk is gone: what is
 * stopping is not started again, and so does not write to the directory below. The wait is short,
 * as who is bound to it may take long to stop. FLAGS/.NAME stays: unit_target_set() is to end it.
 */
void unit_target_halt(const char *flags, const char *name);
