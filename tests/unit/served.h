/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

/* mountd's service in a child, and its client here; directories on a filesystem of the case's own
 * in a mount namespace of this program (as root), and disks. All of it is gone at the next
 * served_begin() and when the program ends, also when a case failed. */

typedef struct Disk {
        int fd;
        char node[32];
        dev_t devnum;
        uint64_t diskseq;
} Disk;

typedef struct Served {
        char base[PATH_MAX]; /* everything is below it */
        char config[PATH_MAX];
        char run[PATH_MAX];
        char records[PATH_MAX];
        char where[PATH_MAX];  /* not there; what served_configure() makes the mount point */
        char shared[PATH_MAX]; /* what distributions share; there */
        char checks[PATH_MAX]; /* file, see check-lock.h */
        char sbin[PATH_MAX];   /* what the only check programs are in; there */
        char socket[PATH_MAX]; /* where it listens */
        char status[PATH_MAX]; /* a file of what it says of itself */
        Disk disk;             /* of the UUID FS_UUID */
        Disk other;            /* of another one */
        pid_t pid;
        unsigned n_descriptors; /* of it, when it was at rest first; 0 not known */
        sd_bus *bus;
        char *answer;
        char progress[256]; /* "NAME:STEP NAME:PERCENT% …" */
        char trouble[256];  /* "ID:ERRNO ID:ERRNO …" */
} Served;

extern Served served;

#define NOWHERE UINT64_C(0xfa04d) /* a device that is not there: 4000:77 */

/* Directories. */
void served_begin(void);
/* Same, and both disks; skips where there can be none. */
void served_begin_with_disks(void);

/* A new disk of a copy of the image; skips where there can be none. */
void served_attach(const char *image, Disk *disk);

/* NAME.conf: a volume with FS_UUID on `where`, and MORE lines of [Mount]. */
void served_configure(const char *name, const char *where, const char *more);
/* The fingerprint of NAME's file, until the next call. */
const char *served_fingerprint(const char *name);

/* Starts it for a single client, which is connected. */
void served_start(void);
/* Starts it with a listening socket. */
void served_listen(void);
/* A new connection to it. */
int served_connect_raw(void);
sd_bus *served_connect_bus(void);
void served_connect(void);
void served_disconnect(void);
/* Ends it, and fails unless it ended well. */
void served_stop(void);

/* A request of served.bus and its answer as text (see answers.h), until the next one. */
const char *ask(const char *method, const char *types, ...);
/* Mount of NAME on DISK, with the fingerprint of the moment. */
const char *ask_mount(const char *name, const Disk *disk);

/* METHOD, all but Probe, of NAME; on NOWHERE. */
const char *ask_of(const char *method, const char *name);

/* What every case may end with: it does nothing, answers, and holds no more descriptors than at the
 * first such moment after its start. */
void served_assert_at_rest(void);

/* Of the child; fails when it is not there. */
unsigned served_count_descriptors(void);
unsigned served_count_children(void);
/* Whether N of its children sleep in the making or removing of a directory, where not even a kill
 * wakes them. */
bool served_children_hang(unsigned n);
unsigned long served_resident_kib(void);

/* What is mounted on PATH: its ID, 0 none. The number of mounts. */
int mount_on(const char *path);
unsigned count_mounts(void);
bool is_there(const char *path);

/* A directory below which every change hangs until served_thaw(): a disk that does not answer. */
const char *served_freeze(void);
void served_thaw(void);

uint64_t now_usec(void);

/* Fails unless CONDITION becomes true. */
#define WAIT_FOR(condition)                                                                     \
        do {                                                                                    \
                uint64_t _end = now_usec() + 60 * USEC_PER_SEC;                                 \
                while (!(condition)) {                                                          \
                        if (now_usec() > _end)                                                  \
                                test_fail(__FILE__, __LINE__, "%s did not happen", #condition); \
                        (void)usleep(5000);                                                     \
                }                                                                               \
        } while (0)
