/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody asks of a volume, and what the answer is: "" done, else the error's name. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "volume-request.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer drop = { .kind = FAKE_DROP };
static const FakeAnswer in_progress = { .kind = FAKE_ERROR,
                                        .error = "InProgress",
                                        .message = "A request for this volume is at work" };

static void start_with_device(Scene *s, const char *extra)
{
        scene_configure(s, "data", UUID_A, extra);
        scene_start_with_device(s);
}

static const char *ask(Scene *s, VolumeVerb verb)
{
        const char *answer;

        (void)scene_request(s, "data", verb, &answer);
        scene_settle(s);
        return answer;
}

static const char *ask_mount(Scene *s)
{
        return ask(s, VERB_MOUNT);
}

static const char *ask_unmount(Scene *s)
{
        return ask(s, VERB_UNMOUNT);
}

static const char *ask_eject(Scene *s)
{
        return ask(s, VERB_EJECT);
}

static void drop_out_of(Scene *s)
{
        fake_mountd_unmount(s->mountd, "/mnt/data");
        scene_look_again(s);
}

/* Refusals. */

static void make_absent(Scene *s)
{
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
}

static void make_ambiguous(Scene *s)
{
        start_with_device(s, "Auto=no\n");
        scene_plug(s, 2, 8, UUID_A);
}

static void make_mounted(Scene *s)
{
        start_with_device(s, "");
}

static void make_bad(Scene *s)
{
        start_with_device(s, "Auto=no\n");
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        manager_reload(s->manager);
}

static void make_bad_while_mounted(Scene *s)
{
        start_with_device(s, "");
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
        start_with_device(s, "Auto=no\n");
}

static void make_lost(Scene *s)
{
        start_with_device(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        scene_unplug(s, 1);
}

static void make_mounting(Scene *s)
{
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        start_with_device(s, "");
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
        start_with_device(s, "");
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

        start_with_device(s, "Auto=no\n");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_STR(ask_mount(s), "");
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
        ASSERT_STR(ask_mount(s), "");
        ASSERT_STATE(s, "data", "mounted");
}

/* What was asked for is tried again as with Auto=yes. */
/* Somebody else unmounted it a moment before, and it is being tidied up. */
static void test_asked_while_tidying_up(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        start_with_device(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, held);
        drop_out_of(s);
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
        start_with_device(s, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        ASSERT_STR(ask_mount(s), "CheckFailed");
        (void)fake_mountd_mount(s->mountd, makedev(0, 50), "/mnt/data", "tmpfs", "rubbish");
        ASSERT_STR(ask_mount(s), "MountFailed");
        ASSERT_FAILURE(s, "data", "target");
}

/* A mount a day after its device came did not take a day. */
static void test_latency(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const Volume *v;

        start_with_device(s, "Auto=no\n");
        v = scene_volume(s, "data");
        devices_find(manager_devices(s->manager), FAKE_DEVNUM(1))->event_usec = 1;
        ASSERT_STR(ask_mount(s), "");
        ASSERT(v->latency_usec > 0 && v->latency_usec < 60 * USEC_PER_SEC);
        scene_plug(s, 1, 7, UUID_A); /* nothing new */
        scene_settle(s);
        ASSERT_EQ(devices_find(manager_devices(s->manager), FAKE_DEVNUM(1))->event_usec, 1);
}

static void test_retry_of_what_was_asked_for(void)
{
        const FakeAnswer failed = { FAKE_FAILURE, "MountFailed", "mount", EIO, "Unreadable", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();

        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
        start_with_device(s, "Auto=no\n");
        ASSERT_STR(ask_mount(s), "MountFailed");
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
                start_with_device(s, "Auto=no\n");
                ASSERT_STR(ask_mount(s), rows[i].answer);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_STR(ask_mount(s), ""); /* starts afresh */
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 2, 0, 0);
        }
}

static void test_an_error_of_the_bus(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const FakeAnswer a = { .kind = FAKE_ERROR, .error = "ConfigInvalid", .message = "Changed" };

        fake_mountd_answer(s->mountd, FAKE_MOUNT, a);
        start_with_device(s, "Auto=no\n");
        ASSERT_STR(ask_mount(s), "ConfigInvalid");
        ASSERT_FAILURE(s, "data", "config");
}

static void test_put_off_is_waited_for(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        fake_mountd_answer(s->mountd, FAKE_MOUNT, in_progress);
        start_with_device(s, "Auto=no\n");
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
        start_with_device(s, "Auto=no\n");
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
        start_with_device(s, "Auto=no\n");
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

        start_with_device(s, "");
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

        start_with_device(s, "Auto=no\n");
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

/* Unmount. */

static void test_unmount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        start_with_device(s, "");
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
        ASSERT_STR(ask_mount(s), "");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
        ASSERT_EQ(fake_mountd_count_stopped(s->mountd), 1);
}

static void test_replug_ends_what_was_held_back(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        start_with_device(s, "");
        ASSERT_STR(ask_unmount(s), "");
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

        start_with_device(s, "");
        ASSERT_OK(volume_request(scene_volume(s, "data"), &(VolumeRequest){ .lazy = true }, &why));
        scene_settle(s); /* nobody waits */
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT(fake_mountd_last(s->mountd)->lazy);
        ASSERT_STR(ask_mount(s), "");
        ASSERT_STR(ask_unmount(s), "");
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

        start_with_device(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, busy);
        ASSERT_STR(ask_unmount(s), "Busy");
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

        ASSERT_STR(ask_unmount(s), "");
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

        start_with_device(s, "");
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
                start_with_device(s, "");
                fake_mountd_answer(s->mountd, FAKE_UNMOUNT, a);
                ASSERT_STR(ask_unmount(s), rows[i].answer);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
                ASSERT_FAILURE(s, "data", "unmount");
                ASSERT_EQ(scene_volume(s, "data")->failure_errno, EIO);
                ASSERT_STR(scene_volume(s, "data")->failure_message, "So");
                drop_out_of(s);
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_FAILURE(s, "data", "");
        }
}

static void test_unmount_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        start_with_device(s, "");
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

        start_with_device(s, "");
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

        start_with_device(s, "");
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
                start_with_device(s, "");
                ASSERT_STATE(s, "data", mounted ? "mounted" : "failed");
                ASSERT_STR(ask_eject(s), "");
                scene_look_again(s);
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_EQ(scene_volume(s, "data")->past.retry_usec, 0);
                ASSERT_EQ(fake_mountd_count_stopped(s->mountd), mounted);
                ASSERT_STR(ask_eject(s), ""); /* again is no failure */
                ASSERT_STR(ask_mount(s), "");
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
                start_with_device(s, "");
                fake_mountd_answer(s->mountd, FAKE_EJECT, rows[i].answer);
                ASSERT_STR(ask_eject(s), rows[i].error);
                scene_look_again(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_EQ(fake_mountd_count_started(s->mountd), rows[i].started);
                ASSERT_EQ(scene_volume(s, "data")->view.n_holders, rows[i].answer.write ? 1 : 0);
                ASSERT_EQ(fake_mountd_count(s->mountd, FAKE_EJECT), 1); /* it was one attempt */
                ASSERT_FAILURE(s, "data", rows[i].answer.step);
                ASSERT_STR(ask_eject(s), "");
                ASSERT_STATE(s, "data", "unmounted");
                ASSERT_EQ(scene_volume(s, "data")->view.n_holders, 0);
                ASSERT_FAILURE(s, "data", "");
        }
}

static void test_eject_refuses_and_is_refused(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *eject, *unmount, *other;

        start_with_device(s, "");
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
        ASSERT_STR(ask_mount(s), "");

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

                start_with_device(s, "");
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
        ASSERT_STR(ask_unmount(s), "");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 0, 1, 1);
}

/* What comes in between. */

static void test_volume_goes_while_asked(void)
{
        for (unsigned mount = 0; mount < 2; mount++) {
                VolumeVerb verb = mount ? VERB_MOUNT : VERB_UNMOUNT;
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *first, *second;

                start_with_device(s, mount ? "Auto=no\n" : "");
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

        start_with_device(s, "Auto=no\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_configure(s, "data", UUID_A, "Check=perhaps\n");
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STR(answer, "ConfigInvalid");
        ASSERT_CALLS(s, 0, 0, 0, 0);
}

static void test_mountd_goes_while_asked(void)
{
        static const struct {
                FakeMethod method;
                VolumeVerb verb;
        } rows[] = {
                { FAKE_MOUNT, VERB_MOUNT },     { FAKE_TARGET, VERB_UNMOUNT },
                { FAKE_UNMOUNT, VERB_UNMOUNT }, { FAKE_TARGET, VERB_EJECT },
                { FAKE_EJECT, VERB_EJECT },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                bool mount = rows[i].verb == VERB_MOUNT;
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                start_with_device(s, mount ? "Auto=no\n" : "");
                fake_mountd_answer(s->mountd, rows[i].method, drop);
                if (rows[i].method == FAKE_EJECT) /* so far it came */
                        fake_mountd_unmount(s->mountd, "/mnt/data");
                ASSERT(scene_request(s, "data", rows[i].verb, &answer));
                scene_settle(s);
                ASSERT_STR(answer, NULL);
                ASSERT(!mountd_client_is_connected(manager_mountd(s->manager)));
                scene_connect(s);
                scene_settle(s);
                ASSERT_STR(answer, "");
                ASSERT_STATE(s, "data", mount ? "mounted" : "unmounted");
        }
}

static void test_asked_without_a_mountd(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        start_with_device(s, "Auto=no\n");
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, NULL);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* What comes meanwhile is not known to be there. */
static void test_plugged_without_a_mountd(void)
{
        for (unsigned plugged = 0; plugged < 2; plugged++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                scene_configure(s, "data", UUID_A, "Auto=no\n");
                ASSERT_OK(manager_load(s->manager));
                if (plugged)
                        scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                ASSERT(scene_request(s, "data", VERB_MOUNT, &answer));
                scene_settle(s);
                ASSERT_STR(answer, NULL);
                scene_connect(s);
                scene_settle(s);
                ASSERT_STR(answer, plugged ? "" : "DeviceAbsent");
                ASSERT_CALLS(s, 0, plugged, 0, 0);
        }
}

static void test_plugged_while_mountd_is_away(void)
{
        for (VolumeVerb verb = VERB_UNMOUNT; verb <= VERB_EJECT; verb++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                scene_settle(s);
                mountd_client_set_patience(manager_mountd(s->manager), 1);
                fake_mountd_disconnect(s->mountd);
                for (unsigned tries = SCENE_TRIES;
                     !mountd_client_is_away(manager_mountd(s->manager)) && scene_wait(s, &tries);)
                        ;
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                ASSERT(!scene_request(s, "data", verb, &answer));
                ASSERT_STR(answer, "TimedOut");
        }
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

/* It does not come up: who asked hears of it, and what was asked for does not happen hours later.
 */
static void test_mountd_stays_away(void)
{
        for (VolumeVerb verb = VERB_UNMOUNT; verb <= VERB_EJECT; verb++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                start_with_device(s, verb == VERB_MOUNT ? "Auto=no\n" : "");
                mountd_client_set_patience(manager_mountd(s->manager), 1);
                fake_mountd_disconnect(s->mountd);
                ASSERT(scene_request(s, "data", verb, &answer));
                for (unsigned tries = SCENE_TRIES; !answer && scene_wait(s, &tries);)
                        ;
                ASSERT_STR(answer, "TimedOut");
                ASSERT(!scene_request(s, "data", verb, &answer));
                ASSERT_STR(answer, "TimedOut");
                scene_connect(s);
                scene_settle(s);
                ASSERT_STATE(s, "data", verb == VERB_MOUNT ? "unmounted" : "mounted");
                ASSERT(!mountd_client_is_away(manager_mountd(s->manager)));
        }
}

/* What was asked for may have been done, and is not undone then; else all is as before. */
static void test_unmounted_while_mountd_was_away(void)
{
        static const struct {
                VolumeVerb verb;
                FakeMethod method;
                bool ended;
        } rows[] = {
                { VERB_UNMOUNT, FAKE_UNMOUNT, true },
                { VERB_EJECT, FAKE_EJECT, true },
                { VERB_UNMOUNT, FAKE_UNMOUNT, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                start_with_device(s, "KeepMounted=yes\n");
                mountd_client_set_patience(manager_mountd(s->manager), 1);
                fake_mountd_answer(s->mountd, rows[i].method, held);
                ASSERT(scene_request(s, "data", rows[i].verb, &answer));
                scene_settle(s);
                fake_mountd_disconnect(s->mountd);
                for (unsigned tries = SCENE_TRIES; !answer && scene_wait(s, &tries);)
                        ;
                ASSERT_STR(answer, "TimedOut");
                if (rows[i].ended)
                        fake_mountd_unmount(s->mountd, "/mnt/data");
                scene_connect(s);
                scene_settle(s);
                ASSERT_STATE(s, "data", rows[i].ended ? "unmounted" : "mounted");
                if (rows[i].ended)
                        continue;
                fake_mountd_unmount(s->mountd, "/mnt/data"); /* by somebody else, later */
                scene_look_again(s);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 2, 1, 1);
        }
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
                start_with_device(s, rows[i].mount ? "Auto=no\n" : "");
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
          TEST(opposites_refuse_each_other), TEST(unmount), TEST(replug_ends_what_was_held_back),
          TEST(lazily), TEST(busy), TEST(busy_for_some), TEST(unmount_fails), TEST(unmount_put_off),
          TEST(unplugged_while_asked_to_unmount), TEST(eject), TEST(eject_of_what_stays),
          TEST(eject_fails), TEST(eject_refuses_and_is_refused),
          TEST(replugged_while_asked_to_eject), TEST(unmount_of_what_cannot_be_adopted),
          TEST(volume_goes_while_asked), TEST(file_turns_bad_while_asked),
          TEST(mountd_goes_while_asked), TEST(asked_without_a_mountd),
          TEST(plugged_without_a_mountd), TEST(plugged_while_mountd_is_away),
          TEST(mountd_stays_away), TEST(unmounted_while_mountd_was_away),
          TEST(published_before_the_answer))
