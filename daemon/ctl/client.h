/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "device.h"

/* wslbared as it shows itself on D-Bus, org.wslbare1(5). Everything that fails here says so on
 * standard error, with what to do about it. The one home of sd-bus in wslbarectl. */

typedef struct ClientHolder {
        uint32_t pid;
        char *command;
} ClientHolder;

/* The properties of org.wslbare1.Volume. No string is NULL. */
typedef struct ClientVolume {
        char *path; /* the object's */
        char *name, *config_path, *state, *device, *uuid, *label, *type, *where, *options,
                *mounted_options;
        bool automatic, read_only, stale;
        char **candidates;
        uint32_t attempts;
        uint64_t diskseq, next_retry_usec, state_change_usec, state_change_monotonic_usec,
                latency_usec;
        char *failure_step;
        int32_t failure_errno;
        char *failure_message;
        ClientHolder *holders;
        size_t n_holders;
} ClientVolume;

typedef struct ClientProblem {
        char *file;
        uint32_t line; /* 0: the file as a whole */
        char *severity;
        char *text;
} ClientProblem;

/* Those of org.wslbare1.Manager. */
typedef struct ClientManager {
        char *version, *state, *event_source;
        bool ready;
        uint32_t n_volumes, n_mounted, n_failed;
        ClientProblem *problems;
        size_t n_problems;
} ClientManager;

/* One of those that ListDevices() lists. */
typedef struct ClientDevice {
        Device device;  /* with devnum and what sysfs says, where it is still there */
        char **volumes; /* that it fits */
} ClientDevice;

typedef struct ClientState {
        ClientVolume *volumes; /* sorted by name */
        size_t n_volumes;
} ClientState;

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

/* 0; -errno. */
int client_get_manager(Client *c, ClientManager *ret);
void client_manager_done(ClientManager *m);

/* All that were seen and hold at least one byte, sorted by node. */
int client_list_devices(Client *c, ClientDevice **ret, size_t *ret_n);
ClientDevice *client_devices_free(ClientDevice *devices, size_t n);

/* All volumes, by one call. 0; -errno. */
int client_get_state(Client *c, ClientState *ret);
/* The same, but that -ESRCH, wslbared does not run, is not said. */
int client_try_state(Client *c, ClientState *ret);
void client_state_done(ClientState *s);

/* NULL: there is none. */
const ClientVolume *client_try_find(const ClientState *s, const char *name);
/* 0; what no_volume_say() returns, and said. */
int client_find(const ClientState *s, const char *name, const ClientVolume **ret);
/* Those with the N NAMES in their order, or all where N is 0, in an array to be freed. 0; -ENOMEM;
 * as client_find(), where there is none of such a name. */
int client_select(const ClientState *s, char *const *names, int n, const ClientVolume ***ret,
                  size_t *ret_n);

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
