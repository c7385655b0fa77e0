/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "device.h"
#include "eject.h"
#include "log.h"
#include "requests.h"
#include "text.h"
#include "unmounter.h"

#define GIVEN_UP_NAMED_MAX 4 /* of those that the status counts */
/* What is still there so long after it was killed hangs. */
#define DYING_MAX_USEC (2 * USEC_PER_SEC)
/* Writing out what is not written yet, and stopping services that have systemd's default of 90 s
 * for it. */
#define UNMOUNT_TIMEOUT_USEC (100 * USEC_PER_SEC)
#define PROBE_TIMEOUT_USEC (30 * USEC_PER_SEC) /* of what has no MountTimeoutSec= */
#define OWN_TIMEOUT_USEC (10 * USEC_PER_SEC)   /* of what we do unasked */

struct Requests {
        sd_event *event;
        Mounter mounter;
        ConfigSource config;
        RequestsHandler handler;
        sd_event_source *dying; /* when those that were given up should be dead */
        Request *first;
        unsigned n;
};

Request *request_new(RequestKind kind, const char *name)
{
        _cleanup_(request_freep) Request *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        q->kind = kind;
        if (name && !(q->name = strdup(name)))
                return NULL;
        return TAKE_PTR(q);
}

Request *request_free(Request *q)
{
        if (!q)
                return NULL;
        sd_bus_message_unref(q->message);
        free(q->name);
        volume_config_free(q->config);
        free(q);
        return NULL;
}

static bool is_own(const Request *q)
{
        return q->kind == REQUEST_TIDY || q->kind == REQUEST_START;
}

unsigned requests_count(const Requests *rs)
{
        return rs->n;
}

static bool needs_no_disk(const Request *q)
{
        return (q->kind == REQUEST_UNMOUNT && q->flag) ||
               (q->kind == REQUEST_SET_TARGET && !q->flag);
}

/* By Q, which needs no disk. Who stops what needed the disk may have long to wait for that. */
static bool is_displaceable(const Request *other, const Request *q)
{
        bool stops = other->kind == REQUEST_SET_TARGET && !other->flag;

        return other->killed_usec == 0 &&
               (other->kind == REQUEST_MOUNT || other->kind == REQUEST_ADOPT ||
                (stops && q->kind == REQUEST_UNMOUNT));
}

static bool is_in_way(const Request *q, const Request *other)
{
        if (!streq_ptr(other->name, q->name) || other->is_done)
                return false;
        if (!needs_no_disk(q))
                return true;
        if (other->killed_usec != 0)
                return other->kind == q->kind && other->flag == q->flag;
        return !is_displaceable(other, q);
}

const Request *requests_find_in_way(const Requests *rs, const Request *q)
{
        for (const Request *other = rs->first; q->name && other; other = other->next)
                if (is_in_way(q, other))
                        return other;
        return NULL;
}

const Request *requests_find_given_up(const Requests *rs, dev_t devnum, uint64_t diskseq)
{
        for (const Request *q = rs->first; q; q = q->next)
                if (q->killed_usec != 0 && q->devnum == devnum && q->diskseq == diskseq)
                        return q;
        return NULL;
}

static void unlink_request(Request *q)
{
        for (Request **p = &q->requests->first; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        q->requests->n--;
                        return;
                }
}

/* Those that were given up. */

static uint64_t now_usec(const Requests *rs)
{
        uint64_t now = 0;

        (void)sd_event_now(rs->event, CLOCK_MONOTONIC, &now);
        return now;
}

static char *describe(const Request *q)
{
        _cleanup_(device_freep) Device *d = NULL;
        const char *name = q->name ? q->name : "a look";

        if (q->devnum == 0 || device_new(q->devnum, &d) < 0 || device_read_sysfs(d) < 0)
                return strdup(name);
        return text_format("%s on %s", name, d->node);
}

static void write_status(const Requests *rs, FILE *f)
{
        unsigned n = 0, named = 0;

        for (const Request *q = rs->first; q; q = q->next)
                n += q->hangs;
        if (n == 0)
                return;
        (void)fprintf(f, "%u given up, as the disk does not answer:", n);
        for (const Request *q = rs->first; q && named < GIVEN_UP_NAMED_MAX; q = q->next) {
                _cleanup_free_ char *what = q->hangs ? describe(q) : NULL;

                if (what)
                        (void)fprintf(f, "%s %s", named++ > 0 ? "," : "", what);
        }
        if (n > named)
                (void)fprintf(f, " and %u more", n - named);
}

static void tell_status(const Requests *rs)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = rs->handler.tell_status ? open_memstream(&text, &size) : NULL;

        if (!f)
                return;
        write_status(rs, f);
        if (fclose(f) == 0)
                rs->handler.tell_status(text);
}

static void note_hanging(Request *q)
{
        _cleanup_free_ char *what = describe(q);
        const LogContext about = { q->name, NULL };

        q->hangs = true;
        log_full(LOG_WARNING, ETIMEDOUT, &about,
                 "Gave up %s at step %s, and its process %d does not end: the disk does not answer",
                 what ? what : "a request", failure_step_to_string(job_step(q->job)),
                 (int)job_pid(q->job));
}

static void await_death(Requests *rs, uint64_t usec)
{
        (void)sd_event_source_set_time(rs->dying, usec);
        (void)sd_event_source_set_enabled(rs->dying, SD_EVENT_ONESHOT);
}

static int on_dying(sd_event_source *source, uint64_t usec, void *userdata)
{
        Requests *rs = userdata;
        uint64_t next = UINT64_MAX;

        for (Request *q = rs->first; q; q = q->next) {
                if (q->killed_usec == 0 || q->hangs)
                        continue;
                if (q->killed_usec + DYING_MAX_USEC <= usec)
                        note_hanging(q);
                else if (q->killed_usec + DYING_MAX_USEC < next)
                        next = q->killed_usec + DYING_MAX_USEC;
        }
        if (next != UINT64_MAX)
                await_death(rs, next);
        tell_status(rs);
        return 0;
}

/* Its child was killed; usually it is dead in a moment. */
static void give_up(Request *q)
{
        Requests *rs = q->requests;
        int enabled = SD_EVENT_OFF;

        if (q->killed_usec != 0)
                return;
        q->killed_usec = now_usec(rs);
        (void)sd_event_source_get_enabled(rs->dying, &enabled);
        if (enabled == SD_EVENT_OFF)
                await_death(rs, q->killed_usec + DYING_MAX_USEC);
}

/* The work, in the child. */

static void share(const ConfigSource *source)
{
        _cleanup_(config_freep) Config *config = NULL;

        if (config_load(source, &config) >= 0)
                mounter_share(config);
}

static void work(Report *report, void *args)
{
        Request *q = args;
        const ConfigSource *config = &q->requests->config;
        Mounter m = q->requests->mounter;

        m.errors_fd = m.errors_fd >= 0 ? JOB_KEPT_FD : -1;
        m.progress = job_progress;
        m.percent = job_percent;
        switch (q->kind) {
        case REQUEST_PROBE:
                (void)mounter_probe(q->devnum, q->diskseq, report);
                break;
        case REQUEST_MOUNT:
                (void)mounter_mount(&m, q->config, q->devnum, q->diskseq, report);
                break;
        case REQUEST_UNMOUNT:
                (void)unmounter_unmount(&m, q->name, q->flag, report);
                break;
        case REQUEST_EJECT:
                (void)eject_volume(&m, config, q->name, report);
                break;
        case REQUEST_ADOPT:
                (void)mounter_adopt(&m, q->config, q->devnum, q->diskseq, report);
                break;
        case REQUEST_SET_TARGET:
                (void)mounter_set_target(&m, q->name, q->flag, report);
                break;
        case REQUEST_TIDY:
                unmounter_tidy(&m, q->name);
                break;
        case REQUEST_START:
                unmounter_tidy_all(&m);
                share(config);
                unmounter_stop_stale_targets(&m);
                break;
        }
}

/* Its life. */

static Report *report_of_death(const Request *q, bool timed_out)
{
        Report *report = report_new();

        if (!report)
                return NULL;
        if (q->is_displaced)
                (void)report_fail(report, "MountFailed", job_step(q->job), ECANCELED,
                                  "It was ended, as what is mounted is to go");
        else if (timed_out)
                (void)report_fail(report, "TimedOut", job_step(q->job), ETIMEDOUT,
                                  "It did not end in time and was given up; the disk may hang");
        else
                (void)report_fail(report, "MountFailed", job_step(q->job), EOWNERDEAD,
                                  "The process that did it died");
        return report;
}

static void on_done(Job *job, const Report *report, bool timed_out, void *userdata)
{
        Request *q = userdata;
        const RequestsHandler *handler = &q->requests->handler;
        _cleanup_(report_freep) Report *death = NULL;

        q->job = job;
        q->leaves_work |= !report && q->name && q->kind != REQUEST_TIDY;
        q->is_done = report != NULL;
        if (timed_out)
                give_up(q);
        if (!report)
                report = death = report_of_death(q, timed_out);
        handler->done(q, report, handler->userdata);
        q->message = sd_bus_message_unref(q->message);
}

static void on_step(Job *job, FailureStep step, void *userdata)
{
        const Request *q = userdata;

        q->requests->handler.step(q, step, q->requests->handler.userdata);
}

static void on_percent(Job *job, unsigned percent, void *userdata)
{
        const Request *q = userdata;

        q->requests->handler.percent(q, percent, q->requests->handler.userdata);
}

/* No other may be at work on NAME meanwhile: the last of them leaves it to be done. */
static void tidy_up_after(const Request *q)
{
        for (Request *other = q->requests->first; other; other = other->next)
                if (streq_ptr(other->name, q->name)) {
                        other->leaves_work = true;
                        return;
                }
        (void)requests_start_own(q->requests, REQUEST_TIDY, q->name);
}

static void on_gone(Job *job, void *userdata)
{
        _cleanup_(request_freep) Request *q = userdata;

        unlink_request(q);
        if (q->hangs)
                tell_status(q->requests);
        if (q->leaves_work)
                tidy_up_after(q);
}

static uint64_t timeout_of(const Request *q)
{
        if (q->config)
                return q->config->mount_timeout_usec;
        switch (q->kind) {
        case REQUEST_PROBE:
        case REQUEST_MOUNT:
        case REQUEST_ADOPT:
                return PROBE_TIMEOUT_USEC;
        case REQUEST_UNMOUNT:
        case REQUEST_EJECT:
        case REQUEST_SET_TARGET:
                return UNMOUNT_TIMEOUT_USEC;
        case REQUEST_TIDY:
        case REQUEST_START:
                return OWN_TIMEOUT_USEC;
        }
        return OWN_TIMEOUT_USEC;
}

/* Of those that would be in the way of a Q that needs no disk. */
static void displace(Requests *rs, const Request *q)
{
        for (Request *other = rs->first; other; other = other->next)
                if (streq_ptr(other->name, q->name) && !other->is_done &&
                    is_displaceable(other, q)) {
                        other->is_displaced = true;
                        job_kill(other->job);
                        give_up(other);
                }
}

int requests_start(Requests *rs, Request *q)
{
        const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, q };
        int r;

        q->requests = rs;
        if (needs_no_disk(q))
                displace(rs, q);
        r = job_start(rs->event, timeout_of(q), work, q, rs->mounter.errors_fd, &callbacks,
                      &q->job);
        if (r < 0)
                return r;
        q->next = rs->first;
        rs->first = q;
        rs->n++;
        return 0;
}

int requests_start_own(Requests *rs, RequestKind kind, const char *name)
{
        _cleanup_(request_freep) Request *q = request_new(kind, name);
        int r = q ? requests_start(rs, q) : -ENOMEM;

        if (r < 0)
                return log_error(r, "Cannot tidy up: %s", strerror(-r));
        TAKE_PTR(q);
        return 0;
}

void requests_give_up_all(Requests *rs)
{
        for (Request *q = rs->first; q; q = q->next) {
                q->message = sd_bus_message_unref(q->message);
                if (is_own(q)) /* what tidies up after a client outlives it */
                        continue;
                job_kill(q->job);
                give_up(q);
        }
}

int requests_new(sd_event *event, const Mounter *mounter, const ConfigSource *config,
                 const RequestsHandler *handler, Requests **ret)
{
        _cleanup_(requests_freep) Requests *rs = calloc(1, sizeof(*rs));
        int r;

        if (!rs)
                return -ENOMEM;
        rs->event = sd_event_ref(event);
        rs->mounter = *mounter;
        rs->config = *config;
        rs->handler = *handler;
        r = sd_event_add_time(event, &rs->dying, CLOCK_MONOTONIC, 0, 0, on_dying, rs);
        if (r >= 0)
                r = sd_event_source_set_enabled(rs->dying, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(rs);
        return 0;
}

Requests *requests_free(Requests *rs)
{
        if (!rs)
                return NULL;
        while (rs->first) {
                Request *q = rs->first;

                rs->first = q->next;
                job_free(q->job);
                request_free(q);
        }
        sd_event_source_disable_unref(rs->dying);
        sd_event_unref(rs->event);
        free(rs);
        return NULL;
}
