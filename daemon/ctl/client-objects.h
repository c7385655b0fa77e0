/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "device.h"

/* The objects of wslbared, as they are at the moment. What fails here is said as in client.h. */

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
