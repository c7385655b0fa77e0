/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "log.h"
#include "macro.h"
#include "manager.h"
#include "text.h"
#include "volume.h"

#define RETRY_MAX_USEC (60 * USEC_PER_SEC)
/* What is held up by another request or a partitioner is usually free in a moment. */
#define DEFER_MIN_USEC (100 * USEC_PER_MSEC)
#define DEFER_MAX_USEC (5 * USEC_PER_SEC)

static VolumeMount *mount_free(VolumeMount *m)
{
        if (!m)
                return NULL;
        free(m->target);
        free(m);
        return NULL;
}

static int mount_from_result(const MountdResult *r, VolumeMount **ret)
{
        VolumeMount *m = calloc(1, sizeof(*m));

        if (m) {
                *m = (VolumeMount){ .id = r->mount_id, .devnum = r->devnum, .diskseq = r->diskseq };
                m->target = r->target ? strdup(r->target) : NULL;
        }
        if (!m || !m->target) {
                mount_free(m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

Volume *volume_free(Volume *v)
{
        if (!v)
                return NULL;
        mountd_call_free(v->call);
        sd_event_source_disable_unref(v->retry);
        mount_free(v->mount);
        volume_config_free(v->config);
        free(v->device);
        free(v->failure_message);
        free(v);
        return NULL;
}

static int take_record(Volume *v, const Record *record)
{
        if (record->phase == RECORD_UNMOUNTED) {
                v->held_devnum = record->devnum;
                v->held_diskseq = record->diskseq;
        }
        if (record->phase != RECORD_MOUNTED)
                return 0;
        v->mount = calloc(1, sizeof(*v->mount));
        if (!v->mount)
                return -ENOMEM;
        *v->mount = (VolumeMount){
                .id = record->mount_id,
                .devnum = record->devnum,
                .diskseq = record->diskseq,
                .recorded = true,
        };
        v->mount->target = strdup(record->target);
        return v->mount->target ? 0 : -ENOMEM;
}

int volume_new(Manager *m, VolumeConfig *config, const Record *record, Volume **ret)
{
        _cleanup_(volume_freep) Volume *v = calloc(1, sizeof(*v));

        if (!v) {
                volume_config_free(config);
                return -ENOMEM;
        }
        v->manager = m;
        v->config = config;
        v->state = VOLUME_ABSENT;
        if (record && take_record(v, record) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(v);
        return 0;
}

void volume_start_afresh(Volume *v)
{
        v->past = (VolumePast){ 0 };
        v->retry = sd_event_source_disable_unref(v->retry);
}

static bool mounts_alike(const VolumeConfig *a, const VolumeConfig *b)
{
        return streq_ptr(a->where, b->where) && streq_ptr(a->type, b->type) &&
               streq(a->options_text, b->options_text) && a->read_only == b->read_only;
}

void volume_set_config(Volume *v, VolumeConfig *config)
{
        if (v->mount && !mounts_alike(v->config, config)) {
                const LogContext about = { config->name, v->device };

                v->mount->stale = true;
                log_full(LOG_NOTICE, 0, &about,
                         "%s: what changed in its file takes effect at the next mount",
                         config->name);
        }
        volume_config_free(v->config);
        v->config = config;
        v->config_is_bad = false;
        volume_start_afresh(v);
}

bool volume_cares_for(const Volume *v, const Device *d)
{
        return match_device(&v->config->match, d, NULL) ||
               match_device_but_content(&v->config->match, d) ||
               match_device_unseen(&v->config->match, d) ||
               (v->mount && v->mount->devnum == d->devnum) || v->past.devnum == d->devnum;
}

bool volume_is_at_rest(const Volume *v)
{
        return !v->call && !v->dirty && !v->past.put_off;
}

/* What it is and why: the only place where a state changes. */

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
        case VOLUME_PROBING:
        case VOLUME_MOUNTING:
                log_full(LOG_DEBUG, 0, &about, "%s: %s", v->config->name,
                         volume_state_to_string(v->state));
                break;
        case VOLUME_MOUNTED:
                log_full(LOG_INFO, 0, &about, "%s is mounted: %s on %s", v->config->name, device,
                         where_of(v));
                break;
        case VOLUME_UNMOUNTED:
                log_full(before == VOLUME_MOUNTED ? LOG_NOTICE : LOG_INFO, 0, &about,
                         before == VOLUME_MOUNTED ? "%s was unmounted from %s by somebody else; it "
                                                    "stays so until its "
                                                    "device is attached again"
                                                  : "%s is there, and not mounted by intent (%s)",
                         v->config->name, before == VOLUME_MOUNTED ? where_of(v) : device);
                break;
        case VOLUME_LOST:
                log_full(LOG_ERR, 0, &about,
                         "%s lost its device %s while mounted; what was not written yet is gone",
                         v->config->name, device);
                break;
        case VOLUME_AMBIGUOUS:
        case VOLUME_UNSUPPORTED:
        case VOLUME_FAILED:
                break; /* their failure says it */
        }
}

static void set_state(Volume *v, VolumeState state, const char *device)
{
        VolumeState before = v->state;
        bool moved = !streq_ptr(v->device, device);

        if (state == before && !moved)
                return;
        v->state = state;
        if (moved) {
                free(v->device);
                v->device = device ? strdup(device) : NULL;
        }
        if (state != before)
                log_state(v, before);
        manager_volume_changed(v->manager);
}

static void set_failure(Volume *v, FailureStep step, int error, const char *message)
{
        const LogContext about = { v->config->name, v->device };

        if (v->failure_step == step && streq_ptr(v->failure_message, message))
                return;
        v->failure_step = step;
        v->failure_errno = error;
        free(v->failure_message);
        v->failure_message = message ? strdup(message) : NULL;
        if (step != STEP_NONE)
                log_full(LOG_ERR, error, &about, "%s: %s (step %s)", v->config->name,
                         message ? message : "no reason known", failure_step_to_string(step));
        manager_volume_changed(v->manager);
}

/* Answers of mountd. */

static void look_again(Volume *v)
{
        v->dirty = true;
        manager_wake(v->manager);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        Volume *v = userdata;

        v->retry = sd_event_source_disable_unref(v->retry);
        v->past.retry_usec = 0;
        v->past.put_off = false;
        look_again(v);
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
        v->retry = sd_event_source_disable_unref(v->retry);
        r = sd_event_add_time(manager_event(v->manager), &v->retry, CLOCK_MONOTONIC,
                              v->past.retry_usec, USEC_PER_MSEC, on_retry, v);
        if (r < 0)
                (void)log_error(r, "%s: cannot set a timer: %s", v->config->name, strerror(-r));
}

/* The device is busy with something that ends by itself: that is no failure, and no attempt. */
static void defer(Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };
        uint64_t pause = double_up_to(DEFER_MIN_USEC, v->past.deferrals++, DEFER_MAX_USEC);

        log_full(LOG_DEBUG, 0, &about, "%s: put off: %s", v->config->name, r->message);
        v->past.put_off = true;
        retry_in(v, pause);
}

static void take_failure(Volume *v, const MountdResult *r)
{
        uint64_t pause = double_up_to(v->config->retry_usec, v->past.attempts++, RETRY_MAX_USEC);
        const LogContext about = { v->config->name, v->device };

        v->past.unsupported = streq(r->error, "NotSupported");
        set_failure(v, r->step != STEP_NONE ? r->step : STEP_MOUNT, r->errnum, r->message);
        if (v->past.unsupported)
                return;
        if (v->past.attempts <= v->config->retry_limit)
                retry_in(v, pause);
        else
                log_full(LOG_NOTICE, 0, &about,
                         "%s: given up after %u attempts; attach the device again, or reload, to "
                         "start "
                         "afresh",
                         v->config->name, v->past.attempts);
}

static void log_warnings(const Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, r->node };

        for (char **w = r->warnings; w && *w; w++)
                log_full(LOG_WARNING, 0, &about, "%s: %s", v->config->name, *w);
        if (r->shared)
                log_full(LOG_NOTICE, 0, &about,
                         "The mount on %s was private and is shared now, so that other namespaces "
                         "see "
                         "volumes come and go",
                         r->shared);
}

static void take_mount(Volume *v, const MountdResult *r)
{
        static const MountdResult lost_track = {
                .error = (char *)"MountFailed",
                .step = STEP_MOUNT,
                .errnum = EBADMSG,
                .message = (char *)"wslbare-mountd did not say what it mounted",
        };
        VolumeMount *mount;

        log_warnings(v, r);
        if (mount_from_result(r, &mount) < 0) {
                take_failure(v, &lost_track);
                return;
        }
        mount_free(v->mount);
        v->mount = mount;
        v->held_devnum = 0;
        volume_start_afresh(v);
        set_failure(v, STEP_NONE, 0, NULL);
}

static void take_unmount(Volume *v)
{
        v->held_devnum = v->mount ? v->mount->devnum : 0;
        v->held_diskseq = v->mount ? v->mount->diskseq : 0;
        v->mount = mount_free(v->mount);
}

/* Tidying up after a mount that is gone failed: there is nothing left to do that a person could not
 * do better. */
static void give_up_unmount(Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };

        log_full(LOG_WARNING, r->errnum, &about, "%s: cannot tidy up after the mount: %s",
                 v->config->name, r->message ? r->message : r->error);
        take_unmount(v);
}

static void on_answer(const MountdResult *r, void *userdata)
{
        Volume *v = userdata;
        PlanAction action = v->action;

        volume_forget_call(v);
        look_again(v);
        if (r->lost)
                return;
        if (r->error && streq(r->error, "InProgress")) {
                defer(v, r);
                return;
        }
        switch (action) {
        case PLAN_MOUNT:
        case PLAN_ADOPT:
                if (r->error)
                        take_failure(v, r);
                else
                        take_mount(v, r);
                break;
        case PLAN_DETACH:
        case PLAN_FORGET:
                if (r->error)
                        give_up_unmount(v, r);
                else
                        take_unmount(v);
                break;
        case PLAN_NOTHING:
                break;
        }
}

void volume_forget_call(Volume *v)
{
        v->call = mountd_call_free(v->call);
        v->action = PLAN_NOTHING;
}

/* The next step. */

static int act(Volume *v, const Plan *p)
{
        MountdClient *c = manager_mountd(v->manager);
        const Device *d = p->device;

        switch (p->action) {
        case PLAN_NOTHING:
                return 0;
        case PLAN_MOUNT:
                return mountd_client_mount(c, v->config, d->devnum, d->diskseq, on_answer, v,
                                           &v->call);
        case PLAN_ADOPT:
                return mountd_client_adopt(c, v->config->name, d->devnum, d->diskseq, on_answer, v,
                                           &v->call);
        case PLAN_DETACH:
                return mountd_client_unmount(c, v->config->name, true, on_answer, v, &v->call);
        case PLAN_FORGET:
                return mountd_client_unmount(c, v->config->name, false, on_answer, v, &v->call);
        }
        return -EINVAL;
}

/* What a partitioned disk says of itself (Serial=, DiskGUID=) holds for its partitions too, and one
 * of them is meant. */
static bool is_only_a_table(const Device *d)
{
        return d->content == DEVICE_CONTENT_NONE && !d->is_partition && d->disk_guid;
}

/* The devices that fit, in FITTING of room for all; their number. */
static size_t find_fitting(const Volume *v, const Device **fitting, bool *ret_probing)
{
        const Devices *devices = manager_devices(v->manager);
        const Match *match = &v->config->match;
        size_t n = 0;

        *ret_probing = false;
        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);
                const Device *d = s->device;

                if (!d->ready || d->size == 0 || is_only_a_table(d))
                        continue;
                if (s->knowledge != SEEN_SETTLED)
                        *ret_probing |=
                                s->knowledge == SEEN_PROBING && match_device_unseen(match, d);
                else if (match_device(match, d, NULL) ||
                         (match_is_by_hardware(match) && match_device_but_content(match, d)))
                        fitting[n++] = d;
        }
        return n;
}

static PlanMount mount_status(const Volume *v)
{
        const MountEntry *e;

        if (!v->mount)
                return PLAN_MOUNT_NONE;
        e = mountinfo_find_id(manager_mounts(v->manager), v->mount->id);
        if (!e || !streq(e->target, v->mount->target))
                return PLAN_MOUNT_GONE;
        return v->mount->recorded ? PLAN_MOUNT_RECORDED : PLAN_MOUNT_PRESENT;
}

/* Failures are of one incarnation of one device; with another one all begins anew. */
static PlanPast past_with(Volume *v, const Device *d)
{
        const Seen *s = devices_find(manager_devices(v->manager), d->devnum);

        if (v->past.devnum != d->devnum || v->past.generation != s->generation) {
                volume_start_afresh(v);
                v->past.devnum = d->devnum;
                v->past.generation = s->generation;
        }
        if (v->past.unsupported)
                return PLAN_PAST_UNSUPPORTED;
        if (v->past.retry_usec != 0 && !v->past.put_off)
                return PLAN_PAST_WAITING;
        if (v->past.attempts > v->config->retry_limit)
                return PLAN_PAST_EXHAUSTED;
        return v->past.attempts > 0 ? PLAN_PAST_DUE : PLAN_PAST_NONE;
}

static const Device *device_of_mount(const Volume *v)
{
        const Seen *s = v->mount ? devices_find_same(manager_devices(v->manager), v->mount->devnum,
                                                     v->mount->diskseq)
                                 : NULL;

        return s ? s->device : NULL;
}

static bool is_held_back(const Volume *v, const Device *d)
{
        return v->held_devnum == d->devnum && v->held_diskseq == d->diskseq;
}

static int look(Volume *v, const Device **room, Plan *ret)
{
        PlanInput in = {
                .config = v->config,
                .config_is_bad = v->config_is_bad,
                .starting = !manager_is_ready(v->manager),
                .fitting = room,
                .mount = mount_status(v),
                .mount_device = device_of_mount(v),
        };
        const Device *focus;

        in.n_fitting = find_fitting(v, room, &in.probing);
        if (v->config->where)
                in.on_target = mountinfo_find_target(manager_mounts(v->manager), v->config->where);
        focus = plan_focus(&in);
        if (focus) {
                in.held_back = is_held_back(v, focus);
                in.past = past_with(v, focus);
        }
        return plan_volume(&in, ret);
}

/* A failure stays readable until all is well again, or the device is another one. */
static bool clears_failure(const Volume *v, const Plan *p)
{
        if (v->failure_step == STEP_CONFIG && v->past.attempts == 0)
                return true; /* the file was mended */
        switch (p->state) {
        case VOLUME_MOUNTED:
        case VOLUME_UNMOUNTED:
                return true;
        case VOLUME_MOUNTING:
                return v->past.attempts == 0 && p->action == PLAN_MOUNT;
        case VOLUME_ABSENT:
        case VOLUME_PROBING:
        case VOLUME_LOST:
        case VOLUME_AMBIGUOUS:
        case VOLUME_UNSUPPORTED:
        case VOLUME_FAILED:
                return false;
        }
        return false;
}

static void follow(Volume *v, const Plan *p)
{
        const char *device = p->device ? p->device->node : NULL;
        int r;

        set_state(v, p->state, device);
        if (v->config_is_bad && p->step == STEP_NONE)
                set_failure(v, STEP_CONFIG, EINVAL, "Its file has errors and is not in force");
        else if (p->step != STEP_NONE)
                set_failure(v, p->step, p->step == STEP_TARGET ? EBUSY : ENODEV, p->message);
        else if (clears_failure(v, p))
                set_failure(v, STEP_NONE, 0, NULL);

        r = v->past.put_off ? 0 : act(v, p);
        if (v->call)
                v->action = p->action;
        if (r < 0 && r != -ENOTCONN)
                (void)log_error(r, "%s: cannot ask wslbare-mountd: %s", v->config->name,
                                strerror(-r));
}

void volume_reconcile(Volume *v)
{
        _cleanup_free_ const Device **room = NULL;
        _cleanup_(plan_done) Plan plan = { 0 };

        v->dirty = false;
        if (v->call)
                return; /* its answer brings us back here */
        room = calloc(devices_count(manager_devices(v->manager)) + 1, sizeof(*room));
        if (!room || look(v, room, &plan) < 0) {
                log_oom();
                return;
        }
        follow(v, &plan);
}
