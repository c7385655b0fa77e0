/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One volume's road from state to state, with a mountd that answers as the case says. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "shared.h"
#include "text.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer unreadable = { .kind = FAKE_FAILURE,
                                       .error = "MountFailed",
                                       .step = "mount",
                                       .errnum = EIO,
                                       .message = "Cannot read its superblock" };

/* Coming and going. */

static void test_attached_is_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const FakeCall *c;

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 0, 0, 0);

        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        c = fake_mountd_last(s->mountd);
        ASSERT_STR(c->name, "data");
        ASSERT_EQ(c->devnum, FAKE_DEVNUM(1));
        ASSERT_EQ(c->diskseq, 7);
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake1");
        ASSERT_STR(scene_volume(s, "data")->mount->target, "/mnt/data");
        ASSERT_FAILURE(s, "data", "");
}

static void test_fingerprint_is_of_the_file(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        _cleanup_(volume_config_freep) VolumeConfig *config = NULL;
        const ConfigSource source = { .dirs = s->dirs, .owner = geteuid() };
        char *problem = NULL;

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        ASSERT_OK(config_load_volume(&source, "data", &config, &problem));
        ASSERT_STR(fake_mountd_last(s->mountd)->fingerprint, config->fingerprint);
}

static void test_present_at_start_is_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_event(s, 1, 0, scene_device(1, 7, UUID_A)); /* enumerated: no SEQNUM */
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_mounting_while_at_work(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounting");
        ASSERT(!volume_is_at_rest(scene_volume(s, "data")));
        scene_look_again(s);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT(volume_is_at_rest(scene_volume(s, "data")));
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_auto_no(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "Auto=no\n");
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake1");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
}

static void test_where_none(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_write(s, "data", "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=none\n");
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
}

static void test_gone_while_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "lost");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake1"); /* as long as it is mounted */
        ASSERT_STR(scene_volume(s, "data")->view.device, "/dev/fake1");
        ASSERT_STR(scene_volume(s, "data")->view.mounted_options, "rw,nosuid,nodev,relatime");
        ASSERT_EQ(scene_volume(s, "data")->view.diskseq, 7);
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_STR(fake_mountd_last(s->mountd)->name, "data");
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_STR(scene_volume(s, "data")->device, NULL);
        ASSERT(!fake_mountd_is_mounted(s->mountd, "/mnt/data"));

        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 0);
}

/* Another disk took the number, and the event of the first one's end was lost. */
static void test_replaced_while_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        scene_plug(s, 1, 8, UUID_B);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
}

static void test_gone_while_mounting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_device(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        fake_mountd_release(s->mountd); /* it was mounted all the same */
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_STATE(s, "data", "absent");
}

static void test_replugged_while_mounting(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_device(s);
        scene_unplug(s, 1);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        fake_mountd_release(s->mountd); /* the old one's */
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 0);
        ASSERT_EQ(fake_mountd_last(s->mountd)->diskseq, 8);
        ASSERT_EQ(scene_volume(s, "data")->mount->diskseq, 8);
}

/* More than one. */

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

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
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

        scene_unplug(s, 1); /* the one it was mounted by */
        scene_settle(s);
        ASSERT_STATE(s, "data", "incomplete");
        ASSERT_CALLS(s, 0, 1, 1, 0);
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

/* Mounts that are there already. */

static void test_mounted_before_is_adopted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 0, 0, 1);
        ASSERT_STR(fake_mountd_last(s->mountd)->name, "data");
        ASSERT_EQ(fake_mountd_last(s->mountd)->devnum, FAKE_DEVNUM(1));
        ASSERT_EQ(fake_mountd_last(s->mountd)->diskseq, 7);
        ASSERT_EQ(scene_volume(s, "data")->mount->id, id);
}

static void test_record_of_a_mount_is_adopted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 0, 0, 1);
}

static void test_record_of_a_device_that_went(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
        scene_start(s);
        scene_plug(s, 1, 8, UUID_A); /* attached again while we were away */
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_EQ(scene_volume(s, "data")->mount->diskseq, 8);
}

/* The machine's disk went while nobody was there to see it. */
static void test_record_of_a_device_that_is_gone(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
        scene_flag(s, "data");
        scene_start(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT(!fake_mountd_is_mounted(s->mountd, "/mnt/data"));
        ASSERT_CALLS(s, 0, 0, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
}

static void test_record_of_a_mount_that_went(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, 99);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 0, 1, 0);
        ASSERT(!fake_mountd_last(s->mountd)->lazy);
}

/* A crash in the middle: whether it is mounted, mountinfo says. */
static void test_record_of_an_attempt(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTING, 1, 7, 0);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_record_of_an_unmount_holds(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_UNMOUNTED, 1, 7, 0);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
}

static void test_record_of_an_unmount_of_another(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_UNMOUNTED, 1, 6, 0);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_garbage_as_record_is_none(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        test_write(s->records, "data", "PHASE=flying\n");
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* What the plan said goes with its cause; what an attempt said stays until the device is back. */

static void test_absent_forgets_what_the_plan_said(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "ambiguous");
        scene_unplug(s, 1);
        scene_unplug(s, 2);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_STR(scene_volume(s, "data")->failure_message, NULL);

        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        scene_plug(s, 1, 9, UUID_A);
        scene_settle(s);
        ASSERT_FAILURE(s, "data", "target");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_FAILURE(s, "data", "");
}

static void test_absent_keeps_what_an_attempt_said(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_device(s);
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "ambiguous");
        ASSERT_FAILURE(s, "data", "probe");
        scene_unplug(s, 2);
        scene_settle(s);
        ASSERT_STATE(s, "data", "failed"); /* the same incarnation: not tried again */
        ASSERT_FAILURE(s, "data", "mount");
        ASSERT_EQ(scene_volume(s, "data")->failure_errno, EIO);
        ASSERT_CALLS(s, 0, 1, 0, 0);

        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_FAILURE(s, "data", "mount");
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_FAILURE(s, "data", "mount");
        scene_plug(s, 1, 9, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounting");
        ASSERT_FAILURE(s, "data", "");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* Between two attempts something sits on the target for a while. */
static void test_occupied_between_attempts(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, unreadable);
        scene_start_with_device(s);
        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "target");
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "mount");
        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
}

/* The target. */

#define ASSERT_TARGET(s, n_started, n_stopped)                                  \
        do {                                                                    \
                ASSERT_EQ(fake_mountd_count_started((s)->mountd), (n_started)); \
                ASSERT_EQ(fake_mountd_count_stopped((s)->mountd), (n_stopped)); \
        } while (0)

static void test_target_is_started_once(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        ASSERT_TARGET(s, 0, 0);
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_TARGET(s, 0, 0); /* not before it is mounted */
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_TARGET(s, 1, 0);

        scene_look_again(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        manager_reload(s->manager);
        scene_settle(s);
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_TARGET(s, 1, 0);

        scene_unplug(s, 1);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_TARGET(s, 2, 1);
}

static void test_target_of_an_earlier_start(void)
{
        static const struct {
                const char *row;
                const char *flags[2];
                bool mounted;
                unsigned n_started;
                unsigned n_stopped;
        } rows[] = {
                { "started already", { "data" }, true, 0, 0 },
                { "mounted, and then we died", { NULL }, true, 1, 0 },
                { "the mount went while we were away", { "data" }, false, 0, 1 },
                { "mountd died while starting it", { "data", ".data" }, true, 1, 0 },
                { "the same, and the mount went", { "data", ".data" }, false, 0, 1 },
                { "mountd died while stopping it", { ".data" }, true, 1, 0 },
                { "the same, and the mount went", { ".data" }, false, 0, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                int id = 99;

                test_row(rows[i].row);
                if (rows[i].mounted)
                        id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4",
                                               "/dev/fake1");
                for (unsigned k = 0; k < 2 && rows[i].flags[k]; k++)
                        scene_flag(s, rows[i].flags[k]);
                scene_configure(s, "data", UUID_A, "");
                scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
                scene_start(s);
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].mounted ? "mounted" : "unmounted");
                ASSERT_CALLS(s, 0, 0, !rows[i].mounted, rows[i].mounted);
                ASSERT_TARGET(s, rows[i].n_started, rows[i].n_stopped);
        }
}

static void test_target_of_a_request_that_is_lost(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_TARGET, (FakeAnswer){ .kind = FAKE_DROP });
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_TARGET(s, 1, 0);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_TARGET(s, 1, 1);
}

/* A flag without any mount, as after a crash between the two. */
static void test_target_without_a_mount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_flag(s, "data");
        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_TARGET, held);
        scene_start(s);
        scene_settle(s);
        ASSERT_TARGET(s, 0, 1);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 0, 0, 0); /* first what needed the last one stops */
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_TARGET(s, 1, 1);
}

static void test_lost_is_unmounted_before_the_target_stops(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_TARGET(s, 1, 0);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_TARGET(s, 1, 1);
        ASSERT_STATE(s, "data", "absent");
}

static void test_foreign_unmount_stops_the_target(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_TARGET(s, 1, 1);
        scene_look_again(s);
        ASSERT_TARGET(s, 1, 1);
}

static void test_target_cannot_be_started(void)
{
        const FakeAnswer refused = { FAKE_FAILURE, "MountFailed", "run", EACCES, "No", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_TARGET, refused);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "mounted"); /* what is mounted counts */
        ASSERT_FAILURE(s, "data", "");
        scene_look_again(s);
        ASSERT_TARGET(s, 1, 0);
}

/* Somebody else. */

static void test_foreign_unmount_is_respected(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
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

        scene_configure(s, "data", UUID_A, "KeepMounted=yes\n");
        scene_start_with_device(s);
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

static void test_kept_mounted_after_failures(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "KeepMounted=yes\n");
        scene_start_with_device(s);
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

static void test_kept_mounted_on_another_target(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *text = "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=/mnt/new\nKeepMounted=yes\n";

        scene_configure(s, "data", UUID_A, "KeepMounted=yes\n");
        scene_start_with_device(s);
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

static void test_foreign_remount_by_another_id(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "tmpfs");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, unreadable); /* cannot tidy up, go on */
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_is_mounted(s->mountd, "/mnt/data"));
}

static void test_somebody_moves_it(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_move(s->mountd, "/mnt/data", "/mnt/elsewhere");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_is_mounted(s->mountd, "/mnt/elsewhere"));
}

static void test_somebody_mounts_it_again(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 1, 1);
}

static void test_foreign_mount_on_the_target(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        scene_configure(s, "data", UUID_A, "");
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "target");
        ASSERT_EQ(scene_volume(s, "data")->failure_errno, EBUSY);
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "rubbish");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);

        /* Of a disk that went; it is not ours to end either. */
        fake_mountd_unmount(s->mountd, "/mnt/data");
        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(9), "/mnt/data", "ext4", "/dev/fake9");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "whose disk is gone");
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);

        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_what_is_no_filesystem(void)
{
        static const struct {
                const char *type, *state, *answer;
        } rows[] = {
                { "swap", "unsupported", "NotSupported" },
                { "crypto_LUKS", "locked", "Locked" },
                { "BitLocker", "locked", "Locked" },
                { "LVM2_member", "member", "NotSupported" },
                { "linux_raid_member", "member", "NotSupported" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;
                Device *d;

                test_row(rows[i].type);
                scene_write(s, "data", "[Match]\nPartUUID=0123-ab\n[Mount]\nWhere=/mnt/data\n");
                scene_start(s);
                d = scene_device(1, 7, UUID_B);
                d->content = DEVICE_CONTENT_OTHER;
                free(d->type);
                d->type = strdup(rows[i].type);
                d->part_uuid = strdup("0123-ab");
                scene_event(s, 1, 1, d);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_FAILURE(s, "data", "probe");
                ASSERT(scene_request(s, "data", true, &answer));
                scene_settle(s);
                ASSERT_STR(answer, rows[i].answer);
                ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
        }
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

TEST_MAIN(TEST(attached_is_mounted), TEST(fingerprint_is_of_the_file),
          TEST(present_at_start_is_mounted), TEST(mounting_while_at_work), TEST(auto_no),
          TEST(where_none), TEST(gone_while_mounted), TEST(replaced_while_mounted),
          TEST(gone_while_mounting), TEST(replugged_while_mounting), TEST(two_are_ambiguous),
          TEST(mounted_stays_when_a_second_comes), TEST(members_come),
          TEST(members_are_held_together), TEST(members_are_the_kernels_business),
          TEST(copy_of_a_member), TEST(member_goes_while_mounted), TEST(unlocked),
          TEST(unlocked_and_blank), TEST(mounted_before_is_adopted),
          TEST(record_of_a_mount_is_adopted), TEST(record_of_a_device_that_went),
          TEST(record_of_a_device_that_is_gone), TEST(record_of_a_mount_that_went),
          TEST(record_of_an_attempt), TEST(record_of_an_unmount_holds),
          TEST(record_of_an_unmount_of_another), TEST(garbage_as_record_is_none),
          TEST(absent_forgets_what_the_plan_said), TEST(absent_keeps_what_an_attempt_said),
          TEST(occupied_between_attempts), TEST(target_is_started_once),
          TEST(target_of_an_earlier_start), TEST(target_of_a_request_that_is_lost),
          TEST(target_without_a_mount), TEST(lost_is_unmounted_before_the_target_stops),
          TEST(foreign_unmount_stops_the_target), TEST(target_cannot_be_started),
          TEST(foreign_unmount_is_respected), TEST(kept_mounted), TEST(kept_mounted_after_failures),
          TEST(kept_mounted_on_another_target), TEST(kept_mounted_where_it_is_shared),
          TEST(marked_is_left_alone), TEST(foreign_remount_by_another_id), TEST(somebody_moves_it),
          TEST(somebody_mounts_it_again), TEST(foreign_mount_on_the_target),
          TEST(what_is_no_filesystem), TEST(not_ready_is_not_there))
