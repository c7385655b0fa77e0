/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel's own word that the clock was set, which a nanosecond is enough for. */

#include <errno.h>
#include <sys/timex.h>
#include <time.h>

#include "clock-watch.h"
#include "macro.h"
#include "test.h"

#define QUIET_USEC (300 * USEC_PER_MSEC)

static sd_event *event;
static unsigned n_set;

static void on_set(void *userdata)
{
        n_set++;
}

static ClockWatch *begin(void)
{
        ClockWatch *w;

        n_set = 0;
        event = sd_event_unref(event);
        ASSERT(sd_event_new(&event) >= 0);
        ASSERT_OK(clock_watch_new(event, QUIET_USEC, on_set, &n_set, &w));
        return w;
}

static void settle(void)
{
        while (sd_event_run(event, 0) > 0)
                ;
}

/* Sets it, and back. */
static void set_clock(void)
{
        struct timex forth = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { 0, 1 } };
        struct timex back = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { -1, 999999999 } };

        if (adjtimex(&forth) < 0 && errno == EPERM)
                test_skip("not allowed to set the clock");
        ASSERT(adjtimex(&back) >= 0);
}

static uint64_t now_usec(void)
{
        struct timespec t;

        ASSERT_OK(clock_gettime(CLOCK_MONOTONIC, &t));
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void test_nothing_happens(void)
{
        ClockWatch *w = begin();

        settle();
        ASSERT_EQ(n_set, 0);
        clock_watch_free(w);
}

/* The first at once, all others within the pause as one. */
static void test_set(void)
{
        ClockWatch *w = begin();
        uint64_t first;

        settle();
        set_clock();
        first = now_usec();
        settle();
        ASSERT_EQ(n_set, 1);
        while (n_set < 2) {
                set_clock();
                ASSERT(sd_event_run(event, 20 * USEC_PER_MSEC) >= 0);
                ASSERT(now_usec() - first < 20 * USEC_PER_SEC);
        }
        ASSERT(now_usec() - first >= QUIET_USEC);
        clock_watch_free(w);
}

/* When the pause is over, and nothing happened in it, nothing is told. */
static void test_set_once(void)
{
        ClockWatch *w = begin();
        uint64_t first = now_usec();

        set_clock();
        while (now_usec() - first < 2 * QUIET_USEC)
                ASSERT(sd_event_run(event, QUIET_USEC) >= 0);
        ASSERT_EQ(n_set, 1);
        clock_watch_free(w);
}

TEST_MAIN(TEST(nothing_happens), TEST(set), TEST(set_once))
