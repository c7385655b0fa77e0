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
