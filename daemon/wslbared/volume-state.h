/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* What a volume is and why: the only place where a state changes, and where that is said. */

/* D: the device that the state is about, NULL none. */
void volume_set_state(Volume *v, VolumeState state, const Device *d);

/* STEP_NONE: all is well. The same failure again is not said again. */
void volume_set_failure(Volume *v, FailureStep step, int error, const char *message);
/* Nothing is to be said but what the latest attempt left; that was said then. */
void volume_restore_failure(Volume *v);
