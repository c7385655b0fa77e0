/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/* A mountd that does what the test says: the other end of wslbared's connection, in the same loop.
 * Nothing is mounted; its mountinfo is a text of its own. By convention volume NAME has its place
 * at /mnt/NAME, and device MAJOR:N is /dev/fakeN with ext4 on it. */

#define FAKE_MAJOR 240
#define FAKE_DEVNUM(n) makedev(FAKE_MAJOR, (n))

typedef enum FakeMethod {
        FAKE_PROBE,
        FAKE_MOUNT,
        FAKE_UNMOUNT,
        FAKE_EJECT,
        FAKE_ADOPT,
        FAKE_TARGET, /* only for fake_mountd_answer(): it follows each mount and unmount, and is
                        counted by itself */
} FakeMethod;

/* What was asked. */
typedef struct FakeCall {
        FakeMethod method;
        char *name; /* NULL: Probe has none */
        dev_t devnum;
        uint64_t diskseq;
        char *fingerprint;
        bool lazy;
        uint64_t usec; /* when, CLOCK_MONOTONIC */
} FakeCall;

typedef enum FakeAnswerKind {
        FAKE_SUCCESS,
        FAKE_FAILURE, /* as a child of mountd reports it */
        FAKE_ERROR,   /* a D-Bus error: org.wslbare1.Error.ERROR */
        FAKE_HOLD,    /* none, until fake_mountd_release() */
        FAKE_DROP,    /* none, the connection ends */
        FAKE_GARBAGE, /* what WRITE appends */
} FakeAnswerKind;

typedef int (*FakeWriter)(sd_bus_message *reply);

typedef struct FakeAnswer {
        FakeAnswerKind kind;
        const char *error;
        const char *step;
        int errnum;
        const char *message;
        FakeWriter write;
} FakeAnswer;

typedef struct FakeMountd FakeMountd;

FakeMountd *fake_mountd_new(sd_event *event);
FakeMountd *fake_mountd_free(FakeMountd *f);

/* Begins to serve, and returns the client's end of the connection. */
int fake_mountd_connect(FakeMountd *f);
/* Calls that are held are lost. */
void fake_mountd_disconnect(FakeMountd *f);
/* From now on volumes have their places in ROOT, which must live as long, and not in /mnt. */
void fake_mountd_set_root(FakeMountd *f, const char *root);
/* From now on Mountinfo() fails. */
void fake_mountd_hide_mounts(FakeMountd *f);
/* The connection; NULL when there is none. */
sd_bus *fake_mountd_bus(FakeMountd *f);

/* The next call of METHOD, after those that were said before, is answered so; others succeed. */
void fake_mountd_answer(FakeMountd *f, FakeMethod method, FakeAnswer answer);
/* Lets what was held succeed now; or end so, which is FAKE_SUCCESS or FAKE_FAILURE. */
void fake_mountd_release(FakeMountd *f);
void fake_mountd_finish(FakeMountd *f, FakeAnswer answer);

unsigned fake_mountd_count(const FakeMountd *f, FakeMethod method);
unsigned fake_mountd_count_all(const FakeMountd *f);
/* How often a target was started, or stopped: these calls are not among the others. */
unsigned fake_mountd_count_started(const FakeMountd *f);
unsigned fake_mountd_count_stopped(const FakeMountd *f);
/* The latest call; NULL none. */
const FakeCall *fake_mountd_last(const FakeMountd *f);

/* What a probe of the device finds; nothing, unless told. Strings are the caller's. */
void fake_mountd_set_content(FakeMountd *f, dev_t devnum, const char *type, const char *uuid);

/* Mounts and unmounts without being asked, as somebody else would; the mount's ID. */
int fake_mountd_mount(FakeMountd *f, dev_t devnum, const char *target, const char *type,
                      const char *source);
void fake_mountd_unmount(FakeMountd *f, const char *target);
/* As mount --move does: the ID stays. */
void fake_mountd_move(FakeMountd *f, const char *target, const char *to);
/* From now on mountinfo shows SUPER as the options of the filesystem, instead of "rw". */
void fake_mountd_set_super(FakeMountd *f, const char *target, const char *super);
/* From now on the filesystem answers with the error ERRNUM. */
void fake_mountd_break(FakeMountd *f, const char *target, int errnum);
/* Tells of an error of the filesystem, as the kernel does. */
void fake_mountd_tell_error(FakeMountd *f, const char *target, int errnum);
bool fake_mountd_is_mounted(const FakeMountd *f, const char *target);
