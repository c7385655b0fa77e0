/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One volume's road from state to state, with a mountd that answers as the case says. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
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

        scene_start_with_data(s, "");
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

        scene_start_with_data(s, "Auto=no\n");
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

        scene_start_with_data(s, "");
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

/* What has no size by now is not there, be it the same one. */
static void test_emptied_while_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        Device *d = scene_device(1, 7, NULL);

        d->size = 0;
        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        scene_event(s, 1, 10, d);
        scene_settle(s);
        ASSERT_STATE(s, "data", "lost");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_event(s, 1, 11, scene_device(1, 7, UUID_A));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 0);
}

/* Another disk took the number, and the event of the first one's end was lost. */
static void test_replaced_while_mounted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
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

/* Mounts that are there already. */

static void test_mounted_before_is_adopted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_start_with_data(s, "");
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

/* Whether we died while it was unmounted, or that took too long: it is not put back. */
static void test_unmount_that_ends_late(void)
{
        static const FakeAnswer late = { FAKE_FAILURE, "TimedOut",   "unmount",
                                         ETIMEDOUT,    "It is late", NULL };
        static const FakeAnswer busy = {
                FAKE_FAILURE, "Busy", "unmount", EBUSY, "It is used", NULL
        };
        static const FakeAnswer died = { FAKE_FAILURE, "MountFailed", "unmount",
                                         EOWNERDEAD,   "It died",     NULL };
        static const FakeAnswer at_work = { FAKE_ERROR, "InProgress", .message = "It is at work" };
        static const struct {
                const char *row;
                const FakeAnswer *answer; /* NULL: we died */
                bool is_kept;
        } rows[] = {
                { "we died", NULL, false },
                { "it took too long", &late, false },
                { "its child died", &died, false },
                { "it was busy, and goes later", &busy, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                test_row(rows[i].row);
                scene_configure(s, "data", UUID_A, "KeepMounted=yes\n");
                if (!rows[i].answer)
                        scene_record(s, "data", RECORD_UNMOUNTING, 1, 7, 99);
                scene_start(s);
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                if (rows[i].answer) {
                        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, *rows[i].answer);
                        fake_mountd_answer(s->mountd, FAKE_ADOPT,
                                           at_work); /* its child lives yet */
                        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
                        scene_settle(s);
                        ASSERT_STATE(s, "data", "mounted");
                        fake_mountd_unmount(s->mountd, "/mnt/data");
                        scene_look_again(s);
                }
                ASSERT_STATE(s, "data", rows[i].is_kept ? "mounted" : "unmounted");
        }
}

/* Or it does not end so: then nobody asked for what comes later. */
static void test_unmount_that_was_not_after_all(void)
{
        static const FakeAnswer late = { FAKE_FAILURE, "TimedOut",   "unmount",
                                         ETIMEDOUT,    "It is late", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "KeepMounted=yes\n");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, late);
        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "TimedOut");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 1, 1);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 1, 1);
}

/* It was not unmounted after all, which mountd may not have put down yet. */
static void test_record_of_an_unmount_that_was_not(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_configure(s, "data", UUID_A, "KeepMounted=yes\n");
        scene_record(s, "data", RECORD_UNMOUNTING, 1, 7, id);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 0, 0, 1);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted"); /* by somebody else */
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

/* mountd may start after us, and stops the target of what was mounted under another name. */
static void test_target_that_mountd_stopped(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        _cleanup_free_ char *flag = text_format("%s/data", s->flags);
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        scene_flag(s, "data");
        scene_configure(s, "data", UUID_A, "");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
        ASSERT_OK(manager_load(s->manager));
        ASSERT_OK(unlink(flag));
        scene_connect(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_TARGET(s, 1, 0);
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

        scene_start_with_data(s, "");
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

        scene_start_with_data(s, "");
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

static void test_foreign_remount_by_another_id(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
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

        scene_start_with_data(s, "");
        fake_mountd_move(s->mountd, "/mnt/data", "/mnt/elsewhere");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "run");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "moved it to /mnt/elsewhere");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT_TARGET(s, 1, 0);
        fake_mountd_move(s->mountd, "/mnt/elsewhere", "/mnt/data");
        scene_look_again(s);
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 1, 0, 0);

        /* It is unmounted from where it is, when its disk goes too. */
        fake_mountd_move(s->mountd, "/mnt/data", "/mnt/elsewhere");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(fake_mountd_last(s->mountd)->lazy);
}

/* As to mount --move, and not mounted a second time. */
static void test_somebody_moves_what_is_kept(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "KeepMounted=yes\n");
        fake_mountd_move(s->mountd, "/mnt/data", "/mnt/elsewhere");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* The ID and the number of a btrfs are free again at once. */
static void test_btrfs_is_known_by_its_number(void)
{
        static const struct {
                const char *row;
                unsigned number;
                const char *type;
                bool is_it;
        } rows[] = {
                { "its devices changed", 50, "btrfs", true },
                { "another number", 51, "btrfs", false },
                { "another type", 50, "tmpfs", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                Volume *v;

                test_row(rows[i].row);
                (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "btrfs",
                                        "/dev/fake1");
                scene_start_with_data(s, "");
                ASSERT_CALLS(s, 0, 0, 0, 1);
                v = scene_volume(s, "data");
                fake_mountd_unmount(s->mountd, "/mnt/data");
                v->mount->id = fake_mountd_mount(s->mountd, makedev(0, rows[i].number),
                                                 "/mnt/elsewhere", rows[i].type, "/dev/mapper/x");
                scene_look_again(s);
                ASSERT_STATE(s, "data", rows[i].is_it ? "mounted" : "unmounted");
        }
}

static void test_somebody_mounts_it_again(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
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
        scene_start_with_data(s, "");
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

TEST_MAIN(TEST(attached_is_mounted), TEST(fingerprint_is_of_the_file),
          TEST(present_at_start_is_mounted), TEST(mounting_while_at_work), TEST(auto_no),
          TEST(where_none), TEST(gone_while_mounted), TEST(emptied_while_mounted),
          TEST(replaced_while_mounted), TEST(gone_while_mounting), TEST(replugged_while_mounting),
          TEST(mounted_before_is_adopted), TEST(record_of_a_mount_is_adopted),
          TEST(record_of_a_device_that_went), TEST(record_of_a_device_that_is_gone),
          TEST(record_of_a_mount_that_went), TEST(unmount_that_ends_late),
          TEST(unmount_that_was_not_after_all), TEST(record_of_an_unmount_that_was_not),
          TEST(record_of_an_attempt), TEST(record_of_an_unmount_holds),
          TEST(record_of_an_unmount_of_another), TEST(garbage_as_record_is_none),
          TEST(absent_forgets_what_the_plan_said), TEST(absent_keeps_what_an_attempt_said),
          TEST(occupied_between_attempts), TEST(target_is_started_once),
          TEST(target_of_an_earlier_start), TEST(target_that_mountd_stopped),
          TEST(target_of_a_request_that_is_lost), TEST(target_without_a_mount),
          TEST(lost_is_unmounted_before_the_target_stops), TEST(foreign_unmount_stops_the_target),
          TEST(target_cannot_be_started), TEST(foreign_remount_by_another_id),
          TEST(somebody_moves_it), TEST(somebody_moves_what_is_kept),
          TEST(btrfs_is_known_by_its_number), TEST(somebody_mounts_it_again),
          TEST(foreign_mount_on_the_target), TEST(what_is_no_filesystem))
