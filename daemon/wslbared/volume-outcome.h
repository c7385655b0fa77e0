/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* How what mountd was asked to do ended, and what that makes of the volume. */

/* R, of which parts may be taken out, answers ACTION. It must not be lost: then the outcome is not
 * known, and the next look finds out. */
void volume_take_outcome(Volume *v, PlanAction action, MountdResult *r);
