/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices of which nobody told the content. */

#include <errno.h>

#include "macro.h"
#include "scene.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer drop = { .kind = FAKE_DROP };
static const FakeAnswer unreadable = { .kind = FAKE_FAILURE,
                                       .error = "MountFailed",
                                       .step = "probe",
                                       .errnum = EIO,
                                       .message = "Cannot read it" };

static void test_unknown_content_is_probed(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_settle(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "probing");
        ASSERT_CALLS(s, 1, 0, 0, 0);
        ASSERT_EQ(fake_mountd_last(s->mountd)->devnum, FAKE_DEVNUM(1));
        ASSERT_EQ(fake_mountd_last(s->mountd)->diskseq, 7);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 1, 1, 0, 0);
}

static void test_probe_finds_something_else(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_B);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_plug(s, 2, 8, NULL); /* blank */
        scene_settle(s);
        ASSERT_CALLS(s, 2, 0, 0, 0);
        ASSERT_STATE(s, "data", "absent");
        scene_look_again(s);
        ASSERT_CALLS(s, 2, 0, 0, 0);
}

/* A disk that hangs, or is being partitioned, is looked at again, and now and then only. */
static void test_probe_is_put_off(void)
{
        static const FakeAnswer rows[] = {
                { FAKE_FAILURE, "TimedOut", "probe", ETIMEDOUT, "It did not end in time", NULL },
                { FAKE_FAILURE, "InProgress", "probe", EAGAIN, "It is locked", NULL },
                { FAKE_ERROR, "Hanging", NULL, 0, "An earlier look still hangs", NULL },
                { FAKE_FAILURE, "MountFailed", "probe", EMFILE, "Too many open files", NULL },
                { FAKE_FAILURE, "MountFailed", "probe", ENOMEM, "Cannot fork", NULL },
                { FAKE_FAILURE, "MountFailed", "probe", EOWNERDEAD, "It died", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                Seen *seen;

                test_row(rows[i].message);
                fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
                fake_mountd_answer(s->mountd, FAKE_PROBE, rows[i]);
                fake_mountd_answer(s->mountd, FAKE_PROBE, rows[i]);
                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                scene_plug(s, 1, 7, NULL);
                scene_settle(s);
                for (unsigned n = 1; n <= 2; n++) {
                        scene_look_again(s);
                        ASSERT_STATE(s, "data", "absent");
                        ASSERT_CALLS(s, n, 0, 0, 0);
                        seen = devices_find(manager_devices(s->manager), FAKE_DEVNUM(1));
                        ASSERT(seen->probe_usec > manager_now(s->manager));
                        seen->probe_usec = manager_now(s->manager); /* that time came */
                        scene_look_again(s);
                }
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 3, 1, 0, 0);
        }
}

static void test_probe_fails(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_PROBE, unreadable);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 1, 0, 0, 0);

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        scene_plug(s, 1, 7, NULL); /* a new event, a new chance */
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 2, 1, 0, 0);
}

/* udev was late, but came: what it told holds, not what is found afterwards. */
static void test_settled_while_probing(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        fake_mountd_release(s->mountd); /* it finds nothing */
        scene_settle(s);
        ASSERT_STR(devices_find(manager_devices(s->manager), FAKE_DEVNUM(1))->device->uuid, UUID_A);
        ASSERT_CALLS(s, 1, 1, 0, 0);
}

/* However many events come while a disk hangs, one probe of it is at work, and one follows. */
static void test_one_probe_at_a_time(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        for (unsigned i = 0; i < 8; i++) {
                scene_plug(s, 1, 7, NULL);
                scene_settle(s);
                ASSERT_STATE(s, "data", "probing");
        }
        ASSERT_CALLS(s, 1, 0, 0, 0);
        /* What it finds was there before the latest event, and is not it any more. */
        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_B);
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "probing");
        ASSERT_CALLS(s, 2, 0, 0, 0);
        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 2, 1, 0, 0);
}

/* Another disk under the same number does not wait for the one that was there. */
static void test_another_disk_while_probing(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        scene_plug(s, 1, 8, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 2, 1, 0, 0);
}

/* Two that fit are looked at again, one of them quickly: both are what they were until then. */
static void test_two_are_probed_again(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        for (unsigned n = 1; n <= 2; n++)
                fake_mountd_set_content(s->mountd, FAKE_DEVNUM(n), "ext4", UUID_A);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        for (unsigned n = 1; n <= 2; n++)
                scene_plug(s, n, 6 + n, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "ambiguous");
        fake_mountd_answer(s->mountd, FAKE_PROBE, (FakeAnswer){ 0 });
        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        for (unsigned n = 1; n <= 2; n++)
                scene_plug(s, n, 6 + n, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 2, 0, 0, 0);
        ASSERT_STATE(s, "data", "ambiguous");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_CALLS(s, 2, 0, 0, 0);
        ASSERT_STATE(s, "data", "ambiguous");
}

static void test_gone_while_probing(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_PROBE, held);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 1, 0, 0, 0);
}

/* At the start all that is there counts: what is being probed may be the second that fits. */
static void test_start_waits_for_the_probe(void)
{
        static const struct {
                const char *uuid;
                const char *state;
                unsigned n_mount;
        } rows[] = {
                { UUID_A, "ambiguous", 0 },
                { UUID_B, "mounted", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();

                test_row(rows[i].state);
                fake_mountd_set_content(s->mountd, FAKE_DEVNUM(2), "ext4", rows[i].uuid);
                fake_mountd_answer(s->mountd, FAKE_PROBE, held);
                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                scene_plug(s, 1, 7, UUID_A);
                scene_plug(s, 2, 8, NULL);
                scene_settle(s);
                ASSERT_STATE(s, "data", "probing");
                ASSERT_CALLS(s, 1, 0, 0, 0);
                fake_mountd_release(s->mountd);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_CALLS(s, 1, rows[i].n_mount, 0, 0);
        }
}

/* And so may what udev has not looked at yet: a udevd that was started again, as we were. */
static void test_start_waits_for_udev(void)
{
        static const struct {
                const char *uuid;
                const char *state;
                unsigned n_mount;
        } rows[] = {
                { UUID_A, "ambiguous", 0 },
                { UUID_B, "mounted", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();

                test_row(rows[i].state);
                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                scene_plug(s, 1, 7, UUID_A);
                scene_plug(s, 2, 8, NULL);
                devices_find(manager_devices(s->manager), FAKE_DEVNUM(2))->knowledge =
                        SEEN_UNSETTLED;
                scene_settle(s);
                ASSERT_STATE(s, "data", "probing");
                ASSERT_CALLS(s, 0, 0, 0, 0);
                scene_plug(s, 2, 8, rows[i].uuid);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_CALLS(s, 0, rows[i].n_mount, 0, 0);
        }
}

static void test_nobody_wants_to_know(void)
{
        static const struct {
                const char *row;
                const char *text;
        } rows[] = {
                { "another partition", "[Match]\nUUID=" UUID_A "\nPartUUID=0123-02\n"
                                       "[Mount]\nWhere=/mnt/data\n" },
                { "another disk", "[Match]\nUUID=" UUID_A "\nSerial=other\n"
                                  "[Mount]\nWhere=/mnt/data\n" },
                { "no volume at all", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                Device *d = scene_device(1, 7, NULL);

                test_row(rows[i].row);
                if (rows[i].text)
                        scene_write(s, "data", rows[i].text);
                d->part_uuid = strdup("0123-01");
                d->serial = strdup("serial");
                scene_start(s);
                scene_event(s, 1, 1, d);
                scene_settle(s);
                ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
        }
}

static void test_no_medium_is_not_probed(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        Device *d = scene_device(1, 7, NULL);

        d->size = 0;
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_event(s, 1, 1, d);
        scene_settle(s);
        ASSERT_EQ(fake_mountd_count_all(s->mountd), 0);
}

/* A volume that comes later wants to know. */
static void test_probed_once_somebody_wants_to_know(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 0, 0, 0);
        scene_configure(s, "data", UUID_A, "");
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 1, 1, 0, 0);
}

static void test_mounted_is_not_probed(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        scene_configure(s, "data", UUID_A, "");
        scene_configure(s, "other", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 1, 1, 0, 0);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_STATE(s, "other", "absent");
        ASSERT_CALLS(s, 1, 1, 0, 0);
}

static void test_connection_lost_while_probing(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        fake_mountd_answer(s->mountd, FAKE_PROBE, drop);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, NULL);
        scene_settle(s);
        ASSERT_CALLS(s, 1, 0, 0, 0);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 2, 1, 0, 0);
}

TEST_MAIN(TEST(unknown_content_is_probed), TEST(probe_finds_something_else), TEST(probe_is_put_off),
          TEST(probe_fails), TEST(settled_while_probing), TEST(one_probe_at_a_time),
          TEST(another_disk_while_probing), TEST(two_are_probed_again), TEST(gone_while_probing),
          TEST(start_waits_for_the_probe), TEST(start_waits_for_udev), TEST(nobody_wants_to_know),
          TEST(no_medium_is_not_probed), TEST(probed_once_somebody_wants_to_know),
          TEST(mounted_is_not_probed), TEST(connection_lost_while_probing))
