/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "devices.h"
#include "mountinfo.h"
#include "volume.h"

/* What there is, and the one road: whatever happens marks volumes, and one deferred round looks at
 * those again. */

typedef struct ManagerOptions {
        ConfigSource config;
        const char *records; /* directory of mountd's records */
} ManagerOptions;

int manager_new(sd_event *event, const ManagerOptions *options, Manager **ret);
Manager *manager_free(Manager *m);
static inline void manager_freep(Manager **m)
{
        manager_free(*m);
}

/* Loads the configuration, connects to mountd, and watches devices, in this order. */
int manager_start(Manager *m);

/* The parts of it, for tests: manager_load() and then a mountd at the other end of the socket FD,
 * which is taken; devices come by manager_device_event(). */
int manager_load(Manager *m);
int manager_attach_mountd(Manager *m, int fd);
void manager_device_event(Manager *m, HotplugEvent *e);

/* Loads the configuration again. Always ends with READY=1. */
void manager_reload(Manager *m);

/* For volumes. */
sd_event *manager_event(const Manager *m);
MountdClient *manager_mountd(const Manager *m);
const Devices *manager_devices(const Manager *m);
const Mountinfo *manager_mounts(const Manager *m); /* as of this round */
uint64_t manager_now(const Manager *m); /* CLOCK_MONOTONIC, of this iteration of the loop */
/* Has a round done soon. */
void manager_wake(Manager *m);
/* Something that is published changed. */
void manager_volume_changed(Manager *m);

Volume *manager_find_volume(const Manager *m, const char *name);
const Config *manager_config(const Manager *m);
/* Whether everything that was there at the start is at rest, or its time was up. */
bool manager_is_ready(const Manager *m);
