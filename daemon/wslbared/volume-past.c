/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-past.h"
#include "log.h"
#include "macro.h"
#include "manager.h"
#include "volume-state.h"

#define RETRY_MAX_USEC (60 * USEC_PER_SEC)
/* What is held up by another request or a partitioner is usually free in a moment. */
#define DEFER_MIN_USEC (100 * USEC_PER_MSEC)
#define DEFER_MAX_USEC (5 * USEC_PER_SEC)
#define DEFERRALS_MAX 7U /* these take 11 s */

void volume_start_afresh(Volume *v)
{
        /* Whose past it is stays known: an attempt may be at work, and what becomes of it counts.
         */
        v->past = (VolumePast){ .devnum = v->past.devnum, .generation = v->past.generation };
        v->retry = sd_event_source_disable_unref(v->retry);
}

static void try_now(Volume *v)
{
        v->retry = sd_event_source_disable_unref(v->retry);
        v->past.retry_usec = 0;
        v->past.put_off = false;
        v->dirty = true;
        manager_wake(v->manager);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        try_now(userdata);
        return 0;
}

static uint64_t double_up_to(uint64_t first, unsigned times, uint64_t most)
{
        uint64_t pause = first;

        for (unsigned i = 0; i < times && pause < most; i++)
                pause *= 2;
        return pause < most ? pause : most;
}

static void retry_in(Volume *v, uint64_t pause_usec)
{
        int r;

        v->past.retry_usec = manager_now(v->manager) + pause_usec;
        v->is_changed = true;
        v->retry = sd_event_source_disable_unref(v->retry);
        r = sd_event_add_time(manager_event(v->manager), &v->retry, CLOCK_MONOTONIC,
                              v->past.retry_usec, USEC_PER_MSEC, on_retry, v);
        if (r < 0)
                (void)log_error(r, "%s: cannot set a timer: %s", v->config->name, strerror(-r));
}

void volume_put_off(Volume *v)
{
        uint64_t pause = double_up_to(DEFER_MIN_USEC, v->past.deferrals++, DEFER_MAX_USEC);

        v->past.put_off = true;
        retry_in(v, pause);
}

bool volume_is_put_off_for_long(const Volume *v)
{
        uint64_t most = DEFERRALS_MAX;

        if (v->attempt.step == STEP_CHECK)
                most += v->config->mount_timeout_usec / DEFER_MAX_USEC;
        return v->past.deferrals > most;
}

void volume_hasten(Volume *v)
{
        if (v->past.put_off && volume_is_put_off_for_long(v))
                try_now(v);
}

bool volume_try_again(Volume *v)
{
        uint64_t pause = double_up_to(v->config->retry_usec, v->past.attempts++, RETRY_MAX_USEC);

        if (v->past.verdict != PLAN_PAST_NONE || v->past.attempts > v->config->retry_limit)
                return false;
        retry_in(v, pause);
        return true;
}

PlanPast volume_past_with(Volume *v, dev_t devnum, uint64_t generation)
{
        if (v->past.devnum != devnum || v->past.generation != generation) {
                volume_start_afresh(v);
                volume_forget_attempt(v);
                /* Of what went wrong they are to be told first. */
                v->is_release_outdated = v->n_requests > 0 && v->release.error;
                if (!v->is_release_outdated)
                        volume_forget_release(v);
                v->past.devnum = devnum;
                v->past.generation = generation;
        }
        if (v->past.verdict != PLAN_PAST_NONE)
                return v->past.verdict;
        /* Behind a child that was given up it may take long: that is a failure. */
        if (v->past.retry_usec != 0 && !(v->past.put_off && v->past.attempts == 0))
                return PLAN_PAST_WAITING;
        if (v->past.attempts > v->config->retry_limit)
                return PLAN_PAST_EXHAUSTED;
        return v->past.attempts > 0 ? PLAN_PAST_DUE : PLAN_PAST_NONE;
}
