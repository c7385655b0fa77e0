/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-progress.h"
#include "manager.h"
#include "volume-state.h"

void volume_progress_step(Volume *v, FailureStep step)
{
        /* All other steps are of the state that the plan gave. */
        if (v->action != PLAN_MOUNT || (step != STEP_CHECK && v->state != VOLUME_CHECKING))
                return;
        v->percent = 0;
        volume_set_state(v, step == STEP_CHECK ? VOLUME_CHECKING : VOLUME_MOUNTING,
                         volume_current_device(v));
}

void volume_progress_percent(Volume *v, unsigned percent)
{
        if (v->state != VOLUME_CHECKING)
                return;
        v->percent = percent;
        manager_wake(v->manager);
}
