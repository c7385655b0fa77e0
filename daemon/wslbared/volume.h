/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "mountd-client.h"
#include "plan.h"
#include "record.h"

/* A volume: what one file wants, what is there of it, and how it went. */

typedef struct Manager Manager;

/* A mount that mountd made or adopted for us. */
typedef struct VolumeMount {
        int id;
        char *target;
        dev_t devnum;
        uint64_t diskseq;
        bool recorded; /* by mountd, before we started: not looked at yet */
        bool stale;    /* the configuration asks for something else by now */
} VolumeMount;

/* What was tried with one incarnation of one device. */
typedef struct VolumePast {
        dev_t devnum;
        uint64_t generation; /* of the Seen */
        unsigned attempts;   /* that failed */
        unsigned deferrals;  /* attempts that could not be made just then, and do not count */
        bool unsupported;
        bool put_off;        /* until the time comes, nothing is asked of mountd */
        uint64_t retry_usec; /* CLOCK_MONOTONIC; 0: no time is set */
} VolumePast;

typedef struct Volume {
        Manager *manager;
        VolumeConfig *config;
        bool config_is_bad; /* the file has errors since; CONFIG is what it was before */

        VolumeState state;
        char *device; /* node that the state speaks of, NULL none */
        FailureStep failure_step;
        int failure_errno;
        char *failure_message;

        VolumeMount *mount; /* NULL: none */
        VolumePast past;
        dev_t held_devnum; /* unmounted by intent, or found unmounted, with this incarnation of the
                              device */
        uint64_t held_diskseq;

        MountdCall *call;  /* at work */
        PlanAction action; /* that CALL is for */
        sd_event_source *retry;
        bool dirty; /* to be looked at again */
} Volume;

/* CONFIG is taken, also on failure. RECORD, which may be NULL, is what mountd did for NAME before
 * we started. */
int volume_new(Manager *m, VolumeConfig *config, const Record *record, Volume **ret);
Volume *volume_free(Volume *v);
static inline void volume_freep(Volume **v)
{
        volume_free(*v);
}

/* Replaces the configuration, which is taken; a mount stays as it is. Starts afresh. */
void volume_set_config(Volume *v, VolumeConfig *config);

/* Forgets earlier failures, so that the next look tries again. */
void volume_start_afresh(Volume *v);

/* Whether D may be of interest to it. */
bool volume_cares_for(const Volume *v, const Device *d);

/* Looks at what is wanted and what is there, and does the one next step. */
void volume_reconcile(Volume *v);

/* The connection to mountd went: what was at work is not any more. */
void volume_forget_call(Volume *v);

/* Nothing is at work, and nothing is going to be without an event. */
bool volume_is_at_rest(const Volume *v);
