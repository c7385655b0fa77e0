/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* KeepMounted=: what somebody else unmounted is mounted again. */

/* Whether another distribution's wslbared was told to unmount D, which V has below the directory
 * that they share. */
bool volume_is_marked(const Volume *v, const Device *d);

/* Whether V, whose mount went just now, is to be mounted again: its file says so, and that was not
 * said VOLUME_KEEP_MAX times within the last minute. Each time counts, whatever comes of it. */
bool volume_keep(Volume *v);

/* Says that it was unmounted by somebody else, MARKED by intent, and what becomes of it. */
void volume_log_foreign_unmount(const Volume *v, bool marked, bool keeps);
