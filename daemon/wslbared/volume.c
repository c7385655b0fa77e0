/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/sysmacros.h>

#include "candidates.h"
#include "log.h"
#include "macro.h"
#include "manager.h"
#include "parse.h"
#include "text.h"
#include "volume-keep.h"
#include "volume-outcome.h"
#include "volume-past.h"
#include "volume-request.h"
#include "volume-state.h"
#include "volume-trouble.h"
#include "volume.h"

VolumeMount *volume_mount_free(VolumeMount *m)
{
        if (!m)
                return NULL;
        free(m->target);
        free(m->options);
        free(m->asked);
        free(m->doubt_message);
        free(m);
        return NULL;
}

Volume *volume_free(Volume *v)
{
        if (!v)
                return NULL;
        volume_answer_all(v, "NoSuchVolume", "The volume is not configured any more");
        mountd_call_free(v->call);
        sd_event_source_disable_unref(v->retry);
        view_done(&v->view);
        volume_mount_free(v->mount);
        mountd_holders_free(v->holders, v->n_holders);
        strv_free(v->candidates);
        free(v->attempt.message);
        free(v->release.message);
        free(v->requests);
        volume_config_free(v->config);
        free(v->asked);
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
        if (record->phase != RECORD_MOUNTED && record->phase != RECORD_UNMOUNTING)
                return 0;
        v->mount = calloc(1, sizeof(*v->mount));
        if (!v->mount)
                return -ENOMEM;
        *v->mount = (VolumeMount){
                .id = record->mount_id,
                .devnum = record->devnum,
                .diskseq = record->diskseq,
                .mount_devnum = record->mount_devnum,
                .recorded = true,
                .unmounting = record->phase == RECORD_UNMOUNTING,
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
        v->state_change_usec = manager_realtime(m);
        v->state_change_monotonic_usec = v->cause_usec = manager_now(m);
        if (record && take_record(v, record) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(v);
        return 0;
}

char *volume_asks(const VolumeConfig *c)
{
        return text_format("%s %s %d %s", c->where ? c->where : "-", c->type ? c->type : "-",
                           c->read_only, c->options_text);
}

static void compare_mount(Volume *v, const VolumeConfig *config)
{
        _cleanup_free_ char *asks = volume_asks(config);
        const LogContext about = { config->name, v->device };
        bool was_stale = v->mount->stale;

        v->mount->stale = !asks || !streq_ptr(v->mount->asked, asks);
        if (v->mount->stale && !was_stale)
                log_full(LOG_NOTICE, 0, &about,
                         "%s: what changed in its file takes effect at the next mount",
                         config->name);
}

void volume_set_config(Volume *v, VolumeConfig *config)
{
        if (v->mount && !v->mount->recorded)
                compare_mount(v, config);
        v->is_call_outdated |= !streq(v->config->fingerprint, config->fingerprint);
        volume_config_free(v->config);
        v->config = config;
        v->config_is_bad = false;
        v->cause_usec = manager_now(v->manager);
        v->is_changed = true;
        if (v->attempt.step == STEP_CONFIG)
                volume_forget_attempt(v); /* the file was mended */
        volume_start_afresh(v);
}

/* A mapping stays when its disk is pulled out, a drive without its medium, and both are worth
 * nothing any more. */
static const Device *find_same(const Volume *v, dev_t devnum, uint64_t diskseq)
{
        const Devices *devices = manager_devices(v->manager);
        const Seen *s = devices_find_same(devices, devnum, diskseq);
        const Device *d = s ? seen_known(s) : NULL;

        return d && d->size > 0 && devices_have_outer(devices, d) ? d : NULL;
}

static const Device *device_of_mount(const Volume *v)
{
        return v->mount ? find_same(v, v->mount->devnum, v->mount->diskseq) : NULL;
}

void volume_forget_call(Volume *v)
{
        v->call = mountd_call_free(v->call);
        v->action = PLAN_NOTHING;
}

/* Whether what is at work for a mount is worth nothing once its device is gone, or is done again
 * after the unmounting: what needs it is stopped then, too. */
static bool is_about_the_device(PlanAction action)
{
        return action == PLAN_ADOPT || action == PLAN_VERIFY || action == PLAN_START_TARGET ||
               action == PLAN_STOP_TARGET;
}

void volume_notices_loss(Volume *v, const Device *old)
{
        const Device *d = device_of_mount(v);

        if (d && device_is_sibling(d, old))
                v->mount->lost++;
        if (d || !v->mount)
                return;
        v->dirty = true;
        /* Nothing that waits for the disk is to be waited for. */
        if (v->call && is_about_the_device(v->action))
                volume_forget_call(v);
        volume_start_afresh(v);
}

bool volume_cares_for(const Volume *v, const Device *d)
{
        return match_device(&v->config->match, d, NULL) ||
               match_device_but_content(&v->config->match, d) ||
               match_device_unseen(&v->config->match, d) ||
               (v->mount && v->mount->devnum == d->devnum) || v->past.devnum == d->devnum ||
               candidates_relate(v, d);
}

/* What is on its target, or above and may hide it, and its own mount. */
static bool concerns(const Volume *v, const MountEntry *e)
{
        if (v->mount && v->mount->id == e->id)
                return true;
        return v->config->where && path_is_below(v->config->where, e->target);
}

bool volume_notices_mounts(Volume *v, const Mountinfo *mounts)
{
        uint64_t before = v->mounts_seen, seen = 0;

        for (size_t i = 0; i < mounts->n_entries; i++) {
                const MountEntry *e = &mounts->entries[i];

                if (!concerns(v, e))
                        continue;
                seen = (seen * 31 + (uint64_t)e->id + 1) * 31 + e->devnum;
                seen = text_digest(text_digest(seen, e->options), e->super_options);
                seen = text_digest(seen, e->target);
        }
        v->mounts_seen = seen;
        return seen != before;
}

const Device *volume_current_device(const Volume *v)
{
        const Seen *s = v->devnum ? devices_find(manager_devices(v->manager), v->devnum) : NULL;

        return s ? seen_known(s) : NULL;
}

bool volume_is_at_rest(const Volume *v)
{
        /* A target's jobs are systemd's business, and may take their time. */
        return (!v->call || v->action == PLAN_START_TARGET) && !v->dirty && !v->past.put_off;
}

static void on_answer(MountdResult *r, void *userdata)
{
        Volume *v = userdata;
        PlanAction action = v->action;

        volume_forget_call(v);
        v->dirty = true;
        manager_wake(v->manager);
        if (!r->lost)
                volume_take_outcome(v, action, r);
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
        case PLAN_VERIFY:
                return mountd_client_adopt(c, v->config, d->devnum, d->diskseq, on_answer, v,
                                           &v->call);
        case PLAN_DETACH:
                return mountd_client_unmount(c, v->config->name, true, on_answer, v, &v->call);
        case PLAN_FORGET:
                return mountd_client_unmount(c, v->config->name, false, on_answer, v, &v->call);
        case PLAN_UNMOUNT:
                return mountd_client_unmount(c, v->config->name, v->unmount_lazily, on_answer, v,
                                             &v->call);
        case PLAN_EJECT:
                return mountd_client_eject(c, v->config->name, on_answer, v, &v->call);
        case PLAN_START_TARGET:
        case PLAN_STOP_TARGET:
                return mountd_client_set_target(c, v->config->name, p->action == PLAN_START_TARGET,
                                                on_answer, v, &v->call);
        }
        return -EINVAL;
}

/* Once free, an ID is given to the next mount, and so is the number of a btrfs. Where it is says
 * nothing: a mount is moved with each directory above it. */
static bool is_mount(const VolumeMount *m, const MountEntry *e)
{
        if (major(e->devnum) != 0)
                return e->devnum == m->devnum && streq(e->root, "/");
        if (m->mount_devnum == 0)
                return streq(e->target, m->target);
        return e->devnum == m->mount_devnum && streq(e->type, "btrfs");
}

/* The mount that it has, NULL when that is not there. */
static const MountEntry *find_mount(const Volume *v)
{
        const MountEntry *e =
                v->mount ? mountinfo_find_id(manager_mounts(v->manager), v->mount->id) : NULL;

        return e && is_mount(v->mount, e) ? e : NULL;
}

static void look_at_mount(Volume *v, PlanInput *in)
{
        const MountEntry *e = find_mount(v);

        if (!v->mount)
                in->mount = PLAN_MOUNT_NONE;
        else if (!e)
                in->mount = PLAN_MOUNT_GONE;
        else if (v->mount->recorded)
                in->mount = PLAN_MOUNT_RECORDED;
        else {
                in->mount = PLAN_MOUNT_PRESENT;
                in->doubted = v->mount->doubted;
                in->moved_to = streq(e->target, v->mount->target) ? NULL : e->target;
                volume_follow_mount(v, e);
                in->trouble = volume_trouble(v, e);
        }
}

/* A digest of the incarnations of D and of the others of its filesystem. */
static uint64_t generation_of(const Volume *v, const Device *d, const PlanInput *in)
{
        const Devices *devices = manager_devices(v->manager);
        uint64_t sum = devices_find(devices, d->devnum)->generation;

        for (size_t i = 0; i < in->n_fitting; i++)
                if (device_is_sibling(in->fitting[i], d))
                        sum += devices_find(devices, in->fitting[i]->devnum)->generation;
        return sum;
}

/* An unplugged disk is not to be ejected any more, nor is the next one. */
static void lose_eject(Volume *v)
{
        MountdResult gone = {
                .error = (char *)"DeviceAbsent",
                .errnum = ENODEV,
                .message =
                        text_format("The device of %s went before it was ejected", v->config->name),
        };

        volume_take_outcome(v, PLAN_EJECT, &gone);
        free(gone.message);
}

static const Device *device_to_eject(Volume *v)
{
        const Device *d;

        if (v->eject_devnum == 0)
                return NULL;
        d = find_same(v, v->eject_devnum, v->eject_diskseq);
        if (!d)
                lose_eject(v);
        return d;
}

/* An anonymous number (tmpfs, btrfs) says nothing of disks. */
static bool is_dead(const Volume *v, const MountEntry *e)
{
        return major(e->devnum) != 0 && !devices_find(manager_devices(v->manager), e->devnum);
}

static bool is_device(const Device *d, dev_t devnum, uint64_t diskseq)
{
        return d->devnum == devnum && d->diskseq == diskseq;
}

/* What is published of those that fit; a shortage of memory leaves it incomplete. */
static void set_candidates(Volume *v, const Device **fitting, size_t n)
{
        v->candidates = strv_free(v->candidates);
        for (size_t i = 0; i < n; i++)
                (void)strv_push(&v->candidates, fitting[i]->node);
        v->is_changed = true;
}

/* What another distribution unmounted, a request made here mounts all the same; but none that was
 * made before that. */
static bool is_held_back(const Volume *v, const Device *d, bool mount_wanted)
{
        const Device *held = find_same(v, v->held_devnum, v->held_diskseq);

        /* Its filesystem is held, by whichever of its devices it could be mounted. */
        return is_device(d, v->held_devnum, v->held_diskseq) ||
               (held && device_is_sibling(held, d)) ||
               ((v->mount || !mount_wanted) && volume_is_marked(v, d));
}

/* A mount that is gone without us. */
static void look_after_gone(Volume *v, PlanInput *in)
{
        bool was_kept = v->is_kept;

        v->is_kept = false;
        if (in->mount != PLAN_MOUNT_GONE || !in->mount_device)
                return;
        v->is_kept = !in->unmount_wanted && !in->eject && !in->held_back && !v->mount->unmounting &&
                     (was_kept || volume_keep(v));
        in->keep = v->is_kept && streq_ptr(v->mount->target, v->config->where);
        if (v->is_kept) { /* also with Auto=no */
                v->wanted_devnum = in->mount_device->devnum;
                v->wanted_diskseq = in->mount_device->diskseq;
                in->mount_wanted = true;
        }
        if (was_kept)
                return;
        v->cause_usec = manager_now(v->manager);
        volume_log_foreign_unmount(v, volume_is_marked(v, in->mount_device), v->is_kept);
}

static int look(Volume *v, const Device **room, Plan *ret)
{
        PlanInput in = {
                .config = v->config,
                .config_is_bad = v->config_is_bad,
                .starting = !manager_is_ready(v->manager),
                .mount_device = device_of_mount(v),
                .mount_lost = v->mount ? v->mount->lost : 0,
                .target_active = v->target_active,
                .target_unsure = v->target_unsure,
                .unmount_wanted = v->unmount_wanted,
                .eject = device_to_eject(v),
        };
        const Device *focus;

        look_at_mount(v, &in);
        candidates_find(v, room, &in);
        set_candidates(v, room, in.n_fitting);
        if (v->config->where)
                in.on_target = mountinfo_find_target(manager_mounts(v->manager), v->config->where);
        in.on_target_is_dead = in.on_target && is_dead(v, in.on_target);
        focus = plan_focus(&in);
        if (focus && v->is_next_wanted) {
                v->wanted_devnum = focus->devnum;
                v->wanted_diskseq = focus->diskseq;
        }
        v->is_next_wanted = v->is_next_wanted && !focus && in.probing;
        if (focus) {
                in.mount_wanted = is_device(focus, v->wanted_devnum, v->wanted_diskseq);
                in.held_back = is_held_back(v, focus, in.mount_wanted);
                in.past = volume_past_with(v, focus->devnum, generation_of(v, focus, &in));
        }
        look_after_gone(v, &in);
        return plan_volume(&in, ret);
}

/* What an attempt said stays readable until all is well again, or the device is another one. */
static bool is_well(VolumeState s)
{
        switch (s) {
        case VOLUME_MOUNTED:
        case VOLUME_UNMOUNTING:
        case VOLUME_UNMOUNTED:
                return true;
        case VOLUME_ABSENT:
        case VOLUME_PROBING:
        case VOLUME_CHECKING:
        case VOLUME_MOUNTING:
        case VOLUME_LOST:
        case VOLUME_AMBIGUOUS:
        case VOLUME_INCOMPLETE:
        case VOLUME_LOCKED:
        case VOLUME_MEMBER:
        case VOLUME_UNSUPPORTED:
        case VOLUME_FAILED:
                return false;
        }
        return false;
}

static int errno_of(const Plan *p)
{
        return p->step == STEP_RUN      ? p->errnum
               : p->step == STEP_TARGET ? EBUSY
               : p->step == STEP_CONFIG ? EINVAL
                                        : ENODEV;
}

/* What the plan says goes when it does not say it any more. */
static void follow_failure(Volume *v, const Plan *p)
{
        if (is_well(p->state))
                volume_forget_attempt(v);
        if (p->step != STEP_NONE)
                volume_set_failure(v, p->step, errno_of(p), p->message);
        else if (v->config_is_bad)
                volume_set_failure(v, STEP_CONFIG, EINVAL,
                                   "Its file has errors and is not in force");
        else
                volume_restore_failure(v);
}

static void follow(Volume *v, const Plan *p)
{
        int r;

        volume_set_state(v, p->state, p->device);
        follow_failure(v, p);
        r = v->past.put_off ? 0 : act(v, p);
        if (v->call) {
                v->action = p->action;
                v->is_lazy = v->unmount_lazily;
                v->is_call_outdated = false;
                free(v->asked);
                v->asked = p->action == PLAN_MOUNT ? volume_asks(v->config) : NULL;
        }
        v->target_unsure |= v->action == PLAN_START_TARGET || v->action == PLAN_STOP_TARGET;
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
