/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/sysmacros.h>

#include "advice.h"
#include "check.h"
#include "macro.h"
#include "plan.h"
#include "text.h"

static const char *const state_names[] = {
        [VOLUME_ABSENT] = "absent",
        [VOLUME_PROBING] = "probing",
        [VOLUME_CHECKING] = "checking",
        [VOLUME_MOUNTING] = "mounting",
        [VOLUME_UNMOUNTING] = "unmounting",
        [VOLUME_MOUNTED] = "mounted",
        [VOLUME_UNMOUNTED] = "unmounted",
        [VOLUME_AMBIGUOUS] = "ambiguous",
        [VOLUME_INCOMPLETE] = "incomplete",
        [VOLUME_LOCKED] = "locked",
        [VOLUME_MEMBER] = "member",
        [VOLUME_UNSUPPORTED] = "unsupported",
        [VOLUME_LOST] = "lost",
        [VOLUME_FAILED] = "failed",
};

const char *volume_state_to_string(VolumeState s)
{
        return state_names[s];
}

bool volume_state_from_string(const char *name, VolumeState *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(state_names); i++)
                if (streq(state_names[i], name)) {
                        *ret = (VolumeState)i;
                        return true;
                }
        return false;
}

static const char *const step_names[] = {
        [STEP_NONE] = "",         [STEP_CONFIG] = "config",   [STEP_PROBE] = "probe",
        [STEP_CHECK] = "check",   [STEP_TARGET] = "target",   [STEP_MOUNT] = "mount",
        [STEP_VERIFY] = "verify", [STEP_UNMOUNT] = "unmount", [STEP_EJECT] = "eject",
        [STEP_RUN] = "run",
};

const char *failure_step_to_string(FailureStep s)
{
        return step_names[s];
}

FailureStep failure_step_from_string(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(step_names); i++)
                if (streq(step_names[i], name))
                        return (FailureStep)i;
        return STEP_NONE;
}

const char *plan_action_to_string(PlanAction a)
{
        static const char *const names[] = {
                [PLAN_NOTHING] = "nothing",
                [PLAN_MOUNT] = "mount",
                [PLAN_ADOPT] = "adopt",
                [PLAN_UNMOUNT] = "unmount",
                [PLAN_EJECT] = "eject",
                [PLAN_DETACH] = "detach",
                [PLAN_FORGET] = "forget",
                [PLAN_VERIFY] = "verify",
                [PLAN_START_TARGET] = "start-target",
                [PLAN_STOP_TARGET] = "stop-target",
        };

        return names[a];
}

void plan_done(Plan *p)
{
        free(p->message);
        *p = (Plan){ 0 };
}

static int decide(Plan *p, VolumeState state, PlanAction action, const Device *device)
{
        p->state = state;
        p->action = action;
        p->device = device;
        return 0;
}

/* MESSAGE is taken; NULL is taken as out of memory. */
static int decide_because(Plan *p, VolumeState state, const Device *device, FailureStep step,
                          char *message)
{
        if (!message)
                return -ENOMEM;
        p->step = step;
        p->message = message;
        return decide(p, state, PLAN_NOTHING, device);
}

/* A part of it that somebody bound there is not it. */
static bool is_whole(const MountEntry *e)
{
        return streq(e->root, "/") || major(e->devnum) == 0;
}

static const Device *find_source(const PlanInput *in)
{
        for (size_t i = 0; in->on_target && is_whole(in->on_target) && i < in->n_fitting; i++)
                if (mount_entry_is_device(in->on_target, in->fitting[i]))
                        return in->fitting[i];
        return NULL;
}

/* One by which what is on the target can be taken for ours: it fits by itself. */
static const Device *find_mounted(const PlanInput *in)
{
        const Device *source = find_source(in), *sibling = NULL;

        for (size_t i = 0; source && i < in->n_fitting - in->n_siblings; i++) {
                if (in->fitting[i] == source)
                        return source;
                if (device_is_sibling(in->fitting[i], source))
                        sibling = in->fitting[i];
        }
        return sibling;
}

/* Two of those that fit that are not devices of one filesystem. */
static bool find_rivals(const PlanInput *in, const Device **ret_a, const Device **ret_b)
{
        for (size_t i = 0; i < in->n_fitting; i++)
                for (size_t k = i + 1; k < in->n_fitting; k++)
                        if (!device_is_sibling(in->fitting[i], in->fitting[k])) {
                                *ret_a = in->fitting[i];
                                *ret_b = in->fitting[k];
                                return true;
                        }
        return false;
}

/* The one to speak of, where all are devices of one filesystem; a mount keeps its own. */
static const Device *find_first(const PlanInput *in)
{
        const Device *first = NULL;

        for (size_t i = 0; i < in->n_fitting - in->n_siblings; i++) {
                const Device *d = in->fitting[i];

                if (d == in->mount_device)
                        return d;
                if (!first || d->devnum < first->devnum)
                        first = d;
        }
        return first;
}

static int decide_ambiguous(const PlanInput *in, const Device *a, const Device *b, Plan *p)
{
        bool tellable = a->part_uuid && b->part_uuid && !streq(a->part_uuid, b->part_uuid);

        return decide_because(
                p, VOLUME_AMBIGUOUS, NULL, STEP_PROBE,
                text_format("%zu devices fit, %s and %s among them, so none is mounted; "
                            "detach all but one, or %s",
                            in->n_fitting, a->node, b->node,
                            tellable ? "add PartUUID= to [Match]"
                                     : "add a key to [Match] that tells them apart"));
}

static int decide_incomplete(const PlanInput *in, const Device *d, Plan *p)
{
        return decide_because(p, VOLUME_INCOMPLETE, d, STEP_PROBE,
                              text_format("%zu of %u devices of its filesystem are attached, %s "
                                          "among them; attach the others, or change Members=",
                                          in->n_fitting, in->config->members, d->node));
}

/* What lsblk shows of an encrypted device first is no filesystem's UUID. */
static char *explain_locked(const PlanInput *in, const Device *d, char *why)
{
        char *longer;

        if (!d->uuid || !streq_ptr(in->config->match.uuid, d->uuid))
                return why;
        longer = text_format("%s; UUID= in %s is that of the encryption, so write that of the "
                             "filesystem in it",
                             why, in->config->path);
        free(why);
        return longer;
}

static int decide_unmountable(const PlanInput *in, VolumeState state, const Device *d, char *why,
                              Plan *p)
{
        if (why && state == VOLUME_LOCKED)
                why = explain_locked(in, d, why);
        return decide_because(p, state, d, STEP_PROBE, why);
}

static int decide_occupied(const PlanInput *in, const Device *d, Plan *p)
{
        const MountEntry *e = in->on_target;

        if (in->on_target_is_dead)
                return decide_because(
                        p, VOLUME_FAILED, d, STEP_TARGET,
                        text_format("%s (%s), whose disk is gone, is still mounted on "
                                    "%s by somebody else; end it with `umount -l`",
                                    e->source, e->type, in->config->where));
        return decide_because(p, VOLUME_FAILED, d, STEP_TARGET,
                              text_format("%s (%s) is mounted on %s already; unmount it, or change "
                                          "Where=",
                                          e->source, e->type, in->config->where));
}

const Device *plan_focus(const PlanInput *in)
{
        const Device *mounted = find_mounted(in), *a, *b;

        if (in->mount != PLAN_MOUNT_NONE)
                return in->mount_device;
        if (mounted)
                return mounted;
        return find_rivals(in, &a, &b) ? NULL : find_first(in);
}

/* One more attempt at what ACTION says, unless it is too early or of no use. */
static int decide_attempt(const PlanInput *in, PlanAction action, const Device *d, Plan *p)
{
        switch (in->past) {
        case PLAN_PAST_NONE:
        case PLAN_PAST_DUE:
                return decide(p, VOLUME_MOUNTING, action, d);
        case PLAN_PAST_WAITING:
        case PLAN_PAST_EXHAUSTED:
                return decide(p, VOLUME_FAILED, PLAN_NOTHING, d);
        case PLAN_PAST_UNSUPPORTED:
                return decide(p, VOLUME_UNSUPPORTED, PLAN_NOTHING, d);
        case PLAN_PAST_LOCKED:
                return decide(p, VOLUME_LOCKED, PLAN_NOTHING, d);
        case PLAN_PAST_INCOMPLETE:
                return decide(p, VOLUME_INCOMPLETE, PLAN_NOTHING, d);
        }
        return -EINVAL;
}

static int decide_mount(const PlanInput *in, const Device *d, Plan *p)
{
        char *why;
        VolumeState state = advice_on_device(d, &why);

        if (state != VOLUME_MOUNTED)
                return decide_unmountable(in, state, d, why, p);
        if (d->uuid_sub && in->n_fitting < in->config->members)
                return decide_incomplete(in, d, p);
        if (!in->config->where || in->held_back || !(in->config->automatic || in->mount_wanted))
                return decide(p, VOLUME_UNMOUNTED, PLAN_NOTHING, d);
        if (in->on_target)
                return decide_occupied(in, d, p);
        return decide_attempt(in, PLAN_MOUNT, d, p);
}

static int decide_unmounted(const PlanInput *in, Plan *p)
{
        const Device *mounted = find_mounted(in), *d = find_first(in), *a, *b;

        if (in->eject)
                return decide(p, VOLUME_UNMOUNTING, PLAN_EJECT, in->eject);
        if (mounted && !in->config_is_bad)
                return decide_attempt(in, PLAN_ADOPT, mounted, p);
        if (!d)
                return decide(p, in->probing ? VOLUME_PROBING : VOLUME_ABSENT, PLAN_NOTHING, NULL);
        if (in->config_is_bad)
                return decide_because(p, VOLUME_FAILED, d, STEP_CONFIG,
                                      text_format("%s has errors and is not in force; mend it, "
                                                  "then reload",
                                                  in->config->path));
        if (find_rivals(in, &a, &b))
                return decide_ambiguous(in, a, b, p);
        if (in->probing && in->starting)
                return decide(p, VOLUME_PROBING, PLAN_NOTHING, d);
        return decide_mount(in, d, p);
}

/* It goes on without them, or not: only the filesystem can tell. */
static int explain_lost(const PlanInput *in, Plan *p)
{
        p->step = STEP_RUN;
        p->errnum = ENODEV;
        p->message = text_format("Devices of its filesystem went while it was mounted (%u), and it "
                                 "goes on without as far as it can; attach them, mount it again, "
                                 "and let `btrfs scrub start` mend what they missed",
                                 in->mount_lost);
        return p->message ? 0 : -ENOMEM;
}

/* Whether by `mount --move` or with a directory above it. */
static int explain_moved(const PlanInput *in, Plan *p)
{
        p->step = STEP_RUN;
        p->errnum = ENOENT;
        p->message = text_format("Somebody moved it to %s, and it is mounted there; move it back, "
                                 "or unmount it and mount it again",
                                 in->moved_to);
        return p->message ? 0 : -ENOMEM;
}

static bool target_may_be_active(const PlanInput *in)
{
        return in->target_active || in->target_unsure;
}

static PlanAction next_when_mounted(const PlanInput *in)
{
        if (!in->target_active || in->target_unsure)
                return PLAN_START_TARGET;
        /* mountd reads its file, and refuses a bad one. */
        if (in->doubted && !in->config_is_bad &&
            (in->past == PLAN_PAST_NONE || in->past == PLAN_PAST_DUE))
                return PLAN_VERIFY;
        return PLAN_NOTHING;
}

static const char *describe_error(int error)
{
        /* What filesystems mean by these is not what they say. */
        return error == EBADMSG ? "wrong checksum" : strerror(error);
}

#define CURE "`journalctl -k` may say why; unmount it, check it with `%s`, and mount it again"

static char *describe_trouble(const PlanTrouble *t, const Device *d)
{
        const char *program = check_by_hand(d->type ? d->type : "");
        const char *what = t->shut_down   ? "was shut down"
                           : t->read_only ? "was made read-only by the kernel"
                                          : "has an error";

        if (t->message && !t->shut_down && !t->read_only)
                return strdup(t->message);
        if (t->error == 0 || t->message)
                return text_format("The filesystem on %s %s; " CURE, d->node, what, program);
        return text_format("The filesystem on %s %s (%s); " CURE, d->node, what,
                           describe_error(t->error), program);
}

static int decide_well_mounted(const PlanInput *in, const Device *d, Plan *p)
{
        const PlanTrouble *t = &in->trouble;

        if (t->shut_down || t->read_only || t->error != 0) {
                p->message = describe_trouble(t, d);
                if (!p->message)
                        return -ENOMEM;
                p->step = STEP_RUN;
                p->errnum = t->error != 0 ? t->error : t->shut_down ? EIO : EROFS;
        } else if (in->moved_to ? explain_moved(in, p) < 0
                                : in->mount_lost > 0 && explain_lost(in, p) < 0)
                return -ENOMEM;
        return decide(p, VOLUME_MOUNTED, next_when_mounted(in), d);
}

static int decide_mounted(const PlanInput *in, Plan *p)
{
        const Device *d = in->mount_device;

        if (!d)
                return decide(p, VOLUME_LOST, PLAN_DETACH, NULL);
        /* mountd's record is enough for it: a mount that cannot be adopted can be unmounted. */
        if (in->unmount_wanted || in->eject)
                return decide(p, VOLUME_UNMOUNTING,
                              target_may_be_active(in) ? PLAN_STOP_TARGET
                              : in->eject              ? PLAN_EJECT
                                                       : PLAN_UNMOUNT,
                              d);
        if (in->mount == PLAN_MOUNT_RECORDED)
                return decide_attempt(in, PLAN_ADOPT, d, p);
        return decide_well_mounted(in, d, p);
}

int plan_volume(const PlanInput *in, Plan *p)
{
        int r;

        *p = (Plan){ 0 };
        switch (in->mount) {
        case PLAN_MOUNT_GONE:
                if (!in->keep)
                        return decide(p, in->n_fitting > 0 ? VOLUME_UNMOUNTED : VOLUME_ABSENT,
                                      PLAN_FORGET, find_first(in));
                __attribute__((fallthrough));
        case PLAN_MOUNT_NONE:
                r = decide_unmounted(in, p);
                /* First what needed the last mount is stopped, whatever comes next. */
                if (r >= 0 && target_may_be_active(in))
                        p->action = PLAN_STOP_TARGET;
                return r;
        case PLAN_MOUNT_RECORDED:
        case PLAN_MOUNT_PRESENT:
                return decide_mounted(in, p);
        }
        return -EINVAL;
}
