/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "client.h"

/* A call of a method of org.wslbare1.Volume that may take its time. */

typedef struct CallOptions {
        bool lazy;
        bool no_block;
} CallOptions;

typedef struct Call {
        Client *client;
        const char *name; /* of the volume */
        sd_bus_slot *slot;
        bool is_done;       /* client_wait() returns for that too */
        sd_bus_error error; /* is not set: it went well */
} Call;

/* Asks, and does not wait. CALL stays where it is until call_end(). -errno, which was said. */
int call_start(Call *call, Client *client, const char *name, const char *method,
               const CallOptions *options);
void call_end(Call *call);
