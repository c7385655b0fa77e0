/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A volume is absent, and there is a disk that is nobody's: when that is said. */

#include "macro.h"
#include "scene.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };

static void start(Scene *s)
{
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        ASSERT(manager_await_rest(s->manager) >= 0);
        scene_settle(s);
        ASSERT(manager_is_ready(s->manager));
}

static bool is_hinted(const Scene *s)
{
        return scene_volume(s, "data")->is_hinted;
}

static void test_disk_of_nobody(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        start(s);
        ASSERT(!is_hinted(s));
        scene_plug(s, 1, 7, UUID_B);
        scene_settle(s);
        ASSERT(is_hinted(s));
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT(!is_hinted(s)); /* the next absence is another one */
}

/* Without udevd only a probe tells whose it is; and what is probed later is no reason to say it
 * again. */
static void test_disk_that_is_probed(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        start(s);
        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_B);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT(is_hinted(s));
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_plug(s, 2, 8, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "probing");
        ASSERT(is_hinted(s));
}

static void test_lost(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT(is_hinted(s));
}

TEST_MAIN(TEST(disk_of_nobody), TEST(disk_that_is_probed), TEST(lost))
