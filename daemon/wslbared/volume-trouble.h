/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* What goes wrong with a filesystem while it is mounted. */

/* Has its mount, if there is one, verified once again. */
void volume_doubt(Volume *v);

/* The kernel found an error in the filesystem FSID. Whether that is V's. */
bool volume_hear_error(Volume *v, uint64_t fsid, int errnum);

/* Takes over what the kernel says by now of V's mount, which is E. */
void volume_follow_mount(Volume *v, const MountEntry *e);

/* What is wrong with V's mount, which is E; it points into V. */
PlanTrouble volume_trouble(const Volume *v, const MountEntry *e);
