/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "job.h"
#include "macro.h"
#include "mounter.h"

/* What mountd is at: requests, each in a child of its own with a deadline, and among them those
 * that were given up and whose child does not end, as their disk does not answer. */

typedef enum RequestKind {
        REQUEST_PROBE,
        REQUEST_MOUNT,
        REQUEST_UNMOUNT,
        REQUEST_EJECT,
        REQUEST_ADOPT,
        REQUEST_SET_TARGET,
        REQUEST_TIDY,  /* our own, after a child that died */
        REQUEST_START, /* our own, before the first client */
} RequestKind;

typedef struct Requests Requests;

typedef struct Request {
        RequestKind kind;
        char *name;           /* of the volume that it is about, NULL none */
        VolumeConfig *config; /* of Mount and Adopt */
        dev_t devnum;         /* 0 none */
        uint64_t diskseq;
        bool flag;               /* Unmount: lazily; SetTarget: active */
        sd_bus_message *message; /* to be answered; NULL when nobody waits */

        /* Once it is begun. */
        Requests *requests;
        Job *job;
        bool is_displaced;    /* it was given up for one that does not wait */
        bool leaves_work;     /* when it is gone, somebody is to tidy up */
        bool is_done;         /* with one: its child only ends */
        uint64_t killed_usec; /* CLOCK_MONOTONIC, when it was given up; 0 it was not */
        bool hangs;           /* although it was */
        struct Request *next;
} Request;

/* NULL when out of memory. What else it is about is then filled in. */
Request *request_new(RequestKind kind, const char *name);
Request *request_free(Request *q);
DEFINE_CLEANUP(Request *, request_free)

typedef struct RequestsHandler {
        /* Once for each; the report says how it went, or that its child did not live to tell. NULL:
         * there is no memory to say anything. Q stays until its child is no more; its message is
         * dropped next. */
        void (*done)(const Request *q, const Report *report, void *userdata);
        void (*step)(const Request *q, FailureStep step, void *userdata);
        void (*percent)(const Request *q, unsigned percent, void *userdata);
        void (*tell_status)(const char *status); /* as in ServiceOptions */
        void *userdata;
} RequestsHandler;

/* MOUNTER: for the children, with the descriptor that they inherit, and without callbacks. What it
 * and CONFIG point to must live as long. */
int requests_new(sd_event *event, const Mounter *mounter, const ConfigSource *config,
                 const RequestsHandler *handler, Requests **ret);
/* Kills what is at work; nobody is told. */
Requests *requests_free(Requests *rs);
DEFINE_CLEANUP(Requests *, requests_free)

/* Those whose child is there. */
unsigned requests_count(const Requests *rs);
/* One of the same NAME for which Q, which is not begun yet, would have to wait; NULL none. What
 * needs no disk, as it takes a mount away lazily or stops its target, waits for none that was given
 * up, which can do nothing any more, and requests_start() ends a Mount or Adopt for it. But where
 * such a one was given up itself, another would fare no better. */
const Request *requests_find_in_way(const Requests *rs, const Request *q);
/* One that was given up and still sits on this disk: whoever else looks at it would hang as well.
 */
const Request *requests_find_given_up(const Requests *rs, dev_t devnum, uint64_t diskseq);

/* Begins Q, which is then taken. 0, -errno. */
int requests_start(Requests *rs, Request *q);
/* Same, of what nobody asked for: a failure was said. */
int requests_start_own(Requests *rs, RequestKind kind, const char *name);

/* Nobody waits any more: all but our own are given up. */
void requests_give_up_all(Requests *rs);
