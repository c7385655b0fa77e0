/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "forecast.h"
#include "fitting.h"
#include "macro.h"
#include "term.h"
#include "text.h"

static const Device *find_device(const ForecastInput *in, const char *node)
{
        for (size_t i = 0; i < in->n_devices; i++)
                if (streq(in->devices[i].device.node, node))
                        return &in->devices[i].device;
        return NULL;
}

/* What wslbared says of it, as the plan takes it. */

static void take_mount(const ForecastInput *in, PlanInput *p)
{
        const ClientVolume *v = in->volume;

        p->mount = PLAN_MOUNT_PRESENT;
        p->mount_device = find_device(in, v->device);
        p->target_active = true;
        if (failure_step_from_string(v->failure_step) != STEP_RUN)
                return;
        p->trouble.message = v->failure_message;
        p->trouble.error = v->failure_errno;
}

static void take_state(const ForecastInput *in, VolumeState state, PlanInput *p)
{
        const ClientVolume *v = in->volume;

        switch (state) {
        case VOLUME_ABSENT:
        case VOLUME_AMBIGUOUS:
        case VOLUME_MEMBER:
                return;
        case VOLUME_PROBING:
                /* Of one that it would be mounted from, that is a part of mounting. */
                p->probing = !*v->device;
                p->mount_wanted = *v->device;
                return;
        case VOLUME_CHECKING:
        case VOLUME_MOUNTING:
                p->mount_wanted = true;
                return;
        case VOLUME_UNMOUNTING:
                take_mount(in, p);
                p->target_active = false;
                p->unmount_wanted = true;
                return;
        case VOLUME_MOUNTED:
                take_mount(in, p);
                return;
        case VOLUME_LOST:
                p->mount = PLAN_MOUNT_PRESENT;
                return;
        case VOLUME_UNMOUNTED:
                p->held_back = v->automatic;
                return;
        case VOLUME_INCOMPLETE:
                p->past = PLAN_PAST_INCOMPLETE;
                return;
        case VOLUME_LOCKED:
                p->past = PLAN_PAST_LOCKED;
                return;
        case VOLUME_UNSUPPORTED:
                p->past = PLAN_PAST_UNSUPPORTED;
                return;
        case VOLUME_FAILED:
                /* Files that were mended are loaded, and all begins anew. */
                if (failure_step_from_string(v->failure_step) != STEP_CONFIG)
                        p->past = v->next_retry_usec > 0 ? PLAN_PAST_WAITING : PLAN_PAST_EXHAUSTED;
                return;
        }
}

/* Why nothing is to be done. */

static char *explain_absent(const ForecastInput *in)
{
        _cleanup_(strv_freep) char **near = NULL;
        _cleanup_free_ char *list = NULL;
        const Match *m = &in->config->match;

        for (size_t i = 0; i < in->n_devices; i++) {
                const Device *d = &in->devices[i].device;
                _cleanup_free_ char *why = NULL;

                if (match_device(m, d, NULL) || !match_is_near(m, d))
                        continue;
                why = match_explain(m, d);
                if (!why || strv_take(&near, text_format("%s nearly does: %s", d->node, why)) < 0)
                        return NULL;
        }
        list = strv_join(near, "; ");
        if (!list)
                return NULL;
        return text_format("no device that was seen fits%s%s", *list ? "; " : "", list);
}

static char *explain_unmounted(const ForecastInput *in, const PlanInput *p)
{
        const VolumeConfig *c = in->config;

        if (!c->where)
                return strdup("Where=none: it is only attached");
        if (p->held_back)
                return text_format("it was unmounted by intent, or by somebody else; it is mounted "
                                   "when its disk is attached anew, or by `wslbarectl mount %s`",
                                   c->name);
        return text_format("Auto=no: it is mounted by `wslbarectl mount %s`", c->name);
}

static char *explain_failed(const ForecastInput *in)
{
        const ClientVolume *v = in->volume;
        char span[TERM_SPAN_MAX];

        if (v->next_retry_usec == 0)
                return text_format("%s; it is not tried again until `wslbarectl mount %s`, or its "
                                   "disk is attached anew",
                                   v->failure_message, v->name);
        return text_format(
                "%s; it is tried again in %s", v->failure_message,
                term_span(v->next_retry_usec > in->now_usec ? v->next_retry_usec - in->now_usec : 0,
                          span));
}

/* Where the plan itself has no message. */
static char *explain_nothing(const ForecastInput *in, const PlanInput *p, VolumeState state)
{
        switch (state) {
        case VOLUME_ABSENT:
                return explain_absent(in);
        case VOLUME_PROBING:
                return strdup("a device that may fit is looked at");
        case VOLUME_MOUNTED:
                return text_format("it is mounted%s",
                                   in->volume->stale ? "; its file was changed, which takes effect "
                                                       "when it is mounted again"
                                                     : "");
        case VOLUME_UNMOUNTED:
                return explain_unmounted(in, p);
        case VOLUME_FAILED:
                return explain_failed(in);
        case VOLUME_UNSUPPORTED:
        case VOLUME_LOCKED:
        case VOLUME_INCOMPLETE:
                return strdup(in->volume->failure_message);
        case VOLUME_CHECKING:
        case VOLUME_MOUNTING:
        case VOLUME_UNMOUNTING:
        case VOLUME_AMBIGUOUS:
        case VOLUME_MEMBER:
        case VOLUME_LOST:
                break;
        }
        return strdup("");
}

static bool is_at_work(const ClientVolume *v, VolumeState state)
{
        return v && (state == VOLUME_PROBING || state == VOLUME_CHECKING ||
                     state == VOLUME_MOUNTING || state == VOLUME_UNMOUNTING);
}

static char *explain(const ForecastInput *in, const PlanInput *p, const Plan *plan,
                     VolumeState state)
{
        if (plan->message)
                return strdup(plan->message);
        if (plan->action == PLAN_NOTHING)
                return explain_nothing(in, p, plan->state);
        if (is_at_work(in->volume, state))
                return strdup("that is at work");
        return strdup(in->volume ? "" : "wslbared is about to load its file");
}

int forecast_make(const ForecastInput *in, Forecast *ret)
{
        _cleanup_free_ const Device **room = calloc(in->n_devices + 1, sizeof(*room));
        _cleanup_(plan_done) Plan plan = { 0 };
        PlanInput p = { .config = in->config };
        VolumeState state = VOLUME_ABSENT;
        int r;

        if (!room)
                return -ENOMEM;
        for (size_t i = 0; i < in->n_devices; i++)
                room[i] = &in->devices[i].device;
        fitting_choose(&in->config->match, room, in->n_devices, &p);
        if (in->volume && volume_state_from_string(in->volume->state, &state))
                take_state(in, state, &p);
        if (in->config->where)
                p.on_target = mountinfo_find_target(in->mounts, in->config->where);
        r = plan_volume(&p, &plan);
        if (r < 0)
                return r;
        *ret = (Forecast){
                .state = in->volume ? in->volume->state : volume_state_to_string(plan.state),
                .action = plan.action,
                .device = plan.device,
                .why = explain(in, &p, &plan, state),
        };
        return ret->why ? 0 : -ENOMEM;
}

void forecast_done(Forecast *f)
{
        free(f->why);
        *f = (Forecast){ 0 };
}
