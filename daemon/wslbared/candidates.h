/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* The devices that a volume may mean, out of the table of those that are there. */

/* Puts fitting, n_fitting, n_siblings and probing into IN: those that fit, and the others of their
 * filesystems, in ROOM for all devices. Needs its starting. */
void candidates_find(const Volume *v, const Device **room, PlanInput *in);

/* Whether D, which may be gone, is of the filesystem on one that fits, or unlocked as such. */
bool candidates_relate(const Volume *v, const Device *d);
