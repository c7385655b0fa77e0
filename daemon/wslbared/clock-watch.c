/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "clock-watch.h"
#include "macro.h"

struct ClockWatch {
        uint64_t quiet_usec;
        ClockWatchSet set;
        void *userdata;
        int fd; /* a timer that never expires, and is cancelled instead */
        sd_event_source *io;
        sd_event_source *quiet;
};

static int arm(int fd)
{
        const struct itimerspec never = {
                .it_value.tv_sec = sizeof(time_t) > 4 ? (time_t)INT64_MAX : INT32_MAX,
        };
        int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

        return timerfd_settime(fd, flags, &never, NULL) < 0 ? -errno : 0;
}

static int on_quiet(sd_event_source *s, uint64_t usec, void *userdata)
{
        ClockWatch *w = userdata;

        return sd_event_source_set_enabled(w->io, SD_EVENT_ON);
}

/* While it is quiet the event stays where it is, and many become one. */
static int on_set(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        ClockWatch *w = userdata;
        uint64_t n;
        int r;

        (void)read(fd, &n, sizeof(n)); /* ECANCELED */
        r = arm(fd);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_time_relative(w->quiet, w->quiet_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->quiet, SD_EVENT_ONESHOT);
        if (r >= 0)
                w->set(w->userdata);
        return r;
}

int clock_watch_new(sd_event *event, uint64_t quiet_usec, ClockWatchSet set, void *userdata,
                    ClockWatch **ret)
{
        ClockWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->quiet_usec = quiet_usec;
        w->set = set;
        w->userdata = userdata;
        w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        r = w->fd < 0 ? -errno : arm(w->fd);
        if (r >= 0)
                r = sd_event_add_io(event, &w->io, w->fd, EPOLLIN, on_set, w);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &w->quiet, CLOCK_MONOTONIC, 0, 0, on_quiet,
                                               w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->quiet, SD_EVENT_OFF);
        if (r < 0) {
                clock_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

ClockWatch *clock_watch_free(ClockWatch *w)
{
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->io);
        sd_event_source_disable_unref(w->quiet);
        close_fd(w->fd);
        free(w);
        return NULL;
}
