/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What comes of events, with a hotplug that does what the test says. */
#include "../../daemon/wslbared/monitor.c"

#include <sys/eventfd.h>

#include "test.h"

struct Hotplug {
        int fd;
};

static bool is_idle;      /* udevd */
static int next[8];       /* what hotplug_next() returns, until 0 */
static int missed_result; /* what the handler of missed events returns */
static unsigned n_next, n_events, n_idle, n_missed;

bool hotplug_udev_is_running(void)
{
        return true;
}

bool hotplug_udev_is_idle(void)
{
        return is_idle;
}

void hotplug_event_done(HotplugEvent *e)
{
}

int hotplug_new(HotplugSource source, Hotplug **ret)
{
        *ret = calloc(1, sizeof(**ret));
        ASSERT(*ret);
        (*ret)->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ASSERT((*ret)->fd >= 0);
        return 0;
}

Hotplug *hotplug_free(Hotplug *h)
{
        if (h)
                close_fd(h->fd);
        free(h);
        return NULL;
}

int hotplug_fd(Hotplug *h)
{
        return h->fd;
}

int hotplug_next(Hotplug *h, HotplugEvent *ret)
{
        eventfd_t n;

        if (next[n_next] == 0)
                (void)eventfd_read(h->fd, &n);
        return next[n_next] == 0 ? 0 : next[n_next++];
}

int hotplug_enumerate(bool records, HotplugFound found, void *userdata)
{
        return 0;
}

static void on_hotplug(HotplugEvent *e, void *userdata)
{
        n_events++;
}

static void on_idle(void *userdata)
{
        n_idle++;
}

static int on_missed(void *userdata)
{
        n_missed++;
        return missed_result;
}

static Monitor *start(sd_event **ret_event)
{
        const MonitorHandler handler = { on_hotplug, on_idle, on_missed, NULL };
        Monitor *m;

        log_set_level(LOG_EMERG);
        n_next = n_events = n_idle = n_missed = 0;
        missed_result = 0;
        ASSERT(sd_event_new(ret_event) >= 0);
        ASSERT_OK(monitor_new(*ret_event, &handler, &m));
        return m;
}

static void settle(sd_event *event)
{
        while (sd_event_run(event, 0) > 0)
                ;
}

static void send(Monitor *m, const int *results, size_t n)
{
        memset(next, 0, sizeof(next));
        memcpy(next, results, n * sizeof(*results));
        n_next = 0;
        ASSERT_OK(eventfd_write(m->hotplug->fd, 1));
        settle(m->event);
}

static void end(Monitor *m, sd_event *event)
{
        monitor_free(m);
        sd_event_unref(event);
}

static void test_lost_events(void)
{
        static const struct {
                const char *row;
                int results[3];
                unsigned n_events, n_missed;
        } rows[] = {
                { "none", { 1, 1 }, 2, 0 },
                { "by the kernel", { -ENOBUFS, 1, 1 }, 2, 1 },
                { "one, by us", { 1, -EMFILE, 1 }, 2, 1 },
                { "all, by us", { -ENOMEM, -ENOMEM, -ENOMEM }, 0, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                sd_event *event;
                Monitor *m = start(&event);

                test_row(rows[i].row);
                send(m, rows[i].results, ELEMENTSOF(rows[i].results));
                ASSERT_EQ(n_events, rows[i].n_events);
                ASSERT_EQ(n_missed, rows[i].n_missed);
                ASSERT(!m->scan_again);
                end(m, event);
        }
}

/* The look at all devices fails for the same reason. */
static void test_looks_again(void)
{
        static const int lost[] = { -EMFILE };
        sd_event *event;
        Monitor *m = start(&event);

        missed_result = -EMFILE;
        for (unsigned i = 1; i <= 2; i++) {
                send(m, lost, 1);
                ASSERT_EQ(n_missed, i);
                ASSERT(m->scan_again);
        }
        missed_result = 0;
        ASSERT(sd_event_source_set_time(m->scan_again, 0) >= 0);
        settle(event);
        ASSERT_EQ(n_missed, 3);
        ASSERT(!m->scan_again);
        end(m, event);
}

/* Asked for in between, it is waited for anew. */
static void test_udev_is_idle(void)
{
        sd_event *event;
        Monitor *m = start(&event);

        is_idle = false;
        ASSERT_OK(monitor_watch_udev(m));
        settle(event);
        for (unsigned i = 0; i < 2; i++) {
                is_idle = i > 0;
                ASSERT(sd_event_source_set_time(m->idle_check, 0) >= 0);
                settle(event);
                ASSERT_EQ(m->n_idle, i);
        }
        ASSERT_OK(monitor_watch_udev(m));
        for (unsigned i = 0; i < 2; i++) {
                ASSERT_EQ(n_idle, 0);
                ASSERT(sd_event_source_set_time(m->idle_check, 0) >= 0);
                settle(event);
        }
        ASSERT_EQ(n_idle, 1);
        ASSERT(!m->idle_check);
        end(m, event);
}

/* It was killed with an event in hand, and its queue file stays; or it was stopped since. */
static void test_udev_is_never_idle(void)
{
        for (unsigned stopped = 0; stopped < 2; stopped++) {
                sd_event *event;
                Monitor *m = start(&event);

                is_idle = false;
                ASSERT_OK(monitor_watch_udev(m));
                settle(event);
                ASSERT_EQ(m->n_busy, 1);
                if (stopped)
                        m->source = HOTPLUG_KERNEL;
                else
                        m->n_busy = BUSY_CHECKS_MAX;
                for (unsigned i = 0; i < 2; i++) {
                        ASSERT_EQ(n_idle, 0);
                        ASSERT(sd_event_source_set_time(m->idle_check, 0) >= 0);
                        settle(event);
                }
                ASSERT_EQ(n_idle, 1);
                ASSERT(!m->idle_check);
                end(m, event);
        }
}

TEST_MAIN(TEST(lost_events), TEST(looks_again), TEST(udev_is_idle), TEST(udev_is_never_idle))
