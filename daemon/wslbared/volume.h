/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "mountd-client.h"
#include "plan.h"
#include "record.h"
#include "view.h"

/* A volume: what one file wants, what is there of it, and how it went. */

typedef struct Manager Manager;

/* More often within a minute than this, nobody is helped by mounting again what somebody else
 * unmounts. */
#define VOLUME_KEEP_MAX 3

/* A mount that mountd made or adopted for us. */
typedef struct VolumeMount {
        int id;
        char *target; /* on which it was mounted */
        dev_t devnum;
        uint64_t diskseq;
        dev_t mount_devnum; /* as mountinfo has it: of btrfs another one; 0 not known */
        char *options;      /* in force */
        bool read_only;
        bool made_read_only; /* when it was mounted */
        bool recorded;       /* by mountd, before we started: not looked at yet */
        bool unmounting; /* it was to be unmounted, and that did not end: when it goes, that is why
                          */
        unsigned lost;   /* other devices of its filesystem, since */
        char *asked;   /* what was asked for, see volume_asks(); NULL: not known, and something else
                        */
        bool stale;    /* the configuration asks for something else by now */
        bool doubted;  /* to be verified again, see volume-trouble.h */
        uint64_t fsid; /* of the filesystem, see mountd-client.h */
        int error;     /* that the kernel found in it, 0 none */
        int doubt_errno;     /* how the latest verification failed */
        char *doubt_message; /* NULL: it did not */
} VolumeMount;

VolumeMount *volume_mount_free(VolumeMount *m);

/* What was tried with one incarnation of one device; see volume-past.h. */
typedef struct VolumePast {
        dev_t devnum;
        uint64_t generation; /* of the Seen, and those of its siblings */
        unsigned attempts;   /* that failed */
        unsigned deferrals;  /* attempts that could not be made just then, and do not count */
        PlanPast verdict;    /* where trying again is of no use, else PLAN_PAST_NONE */
        bool put_off;        /* until the time comes, nothing is asked of mountd */
        uint64_t retry_usec; /* CLOCK_MONOTONIC; 0: no time is set */
} VolumePast;

/* Why an attempt failed, or an unmount. */
typedef struct VolumeFailure {
        FailureStep step; /* STEP_NONE: it did not */
        int errnum;
        const char *error; /* last part of org.wslbare1.Error.* */
        char *message;
} VolumeFailure;

/* Somebody who asked for something, and waits. ERROR: the last part of org.wslbare1.Error.*, NULL:
 * it is done. */
typedef void (*VolumeDone)(const char *error, const char *message, void *userdata);

typedef enum VolumeVerb {
        VERB_UNMOUNT,
        VERB_MOUNT,
        VERB_EJECT,
} VolumeVerb;

typedef struct VolumeRequest {
        VolumeVerb verb;
        bool lazy;       /* with VERB_UNMOUNT */
        VolumeDone done; /* NULL: nobody waits */
        void *userdata;
} VolumeRequest;

typedef struct Volume {
        Manager *manager;
        VolumeConfig *config;
        bool config_is_bad; /* the file has errors since; CONFIG is what it was before */

        VolumeState state;
        char *device;               /* node that the state speaks of, NULL none */
        dev_t devnum;               /* and its number */
        char **candidates;          /* nodes that fit */
        uint64_t state_change_usec; /* CLOCK_REALTIME */
        uint64_t state_change_monotonic_usec;
        uint64_t cause_usec;      /* when something else than its device's event last gave rise to a
                                     mount, CLOCK_MONOTONIC */
        uint64_t latency_usec;    /* of the latest mount: since what gave rise to it */
        FailureStep failure_step; /* what the plan says, else ->attempt's */
        int failure_errno;
        char *failure_message;
        MountdHolder *holders; /* who kept it busy when it was to be unmounted */
        size_t n_holders;

        VolumeMount *mount; /* NULL: none */
        VolumePast past;
        VolumeFailure attempt; /* of the latest one; readable until the device is back */
        dev_t held_devnum; /* unmounted by intent, or found unmounted, with this incarnation of the
                              device */
        uint64_t held_diskseq;
        bool is_kept; /* its mount is gone, and to be made again: see volume-keep.h */
        uint64_t kept_usec[VOLUME_KEEP_MAX]; /* since when, CLOCK_MONOTONIC; a ring */
        unsigned n_kept;

        /* What was asked for. */
        VolumeRequest *requests; /* that wait for their end */
        size_t n_requests;
        bool unmount_wanted;
        bool unmount_lazily;
        dev_t eject_devnum; /* to be ejected, this incarnation; 0: none */
        uint64_t eject_diskseq;
        bool is_release_outdated; /* of another incarnation, and forgotten once it was told */
        VolumeFailure release;    /* how the latest unmounting or ejecting failed; readable until
                                     something else is asked for, or the device is another one */
        dev_t wanted_devnum;      /* to be mounted although Auto=no, this incarnation */
        uint64_t wanted_diskseq;
        bool is_next_wanted;               /* the same, of the device that is being probed */
        bool target_active, target_unsure; /* see PlanInput */

        VolumeView view; /* what is published */
        bool is_published;
        bool is_hinted;  /* see hint.h */
        bool is_changed; /* since */

        char *asked; /* of the mount that is at work */

        MountdCall *call;      /* at work */
        PlanAction action;     /* that CALL is for */
        bool is_call_outdated; /* the file changed since */
        bool is_lazy;          /* what the latest one was to do, if it was to unmount */
        unsigned percent;      /* of a check that is done */
        sd_event_source *retry;
        uint64_t mounts_seen; /* a digest, see volume_notices_mounts() */
        bool dirty;           /* to be looked at again */
} Volume;

/* CONFIG is taken, also on failure. RECORD, which may be NULL, is what mountd did for NAME before
 * we started. */
int volume_new(Manager *m, VolumeConfig *config, const Record *record, Volume **ret);
Volume *volume_free(Volume *v);
static inline void volume_freep(Volume **v)
{
        volume_free(*v);
}

/* What C asks for that only another mount can change, in words that can be compared. NULL: out of
 * memory. */
char *volume_asks(const VolumeConfig *c);

/* Replaces the configuration, which is taken; a mount stays as it is. Starts afresh. */
void volume_set_config(Volume *v, VolumeConfig *config);

/* Whether the mounts that concern it are other ones than at the latest call. */
bool volume_notices_mounts(Volume *v, const Mountinfo *mounts);

/* OLD, a device, went. */
void volume_notices_loss(Volume *v, const Device *old);

/* Whether D may be of interest to it. */
bool volume_cares_for(const Volume *v, const Device *d);

/* Looks at what is wanted and what is there, and does the one next step. */
void volume_reconcile(Volume *v);

/* The connection to mountd went: what was at work is not any more. */
void volume_forget_call(Volume *v);

/* Nothing is at work, and nothing is going to be without an event. */
bool volume_is_at_rest(const Volume *v);

/* The device that the state speaks of, NULL none. */
const Device *volume_current_device(const Volume *v);
