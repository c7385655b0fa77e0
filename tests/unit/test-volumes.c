/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of volumes when their files come, change and go. */

#include "capture.h"
#include "log.h"
#include "macro.h"
#include "scene.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };

static void test_reload_adds(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_CONTAINS(s->heard, "STATUS=No volumes are configured\n");
        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_reload_changes(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        _cleanup_free_ char *fingerprint = NULL;

        scene_configure(s, "data", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        fingerprint = strdup(fake_mountd_last(s->mountd)->fingerprint);

        scene_configure(s, "data", UUID_A, "Options=noatime\n");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT(scene_volume(s, "data")->mount->stale);
        ASSERT_CALLS(s, 0, 1, 0, 0);

        scene_unplug(s, 1);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT(!scene_volume(s, "data")->mount->stale);
        ASSERT_CALLS(s, 0, 2, 1, 0);
        ASSERT(!streq(fake_mountd_last(s->mountd)->fingerprint, fingerprint));
}

/* What is mounted is compared with what the file asks for, and not the file with what it was. */
static void test_reload_changes_back(void)
{
        static const struct {
                const char *extra;
                bool stale;
        } rows[] = {
                { "Options=noatime\n", true }, { "ReadOnly=yes\n", true }, { "", false },
                { "Options=noexec\n", true },  { "RetrySec=5\n", false },
        };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, (FakeAnswer){ .kind = FAKE_HOLD });
        scene_start_with_device(s);
        scene_configure(s, "data", UUID_A, "ReadOnly=yes\n");
        scene_reload(s);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT(scene_volume(s, "data")->mount->stale);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].extra);
                scene_configure(s, "data", UUID_A, rows[i].extra);
                scene_reload(s);
                ASSERT_EQ(scene_volume(s, "data")->mount->stale, rows[i].stale);
        }
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_reload_of_what_is_mounted_elsewhere(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_configure(s, "data", UUID_B, ""); /* the mounted device fits no more */
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 1, 0);
}

static void test_bad_file_of_a_mounted_volume(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        scene_reload(s);
        ASSERT(scene_volume(s, "data")->config_is_bad);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "config");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT(volumes_config(manager_volumes(s->manager))->n_problems > 0);

        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT(!scene_volume(s, "data")->config_is_bad);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_bad_file_mounts_nothing(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        scene_reload(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_FAILURE(s, "data", "config");
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "config");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);

        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
}

static void test_mended_file_of_an_absent_volume(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        scene_reload(s);
        ASSERT_FAILURE(s, "data", "config");
        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_STR(scene_volume(s, "data")->failure_message, NULL);
}

static void test_bad_from_the_start(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_write(s, "data", "[Match]\nUUID=" UUID_A "\n");
        scene_configure(s, "other", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        ASSERT(!volumes_find(manager_volumes(s->manager), "data"));
        ASSERT_STATE(s, "other", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_reload_removes(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, (FakeAnswer){ .kind = FAKE_SUCCESS });
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        scene_remove(s, "data");  /* mounted */
        scene_remove(s, "other"); /* at work */
        scene_reload(s);
        ASSERT(!volumes_find(manager_volumes(s->manager), "data"));
        ASSERT(!volumes_find(manager_volumes(s->manager), "other"));
        fake_mountd_release(s->mountd);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 2, 0, 0);
        ASSERT(fake_mountd_is_mounted(s->mountd, "/mnt/data"));
}

/* What is bound to the old name is stopped: nobody would do that when the mount goes. */
static void test_reload_renames(void)
{
        static const struct {
                const char *row, *text;
        } rows[] = {
                { "removed", NULL },
                { "renamed", "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=/mnt/data\n" },
                { "another disk", "[Match]\nUUID=" UUID_B "\n[Mount]\nWhere=/mnt/data\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                bool renamed = i == 1;

                test_row(rows[i].row);
                scene_start_with_data(s, "");
                ASSERT_TARGET(s, 1, 0);
                scene_remove(s, "data");
                if (rows[i].text)
                        scene_write(s, "other", rows[i].text);
                fake_mountd_answer(s->mountd, FAKE_ADOPT, held);
                scene_reload(s);
                ASSERT(!volumes_find(manager_volumes(s->manager), "data"));
                ASSERT_TARGET(s, 1, renamed);
                ASSERT_CALLS(s, 0, 1, 0, renamed);
                ASSERT(fake_mountd_is_mounted(s->mountd, "/mnt/data"));
        }
}

/* Nothing is said to stay that is about to go. */
static void test_reload_removes_at_work(void)
{
        static const struct {
                const char *name;
                FakeMethod held;
                bool unmounts;
                const char *said;
        } rows[] = {
                { "nothing", FAKE_ADOPT, false, "; it stays mounted on /mnt/data\n" },
                { "mounting", FAKE_MOUNT, false, " was being mounted, and may be in a moment\n" },
                { "unmounting", FAKE_UNMOUNT, true,
                  " was being unmounted, and may be gone from /mnt/data in a moment\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer, *said;
                Capture c;

                test_row(rows[i].name);
                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                fake_mountd_answer(s->mountd, rows[i].held, held);
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                if (rows[i].unmounts)
                        (void)scene_request(s, "data", VERB_UNMOUNT, &answer);
                scene_settle(s);
                scene_remove(s, "data");
                log_set_level(LOG_NOTICE);
                c = capture_begin(stderr, STDERR_FILENO);
                scene_reload(s);
                said = capture_end(&c);
                ASSERT_CONTAINS(said, "data is not configured any more");
                ASSERT_CONTAINS(said, rows[i].said);
                fake_mountd_release(s->mountd);
        }
}

/* Removed while mounted, and there again: mountd's record knows it. */
static void test_reload_brings_back(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, scene_volume(s, "data")->mount->id);
        scene_remove(s, "data");
        scene_reload(s);
        scene_configure(s, "data", UUID_A, "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 1);
}

static void test_reload_while_mounting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        scene_configure(s, "data", UUID_A, "ReadOnly=yes\n");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounting");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

TEST_MAIN(TEST(reload_adds), TEST(reload_changes), TEST(reload_changes_back),
          TEST(reload_of_what_is_mounted_elsewhere), TEST(bad_file_of_a_mounted_volume),
          TEST(bad_file_mounts_nothing), TEST(mended_file_of_an_absent_volume),
          TEST(bad_from_the_start), TEST(reload_removes), TEST(reload_renames),
          TEST(reload_removes_at_work), TEST(reload_brings_back), TEST(reload_while_mounting))
