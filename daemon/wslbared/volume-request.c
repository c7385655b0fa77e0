/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "macro.h"
#include "manager.h"
#include "text.h"
#include "volume-past.h"
#include "volume-request.h"
#include "volume-state.h"

void volume_refusal_done(VolumeRefusal *r)
{
        free(r->message);
        *r = (VolumeRefusal){ 0 };
}

static int refuse(VolumeRefusal *why, const char *error, char *message)
{
        why->error = error;
        why->message = message;
        return message ? -EBUSY : -ENOMEM;
}

/* Why a volume in this state will not become mounted; NULL: it may. */
static const char *error_of_state(const Volume *v)
{
        switch (v->state) {
        case VOLUME_ABSENT:
        case VOLUME_LOST:
                return "DeviceAbsent";
        case VOLUME_AMBIGUOUS:
                return "Ambiguous";
        case VOLUME_INCOMPLETE:
                return "Incomplete";
        case VOLUME_LOCKED:
                return "Locked";
        case VOLUME_MEMBER:
        case VOLUME_UNSUPPORTED:
                return "NotSupported";
        case VOLUME_UNMOUNTED:
                return "MountFailed";
        case VOLUME_FAILED:
                if (v->config_is_bad)
                        return "ConfigInvalid";
                /* Another step: the plan decided, and not the attempt. */
                return v->attempt.error && v->attempt.step == v->failure_step ? v->attempt.error
                                                                              : "MountFailed";
        case VOLUME_MOUNTING:
                return volume_is_put_off_for_long(v) ? v->attempt.error : NULL;
        case VOLUME_PROBING:
        case VOLUME_CHECKING:
        case VOLUME_UNMOUNTING:
        case VOLUME_MOUNTED:
                return NULL;
        }
        return NULL;
}

static int refuse_ambiguous(const Volume *v, VolumeRefusal *why)
{
        return refuse(why, "Ambiguous",
                      strdup(v->failure_message ? v->failure_message : v->config->name));
}

static int check_mount(const Volume *v, VolumeRefusal *why)
{
        const char *name = v->config->name;

        if (v->unmount_wanted || v->eject_devnum != 0)
                return refuse(why, "InProgress", text_format("%s is being unmounted", name));
        if (v->state == VOLUME_MOUNTED)
                return refuse(why, "AlreadyMounted",
                              text_format("%s is mounted on %s already", name,
                                          v->mount ? v->mount->target : "?"));
        if (v->config_is_bad)
                return refuse(why, "ConfigInvalid", text_format("%s has errors", v->config->path));
        if (!v->config->where)
                return refuse(why, "NotSupported",
                              text_format("%s says Where=none", v->config->path));
        /* Whether that is still so the next look tells, once mountd is back. */
        if ((v->state == VOLUME_ABSENT || v->state == VOLUME_LOST) && !v->dirty)
                return refuse(why, "DeviceAbsent",
                              text_format("The device of %s is not there", name));
        if (v->state == VOLUME_AMBIGUOUS)
                return refuse_ambiguous(v, why);
        return 0;
}

static bool is_asked_to_mount(const Volume *v)
{
        for (size_t i = 0; i < v->n_requests; i++)
                if (v->requests[i].verb == VERB_MOUNT)
                        return true;
        return false;
}

static bool is_being_mounted(const Volume *v)
{
        return v->state == VOLUME_MOUNTING || v->state == VOLUME_CHECKING;
}

/* What is in the way of a mount may be so for good, and is not to be in the way of the opposite. */
static int check_not_mounting(const Volume *v, VolumeRefusal *why)
{
        bool is_stuck = !v->call && volume_is_put_off_for_long(v);

        if ((is_being_mounted(v) && !is_stuck) || is_asked_to_mount(v))
                return refuse(why, "InProgress",
                              text_format("%s is being mounted", v->config->name));
        return 0;
}

static int check_unmount(const Volume *v, VolumeRefusal *why)
{
        int r = check_not_mounting(v, why);

        if (r < 0)
                return r;
        if (v->eject_devnum != 0)
                return refuse(why, "InProgress",
                              text_format("%s is being ejected", v->config->name));
        if (!v->mount)
                return refuse(why, "NotMounted", text_format("%s is not mounted", v->config->name));
        return 0;
}

static int check_eject(const Volume *v, VolumeRefusal *why)
{
        int r = check_not_mounting(v, why);

        if (r < 0 || v->eject_devnum != 0)
                return r;
        if (v->unmount_wanted)
                return refuse(why, "InProgress",
                              text_format("%s is being unmounted", v->config->name));
        if (v->state == VOLUME_AMBIGUOUS)
                return refuse_ambiguous(v, why);
        if (!volume_current_device(v))
                return refuse(why, "DeviceAbsent",
                              text_format("The device of %s is not there", v->config->name));
        return 0;
}

static int check(const Volume *v, VolumeVerb verb, VolumeRefusal *why)
{
        switch (verb) {
        case VERB_MOUNT:
                return check_mount(v, why);
        case VERB_UNMOUNT:
                return check_unmount(v, why);
        case VERB_EJECT:
                return check_eject(v, why);
        }
        return -EINVAL;
}

static int enqueue(Volume *v, const VolumeRequest *q)
{
        VolumeRequest *grown;

        if (!q->done)
                return 0;
        grown = reallocarray(v->requests, v->n_requests + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        v->requests = grown;
        v->requests[v->n_requests++] = *q;
        return 0;
}

static void want_mount(Volume *v)
{
        const Device *d = volume_current_device(v);

        if (is_being_mounted(v)) {
                volume_hasten(v);
                return; /* it is at work: joined */
        }
        volume_forget_release(v);
        v->cause_usec = manager_now(v->manager);
        v->held_devnum = 0;
        v->is_kept |= v->call && v->action == PLAN_FORGET; /* by somebody, now */
        v->wanted_devnum = d ? d->devnum : 0;
        v->wanted_diskseq = d ? d->diskseq : 0;
        v->is_next_wanted = !d;
        volume_start_afresh(v);
}

static void want_unmount(Volume *v, bool lazy)
{
        v->unmount_lazily = lazy || (v->unmount_wanted && v->unmount_lazily);
        v->unmount_wanted = true;
        volume_forget_release(v);
        v->wanted_devnum = 0;
        volume_start_afresh(v);
}

static void want_eject(Volume *v)
{
        const Device *d = volume_current_device(v);

        if (v->eject_devnum != 0)
                return; /* it is at work: joined */
        v->eject_devnum = d->devnum;
        v->eject_diskseq = d->diskseq;
        volume_forget_release(v);
        v->wanted_devnum = 0;
        volume_start_afresh(v);
}

static void want(Volume *v, const VolumeRequest *q)
{
        switch (q->verb) {
        case VERB_MOUNT:
                want_mount(v);
                break;
        case VERB_UNMOUNT:
                want_unmount(v, q->lazy);
                break;
        case VERB_EJECT:
                want_eject(v);
                break;
        }
}

int volume_request(Volume *v, const VolumeRequest *q, VolumeRefusal *why)
{
        int r;

        /* Without it nothing is known of what there is. */
        if (mountd_client_is_away(manager_mountd(v->manager)))
                r = refuse(why, "TimedOut", strdup(MOUNTD_AWAY_MESSAGE));
        else
                r = check(v, q->verb, why);
        if (r >= 0)
                r = enqueue(v, q);
        if (r < 0)
                return r;
        want(v, q);
        v->dirty = true;
        manager_wake(v->manager);
        return 0;
}

/* Whether Q has come to its end, and how. */
static bool is_over(const Volume *v, const VolumeRequest *q, const char **ret_error,
                    const char **ret_message)
{
        if (q->verb != VERB_MOUNT) {
                *ret_error = v->release.error;
                *ret_message = v->release.message;
                if (q->verb == VERB_EJECT)
                        return v->eject_devnum == 0;
                /* What failed while it is tried lazily by now was no lazy one. */
                return !v->unmount_wanted || (v->release.error && !q->lazy);
        }
        *ret_error = error_of_state(v);
        *ret_message = v->failure_message;
        return v->state == VOLUME_MOUNTED || (*ret_error && !v->call && !v->dirty);
}

void volume_answer(Volume *v)
{
        for (size_t i = 0; i < v->n_requests;) {
                const VolumeRequest q = v->requests[i];
                const char *error, *message;

                if (!is_over(v, &q, &error, &message)) {
                        i++;
                        continue;
                }
                v->requests[i] = v->requests[--v->n_requests];
                q.done(error, message ? message : "It is not mounted", q.userdata);
        }
        if (v->is_release_outdated && v->n_requests == 0) {
                v->is_release_outdated = false;
                volume_forget_release(v);
                v->dirty = true;
                manager_wake(v->manager);
        }
}

void volume_answer_all(Volume *v, const char *error, const char *message)
{
        while (v->n_requests > 0) {
                const VolumeRequest q = v->requests[--v->n_requests];

                q.done(error, message, q.userdata);
        }
}

void volume_give_up(Volume *v, const char *error, const char *message)
{
        /* It may be at work all the same, and come to its end. */
        if (v->mount && (v->unmount_wanted || v->eject_devnum != 0))
                v->mount->unmounting = true;
        v->unmount_wanted = v->is_next_wanted = false;
        v->eject_devnum = v->wanted_devnum = 0;
        volume_answer_all(v, error, message);
}
