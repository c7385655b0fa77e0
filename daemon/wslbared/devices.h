/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hotplug.h"
#include "mountd-client.h"

/* The table of block devices that are there, as events made it. */

typedef enum SeenKnowledge {
        SEEN_UNSETTLED, /* udev has not looked yet, and will */
        SEEN_UNKNOWN,   /* udev will not look: what it holds has to be probed, if anybody wants to
                           know */
        SEEN_PROBING,
        SEEN_SETTLED,
} SeenKnowledge;

typedef struct Devices Devices;

typedef struct Seen {
        Device *device;
        Device *before;      /* what was known of it, until it is looked at again; NULL nothing */
        uint64_t seqnum;     /* of the latest event */
        uint64_t generation; /* changes when another disk, or another content, is under this number
                              */
        uint64_t content; /* a digest of what is on it, as far as anybody ever looked; 0: nobody did
                           */
        uint64_t event_usec; /* the one that made it so, CLOCK_MONOTONIC */
        SeenKnowledge knowledge;
        bool missing;           /* not found yet by the enumeration that is at work */
        MountdCall *probe;      /* at work, however often events come meanwhile */
        bool is_probe_outdated; /* an event came since it was begun */
        uint64_t probe_usec;    /* not to be probed before, CLOCK_MONOTONIC */
        void *manager;          /* for the probe's callback */
} Seen;

int devices_new(Devices **ret);
Devices *devices_free(Devices *d);

size_t devices_count(const Devices *d);
Seen *devices_get(const Devices *d, size_t i);
Seen *devices_find(const Devices *d, dev_t devnum);
/* NULL also when DEVNUM is another disk by now. */
Seen *devices_find_same(const Devices *d, dev_t devnum, uint64_t diskseq);

/* What is known of it by now. While a device is looked at again that is what it was: else, of two
 * that fit, the one that is looked at first would fit alone for a moment, and be mounted. */
const Device *seen_known(const Seen *s);
/* Whether its content is part of that. */
bool seen_is_known(const Seen *s);

/* Whether what D is the content of, if it is that of an encrypted device, is there. */
bool devices_have_outer(const Devices *d, const Device *device);

typedef enum DevicesChange {
        DEVICES_NOTHING, /* a copy, or late: this event or a newer one was seen before */
        DEVICES_CHANGED,
        DEVICES_GONE,
} DevicesChange;

/* Takes over what E says (and E->device). *ret_old is what was known under its number before, now
 * the caller's; NULL nothing. Where nobody settled what the device holds, its knowledge becomes
 * UNSETTLED_IS. -ENOMEM, or a DevicesChange. */
int devices_apply(Devices *d, HotplugEvent *e, SeenKnowledge unsettled_is, uint64_t now_usec,
                  Device **ret_old);

/* An enumeration begins: what none of the events that follow is about went unheard. */
void devices_begin_scan(Devices *d);
/* It found the device, and nothing new. */
void devices_confirm(Devices *d, dev_t devnum);
/* It ended: takes out one of those that are missing, the caller's; NULL: none is left. */
Device *devices_take_missing(Devices *d);

/* Says what a probe found. 0 or -ENOMEM. */
int devices_set_content(Devices *devices, Seen *s, const MountdResult *r);
