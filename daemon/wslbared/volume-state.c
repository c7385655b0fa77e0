/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-state.h"
#include "log.h"
#include "macro.h"
#include "manager.h"

static const char *where_of(const Volume *v)
{
        return v->mount ? v->mount->target : v->config->where ? v->config->where : "none";
}

static void log_state(const Volume *v, VolumeState before)
{
        const LogContext about = { v->config->name, v->device };
        const char *device = v->device ? v->device : "its device";

        switch (v->state) {
        case VOLUME_ABSENT:
                log_full(before == VOLUME_PROBING ? LOG_DEBUG : LOG_INFO, 0, &about, "%s is absent",
                         v->config->name);
                break;
        case VOLUME_CHECKING:
                log_full(LOG_INFO, 0, &about, "%s is being checked: %s", v->config->name, device);
                break;
        case VOLUME_PROBING:
        case VOLUME_MOUNTING:
        case VOLUME_UNMOUNTING:
                log_full(LOG_DEBUG, 0, &about, "%s: %s", v->config->name,
                         volume_state_to_string(v->state));
                break;
        case VOLUME_MOUNTED:
                log_full(LOG_INFO, 0, &about, "%s is mounted: %s on %s", v->config->name, device,
                         where_of(v));
                break;
        case VOLUME_UNMOUNTED:
                if (before != VOLUME_MOUNTED) /* else it was said why */
                        log_full(LOG_INFO, 0, &about,
                                 before == VOLUME_UNMOUNTING
                                         ? "%s is unmounted; %s stays so until it is attached again"
                                         : "%s is there as %s, and not mounted by intent",
                                 v->config->name, device);
                break;
        case VOLUME_LOST:
                log_full(LOG_ERR, 0, &about,
                         "%s lost %s while mounted; what was not written yet is gone",
                         v->config->name, device);
                break;
        case VOLUME_AMBIGUOUS:
        case VOLUME_INCOMPLETE:
        case VOLUME_LOCKED:
        case VOLUME_MEMBER:
        case VOLUME_UNSUPPORTED:
        case VOLUME_FAILED:
                break; /* their failure says it */
        }
}

void volume_set_state(Volume *v, VolumeState state, const Device *d)
{
        /* What was lost is named until it is cleaned up. */
        const char *node = d ? d->node : state == VOLUME_LOST ? v->device : NULL;
        VolumeState before = v->state;
        bool moved = !streq_ptr(v->device, node);

        v->devnum = d ? d->devnum : 0;
        if (state == before && !moved)
                return;
        v->state = state;
        if (moved) {
                free(v->device);
                v->device = node ? strdup(node) : NULL;
        }
        if (state != before) {
                v->state_change_usec = manager_realtime(v->manager);
                v->state_change_monotonic_usec = manager_now(v->manager);
                log_state(v, before);
                if (state == VOLUME_ABSENT)
                        manager_hint_soon(v->manager);
        }
        v->is_changed = true;
        manager_wake(v->manager);
}

static bool replace_failure(Volume *v, FailureStep step, int error, const char *message)
{
        if (v->failure_step == step && streq_ptr(v->failure_message, message))
                return false;
        v->failure_step = step;
        v->failure_errno = error;
        free(v->failure_message);
        v->failure_message = message ? strdup(message) : NULL;
        v->is_changed = true;
        manager_wake(v->manager);
        return true;
}

/* What waits for a passphrase, or for more disks, is no error. */
static int level_of(const Volume *v)
{
        bool waits = v->state == VOLUME_INCOMPLETE || v->state == VOLUME_LOCKED ||
                     v->state == VOLUME_MEMBER || v->past.verdict == PLAN_PAST_INCOMPLETE ||
                     v->past.verdict == PLAN_PAST_LOCKED;

        return waits ? LOG_NOTICE : LOG_ERR;
}

void volume_set_failure(Volume *v, FailureStep step, int error, const char *message)
{
        const LogContext about = { v->config->name, v->device };

        if (replace_failure(v, step, error, message) && step != STEP_NONE)
                log_full(level_of(v), error, &about, "%s: %s (step %s)", v->config->name,
                         message ? message : "no reason known", failure_step_to_string(step));
}

static void replace(VolumeFailure *f, FailureStep step, int errnum, const char *error,
                    const char *message)
{
        free(f->message);
        *f = (VolumeFailure){ step, errnum, error, message ? strdup(message) : NULL };
}

void volume_fail_attempt(Volume *v, FailureStep step, int errnum, const char *error,
                         const char *message)
{
        replace(&v->attempt, step, errnum, error, message);
        volume_set_failure(v, step, errnum, message);
}

void volume_forget_attempt(Volume *v)
{
        replace(&v->attempt, STEP_NONE, 0, NULL, NULL);
}

void volume_fail_release(Volume *v, FailureStep step, int errnum, const char *error,
                         const char *message)
{
        replace(&v->release, step, errnum, error, message);
}

void volume_forget_release(Volume *v)
{
        replace(&v->release, STEP_NONE, 0, NULL, NULL);
}

/* Whether what was to be released is there, and not. */
static bool is_unreleased(const Volume *v)
{
        return v->release.step != STEP_NONE &&
               (v->state == VOLUME_MOUNTED || v->state == VOLUME_UNMOUNTED);
}

void volume_restore_failure(Volume *v)
{
        const VolumeFailure *f = is_unreleased(v) ? &v->release : &v->attempt;

        (void)replace_failure(v, f->step, f->errnum, f->message);
}
