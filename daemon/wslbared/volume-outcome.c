/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "log.h"
#include "macro.h"
#include "manager.h"
#include "text.h"
#include "volume-outcome.h"
#include "volume-past.h"
#include "volume-state.h"

/* Of what is put off: after 3 s it is said. See volume-past.c for the pauses. */
#define DEFERRALS_SHOWN 5U
/* PID 1 is back by then, or has worse to do. */
#define DEFERRALS_OF_TARGET 5U

/* For an answer that says less than it must. */
static const MountdResult lost_track = {
        .error = (char *)"MountFailed",
        .step = STEP_MOUNT,
        .errnum = EBADMSG,
        .message = (char *)"wslbare-mountd did not say what it mounted",
};

/* What was asked for is known where it is what is asked for. */
static int mount_from_result(const Volume *v, MountdResult *r, VolumeMount **ret)
{
        VolumeMount *m = calloc(1, sizeof(*m));

        if (m) {
                *m = (VolumeMount){
                        .id = r->mount_id,
                        .devnum = r->devnum,
                        .diskseq = r->diskseq,
                        .mount_devnum = r->mount_devnum,
                        .read_only = r->read_only,
                        .made_read_only = r->made_read_only,
                        .stale = r->stale,
                        .asked = r->stale ? NULL : volume_asks(v->config),
                        .fsid = r->fsid,
                        .error = r->fs_error,
                        .target = TAKE_PTR(r->target),
                        .options = TAKE_PTR(r->options),
                };
        }
        if (!m || !m->target || m->devnum == 0) {
                volume_mount_free(m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

/* Of the errors that mountd gives, those that say as much to who asked us. */
static const char *find_error(const char *error, const char *const *known)
{
        for (; *known; known++)
                if (streq(error, *known))
                        return *known;
        return "MountFailed";
}

/* What there is to tell beside how it ended. */
static void log_warnings(const Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, r->node };

        if (r->checked)
                log_full(LOG_NOTICE, 0, &about, "%s: %s", v->config->name, r->checked);
        for (char **w = r->warnings; w && *w; w++)
                log_full(LOG_WARNING, 0, &about, "%s: %s", v->config->name, *w);
        if (r->shared)
                log_full(LOG_NOTICE, 0, &about,
                         "The mount on %s was private and is shared now, so that other namespaces "
                         "see volumes come and go",
                         r->shared);
}

/* Of those errors after which trying again is of no use. */
static PlanPast verdict_on(const char *error)
{
        static const struct {
                const char *error;
                PlanPast verdict;
        } rows[] = {
                { "NotSupported", PLAN_PAST_UNSUPPORTED },
                { "Locked", PLAN_PAST_LOCKED },
                { "CheckFailed", PLAN_PAST_EXHAUSTED },
                { "Incomplete", PLAN_PAST_INCOMPLETE },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (streq(rows[i].error, error))
                        return rows[i].verdict;
        return PLAN_PAST_NONE;
}

static void put_off(Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };

        log_full(LOG_DEBUG, 0, &about, "%s: put off: %s", v->config->name, r->message);
        volume_put_off(v);
}

/* The first of these is a failure; the others cost no attempt, and so may go on for long. */
static void take_hanging(Volume *v, const MountdResult *r)
{
        if (v->past.attempts == 0) {
                v->past.attempts = 1;
                volume_fail_attempt(v, STEP_MOUNT, ETIMEDOUT, "TimedOut", r->message);
        }
        put_off(v, r);
}

static void take_failure(Volume *v, const MountdResult *r)
{
        static const char *const known[] = { "Busy",       "CheckFailed",   "DeviceAbsent",
                                             "Incomplete", "Locked",        "NotSupported",
                                             "TimedOut",   "ConfigInvalid", NULL };
        const LogContext about = { v->config->name, v->device };

        log_warnings(v, r);
        if (v->is_call_outdated)
                return; /* its file is another one by now, and is tried next */
        if (streq(r->error, "ConfigInvalid"))
                manager_suspect(v->manager, v->config);
        v->past.verdict = verdict_on(r->error);
        volume_fail_attempt(v, r->step != STEP_NONE ? r->step : STEP_MOUNT, r->errnum,
                            find_error(r->error, known), r->message);
        if (!volume_try_again(v) && v->past.verdict == PLAN_PAST_NONE)
                log_full(LOG_NOTICE, 0, &about,
                         "%s: given up after %u attempts; attach the device again, or reload, to "
                         "start afresh",
                         v->config->name, v->past.attempts);
}

static void set_holders(Volume *v, MountdResult *r)
{
        mountd_holders_free(v->holders, v->n_holders);
        v->holders = NULL;
        v->n_holders = 0;
        if (r)
                v->holders = mountd_result_take_holders(r, &v->n_holders);
        v->is_changed = true;
}

static void take_latency(Volume *v)
{
        const Seen *s =
                devices_find_same(manager_devices(v->manager), v->mount->devnum, v->mount->diskseq);

        uint64_t since = s && s->event_usec > v->cause_usec ? s->event_usec : v->cause_usec;

        v->latency_usec = manager_now(v->manager) - since;
}

/* The file may have changed while it was at work. */
static void note_asked(Volume *v)
{
        VolumeMount *m = v->mount;

        m->stale |= !streq_ptr(v->asked, m->asked);
        free(m->asked);
        m->asked = TAKE_PTR(v->asked);
}

static void take_mount(Volume *v, MountdResult *r, bool made)
{
        VolumeMount *mount;

        log_warnings(v, r);
        if (mount_from_result(v, r, &mount) < 0) {
                take_failure(v, &lost_track);
                return;
        }
        volume_mount_free(v->mount);
        v->mount = mount;
        if (made)
                note_asked(v);
        v->held_devnum = 0;
        if (made)
                take_latency(v);
        volume_start_afresh(v);
        set_holders(v, NULL);
        volume_forget_attempt(v);
        volume_forget_release(v);
        volume_restore_failure(v);
}

/* As any attempt it is made again, a few times. */
static void fail_verification(Volume *v, const MountdResult *r)
{
        (void)volume_try_again(v);
        if (r->step == STEP_CONFIG)
                return; /* its file just changed: that says nothing of the mount */
        free(v->mount->doubt_message);
        v->mount->doubt_message = strdup(r->message ? r->message : r->error);
        v->mount->doubt_errno = r->errnum != 0 ? r->errnum : EIO;
}

static void take_verification(Volume *v, MountdResult *r)
{
        VolumeMount *mount;

        if (r->error || mount_from_result(v, r, &mount) < 0) {
                fail_verification(v, r->error ? r : &lost_track);
                return;
        }
        if (mount->error == 0)
                mount->error = v->mount->error;
        mount->lost = v->mount->lost;
        volume_mount_free(v->mount);
        v->mount = mount;
        v->is_changed = true;
        volume_start_afresh(v);
}

/* What is held back stays so until the device is replugged, or somebody asks. */
static void take_unmount(Volume *v)
{
        v->held_devnum = v->mount ? v->mount->devnum : 0;
        v->held_diskseq = v->mount ? v->mount->diskseq : 0;
        v->mount = volume_mount_free(v->mount);
        v->unmount_wanted = false;
        volume_forget_release(v);
        set_holders(v, NULL);
}

/* What was given up may come to its end all the same, and so may the one that is still in the way;
 * what died may have come to it. It is known once the mount can be verified. */
static void note_unmounting(Volume *v, const MountdResult *r)
{
        if (!v->mount || streq(r->error, "Hanging"))
                return;
        v->mount->unmounting = !streq(r->error, "Busy");
        v->mount->doubted |= v->mount->unmounting;
}

/* What is mounted yet stays mounted, and what needs it is started again. */
static void fail_unmount(Volume *v, MountdResult *r)
{
        static const char *const known[] = { "Ambiguous",    "Busy",       "ConfigInvalid",
                                             "DeviceAbsent", "InProgress", "NotMounted",
                                             "NotSupported", "TimedOut",   NULL };
        const LogContext about = { v->config->name, v->device };

        log_full(LOG_WARNING, r->errnum, &about, "%s: cannot %s it: %s", v->config->name,
                 v->eject_devnum ? "eject" : "unmount", r->message ? r->message : r->error);
        volume_fail_release(v,
                            r->step != STEP_NONE ? r->step
                            : v->eject_devnum    ? STEP_EJECT
                                                 : STEP_UNMOUNT,
                            r->errnum != 0 ? r->errnum : EIO,
                            streq(r->error, "Hanging") ? "TimedOut" : find_error(r->error, known),
                            r->message ? r->message : r->error);
        note_unmounting(v, r);
        /* Somebody asked for more meanwhile than what failed. */
        v->unmount_wanted = v->unmount_wanted && v->unmount_lazily && !v->is_lazy;
        v->eject_devnum = 0;
        set_holders(v, r);
}

/* Once it is unmounted it stays so, also where the disk cannot be taken away after all. */
static void take_eject(Volume *v, MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };

        if (!r->error || r->step == STEP_EJECT) {
                take_unmount(v);
                v->held_devnum = v->eject_devnum;
                v->held_diskseq = v->eject_diskseq;
                volume_start_afresh(v);
        }
        if (r->error) {
                fail_unmount(v, r);
                return;
        }
        v->eject_devnum = 0;
        log_full(LOG_INFO, 0, &about, "%s is ejected; its disk may be detached now%s",
                 v->config->name, r->removed ? "" : " (nothing had to be removed for that)");
}

/* Tidying up after a mount that is gone failed: there is nothing left to do that a person could not
 * do better. */
static void give_up_forgetting(Volume *v, const MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };

        log_full(LOG_WARNING, r->errnum, &about, "%s: cannot tidy up after the mount: %s",
                 v->config->name, r->message ? r->message : r->error);
        take_unmount(v);
}

/* PID 1 executes itself anew, as whenever systemd is upgraded; or somebody had the opposite done
 * just then, and has it by now; or who waited for the job died: that says nothing of it. */
static bool is_momentary(const MountdResult *r)
{
        return r->error &&
               (r->errnum == ECONNREFUSED || r->errnum == ECONNRESET || r->errnum == ENOTCONN ||
                r->errnum == EPIPE || r->errnum == ECANCELED || r->errnum == EOWNERDEAD);
}

/* A target that cannot be started or stopped is said and left: what is mounted counts. */
static void take_target(Volume *v, const MountdResult *r, bool active)
{
        const LogContext about = { v->config->name, v->device };

        if (is_momentary(r) && v->past.deferrals < DEFERRALS_OF_TARGET) {
                put_off(v, r);
                return;
        }
        if (r->error)
                log_full(LOG_WARNING, r->errnum, &about, "%s: %s", v->config->name,
                         r->message ? r->message : r->error);
        v->target_active = active;
        v->target_unsure = false;
}

/* Another program has the disk, or another request is at work. Who wants to take the disk away is
 * there and waits; who wants it mounted is told what keeps it. */
static void take_deferral(Volume *v, PlanAction action, MountdResult *r)
{
        bool is_mount = action == PLAN_MOUNT || action == PLAN_ADOPT;

        if (is_mount && v->past.deferrals >= DEFERRALS_SHOWN)
                volume_fail_attempt(v, r->step != STEP_NONE ? r->step : STEP_MOUNT,
                                    r->errnum != 0 ? r->errnum : EBUSY, "Busy", r->message);
        put_off(v, r);
        if ((v->unmount_wanted || v->eject_devnum != 0) && volume_is_put_off_for_long(v)) {
                r->step = v->mount ? STEP_UNMOUNT : STEP_EJECT;
                fail_unmount(v, r);
                volume_start_afresh(v);
        }
}

/* What is dead is not to be left mounted. */
static void fail_detach(Volume *v, MountdResult *r)
{
        const LogContext about = { v->config->name, v->device };

        if (v->past.deferrals == 0)
                log_full(LOG_WARNING, r->errnum, &about, "%s: cannot unmount it lazily: %s",
                         v->config->name, r->message ? r->message : r->error);
        v->target_unsure = true; /* it may be stopped already */
        take_deferral(v, PLAN_DETACH, r);
}

static void take_answer(Volume *v, PlanAction action, MountdResult *r)
{
        bool is_gone = v->mount && !devices_find_same(manager_devices(v->manager), v->mount->devnum,
                                                      v->mount->diskseq);

        switch (action) {
        case PLAN_MOUNT:
        case PLAN_ADOPT:
                if (r->error)
                        take_failure(v, r);
                else
                        take_mount(v, r, action == PLAN_MOUNT);
                break;
        case PLAN_UNMOUNT:
                if (r->error)
                        fail_unmount(v, r);
                else
                        take_unmount(v);
                break;
        case PLAN_EJECT:
                take_eject(v, r);
                break;
        case PLAN_DETACH:
                if (r->error && !streq(r->error, "NotMounted")) {
                        fail_detach(v, r);
                        break;
                }
                take_unmount(v);
                v->held_devnum = 0; /* its disk may be back without being another */
                break;
        case PLAN_FORGET:
                if (r->error)
                        give_up_forgetting(v, r);
                else
                        take_unmount(v);
                /* But on another target by now; or its disk may be back without being another. */
                if (v->is_kept || is_gone)
                        v->held_devnum = 0;
                break;
        case PLAN_START_TARGET:
        case PLAN_STOP_TARGET:
                take_target(v, r, action == PLAN_START_TARGET);
                break;
        case PLAN_VERIFY:
                take_verification(v, r);
                break;
        case PLAN_NOTHING:
                break;
        }
}

void volume_take_outcome(Volume *v, PlanAction action, MountdResult *r)
{
        if (r->error &&
            (streq(r->error, "InProgress") || streq(r->error, SD_BUS_ERROR_LIMITS_EXCEEDED)))
                take_deferral(v, action, r);
        else if (r->error && streq(r->error, "Hanging")) {
                /* Who asked is not to wait as long as the disk does. */
                if (v->unmount_wanted || v->eject_devnum != 0)
                        fail_unmount(v, r);
                else
                        take_hanging(v, r);
        } else
                take_answer(v, action, r);
}
