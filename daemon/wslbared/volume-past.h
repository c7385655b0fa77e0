/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* How earlier attempts went, and when the next one is made. */

/* Forgets them, so that the next look tries again. */
void volume_start_afresh(Volume *v);

/* The device is busy with something that ends by itself: that is no failure, and no attempt.
 * Nothing is asked of mountd for a moment, each time twice as long, up to 5 s. */
void volume_put_off(Volume *v);
/* Whether that goes on for so long that who asked is told to try later: for 11 s, and where another
 * check is waited for, for as much more as a check may take. */
bool volume_is_put_off_for_long(const Volume *v);
/* Then the next attempt is not waited for any longer. */
void volume_hasten(Volume *v);

/* An attempt failed. Has it made again after a pause, as RetrySec= and RetryLimit= say, unless
 * there is a verdict on it by now. Whether it is. */
bool volume_try_again(Volume *v);

/* For the plan: how it went with this incarnation of the device. With another one than before all
 * begins anew. */
PlanPast volume_past_with(Volume *v, dev_t devnum, uint64_t generation);
