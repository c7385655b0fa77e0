/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct GateCall GateCall;

/* The gate that every method passes first that changes something: root may, others where polkit
 * says so. It asks the bus and polkit without waiting, about the very connection that made the
 * call. */

#define ACTION_MOUNT "org.wslbare1.mount"
#define ACTION_UNMOUNT "org.wslbare1.unmount"
#define ACTION_MANAGE "org.wslbare1.manage"

/* How many calls may wait at once: of one connection; at polkit, which may be asking a person, of
 * one user; and there of all. How many connections a user has is limited by the bus. */
#define GATE_SENDER_MAX 64
#define GATE_USER_MAX 256
#define GATE_PENDING_MAX 1024

/* Does what the method is for, once the caller may. Looks up what the message is about itself: it
 * may be gone by now. Returns as a sd_bus_message_handler_t does. */
typedef int (*GateMethod)(sd_bus_message *m, Manager *manager, sd_bus_error *error);

/* Lets M pass to METHOD, now or later. VOLUME, which may be NULL, is for polkit's question. Returns
 * as a sd_bus_message_handler_t does. */
int gate_enter(sd_bus_message *m, Manager *manager, const char *action, const char *volume,
               GateMethod method, sd_bus_error *error);

/* The connection is gone: nobody waits any more. */
void gate_drop_all(Manager *manager);
