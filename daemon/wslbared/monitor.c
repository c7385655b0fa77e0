/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <time.h>

#include "dir-watch.h"
#include "log.h"
#include "macro.h"
#include "monitor.h"

/* Between an event's arrival at udevd and its queue file there is a moment in which it looks idle.
 */
#define IDLE_CHECK_USEC (100 * USEC_PER_MSEC)
#define IDLE_CHECKS 2
/* udevd itself gives an event 180 s. What was killed with one leaves its queue file behind. */
#define BUSY_CHECKS_MAX (180 * USEC_PER_SEC / IDLE_CHECK_USEC)

/* Until a look at all devices that failed, for want of memory or descriptors, is taken again. */
#define SCAN_AGAIN_USEC (5 * USEC_PER_SEC)

struct Monitor {
        sd_event *event;
        MonitorHandler handler;
        DirWatch *udev;
        Hotplug *hotplug;
        HotplugSource source;
        bool records_are_current;
        sd_event_source *io;
        sd_event_source *idle_check;
        sd_event_source *scan_again;
        unsigned n_idle, n_busy;
};

HotplugSource monitor_source(const Monitor *m)
{
        return m->source;
}

static int on_found(HotplugEvent *e, void *userdata)
{
        Monitor *m = userdata;

        m->handler.event(e, m->handler.userdata);
        return 0;
}

int monitor_enumerate(Monitor *m)
{
        return hotplug_enumerate(m->records_are_current, on_found, m);
}

static void look_at_all(Monitor *m);

static int on_scan_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        Monitor *m = userdata;

        m->scan_again = sd_event_source_disable_unref(m->scan_again);
        look_at_all(m);
        return 0;
}

static void look_at_all(Monitor *m)
{
        int r = m->handler.missed(m->handler.userdata);

        if (r >= 0) {
                m->records_are_current = m->source == HOTPLUG_UDEV;
                return;
        }
        (void)log_error(r, "Cannot enumerate devices: %s; trying again later", strerror(-r));
        if (m->scan_again)
                return;
        r = sd_event_add_time_relative(m->event, &m->scan_again, CLOCK_MONOTONIC, SCAN_AGAIN_USEC,
                                       0, on_scan_again, m);
        if (r < 0)
                (void)log_error(r, "Cannot set a timer: %s", strerror(-r));
}

static int on_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Monitor *m = userdata;
        int r, error = 0;

        /* The kernel tells of a loss first, and then hands out what came before it. */
        do {
                _cleanup_(hotplug_event_done) HotplugEvent e = { 0 };

                r = hotplug_next(m->hotplug, &e);
                if (r > 0)
                        m->handler.event(&e, m->handler.userdata);
                if (r < 0)
                        error = r;
        } while (r != 0);
        if (error == 0)
                return 0;
        log_notice("Device events were lost (%s); looking at all devices again", strerror(-error));
        look_at_all(m);
        return 0;
}

static int on_idle_check(sd_event_source *s, uint64_t usec, void *userdata)
{
        Monitor *m = userdata;

        if (m->source == HOTPLUG_KERNEL || hotplug_udev_is_idle() || m->n_busy >= BUSY_CHECKS_MAX)
                m->n_idle++;
        else {
                m->n_idle = 0;
                m->n_busy++;
        }
        if (m->n_idle < IDLE_CHECKS) {
                int r = sd_event_source_set_time_relative(s, IDLE_CHECK_USEC);

                return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        }
        m->idle_check = sd_event_source_disable_unref(m->idle_check);
        m->n_idle = 0;
        m->handler.udev_is_idle(m->handler.userdata);
        return 0;
}

int monitor_watch_udev(Monitor *m)
{
        m->n_idle = m->n_busy = 0;
        if (m->idle_check)
                return 0;
        return sd_event_add_time_relative(m->event, &m->idle_check, CLOCK_MONOTONIC, 0,
                                          USEC_PER_MSEC, on_idle_check, m);
}

static HotplugSource current_source(void)
{
        return hotplug_udev_is_running() ? HOTPLUG_UDEV : HOTPLUG_KERNEL;
}

/* Replaces what is listened to; on failure it stays. */
static int listen_to(Monitor *m, HotplugSource source)
{
        _cleanup_(hotplug_freep) Hotplug *hotplug = NULL;
        sd_event_source *io = NULL;
        int r = hotplug_new(source, &hotplug);

        if (r >= 0)
                r = sd_event_add_io(m->event, &io, hotplug_fd(hotplug), EPOLLIN, on_event, m);
        if (r < 0)
                return r;
        sd_event_source_disable_unref(m->io);
        hotplug_free(m->hotplug);
        m->io = io;
        m->hotplug = TAKE_PTR(hotplug);
        m->source = source;
        m->records_are_current = source == HOTPLUG_UDEV;
        return 0;
}

static void on_udev_changed(const char *name, void *userdata)
{
        Monitor *m = userdata;
        HotplugSource source = current_source();
        int r;

        if (source == m->source)
                return;
        log_notice("%s; device events come from %s now",
                   source == HOTPLUG_UDEV ? "udevd runs" : "udevd does not run any more",
                   source == HOTPLUG_UDEV ? "it" : "the kernel");
        r = listen_to(m, source);
        if (r < 0)
                (void)log_error(r, "Cannot listen to device events anew: %s", strerror(-r));
        /* A udevd that went leaves its database behind, and one that comes finds that: what it says
         * may be of what the devices were before. */
        m->records_are_current = false;
        look_at_all(m);
}

int monitor_new(sd_event *event, const MonitorHandler *handler, Monitor **ret)
{
        Monitor *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->handler = *handler;
        r = dir_watch_new(event, HOTPLUG_UDEV_DIRECTORY, on_udev_changed, m, &m->udev);
        if (r >= 0)
                r = listen_to(m, current_source());
        if (r < 0) {
                monitor_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

Monitor *monitor_free(Monitor *m)
{
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->io);
        sd_event_source_disable_unref(m->idle_check);
        sd_event_source_disable_unref(m->scan_again);
        hotplug_free(m->hotplug);
        dir_watch_free(m->udev);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
