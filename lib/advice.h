/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plan.h"

/* What types of content are, as libblkid names them, and what a person can do about those that are
 * not mounted as they are. */

/* What becomes of a volume whose device is D, by its content alone: VOLUME_MOUNTED, where it is to
 * be tried, VOLUME_LOCKED, VOLUME_MEMBER, VOLUME_UNSUPPORTED, or VOLUME_FAILED (damaged). But with
 * the first, *ret says why and what to do; NULL there when out of memory. */
VolumeState advice_on_device(const Device *d, char **ret);

/* The kernel's name of the filesystem TYPE, which is a static string or TYPE itself. */
const char *advice_driver(const char *type);

/* What to do where nothing mounts TYPE, a static string. */
const char *advice_install(const char *type);
