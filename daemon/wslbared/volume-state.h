/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* What a volume is and why: the only place where a state changes, and where that is said. */

/* D: the device that the state is about, NULL none. */
void volume_set_state(Volume *v, VolumeState state, const Device *d);

/* STEP_NONE: all is well. The same failure again is not said again. */
void volume_set_failure(Volume *v, FailureStep step, int error, const char *message);
/* The same, of an attempt. ERROR, which must live as long: the last part of org.wslbare1.Error.* */
void volume_fail_attempt(Volume *v, FailureStep step, int errnum, const char *error,
                         const char *message);
/* The latest attempt left nothing. */
void volume_forget_attempt(Volume *v);
/* The same two for what was to be unmounted or ejected, which is said by the caller. */
void volume_fail_release(Volume *v, FailureStep step, int errnum, const char *error,
                         const char *message);
void volume_forget_release(Volume *v);
/* Nothing is to be said but what the latest attempt left, or the latest unmount; that was said
 * then. */
void volume_restore_failure(Volume *v);
