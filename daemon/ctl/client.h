/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* The connection to wslbared by D-Bus, org.wslbare1(5); client-objects.h has what it shows there.
 * Everything that fails here says so on standard error, with what to do about it. */

typedef struct Client {
        sd_bus *bus;
        bool is_news; /* something that client_watch() asked for happened */
} Client;

/* -ENOTCONN: there is no system bus. */
int client_open(Client *c);
void client_close(Client *c);

/* Calls METHOD of the manager, which has no arguments and may ask for a password. WHAT it is, for
 * what is said if it fails: -ESRCH, -EACCES, another -errno. */
int client_call_manager(Client *c, const char *what, const char *method);

/* Whether NAMES, of which there are N, are names that volumes may have; those that are not are
 * said. */
bool client_check_names(char *const *names, int n);

/* From now on, client_wait() returns when something changed about a volume, or wslbared came or
 * went. */
int client_watch(Client *c);
/* 1 there are news, 0 the time (CLOCK_MONOTONIC, USEC_INFINITY none) is up, -errno. */
int client_wait(Client *c, uint64_t until_usec);
uint64_t client_now(void);

/* Of systemd: its version, "252.39-1", what it makes of a unit's file, "enabled", "disabled", …, ""
 * when there is no such file, and of the unit, "active", "failed", … 0; -errno, which is not said.
 */
int client_get_systemd_version(Client *c, char **ret);
int client_get_unit_file_state(Client *c, const char *unit, char **ret);
int client_get_unit_state(Client *c, const char *unit, char **ret);

/* Says what became of a call: WHAT, "mount data", and why not. Returns R. */
int client_explain(const char *what, int r, const sd_bus_error *error);
/* Whether ERROR says that nobody answers: wslbared does not run, or did not before it ended. */
bool client_is_absence(const sd_bus_error *error);
/* The last part of org.wslbare1.Error.*; NULL when it is none of those. */
const char *client_error_name(const sd_bus_error *error);

#define CLIENT_SERVICE "org.wslbare1"
#define CLIENT_ROOT "/org/wslbare1"
#define CLIENT_MANAGER "org.wslbare1.Manager"
#define CLIENT_VOLUME "org.wslbare1.Volume"
