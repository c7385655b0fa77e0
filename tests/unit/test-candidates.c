/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which of the devices that are there a volume means. */

#include "macro.h"
#include "scene.h"
#include "text.h"

static void test_two_are_ambiguous(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "ambiguous");
        ASSERT_FAILURE(s, "data", "probe");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "/dev/fake1");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "/dev/fake2");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);

        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT_EQ(fake_mountd_last(s->mountd)->devnum, FAKE_DEVNUM(2));
}

static void test_mounted_stays_when_a_second_comes(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake1");
        ASSERT_CALLS(s, 0, 1, 0, 0);

        scene_unplug(s, 1); /* the other is not ambiguous, then */
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake2");
        ASSERT_CALLS(s, 0, 2, 1, 0);
}

/* One of the devices of a btrfs with the UUID A. */
static void plug_member(Scene *s, unsigned n, uint64_t diskseq, const char *uuid_sub)
{
        Device *d = scene_device(n, diskseq, UUID_A);

        free(d->type);
        d->type = strdup("btrfs");
        d->uuid_sub = strdup(uuid_sub);
        d->part_uuid = text_format("0123-%u", n);
        scene_event(s, n, ++s->seqnum, d);
        scene_settle(s);
}

static void test_members_come(void)
{
        static const struct {
                const char *row, *match, *device;
        } rows[] = {
                { "all fit", "UUID=" UUID_A, "/dev/fake1" },
                { "the first fits", "PartUUID=0123-1", "/dev/fake1" },
                { "the second fits", "PartUUID=0123-2", "/dev/fake2" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                _cleanup_free_ char *text = text_format(
                        "[Match]\n%s\n[Mount]\nWhere=/mnt/data\nMembers=2\n", rows[i].match);
                const char *answer;

                test_row(rows[i].row);
                scene_write(s, "data", text);
                scene_start(s);
                plug_member(s, 1, 7, "x");
                ASSERT_STATE(s, "data", i < 2 ? "incomplete" : "absent");
                if (i < 2) {
                        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "1 of 2");
                        ASSERT(scene_request(s, "data", true, &answer));
                        scene_settle(s);
                        ASSERT_STR(answer, "Incomplete");
                }
                ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
                plug_member(s, 2, 8, "y");
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_FAILURE(s, "data", "");
                ASSERT_CALLS(s, 0, 1, 0, 0);
                ASSERT_STR(scene_volume(s, "data")->device, rows[i].device);
                ASSERT_EQ(strv_length(scene_volume(s, "data")->candidates), 2);
        }
}

/* Unmounted by intent, it is not mounted by another one of them. */
static void test_members_are_held_together(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        plug_member(s, 2, 8, "y");
        ASSERT_STATE(s, "data", "mounted");
        plug_member(s, 1, 7, "x");
        ASSERT(scene_request(s, "data", false, &answer));
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
}

/* Without Members= it is the kernel that knows, and each one that comes is reason to ask. */
static void test_members_are_the_kernels_business(void)
{
        const FakeAnswer incomplete = {
                FAKE_FAILURE, "Incomplete", "probe", ENODEV, "Missing", NULL
        };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, incomplete);
        fake_mountd_answer(s->mountd, FAKE_MOUNT, incomplete);
        scene_start(s);
        plug_member(s, 1, 7, "x");
        ASSERT_STATE(s, "data", "incomplete");
        ASSERT_STR(scene_volume(s, "data")->failure_message, "Missing");
        plug_member(s, 2, 8, "y");
        ASSERT_STATE(s, "data", "incomplete");
        ASSERT_CALLS(s, 0, 2, 0, 0);
        scene_look_again(s);
        plug_member(s, 2, 8, "y"); /* the same again */
        ASSERT_CALLS(s, 0, 2, 0, 0);
        plug_member(s, 3, 9, "z");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 3, 0, 0);
}

static void test_copy_of_a_member(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_write(s, "data", "[Match]\nPartUUID=0123-1\n[Mount]\nWhere=/mnt/data\nMembers=2\n");
        scene_start(s);
        plug_member(s, 1, 7, "x");
        plug_member(s, 4, 10, "x"); /* of the one that fits: PartUUID= tells */
        ASSERT_STATE(s, "data", "incomplete");
        plug_member(s, 5, 11, "y");
        ASSERT_STATE(s, "data", "mounted");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        plug_member(s, 6, 12, "y"); /* of the other: nothing tells */
        plug_member(s, 1, 13, "x");
        ASSERT_STATE(s, "data", "ambiguous");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "/dev/fake6");
        scene_unplug(s, 6);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

static void test_member_goes_while_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "Members=2\n");
        scene_start(s);
        plug_member(s, 1, 7, "x");
        plug_member(s, 2, 8, "y");
        ASSERT_STATE(s, "data", "mounted");
        plug_member(s, 2, 8, "y"); /* an event of it, and it is there */
        ASSERT_FAILURE(s, "data", "");
        scene_unplug(s, 2);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "run");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "btrfs scrub");
        plug_member(s, 2, 9, "y"); /* that alone mends nothing */
        ASSERT_FAILURE(s, "data", "run");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        manager_doubt(s->manager); /* nor does a look */
        scene_settle(s);
        ASSERT_FAILURE(s, "data", "run");
        ASSERT_CALLS(s, 0, 1, 0, 1);

        scene_unplug(s, 1); /* the one it was mounted by */
        scene_settle(s);
        ASSERT_STATE(s, "data", "incomplete");
        ASSERT_CALLS(s, 0, 1, 1, 1);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        plug_member(s, 1, 10, "x");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
}

/* Disk 1, encrypted, and what it is unlocked as, disk 2. */
static void plug_luks(Scene *s, uint64_t diskseq)
{
        Device *d = scene_device(1, diskseq, UUID_B);

        d->content = DEVICE_CONTENT_OTHER;
        free(d->type);
        d->type = strdup("crypto_LUKS");
        d->part_uuid = strdup("0123-ab");
        scene_event(s, 1, ++s->seqnum, d);
        scene_settle(s);
}

static void unlock(Scene *s, uint64_t diskseq, const char *uuid)
{
        Device *d = scene_device(2, 100 + diskseq, uuid);

        d->part_uuid = strdup("0123-ab");
        d->outer = FAKE_DEVNUM(1);
        d->outer_diskseq = diskseq;
        if (!uuid) {
                d->content = DEVICE_CONTENT_NONE;
                d->disk_guid = strdup("0123"); /* of the disk that the partition is on */
        }
        scene_event(s, 2, ++s->seqnum, d);
        scene_settle(s);
}

static void test_unlocked(void)
{
        static const struct {
                const char *match, *locked;
        } rows[] = {
                { "PartUUID=0123-ab", "locked" },
                { "UUID=" UUID_A, "absent" },
                { "UUID=" UUID_A "\nPartUUID=0123-ab", "absent" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                _cleanup_free_ char *text =
                        text_format("[Match]\n%s\n[Mount]\nWhere=/mnt/data\n", rows[i].match);

                test_row(rows[i].match);
                scene_write(s, "data", text);
                scene_start(s);
                plug_luks(s, 7);
                ASSERT_STATE(s, "data", rows[i].locked);
                unlock(s, 7, UUID_A);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake2");
                ASSERT_EQ(strv_length(scene_volume(s, "data")->candidates), 1);

                /* Pulled out, the mapping stays. */
                scene_unplug(s, 1);
                scene_settle(s);
                ASSERT_STATE(s, "data", "absent");
                ASSERT_CALLS(s, 0, 1, 1, 0);
                ASSERT(fake_mountd_last(s->mountd)->lazy);
                plug_luks(s, 8);
                ASSERT_STATE(s, "data", rows[i].locked);
                scene_unplug(s, 2);
                unlock(s, 8, UUID_A);
                ASSERT_STATE(s, "data", "mounted");

                /* Locked again. */
                fake_mountd_unmount(s->mountd, "/mnt/data");
                scene_unplug(s, 2);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].locked);
        }
}

/* Its file means another one by now. */
static void test_unlocked_and_pulled_out(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        plug_luks(s, 7);
        unlock(s, 7, UUID_A);
        ASSERT_STATE(s, "data", "mounted");
        scene_configure(s, "data", "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9cff", "");
        scene_reload(s);
        ASSERT_STATE(s, "data", "mounted");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
}

static void test_unlocked_and_blank(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_write(s, "data", "[Match]\nPartUUID=0123-ab\n[Mount]\nWhere=/mnt/data\n");
        scene_start(s);
        plug_luks(s, 7);
        unlock(s, 7, NULL);
        ASSERT_STATE(s, "data", "unsupported");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake2");
        unlock(s, 7, UUID_A); /* mkfs */
        ASSERT_STATE(s, "data", "mounted");
}

static void test_not_ready_is_not_there(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        Device *d;

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        d = scene_device(1, 7, UUID_A);
        d->ready = false;
        scene_event(s, 1, 1, d);
        d = scene_device(2, 8, UUID_A);
        d->size = 0; /* a reader without a card */
        scene_event(s, 2, 2, d);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_event(s, 1, 3, scene_device(1, 7, UUID_A));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

TEST_MAIN(TEST(two_are_ambiguous), TEST(mounted_stays_when_a_second_comes), TEST(members_come),
          TEST(members_are_held_together), TEST(members_are_the_kernels_business),
          TEST(copy_of_a_member), TEST(member_goes_while_mounted), TEST(unlocked),
          TEST(unlocked_and_pulled_out), TEST(unlocked_and_blank), TEST(not_ready_is_not_there))
