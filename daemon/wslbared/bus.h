/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "manager.h"

/* The system bus: comes late, restarts, may never come; nothing else waits for it. */

#define BUS_NAME "org.wslbare1"
#define BUS_ROOT "/org/wslbare1"
#define BUS_ERROR_PREFIX "org.wslbare1.Error."

typedef struct Bus Bus;

int bus_new(Manager *m, Bus **ret);
Bus *bus_free(Bus *b);

/* Connects now and, when it is not there or goes, again. */
void bus_start(Bus *b);
/* Uses the connection at ADDRESS instead of the system bus: for tests. */
int bus_set_address(Bus *b, const char *address);

/* The connection; NULL while none takes messages. */
sd_bus *bus_connection(const Bus *b);

/* Sets ERROR to org.wslbare1.Error.NAME, with what text_escape() makes of MESSAGE; returns what a
 * method handler returns. */
int bus_error(sd_bus_error *error, const char *name, const char *message);
