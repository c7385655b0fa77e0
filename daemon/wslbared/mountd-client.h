/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "plan.h"

/* wslbared's side of the boundary: asks wslbare-mountd, asynchronously, and connects again when it
 * went away. */

#define MOUNTD_SOCKET "/run/wslbare-mountd/mountd.sock"

typedef struct MountdHolder {
        uint32_t pid;
        char *command;
} MountdHolder;

/* An answer. Strings are NULL where the key was not there; what they say comes from mountd, which
 * is trusted more than we are. */
typedef struct MountdResult {
        bool lost; /* the connection went before an answer came: nothing is known of the outcome */
        char *error; /* last part of org.wslbare1.Error.*, or another D-Bus error's whole name;
                        NULL: it is done */
        FailureStep step;
        int errnum;
        char *message;
        char **warnings;
        char *node, *uuid, *uuid_sub, *label, *type, *part_uuid, *part_label, *disk_guid;
        char *target, *options, *shared;
        char *checked; /* what came of a check, where that was done */
        uint64_t devnum, diskseq;
        uint64_t mount_devnum; /* as mountinfo has it; 0 not said */
        uint32_t content;      /* DeviceContent */
        int32_t mount_id;
        uint64_t fsid;    /* as in MountdClientHandler.trouble() */
        int32_t fs_error; /* that the filesystem answers with, although it is mounted */
        bool read_only;
        bool made_read_only;   /* when it was mounted */
        bool stale;            /* what was mounted is not what the file asks for by now */
        bool removed;          /* the kernel let go of what was ejected */
        MountdHolder *holders; /* who keeps it busy */
        size_t n_holders;
} MountdResult;

/* Takes the holders out of R. */
MountdHolder *mountd_result_take_holders(MountdResult *r, size_t *ret_n);
MountdHolder *mountd_holders_free(MountdHolder *holders, size_t n);

typedef void (*MountdCallback)(MountdResult *result, void *userdata);

typedef struct MountdClientHandler {
        /* Connected, and FD, which is the receiver's, reads mountd's mountinfo. */
        void (*connected)(int fd, void *userdata);
        /* The connection went; every call at work has been told before. It is being connected
         * again. */
        void (*disconnected)(void *userdata);
        /* For some seconds now it has not been connected. */
        void (*away)(void *userdata);
        void (*progress)(const char *name, FailureStep step, void *userdata);
        /* How much of a check is done, 0 to 100. */
        void (*percent)(const char *name, unsigned percent, void *userdata);
        /* The kernel found an error in the mounted filesystem with this ID. */
        void (*trouble)(uint64_t fsid, int errnum, void *userdata);
        void *userdata;
} MountdClientHandler;

typedef struct MountdClient MountdClient;
typedef struct MountdCall MountdCall;

int mountd_client_new(sd_event *event, const MountdClientHandler *handler, MountdClient **ret);
MountdClient *mountd_client_free(MountdClient *c);

/* Connects to MOUNTD_SOCKET, for as long as it takes. */
void mountd_client_connect(MountdClient *c);
/* Uses the connected socket FD, which is taken, this once: for tests. */
int mountd_client_attach(MountdClient *c, int fd);

bool mountd_client_is_connected(const MountdClient *c);
/* From MountdClientHandler.away() until it is connected. */
bool mountd_client_is_away(const MountdClient *c);
/* How long that takes, instead of 10 s: for tests. */
void mountd_client_set_patience(MountdClient *c, uint64_t usec);

/* Each sends a request; CALLBACK is called once, later, unless the call is freed before. -ENOTCONN,
 * -ENOMEM. */
int mountd_client_probe(MountdClient *c, dev_t devnum, uint64_t diskseq, MountdCallback callback,
                        void *userdata, MountdCall **ret);
int mountd_client_mount(MountdClient *c, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                        MountdCallback callback, void *userdata, MountdCall **ret);
int mountd_client_adopt(MountdClient *c, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                        MountdCallback callback, void *userdata, MountdCall **ret);
int mountd_client_unmount(MountdClient *c, const char *name, bool lazy, MountdCallback callback,
                          void *userdata, MountdCall **ret);
int mountd_client_eject(MountdClient *c, const char *name, MountdCallback callback, void *userdata,
                        MountdCall **ret);
int mountd_client_set_target(MountdClient *c, const char *name, bool active,
                             MountdCallback callback, void *userdata, MountdCall **ret);

/* Forgets the call: its answer, if it comes, is dropped. Also to be called by the callback's owner
 * afterwards. */
MountdCall *mountd_call_free(MountdCall *call);
