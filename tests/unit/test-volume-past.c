/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "macro.h"
#include "scene.h"

/* When a volume that could not be mounted is tried again. */

static const FakeAnswer in_progress = { .kind = FAKE_ERROR,
                                        .error = "InProgress",
                                        .message = "A request for this volume is at work" };
static const FakeAnswer unreadable = { .kind = FAKE_FAILURE,
                                       .error = "MountFailed",
                                       .step = "mount",
                                       .errnum = EIO,
                                       .message = "Cannot read its superblock" };

/* How long after the latest answer the next attempt is set, in whole seconds. */
static unsigned pause_of(const Scene *s)
{
        const Volume *v = scene_volume(s, "data");

        ASSERT(v->retry);
        return (unsigned)((v->past.retry_usec - fake_mountd_last(s->mountd)->usec) / USEC_PER_SEC);
}

static void test_pauses_double(void)
{
        static const unsigned pauses[] = { 10, 20, 40, 60, 60 };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetrySec=10\nRetryLimit=5\n");
        for (unsigned i = 0; i < 7; i++)
                fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        for (unsigned i = 0; i < ELEMENTSOF(pauses); i++) {
                ASSERT_EQ(fake_mountd_count_all(s->mountd), i + 1);
                ASSERT_EQ(pause_of(s), pauses[i]);
                scene_look_again(s); /* a look before the time does nothing */
                ASSERT_EQ(fake_mountd_count_all(s->mountd), i + 1);
                ASSERT_STATE(s, "data", "failed");
                scene_hasten(s, "data");
        }

        ASSERT_EQ(fake_mountd_count_all(s->mountd), 6);
        ASSERT(!scene_volume(s, "data")->retry);
        scene_look_again(s);
        scene_plug(s, 1, 7, UUID_A); /* a synthetic event is no replug */
        scene_settle(s);
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 6);
        ASSERT_STATE(s, "data", "failed");
}

static void test_the_timer_tries_again(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        unsigned tries = SCENE_TRIES;

        scene_configure(s, "data", UUID_A, "RetrySec=100ms\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        while (scene_volume(s, "data")->state != VOLUME_MOUNTED)
                ASSERT(scene_wait(s, &tries));
        ASSERT_CALLS(s, 0, 3, 0, 0);
}

static void test_no_retries_when_none_are_wanted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT(!scene_volume(s, "data")->retry);
}

static void test_replug_starts_afresh(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_reload_starts_afresh(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_unplugged_while_waiting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        if (scene_volume(s, "data")->retry)
                scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_in_progress_is_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        for (unsigned i = 0; i < 3; i++)
                fake_mountd_answer(s->mountd, FAKE_MOUNT, in_progress);
        scene_start_with_device(s);
        for (unsigned i = 0; i < 3; i++) {
                ASSERT_CALLS(s, 0, i + 1, 0, 0);
                ASSERT_STATE(s, "data", "mounting");
                ASSERT_FAILURE(s, "data", "");
                ASSERT_EQ(scene_volume(s, "data")->past.attempts, 0);
                ASSERT(!volume_is_at_rest(scene_volume(s, "data")));
                scene_look_again(s);
                ASSERT_CALLS(s, 0, i + 1, 0, 0);
                scene_hasten(s, "data");
        }
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 4, 0, 0);
}

static void test_unmount_in_progress_is_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
        for (unsigned i = 0; i < 3; i++)
                fake_mountd_answer(s->mountd, FAKE_UNMOUNT, in_progress);
        scene_unplug(s, 1);
        scene_settle(s);
        for (unsigned i = 0; i < 3; i++) {
                ASSERT_STATE(s, "data", "lost");
                ASSERT_CALLS(s, 0, 1, i + 1, 0);
                scene_hasten(s, "data");
        }
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 4, 0);
}

static void test_replugged_while_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, in_progress);
        scene_start_with_device(s);
        scene_unplug(s, 1);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

TEST_MAIN(TEST(pauses_double), TEST(the_timer_tries_again), TEST(no_retries_when_none_are_wanted),
          TEST(replug_starts_afresh), TEST(reload_starts_afresh), TEST(unplugged_while_waiting),
          TEST(in_progress_is_put_off), TEST(unmount_in_progress_is_put_off),
          TEST(replugged_while_put_off))
