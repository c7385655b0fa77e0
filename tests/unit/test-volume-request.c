/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody asks of a volume, and what the answer is: "" done, else the error's name. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "volume-request.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer in_progress = { .kind = FAKE_ERROR,
                                        .error = "InProgress",
                                        .message = "A request for this volume is at work" };

/* Refusals. */

static void make_absent(Scene *s)
{
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
}

static void make_ambiguous(Scene *s)
{
        scene_start_with_data(s, "Auto=no\n");
        scene_plug(s, 2, 8, UUID_A);
}

static void make_mounted(Scene *s)
{
        scene_start_with_data(s, "");
}

static void make_bad(Scene *s)
{
        scene_start_with_data(s, "Auto=no\n");
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        manager_reload(s->manager);
}

static void make_bad_while_mounted(Scene *s)
{
        scene_start_with_data(s, "");
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        manager_reload(s->manager);
}

static void make_where_none(Scene *s)
{
        scene_write(s, "data", "[Match]\nUUID=" UUID_A "\n[Mount]\nWhere=none\n");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
}

static void make_manual(Scene *s)
{
        scene_start_with_data(s, "Auto=no\n");
}

static void make_lost(Scene *s)
{
        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        scene_unplug(s, 1);
}

static void make_mounting(Scene *s)
{
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_data(s, "");
}

static void make_swap(Scene *s)
{
        Device *d = scene_device(1, 7, UUID_B);

        scene_write(s, "data", "[Match]\nPartUUID=0123-ab\n[Mount]\nWhere=/mnt/data\n");
        scene_start(s);
        d->content = DEVICE_CONTENT_OTHER;
        d->part_uuid = strdup("0123-ab");
        scene_event(s, 1, 1, d);
}

static void make_occupied(Scene *s)
{
        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        scene_start_with_data(s, "");
}

static const struct {
        const char *row;
        void (*make)(Scene *s);
        const char *answers[3]; /* to each VolumeVerb, "" is done, NULL: it waits */
} answers[] = {
        { "absent", make_absent, { "NotMounted", "DeviceAbsent", "DeviceAbsent" } },
        { "ambiguous", make_ambiguous, { "NotMounted", "Ambiguous", "Ambiguous" } },
        { "mounted", make_mounted, { "", "AlreadyMounted", "" } },
        { "bad file", make_bad, { "NotMounted", "ConfigInvalid", "" } },
        { "bad file of what is mounted", make_bad_while_mounted, { "", "AlreadyMounted", "" } },
        { "Where=none", make_where_none, { "NotMounted", "NotSupported", "" } },
        { "Auto=no", make_manual, { "NotMounted", "", "" } },
        { "lost", make_lost, { NULL, "DeviceAbsent", "DeviceAbsent" } },
        { "mounting", make_mounting, { "InProgress", NULL, "InProgress" } },
        { "swap", make_swap, { "NotMounted", "NotSupported", "" } },
        { "target occupied", make_occupied, { "NotMounted", "MountFailed", "" } },
};

static void test_answers(void)
{
        for (size_t i = 0; i < ELEMENTSOF(answers); i++)
                for (unsigned verb = 0; verb < 3; verb++) {
                        const char *answer; /* may be given as late as at the scene's end */
                        _cleanup_(scene_freep) Scene *s = scene_new();

                        test_row(answers[i].row);
                        answers[i].make(s);
                        scene_settle(s);
                        (void)scene_request(s, "data", (VolumeVerb)verb, &answer);
                        scene_settle(s);
                        ASSERT_STR(answer, answers[i].answers[verb]);
                }
}

/* Mount. */

static void test_auto_no(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "Auto=no\n");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
        ASSERT_EQ(fake_mountd_count_started(s->mountd), 1);
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");

        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STATE(s, "data", "absent");
        scene_plug(s, 1, 8, UUID_A); /* that nobody has asked for */
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
        ASSERT_STATE(s, "data", "mounted");
}

/* Somebody else unmounted it a moment before, and it is being tidied up. */
static void test_asked_while_tidying_up(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT_STATE(s, "data", "mounted");
}

/* An attempt failed once; what is in the way now is something else. */
static void test_error_is_of_this_failure(void)
{
        const FakeAnswer refused = {
                FAKE_FAILURE, "CheckFailed", "check", EUCLEAN, "Errors", NULL
        };
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "CheckFailed");
        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "MountFailed");
        ASSERT_FAILURE(s, "data", "target");
}

/* A mount a day after its device came did not take a day. */
static void test_latency(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const Volume *v;

        scene_start_with_data(s, "Auto=no\n");
        v = scene_volume(s, "data");
        devices_find(manager_devices(s->manager), FAKE_DEVNUM(1))->event_usec = 1;
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "");
        ASSERT(v->latency_usec > 0 && v->latency_usec < 60 * USEC_PER_SEC);
        scene_plug(s, 1, 7, UUID_A); /* nothing new */
        scene_settle(s);
        ASSERT_EQ(devices_find(manager_devices(s->manager), FAKE_DEVNUM(1))->event_usec, 1);
}

/* What was asked for is tried again as with Auto=yes. */
static void test_retry_of_what_was_asked_for(void)
{
        const FakeAnswer failed = { FAKE_FAILURE, "MountFailed", "mount", EIO, "Unreadable", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
        scene_start_with_data(s, "Auto=no\n");
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "MountFailed");
        ASSERT_STATE(s, "data", "failed");
        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_asked_for_while_probing(void)
{
        static const struct {
                const char *uuid;
                const char *answer;
                const char *state;
        } rows[] = {
                { UUID_A, "", "mounted" },
                { UUID_B, "DeviceAbsent", "absent" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                test_row(rows[i].state);
                fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", rows[i].uuid);
                fake_mountd_answer(s->mountd, FAKE_PROBE, held);
                scene_configure(s, "data", UUID_A, "Auto=no\n");
                scene_start(s);
                scene_plug(s, 1, 7, NULL);
                scene_settle(s);
                ASSERT_STATE(s, "data", "probing");
                ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
                scene_settle(s);
                ASSERT_STR(answer, NULL);
                fake_mountd_release(s->mountd);
                scene_settle(s);
                ASSERT_STR(answer, rows[i].answer);
                ASSERT_STATE(s, "data", rows[i].state);
                scene_plug(s, 2, 8, UUID_A); /* the wish is of that one device */
                scene_unplug(s, 1);
                scene_settle(s);
                ASSERT_STATE(s, "data", "unmounted");
        }
}

static void test_failures_have_names(void)
{
        static const struct {
                const char *error; /* as mountd says */
                const char *answer;
                const char *state;
        } rows[] = {
                { "TimedOut", "TimedOut", "failed" },
                { "CheckFailed", "CheckFailed", "failed" },
                { "DeviceAbsent", "DeviceAbsent", "failed" },
                { "Busy", "Busy", "failed" },
                { "MountFailed", "MountFailed", "failed" },
                { "NotSupported", "NotSupported", "unsupported" },
                { "Locked", "Locked", "locked" },
                { "Incomplete", "Incomplete", "incomplete" },
                { "AlreadyMounted", "MountFailed", "failed" }, /* by something else */
                { "NotMounted", "MountFailed", "failed" },
                { "Surprise", "MountFailed", "failed" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer a = { FAKE_FAILURE, rows[i].error, "mount", EIO, "So", NULL };

                test_row(rows[i].error);
                fake_mountd_answer(s->mountd, FAKE_MOUNT, a);
                scene_start_with_data(s, "Auto=no\n");
                ASSERT_STR(scene_ask(s, VERB_MOUNT), rows[i].answer);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_STR(scene_ask(s, VERB_MOUNT), ""); /* starts afresh */
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 2, 0, 0);
        }
}

static void test_an_error_of_the_bus(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const FakeAnswer a = { .kind = FAKE_ERROR, .error = "ConfigInvalid", .message = "Changed" };

        fake_mountd_answer(s->mountd, FAKE_MOUNT, a);
        scene_start_with_data(s, "Auto=no\n");
        ASSERT_STR(scene_ask(s, VERB_MOUNT), "ConfigInvalid");
        ASSERT_FAILURE(s, "data", "config");
}

static void test_put_off_is_waited_for(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        fake_mountd_answer(s->mountd, FAKE_MOUNT, in_progress);
        scene_start_with_data(s, "Auto=no\n");
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        scene_hasten(s, "data");
        ASSERT_STR(answer, "");
}

static void test_unplugged_while_asked_to_mount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_data(s, "Auto=no\n");
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(answer, "DeviceAbsent");
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 1, 0);
}

/* Together. */

static void test_mounts_join(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *first, *second, *third;

        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_data(s, "Auto=no\n");
        ASSERT(scene_request(s, "data", VERB_MOUNT, &first));
        ASSERT(scene_request(s, "data", VERB_MOUNT, &second)); /* before anything was done */
        scene_settle(s);
        ASSERT(scene_request(s, "data", VERB_MOUNT, &third)); /* at work */
        scene_settle(s);
        ASSERT(!first && !second && !third);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(first, "");
        ASSERT_STR(second, "");
        ASSERT_STR(third, "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* What begins by itself is joined, too. */
static void test_mount_joins_the_automatic_one(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        make_mounting(s);
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

static void test_unmounts_join(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *first, *second;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &first));
        scene_settle(s);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &second));
        scene_settle(s);
        ASSERT(!first && !second);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(first, "");
        ASSERT_STR(second, "");
        ASSERT_CALLS(s, 0, 1, 1, 0);
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
}

static void test_opposites_refuse_each_other(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *first, *second;

        scene_start_with_data(s, "Auto=no\n");
        ASSERT(scene_request(s, "data", VERB_MOUNT, &first)); /* nothing done yet */
        ASSERT(!scene_request(s, "data", VERB_UNMOUNT, &second));
        ASSERT_STR(second, "InProgress");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_settle(s);
        ASSERT(!scene_request(s, "data", VERB_UNMOUNT, &second));
        ASSERT_STR(second, "InProgress");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(first, "");

        fake_mountd_answer(s->mountd, FAKE_TARGET, held);
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &first));
        for (unsigned i = 0; i < 3; i++) { /* asked, stopping the target, unmounting */
                ASSERT(!scene_request(s, "data", VERB_MOUNT, &second));
                ASSERT_STR(second, "InProgress");
                if (i == 2)
                        fake_mountd_release(s->mountd);
                scene_settle(s);
                if (i == 0) {
                        ASSERT_CALLS(s, 0, 1, 0, 0);
                        fake_mountd_release(s->mountd);
                }
        }
        ASSERT_STR(first, "");
        ASSERT_STATE(s, "data", "unmounted");
}

/* What comes in between. */

static void test_volume_goes_while_asked(void)
{
        for (unsigned mount = 0; mount < 2; mount++) {
                VolumeVerb verb = mount ? VERB_MOUNT : VERB_UNMOUNT;
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *first, *second;

                scene_start_with_data(s, mount ? "Auto=no\n" : "");
                fake_mountd_answer(s->mountd, mount ? FAKE_MOUNT : FAKE_UNMOUNT, held);
                ASSERT(scene_request(s, "data", verb, &first));
                scene_settle(s);
                ASSERT(scene_request(s, "data", verb, &second));
                scene_remove(s, "data");
                manager_reload(s->manager);
                scene_settle(s);
                ASSERT_STR(first, "NoSuchVolume");
                ASSERT_STR(second, "NoSuchVolume");
                fake_mountd_release(s->mountd); /* too late for anybody */
                scene_settle(s);
        }
}

static void test_file_turns_bad_while_asked(void)
{
        const FakeAnswer failed = { FAKE_FAILURE, "MountFailed", "mount", EIO, "So", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "Auto=no\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STR(answer, "ConfigInvalid");
        ASSERT_CALLS(s, 0, 0, 0, 0);
}

/* The order of what is said. */

typedef struct Told {
        Scene *scene;
        char *state; /* that was published when the answer came */
        const char *error;
} Told;

static void note_view(const char *error, const char *message, void *userdata)
{
        Told *t = userdata;
        const Volume *v = scene_volume(t->scene, "data");

        ASSERT(!t->state);
        ASSERT(!v->is_changed);
        t->state = strdup(v->view.state);
        t->error = error;
}

static void test_published_before_the_answer(void)
{
        static const FakeAnswer failed = { FAKE_FAILURE, "TimedOut", "mount", ETIMEDOUT, "So" };
        static const struct {
                const char *state;
                const char *error;
                bool mount;
                bool fails;
        } rows[] = {
                { "mounted", NULL, true, false },
                { "failed", "TimedOut", true, true },
                { "unmounted", NULL, false, false },
                { "mounted", "TimedOut", false, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                Told told = { .scene = s };
                const VolumeRequest q = { .verb = rows[i].mount ? VERB_MOUNT : VERB_UNMOUNT,
                                          .done = note_view,
                                          .userdata = &told };
                VolumeRefusal why = { 0 };

                test_row(rows[i].state);
                scene_start_with_data(s, rows[i].mount ? "Auto=no\n" : "");
                if (rows[i].fails)
                        fake_mountd_answer(s->mountd, rows[i].mount ? FAKE_MOUNT : FAKE_UNMOUNT,
                                           failed);
                ASSERT_OK(volume_request(scene_volume(s, "data"), &q, &why));
                scene_settle(s);
                ASSERT_STR(told.state, rows[i].state);
                ASSERT_STR(told.error, rows[i].error);
                free(told.state);
        }
}

TEST_MAIN(TEST(answers), TEST(auto_no), TEST(asked_while_tidying_up),
          TEST(error_is_of_this_failure), TEST(latency), TEST(retry_of_what_was_asked_for),
          TEST(asked_for_while_probing), TEST(failures_have_names), TEST(an_error_of_the_bus),
          TEST(put_off_is_waited_for), TEST(unplugged_while_asked_to_mount), TEST(mounts_join),
          TEST(mount_joins_the_automatic_one), TEST(unmounts_join),
          TEST(opposites_refuse_each_other), TEST(volume_goes_while_asked),
          TEST(file_turns_bad_while_asked), TEST(published_before_the_answer))
