/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

/* Block devices as udev and the kernel tell of them. The one home of libudev. No loop: the owner
 * waits on the descriptor. */

typedef enum HotplugSource {
        HOTPLUG_UDEV,   /* udevd's broadcasts, with what it found out */
        HOTPLUG_KERNEL, /* the kernel's own, where no udevd runs: content is unknown */
} HotplugSource;

const char *hotplug_source_to_string(HotplugSource s);

typedef struct HotplugEvent {
        dev_t devnum;
        uint64_t seqnum; /* copies of one event share it; 0 when enumerated */
        bool gone;
        bool settled;   /* udev has looked at the device: what DEVICE says of its content holds */
        Device *device; /* NULL when gone; the receiver may take it */
} HotplugEvent;

void hotplug_event_done(HotplugEvent *e);

typedef struct Hotplug Hotplug;

/* Whether a udevd runs here: it has its control socket. */
#define HOTPLUG_UDEV_DIRECTORY "/run/udev"
#define HOTPLUG_UDEV_CONTROL "control"
bool hotplug_udev_is_running(void);

/* Whether udevd has nothing left to do (/run/udev/queue is not there). */
bool hotplug_udev_is_idle(void);

/* Subscribes; so call it before hotplug_enumerate(). 0, -errno. */
int hotplug_new(HotplugSource source, Hotplug **ret);
Hotplug *hotplug_free(Hotplug *h);
static inline void hotplug_freep(Hotplug **h)
{
        hotplug_free(*h);
}

/* Becomes readable when there are events. */
int hotplug_fd(Hotplug *h);

/* The next event that is about a block device, *ret being the caller's to hotplug_event_done(). 1,
 * 0 none left, -errno: this one, or with -ENOBUFS who knows how many, is lost, so enumerate again.
 */
int hotplug_next(Hotplug *h, HotplugEvent *ret);

/* Calls FOUND, which may take e->device, for each block device there is, from sysfs and, where
 * RECORDS are of the devices of today, udev's database of this moment. 0, -errno, or the first
 * negative value that FOUND returned. */
typedef int (*HotplugFound)(HotplugEvent *e, void *userdata);
int hotplug_enumerate(bool records, HotplugFound found, void *userdata);

/* One of them by its number. 0, -ENODEV, -ENOMEM. */
int hotplug_lookup(dev_t devnum, HotplugEvent *ret);
