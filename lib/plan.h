/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "device.h"
#include "mountinfo.h"

/* The decision: what a volume's state is, and the one next step. Pure, and the only place that
 * decides; an event merely leads to another look. */

typedef enum VolumeState {
        VOLUME_ABSENT,  /* no device */
        VOLUME_PROBING, /* at work */
        VOLUME_CHECKING,
        VOLUME_MOUNTING,
        VOLUME_UNMOUNTING, /* or being ejected */
        VOLUME_MOUNTED,
        VOLUME_UNMOUNTED,   /* the device is there, and not mounted by intent */
        VOLUME_AMBIGUOUS,   /* more than one device fits */
        VOLUME_INCOMPLETE,  /* of a filesystem on several devices some are missing */
        VOLUME_LOCKED,      /* encrypted */
        VOLUME_MEMBER,      /* part of LVM or RAID */
        VOLUME_UNSUPPORTED, /* this kernel and this system have nothing that mounts it */
        VOLUME_LOST,        /* the device went while mounted, being cleaned up */
        VOLUME_FAILED,
} VolumeState;

const char *volume_state_to_string(VolumeState s);
/* Whether NAME is one. */
bool volume_state_from_string(const char *name, VolumeState *ret);

typedef enum FailureStep {
        STEP_NONE,
        STEP_CONFIG,
        STEP_PROBE,
        STEP_CHECK,
        STEP_TARGET,
        STEP_MOUNT,
        STEP_VERIFY,
        STEP_UNMOUNT,
        STEP_EJECT,
        STEP_RUN,
        _FAILURE_STEP_MAX,
} FailureStep;

const char *failure_step_to_string(FailureStep s);
/* STEP_NONE where NAME is none. */
FailureStep failure_step_from_string(const char *name);

typedef enum PlanAction {
        PLAN_NOTHING,
        PLAN_MOUNT,        /* ->device */
        PLAN_ADOPT,        /* ->device: it is mounted on the target already */
        PLAN_UNMOUNT,      /* somebody asked for it, and what needs the mount is stopped */
        PLAN_EJECT,        /* same; ->device: its disk, whether it is mounted or not */
        PLAN_DETACH,       /* lazily: the device is gone, the mount still there */
        PLAN_FORGET,       /* the mount is gone without us: tidy up after it */
        PLAN_VERIFY,       /* ->device: it is mounted, and is to be looked at again */
        PLAN_START_TARGET, /* it is mounted: what needs it may start */
        PLAN_STOP_TARGET,  /* it is not, or is about to be unmounted */
} PlanAction;

const char *plan_action_to_string(PlanAction a);

/* What is known of a mount that was made for the volume. */
typedef enum PlanMount {
        PLAN_MOUNT_NONE,     /* there is none */
        PLAN_MOUNT_RECORDED, /* a record says so, and it is still there: made before we started */
        PLAN_MOUNT_PRESENT,  /* we had it made or adopted, and it is still there */
        PLAN_MOUNT_GONE,     /* somebody unmounted it */
} PlanMount;

/* How earlier attempts with this incarnation of the device ended. */
typedef enum PlanPast {
        PLAN_PAST_NONE,      /* none, or forgotten: a replug, reload or request starts afresh */
        PLAN_PAST_DUE,       /* failed, and it is time to try again */
        PLAN_PAST_WAITING,   /* failed, and it is not time yet */
        PLAN_PAST_EXHAUSTED, /* failed RetryLimit= times after the first, or its check did */
        /* Trying again is of no use: */
        PLAN_PAST_UNSUPPORTED, /* nothing here mounts it */
        PLAN_PAST_LOCKED,      /* it is encrypted */
        PLAN_PAST_INCOMPLETE,  /* the kernel says that devices of the filesystem are missing */
} PlanPast;

/* What is wrong with the filesystem of a mount. */
typedef struct PlanTrouble {
        bool shut_down;
        bool read_only;      /* and was not when it was mounted */
        int error;           /* errno that the kernel told, or the verification ended with */
        const char *message; /* of a verification that failed; NULL none */
} PlanTrouble;

typedef struct PlanInput {
        const VolumeConfig *config;
        bool config_is_bad; /* the file turned bad after it was loaded */
        const Device *const
                *fitting; /* devices that fit, match_device() or match_device_but_content() */
        size_t n_fitting;
        size_t n_siblings; /* of them, the last are siblings of the others, and do not fit */
        bool probing;      /* a device whose content is not known yet may turn out to fit */
        bool starting; /* then wait for it, as it was there when we started: which of two is looked
                          at first decides nothing */
        const MountEntry *on_target; /* what is mounted on the target, NULL nothing */
        bool on_target_is_dead;      /* and its disk is gone */
        PlanMount mount;
        const Device *mount_device; /* of the mount; NULL: it is gone */
        unsigned mount_lost;  /* other devices of its filesystem that went while it was mounted */
        const char *moved_to; /* where the mount is by now, NULL where it was mounted */
        PlanTrouble trouble;  /* of the mount */
        bool doubted;         /* of the mount it is not known any more whether it is what it was */
        bool target_active;   /* wslbare@NAME.target is started, as far as we know */
        bool target_unsure;   /* it was to be started or stopped, and no answer came */
        bool unmount_wanted;  /* somebody asked for it */
        const Device *eject;  /* to be ejected: somebody asked for it, NULL nobody */
        bool mount_wanted;    /* somebody asked for it, and the device was not replugged since: as
                                 Auto=yes */
        bool held_back;       /* unmounted by intent or by somebody else, and not replugged since */
        bool keep;     /* with PLAN_MOUNT_GONE: it is to be mounted on the same target again */
        PlanPast past; /* with plan_focus() */
} PlanInput;

/* The one device that the next step would be about, NULL none: the mount's, the one that is on the
 * target already, or the only one that fits; of siblings the one of the lowest number. Needs all of
 * IN but mount_wanted, held_back and past.
 */
const Device *plan_focus(const PlanInput *in);

typedef struct Plan {
        VolumeState state;
        PlanAction action;
        const Device *device; /* the one that STATE and ACTION speak of, NULL none */
        FailureStep step; /* why, where that was decided here; STEP_NONE: nothing to say, or said
                             before */
        char *message;    /* for a person; NULL when STEP_NONE */
        int errnum;       /* of STEP_RUN */
} Plan;

/* 0 or -ENOMEM. */
int plan_volume(const PlanInput *in, Plan *ret);
void plan_done(Plan *p);
