/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* What mountd says of a mount while it is at it. */

void volume_progress_step(Volume *v, FailureStep step);
/* How much of a check is done, 0 to 100. */
void volume_progress_percent(Volume *v, unsigned percent);
