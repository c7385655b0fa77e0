/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "volume-config.h"

/* What this system has for filesystems: drivers, mount helpers and check programs. ROOT is "" but
 * in tests: put before each path. Out of memory, all is there. */

/* Whether something mounts TYPE: the kernel, a module, or mount.TYPE. */
bool programs_mount(const char *root, const char *type);

/* Whether what C says can be done when a filesystem of TYPE must be checked before it is mounted:
 * fsck.TYPE is there, or is not wanted. */
bool programs_check(const char *root, const VolumeConfig *c, const char *type);
