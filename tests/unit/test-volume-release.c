/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody asks of a volume that is to go, and what the answer is: "" done, else the error's
 * name. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "volume-request.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer in_progress = { .kind = FAKE_ERROR,
                                        .error = "InProgress",
                                        .message = "A request for this volume is at work" };

/* Unmount. */

static void test_unmount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_TARGET, held);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounting");
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
        ASSERT_CALLS(s, 0, 1, 0, 0); /* first what needs it stops */
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT(!fake_mountd_last(s->mountd)->lazy);
        ASSERT_STR(answer, NULL);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT_STATE(s, "data", "unmounted");

        scene_look_again(s); /* held back */
        manager_reload(s->manager);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
}

static void test_replug_ends_what_was_held_back(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "");
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

static void test_lazily(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        VolumeRefusal why = { 0 };

        scene_start_with_data(s, "");
        ASSERT_OK(volume_request(scene_volume(s, "data"), &(VolumeRequest){ .lazy = true }, &why));
        scene_settle(s); /* nobody waits */
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "");
        ASSERT(!fake_mountd_last(s->mountd)->lazy); /* the next one is not */
}

static int write_busy(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 5, "Error", "s", "Busy", "Step", "s", "unmount",
                                     "Errno", "i", EBUSY, "Message", "s", "It is in use", "Holders",
                                     "a(us)", 2, UINT32_C(42), "bash", UINT32_C(43), "vi\n");
}

static void test_busy(void)
{
        const FakeAnswer busy = { .kind = FAKE_GARBAGE, .write = write_busy };
        _cleanup_(scene_freep) Scene *s = scene_new();
        const VolumeView *view;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, busy);
        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "Busy");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
        view = &scene_volume(s, "data")->view;
        ASSERT_STR(view->state, "mounted");
        ASSERT_EQ(view->n_holders, 2);
        ASSERT_EQ(view->holders[0].pid, 42);
        ASSERT_STR(view->holders[0].command, "bash");
        ASSERT_EQ(view->holders[1].pid, 43);
        ASSERT_STR(view->holders[1].command, "vi\\x0a");
        ASSERT_STR(view->failure_step, "unmount");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "mounted"); /* it was one attempt */
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_FAILURE(s, "data", "unmount");

        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_EQ(scene_volume(s, "data")->view.n_holders, 0);
}

/* Whoever does not mind is not told of what keeps others from it. */
static void test_busy_for_some(void)
{
        const FakeAnswer busy = { .kind = FAKE_GARBAGE, .write = write_busy };
        _cleanup_(scene_freep) Scene *s = scene_new();
        VolumeRefusal why = { 0 };
        const char *first, *third;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, busy);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &first));
        while (fake_mountd_count(s->mountd, FAKE_UNMOUNT) == 0)
                ASSERT(sd_event_run(s->event, 0) > 0);
        ASSERT_OK(volume_request(scene_volume(s, "data"), &(VolumeRequest){ .lazy = true }, &why));
        scene_settle(s);
        ASSERT_STR(first, "Busy");
        ASSERT_STATE(s, "data", "unmounting");
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_TARGET(s, 1, 1);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &third)); /* joins the lazy one */
        scene_settle(s);
        ASSERT_STR(third, NULL);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(third, "");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_EQ(scene_volume(s, "data")->view.n_holders, 0);
        ASSERT_CALLS(s, 0, 1, 2, 0);
}

static void test_unmount_fails(void)
{
        static const struct {
                const char *error;
                const char *answer;
        } rows[] = {
                { "TimedOut", "TimedOut" },
                { "NotMounted", "NotMounted" },
                { "Surprise", "MountFailed" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer a = { FAKE_FAILURE, rows[i].error, "unmount", EIO, "So", NULL };

                test_row(rows[i].error);
                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_UNMOUNT, a);
                ASSERT_STR(scene_ask(s, VERB_UNMOUNT), rows[i].answer);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
                ASSERT_FAILURE(s, "data", "unmount");
                ASSERT_EQ(scene_volume(s, "data")->failure_errno, EIO);
                ASSERT_STR(scene_volume(s, "data")->failure_message, "So");
                fake_mountd_unmount(s->mountd, "/mnt/data");
                scene_look_again(s);
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_FAILURE(s, "data", "");
        }
}

static void test_unmount_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, in_progress);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        ASSERT_STATE(s, "data", "unmounting");
        scene_hasten(s, "data");
        ASSERT_STR(answer, "");
        ASSERT_STATE(s, "data", "unmounted");
}

static void test_unplugged_while_asked_to_unmount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_TARGET, held);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "lost"); /* although what needs it does not stop */
        ASSERT_CALLS(s, 0, 1, 1, 0);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(answer, ""); /* it is not mounted any more */
        ASSERT_TARGET(s, 1, 2); /* the answer to the first was not waited for */
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_STATE(s, "data", "absent");
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* Eject. */

static void test_eject(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *first, *second;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_EJECT, held);
        ASSERT(scene_request(s, "data", VERB_EJECT, &first));
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounting");
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
        ASSERT(scene_request(s, "data", VERB_EJECT, &second)); /* joins */
        scene_settle(s);
        ASSERT_STR(first, NULL);
        ASSERT_STR(second, NULL);
        /* The kernel says that it is gone before mountd does. */
        scene_unplug(s, 1);
        scene_settle(s);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(first, "");
        ASSERT_STR(second, "");
        ASSERT_STATE(s, "data", "absent");
        ASSERT_EQ(fake_mountd_count(s->mountd, FAKE_EJECT), 1);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* Where nothing was to be removed the device stays, and what is done stays so. */
static void test_eject_of_what_stays(void)
{
        for (unsigned mounted = 0; mounted < 2; mounted++) {
                const FakeAnswer failed = { FAKE_FAILURE, "MountFailed", "mount", EIO, "So", NULL };
                _cleanup_(scene_freep) Scene *s = scene_new();

                if (!mounted)
                        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
                scene_start_with_data(s, "");
                ASSERT_STATE(s, "data", mounted ? "mounted" : "failed");
                ASSERT_STR(scene_ask(s, VERB_EJECT), "");
                scene_look_again(s);
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_EQ(scene_volume(s, "data")->past.retry_usec, 0);
                ASSERT_EQ(fake_mountd_count_stopped(s->mountd), mounted);
                ASSERT_STR(scene_ask(s, VERB_EJECT), ""); /* again is no failure */
                ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
                ASSERT_STATE(s, "data", "mounted");
        }
}

static int write_eject_busy(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 4, "Error", "s", "Busy", "Step", "s", "eject",
                                     "Message", "s", "It is held", "Holders", "a(us)", 1,
                                     UINT32_C(42), "bash");
}

static void test_eject_fails(void)
{
        static const struct {
                const char *row;
                FakeAnswer answer;
                const char *error;
                const char *state;
                unsigned started;
        } rows[] = {
                { "used by more",
                  { FAKE_FAILURE, "Busy", "unmount", EBUSY, "It is", NULL },
                  "Busy",
                  "mounted",
                  2 },
                { "held when unmounted",
                  { .kind = FAKE_GARBAGE, .step = "eject", .write = write_eject_busy },
                  "Busy",
                  "unmounted",
                  1 },
                { "died when unmounted",
                  { FAKE_FAILURE, "TimedOut", "eject", ETIMEDOUT, "So", NULL },
                  "TimedOut",
                  "unmounted",
                  1 },
                { "device mapper",
                  { FAKE_FAILURE, "NotSupported", "unmount", EOPNOTSUPP, "It is", NULL },
                  "NotSupported",
                  "mounted",
                  2 },
                { "not known",
                  { FAKE_FAILURE, "X", "unmount", EIO, "So", NULL },
                  "MountFailed",
                  "mounted",
                  2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();

                test_row(rows[i].row);
                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_EJECT, rows[i].answer);
                ASSERT_STR(scene_ask(s, VERB_EJECT), rows[i].error);
                scene_look_again(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_EQ(fake_mountd_count_started(s->mountd), rows[i].started);
                ASSERT_EQ(scene_volume(s, "data")->view.n_holders, rows[i].answer.write ? 1 : 0);
                ASSERT_EQ(fake_mountd_count(s->mountd, FAKE_EJECT), 1); /* it was one attempt */
                ASSERT_FAILURE(s, "data", rows[i].answer.step);
                ASSERT_STR(scene_ask(s, VERB_EJECT), "");
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_EQ(scene_volume(s, "data")->view.n_holders, 0);
                ASSERT_FAILURE(s, "data", "");
        }
}

static void test_eject_refuses_and_is_refused(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *eject, *unmount, *other;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_EJECT, held);
        ASSERT(scene_request(s, "data", VERB_EJECT, &eject));
        for (unsigned i = 0; i < 3; i++) { /* asked, stopping the target, ejecting */
                ASSERT(!scene_request(s, "data", VERB_UNMOUNT, &other));
                ASSERT_STR(other, "InProgress");
                ASSERT(!scene_request(s, "data", VERB_MOUNT, &other));
                ASSERT_STR(other, "InProgress");
                scene_settle(s);
        }
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(eject, "");
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");

        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &unmount));
        ASSERT(!scene_request(s, "data", VERB_EJECT, &other));
        ASSERT_STR(other, "InProgress");
        scene_settle(s);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(unmount, "");
}

/* The wish is of one incarnation of the device, and of none that comes later. */
static void test_replugged_while_asked_to_eject(void)
{
        for (unsigned replugged = 0; replugged < 2; replugged++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_TARGET, held);
                ASSERT(scene_request(s, "data", VERB_EJECT, &answer));
                scene_settle(s);
                scene_unplug(s, 1);
                if (replugged)
                        scene_plug(s, 1, 8, UUID_A);
                scene_settle(s);
                fake_mountd_release(s->mountd);
                scene_settle(s);
                ASSERT_STR(answer, "DeviceAbsent");
                ASSERT_STATE(s, "data", replugged ? "mounted" : "absent");
                ASSERT_EQ(fake_mountd_count(s->mountd, FAKE_EJECT), 0);
        }
}

/* The next incarnation is there before the answer of the one that was ejected, and is mounted; who
 * asked is told how it ended all the same. */
static void test_replugged_while_ejecting(void)
{
        static const FakeAnswer gone = { FAKE_FAILURE, "MountFailed", "eject",
                                         ENXIO,        "It went",     NULL };
        static const struct {
                const char *row;
                FakeAnswer answer;
                const char *error;
        } rows[] = {
                { "at work", { .kind = FAKE_HOLD }, "MountFailed" },
                { "put off",
                  { FAKE_ERROR, "InProgress", .message = "It is at work" },
                  "DeviceAbsent" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                test_row(rows[i].row);
                scene_start_with_data(s, "");
                if (i == 1)
                        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "");
                fake_mountd_answer(s->mountd, FAKE_EJECT, rows[i].answer);
                ASSERT(scene_request(s, "data", VERB_EJECT, &answer));
                scene_settle(s);
                scene_unplug(s, 1);
                scene_plug(s, 1, 8, UUID_A);
                scene_settle(s);
                fake_mountd_finish(s->mountd, gone);
                scene_settle(s);
                ASSERT_STR(answer, rows[i].error);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_FAILURE(s, "data", "");
                ASSERT(!scene_volume(s, "data")->release.error);
                ASSERT_EQ(scene_volume(s, "data")->mount->diskseq, 8);
        }
}

/* A mount that an earlier wslbared made, and that cannot be adopted. */
static void test_unmount_of_what_cannot_be_adopted(void)
{
        const FakeAnswer wrong = { FAKE_FAILURE, "MountFailed", "verify", EINVAL, "Is ro", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();
        int id = fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");

        fake_mountd_answer(s->mountd, FAKE_ADOPT, wrong);
        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        scene_record(s, "data", RECORD_MOUNTED, 1, 7, id);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_STR(scene_ask(s, VERB_UNMOUNT), "");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 0, 1, 1);
}

TEST_MAIN(TEST(unmount), TEST(replug_ends_what_was_held_back), TEST(lazily), TEST(busy),
          TEST(busy_for_some), TEST(unmount_fails), TEST(unmount_put_off),
          TEST(unplugged_while_asked_to_unmount), TEST(eject), TEST(eject_of_what_stays),
          TEST(eject_fails), TEST(eject_refuses_and_is_refused),
          TEST(replugged_while_asked_to_eject), TEST(replugged_while_ejecting),
          TEST(unmount_of_what_cannot_be_adopted))
