/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volumes.h"

/* How it is with all volumes together. */

/* The number of volumes in STATE. */
unsigned summary_count(const Volumes *volumes, VolumeState state);

/* "3 of 5 mounted, absent: backup, checking: data (43 %), errors in 1 file", however many there are
 * in less than 4000 bytes; NULL when out of memory. */
char *summary_describe(const Volumes *volumes);

/* Whether a volume, or a file, is not as it should be. */
bool summary_is_degraded(const Volumes *volumes);
