/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "config.h"

/* The boundary: one client at a time, and what of its requests is let in. It believes nothing that
 * it is told: names and devices are looked up in NAME's own root-owned file. */

#define MOUNTD_INTERFACE "org.wslbare1.Mountd"
#define MOUNTD_PATH "/org/wslbare1/mountd"

#define MOUNTD_JOBS_MAX 512 /* children at once; a request beyond is refused, not queued */

typedef struct ServiceOptions {
        ConfigSource config;
        const char *directory; /* root's: records and staging are made below; /run/wslbare-mountd */
        const char *shared;    /* directory, see shared.h */
        const char *checks;    /* file, see check-lock.h */
        const char *const *sbin; /* see sbin.h */
        /* All that was left half done is tidied, mounts are shared, and clients are taken. May be
         * NULL. */
        void (*tell_ready)(void);
        /* Says what is worth knowing while all goes on; "" nothing. May be NULL. */
        void (*tell_status)(const char *status);
} ServiceOptions;

typedef struct Service Service;

int service_new(sd_event *event, const ServiceOptions *options, Service **ret);
Service *service_free(Service *s);
static inline void service_freep(Service **s)
{
        service_free(*s);
}

/* Takes clients from the listening socket FD, which is taken. */
int service_listen(Service *s, int fd);

/* Serves the peer at FD, which is taken. -EBUSY: there is a client already. */
int service_serve(Service *s, int fd);
