/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "text.h"

/* What mountd may answer, and what becomes of it. */

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer hanging = { .kind = FAKE_ERROR,
                                    .error = "Hanging",
                                    .message = "The disk does not answer" };

static void test_failure_is_told(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const FakeAnswer refused = { FAKE_FAILURE, "MountFailed", "verify", ELOOP, "A link", NULL };
        const Volume *v;

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        scene_start_with_device(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "verify");
        v = scene_volume(s, "data");
        ASSERT_EQ(v->failure_errno, ELOOP);
        ASSERT_STR(v->failure_message, "A link");
        ASSERT_STR(v->device, "/dev/fake1");
        ASSERT_EQ(v->past.attempts, 1);

        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_STR(v->failure_message, NULL);
        ASSERT_EQ(v->failure_errno, 0);
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_what_is_of_no_use_is_not_tried_again(void)
{
        static const struct {
                const char *error, *state;
        } rows[] = {
                { "NotSupported", "unsupported" },
                { "Locked", "locked" },
                { "Incomplete", "incomplete" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer a = { FAKE_FAILURE, rows[i].error, "mount",
                                       ENODEV,       "No driver",   NULL };

                test_row(rows[i].error);
                scene_configure(s, "data", UUID_A, "");
                fake_mountd_answer(s->mountd, FAKE_MOUNT, a);
                scene_start_with_device(s);
                ASSERT_STATE(s, "data", rows[i].state);
                ASSERT_FAILURE(s, "data", "mount");
                ASSERT_STR(scene_volume(s, "data")->failure_message, "No driver");
                ASSERT(!scene_volume(s, "data")->retry);
                scene_look_again(s);
                ASSERT_CALLS(s, 0, 1, 0, 0);

                scene_unplug(s, 1);
                scene_plug(s, 1, 8, UUID_A);
                scene_settle(s);
                ASSERT_STATE(s, "data", "mounted");
        }
}

static void test_an_error_of_the_bus_is_a_failure(void)
{
        static const struct {
                const char *error;
                const char *step;
        } rows[] = {
                { "ConfigInvalid", "config" },
                { "NoSuchVolume", "config" },
                { "LimitsExceeded", "mount" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer a = { .kind = FAKE_ERROR,
                                       .error = rows[i].error,
                                       .message = "Not now" };

                test_row(rows[i].error);
                scene_configure(s, "data", UUID_A, "");
                fake_mountd_answer(s->mountd, FAKE_MOUNT, a);
                scene_start_with_device(s);
                ASSERT_STATE(s, "data", "failed");
                ASSERT_FAILURE(s, "data", rows[i].step);
                ASSERT_STR(scene_volume(s, "data")->failure_message, "Not now");
                scene_hasten(s, "data");
                ASSERT_STATE(s, "data", "mounted");
        }
}

static int write_no_target(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 1, "MountId", "i", 5);
}

static int write_a_number(sd_bus_message *m)
{
        return sd_bus_message_append(m, "u", 5);
}

static void test_garbage_is_a_failure(void)
{
        static const FakeWriter writers[] = { write_no_target, write_a_number };

        for (size_t i = 0; i < ELEMENTSOF(writers); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer garbage = { .kind = FAKE_GARBAGE, .write = writers[i] };

                scene_configure(s, "data", UUID_A, "");
                fake_mountd_answer(s->mountd, FAKE_MOUNT, garbage);
                scene_start_with_device(s);
                ASSERT_STATE(s, "data", "failed");
                ASSERT_FAILURE(s, "data", "mount");
                ASSERT_EQ(scene_volume(s, "data")->failure_errno, EBADMSG);
                ASSERT_CALLS(s, 0, 1, 0, 0);
                scene_hasten(s, "data");
                ASSERT_STATE(s, "data", "mounted");
        }
}

/* A mount that is there is not forgotten for it. */
static void test_garbage_of_a_verification(void)
{
        static const FakeWriter writers[] = { write_no_target, write_a_number };

        for (size_t i = 0; i < ELEMENTSOF(writers); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const FakeAnswer garbage = { .kind = FAKE_GARBAGE, .write = writers[i] };

                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_ADOPT, garbage);
                manager_doubt(s->manager);
                scene_settle(s);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_FAILURE(s, "data", "run");
                ASSERT_EQ(scene_volume(s, "data")->failure_errno, EBADMSG);
                scene_hasten(s, "data");
                ASSERT_FAILURE(s, "data", "");
                ASSERT_CALLS(s, 0, 1, 0, 2);
        }
}

/* What was at work when the file changed is not what is mounted in the end. */
static void test_mounted_after_a_change(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
        scene_start_with_device(s);
        scene_configure(s, "data", UUID_A, "ReadOnly=yes\n");
        manager_reload(s->manager);
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
        ASSERT(!scene_volume(s, "data")->mount->stale);
}

static void test_adopting_fails(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const FakeAnswer wrong = { FAKE_FAILURE, "MountFailed", "verify", EINVAL, "Is ro", NULL };

        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "ext4", "/dev/fake1");
        fake_mountd_answer(s->mountd, FAKE_ADOPT, wrong);
        scene_start_with_data(s, "");
        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "verify");
        ASSERT_CALLS(s, 0, 0, 0, 1);
        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 0, 0, 2);
}

/* What was given up before still hangs: that is no secret, and no attempt. */
static void test_hanging_is_shown(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_configure(s, "data", UUID_A, "RetryLimit=1\n");
        for (unsigned i = 0; i < 10; i++)
                fake_mountd_answer(s->mountd, FAKE_MOUNT, hanging);
        scene_start_with_device(s);
        for (unsigned i = 1; i <= 10; i++) {
                ASSERT_STATE(s, "data", "failed");
                ASSERT_FAILURE(s, "data", "mount");
                ASSERT_EQ(scene_volume(s, "data")->failure_errno, ETIMEDOUT);
                ASSERT_EQ(scene_volume(s, "data")->past.attempts, 1);
                ASSERT_CALLS(s, 0, i, 0, 0);
                if (i == 5) { /* is answered, and not when the disk is */
                        ASSERT(scene_request(s, "data", true, &answer));
                        scene_settle(s);
                        ASSERT_STR(answer, "TimedOut");
                } else
                        scene_hasten(s, "data");
        }
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_CALLS(s, 0, 11, 0, 0);
}

static void test_hanging_unmount(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_UNMOUNT, hanging);
        ASSERT(scene_request(s, "data", false, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "TimedOut");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 1, 0);
}

/* What needs the mount cannot be stopped either. */
static void test_hanging_target(void)
{
        for (VolumeVerb verb = VERB_UNMOUNT; verb <= VERB_EJECT; verb++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                if (verb == VERB_MOUNT)
                        continue;
                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_TARGET, hanging);
                ASSERT(scene_request(s, "data", verb, &answer));
                scene_settle(s);
                ASSERT_STR(answer, "TimedOut");
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_CALLS(s, 0, 1, 0, 0);
        }
}

/* What is dead does not stay mounted because an attempt to end that died. */
static void test_detach_is_tried_again(void)
{
        static const FakeAnswer died = { FAKE_FAILURE, "MountFailed", "unmount",
                                         EOWNERDEAD,   "It died",     NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_start_with_data(s, "");
        for (unsigned i = 0; i < 2; i++)
                fake_mountd_answer(s->mountd, FAKE_UNMOUNT, died);
        scene_unplug(s, 1);
        scene_settle(s);
        for (unsigned i = 1; i <= 2; i++) {
                ASSERT_STATE(s, "data", "lost");
                ASSERT_CALLS(s, 0, 1, i, 0);
                ASSERT(scene_volume(s, "data")->target_unsure);
                scene_hasten(s, "data");
        }
        ASSERT_STATE(s, "data", "absent");
        ASSERT_CALLS(s, 0, 1, 3, 0);
        ASSERT(!fake_mountd_is_mounted(s->mountd, "/mnt/data"));
}

/* To link a file elsewhere changes it, without any event in its directory. */
static void test_file_changes_unseen(void)
{
        static const FakeAnswer other = { FAKE_ERROR, "ConfigInvalid", .message = "It changed" };

        for (unsigned changed = 0; changed < 2; changed++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                _cleanup_free_ char *path = text_format("%s/data.conf", s->config),
                                    *linked = text_format("%s/elsewhere", s->flags);

                scene_configure(s, "data", UUID_A, "");
                scene_start(s);
                scene_settle(s);
                if (changed)
                        ASSERT_OK(link(path, linked));
                fake_mountd_answer(s->mountd, FAKE_MOUNT, other);
                scene_plug(s, 1, 7, UUID_A);
                scene_settle(s);
                ASSERT_STATE(s, "data", changed ? "mounted" : "failed");
                ASSERT_CALLS(s, 0, 1 + changed, 0, 0);
        }
}

/* A failure says nothing of a file that is another one by now. */
static void test_file_changes_while_mounting(void)
{
        static const FakeAnswer refused = { FAKE_FAILURE, "CheckFailed", "check",
                                            EUCLEAN,      "Errors",      NULL };

        for (unsigned changed = 0; changed < 2; changed++) {
                _cleanup_(scene_freep) Scene *s = scene_new();

                fake_mountd_answer(s->mountd, FAKE_MOUNT, held);
                scene_start_with_data(s, "");
                if (changed)
                        scene_configure(s, "data", UUID_A, "CheckFailure=read-only\n");
                scene_reload(s);
                fake_mountd_finish(s->mountd, refused);
                scene_settle(s);
                ASSERT_STATE(s, "data", changed ? "mounted" : "failed");
                ASSERT_CALLS(s, 0, 1 + changed, 0, 0);
        }
}

/* PID 1 cannot be reached for a moment: nothing is known of the target, and it is asked again; but
 * not for ever. */
static void test_target_is_tried_again(void)
{
        static const FakeAnswer away = { FAKE_FAILURE, "MountFailed", "run",
                                         ECONNREFUSED, "So",          NULL },
                                canceled = { FAKE_FAILURE, "MountFailed", "run",
                                             ECANCELED,    "So",          NULL },
                                died = {
                                        FAKE_FAILURE, "MountFailed", "run", EOWNERDEAD, "So", NULL
                                };
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_configure(s, "data", UUID_A, "");
        fake_mountd_answer(s->mountd, FAKE_TARGET, away);
        fake_mountd_answer(s->mountd, FAKE_TARGET, died);
        scene_start_with_device(s);
        for (unsigned i = 1; i <= 3; i++) {
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_TARGET(s, i, 0);
                ASSERT_EQ(scene_volume(s, "data")->target_active, i == 3);
                if (i < 3)
                        scene_hasten(s, "data");
        }
        for (unsigned i = 0; i < 6; i++)
                fake_mountd_answer(s->mountd, FAKE_TARGET, i % 2 == 0 ? canceled : away);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        for (unsigned i = 1; i <= 5; i++) {
                ASSERT_STATE(s, "data", "unmounting");
                ASSERT_TARGET(s, 3, i);
                scene_hasten(s, "data");
        }
        ASSERT_STR(answer, "");
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_TARGET(s, 3, 6);
}

static const FakeAnswer in_use = { FAKE_FAILURE, "InProgress",     "probe",
                                   EAGAIN,       "Another has it", NULL };

/* Whoever formats it may take long: what keeps it is no secret then, and no attempt either. */
static void test_put_off_for_long(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, "RetryLimit=0\n");
        for (unsigned i = 0; i < 8; i++)
                fake_mountd_answer(s->mountd, FAKE_MOUNT, in_use);
        scene_start_with_device(s);
        for (unsigned i = 0; i < 8; i++) {
                ASSERT_STATE(s, "data", "mounting");
                ASSERT_FAILURE(s, "data", i < 5 ? "" : "probe");
                ASSERT_EQ(scene_volume(s, "data")->past.attempts, 0);
                scene_hasten(s, "data");
        }
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
}

/* Who asked for the disk is answered. */
static void test_eject_put_off_for_long(void)
{
        static const char *const extras[] = { "", "Auto=no\n" };

        for (size_t k = 0; k < ELEMENTSOF(extras); k++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                test_row(extras[k]);
                scene_configure(s, "data", UUID_A, extras[k]);
                for (unsigned i = 0; i < 8; i++)
                        fake_mountd_answer(s->mountd, FAKE_EJECT, in_use);
                scene_start_with_device(s);
                ASSERT(scene_request(s, "data", VERB_EJECT, &answer));
                scene_settle(s);
                for (unsigned i = 0; i < 7; i++) {
                        ASSERT_STR(answer, NULL);
                        scene_hasten(s, "data");
                }
                ASSERT_STR(answer, "InProgress");
                ASSERT_STATE(s, "data", k == 0 ? "mounted" : "unmounted");
                ASSERT_FAILURE(s, "data", k == 0 ? "unmount" : "eject");
                ASSERT_TARGET(s, k == 0 ? 2 : 0, k == 0);
                ASSERT(scene_request(s, "data", VERB_EJECT, &answer));
                scene_settle(s);
                ASSERT_STR(answer, "");
        }
}

/* So is who wants it mounted, and it is mounted all the same once that is possible; but a check may
 * take as long as a check may take. Nor does it keep the disk from being ejected then. */
static void test_mount_put_off_for_long(void)
{
        static const struct {
                FakeAnswer answer;
                unsigned n; /* that are waited for */
                bool is_ejected;
        } rows[] = {
                { { FAKE_FAILURE, "InProgress", "probe", EAGAIN, "It is locked", NULL }, 8, false },
                { { FAKE_FAILURE, "InProgress", "check", EAGAIN, "It is checked", NULL },
                  10,
                  true },
        };

        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *first, *second;

                test_row(rows[k].answer.message);
                scene_configure(s, "data", UUID_A, "Auto=no\nMountTimeoutSec=10\n");
                for (unsigned i = 0; i < rows[k].n + 1; i++)
                        fake_mountd_answer(s->mountd, FAKE_MOUNT, rows[k].answer);
                scene_start_with_device(s);
                ASSERT(scene_request(s, "data", VERB_MOUNT, &first));
                scene_settle(s);
                for (unsigned i = 0; i < rows[k].n - 1; i++) {
                        ASSERT_STR(first, NULL);
                        ASSERT(!scene_request(s, "data", VERB_EJECT, &second));
                        ASSERT_STR(second, "InProgress");
                        scene_hasten(s, "data");
                }
                ASSERT_CALLS(s, 0, rows[k].n, 0, 0);
                ASSERT_STR(first, "Busy");
                ASSERT_STATE(s, "data", "mounting");
                /* It is tried at once, for whoever asks. */
                ASSERT(scene_request(s, "data", VERB_MOUNT, &second));
                scene_settle(s);
                ASSERT_CALLS(s, 0, rows[k].n + 1, 0, 0);
                ASSERT_STR(second, "Busy");
                if (rows[k].is_ejected) {
                        ASSERT(scene_request(s, "data", VERB_EJECT, &second));
                        scene_settle(s);
                        ASSERT_STR(second, "");
                        ASSERT_STATE(s, "data", "unmounted");
                } else {
                        scene_hasten(s, "data");
                        ASSERT_STATE(s, "data", "mounted");
                }
        }
}

static void test_unmount_put_off_for_long(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_configure(s, "data", UUID_A, "");
        for (unsigned i = 0; i < 8; i++)
                fake_mountd_answer(s->mountd, FAKE_UNMOUNT, in_use);
        scene_start_with_device(s);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        for (unsigned i = 0; i < 7; i++) {
                ASSERT_STR(answer, NULL);
                scene_hasten(s, "data");
        }
        ASSERT_STR(answer, "InProgress");
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "unmount");
        ASSERT_TARGET(s, 2, 1);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "");
}

/* Whoever asks is not put off by what was put off before. */
static void test_asked_while_put_off(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const char *answer;

        scene_start_with_data(s, "");
        fake_mountd_answer(s->mountd, FAKE_ADOPT, hanging);
        manager_doubt(s->manager);
        scene_settle(s);
        ASSERT(scene_volume(s, "data")->past.put_off);
        ASSERT(scene_request(s, "data", VERB_UNMOUNT, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT_STATE(s, "data", "unmounted");
}

/* Nor is what has to be done when the disk goes. */
static void test_lost_while_it_hangs(void)
{
        const FakeAnswer rows[] = { hanging, held };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = scene_new();

                scene_start_with_data(s, "");
                fake_mountd_answer(s->mountd, FAKE_ADOPT, rows[i]);
                manager_doubt(s->manager);
                scene_settle(s);
                ASSERT_CALLS(s, 0, 1, 0, 1);
                scene_unplug(s, 1);
                scene_settle(s);
                ASSERT_STATE(s, "data", "absent");
                ASSERT_CALLS(s, 0, 1, 1, 1);
        }
}

TEST_MAIN(TEST(failure_is_told), TEST(what_is_of_no_use_is_not_tried_again),
          TEST(an_error_of_the_bus_is_a_failure), TEST(garbage_is_a_failure),
          TEST(garbage_of_a_verification), TEST(mounted_after_a_change), TEST(adopting_fails),
          TEST(hanging_is_shown), TEST(hanging_unmount), TEST(hanging_target),
          TEST(detach_is_tried_again), TEST(file_changes_unseen), TEST(file_changes_while_mounting),
          TEST(target_is_tried_again), TEST(put_off_for_long), TEST(eject_put_off_for_long),
          TEST(mount_put_off_for_long), TEST(unmount_put_off_for_long), TEST(asked_while_put_off),
          TEST(lost_while_it_hangs))
