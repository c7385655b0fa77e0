/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes through all volumes: events, the connection, and what systemd is told. What
 * manager_start() does with udev and mountd's real socket is for the system tests. */

#include <errno.h>
#include <stdio.h>

#include "macro.h"
#include "scene.h"
#include "text.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer drop = { .kind = FAKE_DROP };
static const FakeAnswer unreadable = { .kind = FAKE_FAILURE,
                                       .error = "MountFailed",
                                       .step = "probe",
                                       .errnum = EIO,
                                       .message = "Cannot read it" };

/* Events. */

static void test_copies_of_an_event(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        for (unsigned i = 0; i < 4; i++)
                scene_event(s, 1, 10, scene_device(1, 7, UUID_A));
        scene_settle(s);
        for (unsigned i = 0; i < 4; i++) {
                scene_event(s, 1, 10, scene_device(1, 7, UUID_A));
                scene_settle(s);
        }
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_copies_while_at_work(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start(s);
        for (unsigned i = 0; i < 8; i++) {
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
        }
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_late_events(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_event(s, 1, 10, scene_device(1, 7, UUID_A));
        scene_settle(s);
        scene_event(s, 1, 9, NULL);
        scene_event(s, 1, 8, scene_device(1, 7, UUID_B));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* Of two udevds one lags: it tells of a disk after the other has told of its end. */
static void test_late_event_of_a_device_that_went(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_event(s, 1, 10, scene_device(1, 7, UUID_A));
        scene_event(s, 1, 11, NULL);
        scene_settle(s);
        scene_event(s, 1, 10, scene_device(1, 7, UUID_A));
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 0, 0, 0);
        scene_event(s, 1, 12, scene_device(1, 8, UUID_A));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_a_burst_is_one_step(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        for (unsigned i = 0; i < 20; i++) {
                scene_plug(s, 1, 7 + i, UUID_A);
                scene_unplug(s, 1);
        }
        scene_plug(s, 1, 100, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT_EQ(fake_mountd_last(s->mountd)->diskseq, 100);
}

static void test_others_devices_are_left_alone(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_B);
        scene_settle(s);
        scene_unplug(s, 1);
        scene_unplug(s, 9); /* never heard of */
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
}

/* Events were lost, and an enumeration tells what is there. */
static void test_scan(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        scene_configure(s, "third", UUID_C, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        manager_begin_scan(s->manager);
        scene_event(s, 2, 0, scene_device(2, 8, UUID_B));
        scene_event(s, 3, 0, scene_device(3, 9, UUID_C));
        manager_end_scan(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_STATE(s, "other", "mounted");
        ASSERT_STATE(s, "third", "mounted");
        ASSERT_CALLS(s, 0, 3, 1, 0);
        ASSERT_EQ(devices_count(manager_devices(s->manager)), 2);
}

/* What is mounted is not probed anew, but it is there. */
static void test_scan_of_what_was_probed(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 1, 1, 0, 0);
        manager_begin_scan(s->manager);
        scene_event(s, 1, 0, scene_device(1, 7, NULL));
        manager_end_scan(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 1, 1, 0, 0);
}

static void test_scan_while_at_work(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_plug(s, 2, 8, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounting");
        ASSERT_STATE(s, "other", "probing");
        manager_begin_scan(s->manager);
        manager_end_scan(s->manager); /* nothing is left */
        scene_settle(s);
        ASSERT_STATE(s, "other", "absent");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 1, 1, 1, 0);
}

/* Many. */

static void test_fifty_at_once(void)
{
        enum {
                N = 50
        };
        _cleanup_(scene_freep) Scene *s = scene_new();
        char name[16], uuid[64];

        for (unsigned i = 0; i < N; i++) {
                (void)snprintf(name, sizeof(name), "v%02u", i);
                (void)snprintf(uuid, sizeof(uuid), "aaaaaaaa-1111-4222-8333-0000000000%02u", i);
                scene_configure(s, name, uuid, "");
                fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        }
        scene_start(s);
        scene_settle(s);
        for (unsigned i = 0; i < N; i++) {
                (void)snprintf(uuid, sizeof(uuid), "aaaaaaaa-1111-4222-8333-0000000000%02u", i);
                scene_plug(s, i, i + 1, uuid);
        }
        scene_settle(s);
        ASSERT_CALLS(s, 0, N, 0, 0); /* all at once, not one after the other */
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_CALLS(s, 0, N, 0, 0);
        for (unsigned i = 0; i < N; i++) {
                (void)snprintf(name, sizeof(name), "v%02u", i);
                test_row(name);
                ASSERT_STATE(s, name, "mounted");
                ASSERT_EQ(scene_volume(s, name)->mount->devnum, FAKE_DEVNUM(i));
        }
        ASSERT_CONTAINS(s->heard, "STATUS=50 of 50 mounted\n");
}

static void test_two_volumes_on_one_device(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_STATE(s, "other", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

/* The connection. */

static void test_nothing_without_a_mountd(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        ASSERT_OK(manager_load(s->manager));
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_connection_lost_while_mounting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, drop);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT(!mountd_client_is_connected(manager_mountd(s->manager)));
        ASSERT_STATE(s, "data", "mounting");
        ASSERT_FAILURE(s, "data", "");

        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_EQ(scene_volume(s, "data")->past.attempts, 0);
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

/* It was mounted, but the answer never came. */
static void test_connection_lost_after_mounting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, drop);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 1);
}

static void test_connection_lost_while_idle(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        scene_plug(s, 2, 8, UUID_B); /* nobody there to mount it */
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_STATE(s, "other", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 1); /* the new one has to know the mount that was there */
}

/* Unmounted by somebody while the connection was away. */
static void test_mounts_change_while_disconnected(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
}

static void test_end_while_at_work(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_plug(s, 2, 8, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 1, 1, 0, 0); /* nothing of it is left behind: valgrind and the sanitizers */
}

/* What systemd is told. */

static void test_status(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        scene_configure(s, "third", UUID_C, "");
        scene_start(s);
        scene_settle(s);
        ASSERT_CONTAINS(s->heard, "STATUS=0 of 3 mounted, absent: data other third\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        ASSERT_CONTAINS(s->heard, "STATUS=1 of 3 mounted, absent: third, failed: data\n");
}

/* systemd hears READY=1 however many volumes there are. */
static void test_status_of_many(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        char name[61];

        for (unsigned i = 0; i < 200; i++) {
                (void)snprintf(name, sizeof(name), "%060u", i);
                scene_configure(s, name, UUID_A, "");
        }
        scene_start(s);
        ASSERT(manager_await_rest(s->manager) >= 0);
        scene_settle(s);
        ASSERT_CONTAINS(s->heard, "READY=1\n");
        ASSERT_CONTAINS(s->heard, "STATUS=0 of 200 mounted, absent: 0");
        ASSERT_CONTAINS(s->heard, "48 and 151 more\n");
        scene_configure(s, "other", UUID_B, "Auto=no\n");
        scene_reload(s);
        scene_plug(s, 1, 7, UUID_B);
        scene_settle(s);
        ASSERT_CONTAINS(s->heard, "48 and 151 more, unmounted: 1\n");
}

static unsigned count_heard(const Scene *s, const char *what)
{
        unsigned n = 0;

        for (const char *p = s->heard; (p = strstr(p, what)); p++)
                n++;
        return n;
}

static void test_reload_is_announced(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *reloading, *ready;

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        ASSERT(manager_await_rest(s->manager) >= 0);
        scene_settle(s);
        ASSERT_EQ(count_heard(s, "READY=1"), 1);
        ASSERT(!strstr(s->heard, "RELOADING=1"));
        scene_configure(s, "data", UUID_A, "Check=perhaps\n"); /* READY on every path */
        scene_reload(s);
        reloading = strstr(s->heard, "RELOADING=1\nMONOTONIC_USEC=");
        ASSERT(reloading);
        ASSERT(strspn(reloading + strlen("RELOADING=1\nMONOTONIC_USEC="), DIGITS) > 3);
        ready = strstr(reloading, "READY=1\nSTATUS=0 of 1 mounted");
        ASSERT(ready);
        ASSERT_EQ(count_heard(s, "READY=1"), 2);
}

/* systemd would take the answer to a reload for the end of the start. */
static void test_reload_before_ready(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start(s);
        ASSERT(manager_await_rest(s->manager) >= 0);
        scene_configure(s, "data", UUID_A, "");
        scene_plug(s, 1, 7, UUID_A);
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounting");
        scene_reload(s);
        ASSERT_EQ(manager_view(s->manager)->state, MANAGER_STARTING);
        ASSERT_EQ(count_heard(s, "RELOADING=1"), 0);
        ASSERT_EQ(count_heard(s, "READY=1"), 0);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_EQ(count_heard(s, "READY=1"), 1);
        ASSERT_EQ(manager_view(s->manager)->state, MANAGER_RUNNING);
        scene_reload(s);
        ASSERT_EQ(count_heard(s, "RELOADING=1"), 1);
        ASSERT_EQ(count_heard(s, "READY=1"), 2);
}

/* A target's jobs may take their time. */
static void test_ready_does_not_wait_for_targets(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_TARGET, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        ASSERT(manager_await_rest(s->manager) >= 0);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT(manager_is_ready(s->manager));
        ASSERT_EQ(count_heard(s, "READY=1\nSTATUS=1 of 1 mounted"), 1);
}

static void test_not_ready_without_a_start(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT(!manager_is_ready(s->manager));
        ASSERT(!strstr(s->heard, "READY=1"));
}

TEST_MAIN(TEST(copies_of_an_event), TEST(copies_while_at_work), TEST(late_events),
          TEST(late_event_of_a_device_that_went), TEST(a_burst_is_one_step),
          TEST(others_devices_are_left_alone), TEST(scan), TEST(scan_of_what_was_probed),
          TEST(scan_while_at_work), TEST(fifty_at_once), TEST(two_volumes_on_one_device),
          TEST(nothing_without_a_mountd), TEST(connection_lost_while_mounting),
          TEST(connection_lost_after_mounting), TEST(connection_lost_while_idle),
          TEST(mounts_change_while_disconnected), TEST(end_while_at_work), TEST(status),
          TEST(status_of_many), TEST(reload_is_announced), TEST(reload_before_ready),
          TEST(ready_does_not_wait_for_targets), TEST(not_ready_without_a_start))
