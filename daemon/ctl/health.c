/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "check.h"
#include "health.h"
#include "macro.h"
#include "plan.h"
#include "text.h"

static Health health_of_mounted(const ClientVolume *v)
{
        switch (failure_step_from_string(v->failure_step)) {
        case STEP_NONE:
                return HEALTH_GOOD;
        case STEP_RUN:
                return HEALTH_BAD;
        case STEP_CONFIG:
        case STEP_PROBE:
        case STEP_CHECK:
        case STEP_TARGET:
        case STEP_MOUNT:
        case STEP_VERIFY:
        case STEP_UNMOUNT:
        case STEP_EJECT:
        case _FAILURE_STEP_MAX:
                break;
        }
        return HEALTH_ODD;
}

Health health_of(const ClientVolume *v)
{
        VolumeState state;

        if (!volume_state_from_string(v->state, &state))
                return HEALTH_ODD; /* of a later wslbared */
        switch (state) {
        case VOLUME_MOUNTED:
                return health_of_mounted(v);
        case VOLUME_ABSENT:
        case VOLUME_UNMOUNTED:
                return HEALTH_IDLE;
        case VOLUME_PROBING:
        case VOLUME_CHECKING:
        case VOLUME_MOUNTING:
        case VOLUME_UNMOUNTING:
                return HEALTH_WORKING;
        case VOLUME_INCOMPLETE:
        case VOLUME_LOCKED:
        case VOLUME_MEMBER:
                return HEALTH_ODD;
        case VOLUME_AMBIGUOUS:
        case VOLUME_UNSUPPORTED:
        case VOLUME_LOST:
        case VOLUME_FAILED:
                return HEALTH_BAD;
        }
        return HEALTH_ODD;
}

static const struct {
        const char *utf8, *ascii;
        TermColor color;
} signs[_HEALTH_MAX] = {
        [HEALTH_GOOD] = { "●", "*", TERM_GREEN },   [HEALTH_IDLE] = { "○", "o", TERM_PLAIN },
        [HEALTH_WORKING] = { "↻", "~", TERM_BOLD }, [HEALTH_ODD] = { "●", "!", TERM_YELLOW },
        [HEALTH_BAD] = { "×", "x", TERM_RED },
};

const char *health_sign(Health h)
{
        return term_is_utf8() ? signs[h].utf8 : signs[h].ascii;
}

TermColor health_color(Health h)
{
        return signs[h].color;
}

/* Cures. */

/* Of what went wrong with it while it was mounted. */
static char *cure_of_running(const ClientVolume *v)
{
        /* That devices went, or that it was moved: the message says what to do. */
        if (v->failure_errno == ENODEV || v->failure_errno == ENOENT)
                return NULL;
        return text_format("save what matters; then `wslbarectl unmount %s`, `%s %s` and "
                           "`wslbarectl mount %s`",
                           v->name, check_by_hand(v->type), v->device, v->name);
}

static bool needs_device(FailureStep step)
{
        return step != STEP_CONFIG && step != STEP_UNMOUNT && step != STEP_EJECT &&
               step != _FAILURE_STEP_MAX;
}

static char *cure_of_failure(const ClientVolume *v)
{
        FailureStep step = failure_step_from_string(v->failure_step);

        if (!*v->device && needs_device(step))
                return strdup("attach its disk again, for a fresh start");
        switch (step) {
        case STEP_NONE:
        case _FAILURE_STEP_MAX:
                return NULL;
        case STEP_CONFIG:
                return text_format("mend %s; wslbared sees it when it is written", v->config_path);
        case STEP_PROBE:
                return text_format("`wipefs %s` lists what it holds, and changes nothing",
                                   v->device);
        case STEP_CHECK:
                return text_format("`fsck %s` asks before it repairs; then `wslbarectl mount %s`",
                                   v->device, v->name);
        case STEP_TARGET:
                return text_format("when that is mended, `wslbarectl mount %s`", v->name);
        case STEP_MOUNT:
        case STEP_VERIFY:
                return text_format("`journalctl -k` may say more; when that is mended, "
                                   "`wslbarectl mount %s`",
                                   v->name);
        case STEP_UNMOUNT:
                return text_format("end what uses it, or `wslbarectl unmount --lazy %s`", v->name);
        case STEP_EJECT:
                return text_format("end what uses it, then `wslbarectl eject %s`", v->name);
        case STEP_RUN:
                return cure_of_running(v);
        }
        return NULL;
}

char *health_cure(const ClientVolume *v)
{
        VolumeState state;

        /* Their messages say it (advice). */
        if (volume_state_from_string(v->state, &state) &&
            (state == VOLUME_AMBIGUOUS || state == VOLUME_UNSUPPORTED || state == VOLUME_LOCKED ||
             state == VOLUME_MEMBER))
                return NULL;
        if (*v->failure_step)
                return cure_of_failure(v);
        if (v->stale)
                return text_format("its file was changed: `wslbarectl unmount %s` and "
                                   "`wslbarectl mount %s` put that in force",
                                   v->name, v->name);
        return NULL;
}
