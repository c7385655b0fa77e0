/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "devices.h"
#include "gate.h"
#include "hotplug.h"
#include "mountinfo.h"
#include "volume.h"
#include "volumes.h"

/* What there is, and the one road: whatever happens marks volumes, and one deferred round looks at
 * those again. */

typedef struct ManagerOptions {
        ConfigSource config;
        const char *records; /* directory of mountd's records */
        const char *flags;   /* directory of mountd's flags: which targets are started */
        const char *shared;  /* directory, see shared.h */
} ManagerOptions;

typedef enum ManagerState {
        MANAGER_STARTING,
        MANAGER_RUNNING,
        MANAGER_DEGRADED, /* a volume, or a file, is not as it should be */
        MANAGER_RELOADING,
        MANAGER_STOPPING,
} ManagerState;

const char *manager_state_to_string(ManagerState s);

/* What is published of it, beside the problems of the configuration. */
typedef struct ManagerView {
        ManagerState state;
        bool ready;
        HotplugSource event_source;
        unsigned n_volumes;
        unsigned n_mounted;
        unsigned n_failed;
} ManagerView;

int manager_new(sd_event *event, const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
static inline void manager_freep(Manager **m)
{
        manager_free(*m);
}

/* Loads the configuration, takes the bus name, connects to mountd, and watches devices, in this
 * order. */
int manager_start(Manager *m);

/* Says that it is going. */
void manager_stop(Manager *m);

/* The parts of it, for tests: manager_load() and then a mountd at the other end of the socket FD,
 * which is taken; devices come by manager_device_event(). */
int manager_load(Manager *m);
int manager_attach_mountd(Manager *m, int fd);
void manager_device_event(Manager *m, HotplugEvent *e);
/* Around an enumeration: a device that no event in between is about is gone. */
void manager_begin_scan(Manager *m);
void manager_end_scan(Manager *m);
/* Has READY=1 said as soon as all that is there is at rest, after 3 s at the most. */
int manager_await_rest(Manager *m);

/* Loads the configuration again; when it returns, that is in force and published. Once READY=1 was
 * said, always ends with it. */
void manager_reload(Manager *m);

/* mountd found another file than the one of CONFIG, which is in force, and that without a change
 * that is watched for, as where it was linked elsewhere: reloads, unless it is the same here. */
void manager_suspect(Manager *m, const VolumeConfig *config);

/* Has every mount verified once again. */
void manager_doubt(Manager *m);

/* Looks at all devices again. */
int manager_rescan(Manager *m);

/* For volumes, and what works for them. */
sd_event *manager_event(const Manager *m);
MountdClient *manager_mountd(const Manager *m);
Devices *manager_devices(const Manager *m);
const Mountinfo *manager_mounts(const Manager *m); /* as of this round */
uint64_t manager_now(const Manager *m); /* CLOCK_MONOTONIC, of this iteration of the loop */
/* Has a round done soon. */
void manager_wake(Manager *m);
/* And what there is to say of absent volumes said, see hint.h. */
void manager_hint_soon(Manager *m);
/* Has those volumes looked at again that care for D, which may be NULL. */
void manager_mark_for(Manager *m, const Device *d);
/* Has all looked at again when PAUSE_USEC have passed, at the latest. */
void manager_look_later(Manager *m, uint64_t pause_usec);
uint64_t manager_realtime(const Manager *m); /* CLOCK_REALTIME */

const Volumes *manager_volumes(const Manager *m);
const ManagerView *manager_view(const Manager *m);
GateCall **manager_gate(Manager *m); /* those that wait at the gate */
const char *manager_shared(const Manager *m);
/* Whether everything that was there at the start is at rest, or its time was up. */
bool manager_is_ready(const Manager *m);
