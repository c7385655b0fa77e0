/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody else unmounts, and when that is undone. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "shared.h"
#include "text.h"

static const FakeAnswer unreadable = { .kind = FAKE_FAILURE,
                                       .error = "MountFailed",
                                       .step = "mount",
                                       .errnum = EIO,
                                       .message = "Cannot read its superblock" };

static void test_foreign_unmount_is_respected(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(!fake_mountd_last(s->mountd)->lazy);

        scene_look_again(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);

        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 0);
}

/* Unmounted, and something else is in its place: not ours to touch. */
static void unmount_by_others(Scene *s, const char *where)
{
        fake_mountd_unmount(s->mountd, where);
        scene_look_again(s);
        scene_settle(s);
}

/* Three times within a minute it is mounted again, then no more. */
static void test_kept_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "KeepMounted=yes\n");
        for (unsigned i = 1; i <= 3; i++) {
                unmount_by_others(s, "/mnt/data");
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 1 + i, 0, 0);
                ASSERT_TARGET(s, 1 + i, i); /* what needs it is stopped in between */
        }
        unmount_by_others(s, "/mnt/data");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 4, 1, 0);
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");

        scene_unplug(s, 1);
        scene_settle(s);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* Nor more often where mountd dies each time, having mounted it. */
static void test_kept_mounted_while_mountd_dies(void)
{
        static const FakeAnswer drop = { .kind = FAKE_DROP };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "KeepMounted=yes\n");
        for (unsigned i = 1; i <= 3; i++) {
                fake_mountd_answer(s->mountd, FAKE_MOUNT, drop);
                unmount_by_others(s, "/mnt/data");
                (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4",
                                        "/dev/fake1");
                scene_connect(s);
                scene_settle(s);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 1 + i, 0, i);
        }
        unmount_by_others(s, "/mnt/data");
        ASSERT_STATE(s, "data", "unmounted");
}

static void test_kept_mounted_after_failures(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "KeepMounted=yes\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        unmount_by_others(s, "/mnt/data");
        ASSERT_STATE(s, "data", "failed");
        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 3, 0, 0);

        /* The device goes before it is mounted again. */
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        unmount_by_others(s, "/mnt/data");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 4, 1, 0);
}

/* Somebody asked for it once; a restart later it is kept all the same. */
static void test_kept_mounted_with_auto_no(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *text =
                "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=/mnt/new\nAuto=no\nKeepMounted=yes\n";

        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");
        scene_start_with_data(s, "Auto=no\nKeepMounted=yes\n");
        ASSERT_STATE(s, "data", "mounted");
        unmount_by_others(s, "/mnt/data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 1);

        scene_write(s, "data", text); /* on another target, too */
        manager_reload(s->manager);
        unmount_by_others(s, "/mnt/data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 1);
}

static void test_kept_mounted_on_another_target(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *text = "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=/mnt/new\nKeepMounted=yes\n";

        scene_start_with_data(s, "KeepMounted=yes\n");
        scene_write(s, "data", text);
        manager_reload(s->manager);
        unmount_by_others(s, "/mnt/data");
        ASSERT_CALLS(s, 0, 2, 1, 0); /* what was made for the old one is tidied up */
        ASSERT_STATE(s, "data", "mounted");
}

static void configure_shared(Scene *s, const char *extra)
{
        _cleanup_free_ char *text = text_format(
                "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=%s/data\n%s", s->shared, extra);

        fake_mountd_set_root(s->mountd, s->shared);
        scene_write(s, "data", text);
}

/* Where all distributions share it, each one's shutdown unmounts it. */
static void test_kept_mounted_where_it_is_shared(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        _cleanup_free_ char *where = text_format("%s/data", s->shared);

        configure_shared(s, "");
        scene_start_with_device(s);
        unmount_by_others(s, where);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
        configure_shared(s, "KeepMounted=no\n");
        manager_reload(s->manager);
        unmount_by_others(s, where);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 2, 1, 0);
}

/* What another one unmounted by intent. */
static void test_marked_is_left_alone(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        _cleanup_free_ char *where = text_format("%s/data", s->shared);
        const char *answer;

        if (geteuid() != 0)
                test_skip("marks are root's");
        configure_shared(s, "KeepMounted=yes\n");
        ASSERT_OK(shared_mark(s->shared, FAKE_DEVNUM(1), 7));
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 0, 0, 0);

        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        unmount_by_others(s, where);
        ASSERT_STATE(s, "data", "unmounted"); /* the request was before that */
        ASSERT_CALLS(s, 0, 1, 1, 0);

        scene_unplug(s, 1);
        scene_settle(s);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

TEST_MAIN(TEST(foreign_unmount_is_respected), TEST(kept_mounted),
          TEST(kept_mounted_while_mountd_dies), TEST(kept_mounted_after_failures),
          TEST(kept_mounted_with_auto_no), TEST(kept_mounted_on_another_target),
          TEST(kept_mounted_where_it_is_shared), TEST(marked_is_left_alone))
