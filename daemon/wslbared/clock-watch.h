/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

/* Tells that the clock was set: by a person, by what keeps it right, and by the kernel when the
 * machine was suspended, or the virtual machine was. */

typedef void (*ClockWatchSet)(void *userdata);

typedef struct ClockWatch ClockWatch;

/* SET is called at once, and then again no sooner than QUIET_USEC later: once, if the clock was set
 * meanwhile. */
int clock_watch_new(sd_event *event, uint64_t quiet_usec, ClockWatchSet set, void *userdata,
                    ClockWatch **ret);
ClockWatch *clock_watch_free(ClockWatch *w);
