/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "hotplug.h"

/* Hotplug in the loop: events first, then what is there already, both to the one handler. */

typedef struct MonitorHandler {
        /* May take e->device. */
        void (*event)(HotplugEvent *e, void *userdata);
        /* udevd has nothing to do any more, or does not run, or is at it for 180 s: devices that it
         * has not looked at by now are not to be waited for. */
        void (*udev_is_idle)(void *userdata);
        /* Events may have been missed, and those that were not have been handed on:
         * monitor_enumerate(). 0, or -errno: then it is called again after a while. */
        int (*missed)(void *userdata);
        void *userdata;
} MonitorHandler;

typedef struct Monitor Monitor;

int monitor_new(sd_event *event, const MonitorHandler *handler, Monitor **ret);
Monitor *monitor_free(Monitor *m);

/* Follows udevd, as that comes or goes. */
HotplugSource monitor_source(const Monitor *m);

/* Calls the handler for each device that is there. */
int monitor_enumerate(Monitor *m);

/* Asks to be told once udevd is idle: from now on its queue was empty twice, 100 ms apart; or what
 * else MonitorHandler names. */
int monitor_watch_udev(Monitor *m);
