/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes wrong with a filesystem while it is mounted, and what becomes of that. */

#include <errno.h>

#include "macro.h"
#include "scene.h"
#include "summary.h"

static Scene *mount_data(const char *extra)
{
        Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, extra);
        scene_configure(s, "other", UUID_B, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_B);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 2, 0, 0);
        return s;
}

/* It is mounted, and fails at STEP ("" nowhere). */
static void assert_data(Scene *s, const char *step, int errnum, const char *says)
{
        const Volume *v = scene_volume(s, "data");

        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", step);
        if (step[0]) {
                ASSERT_EQ(v->failure_errno, errnum);
                ASSERT_CONTAINS(v->failure_message, says);
        }
        ASSERT_EQ(summary_is_degraded(manager_volumes(s->manager)), step[0] != '\0');
        ASSERT_FAILURE(s, "other", "");
}

static void test_seen(void)
{
        static const struct {
                const char *super;
                bool read_only;
                int errnum; /* 0: it is well */
                const char *says;
        } rows[] = {
                { "rw,errors=remount-ro", false, 0, NULL },
                { "ro,errors=remount-ro", true, EROFS, "/dev/fake1 was made read-only" },
                { "rw,errors=remount-ro,emergency_ro", true, EROFS, "was made read-only" },
                { "rw,shutdown", false, EIO, "/dev/fake1 was shut down" },
                { "ro,shutdown", true, EIO, "was shut down" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = mount_data("");
                const Volume *v = scene_volume(s, "data");

                test_row(rows[i].super);
                fake_mountd_set_super(s->mountd, "/mnt/data", rows[i].super);
                scene_look_again(s);
                assert_data(s, rows[i].errnum ? "run" : "", rows[i].errnum, rows[i].says);
                ASSERT_EQ(v->mount->read_only, rows[i].read_only);
                ASSERT_CONTAINS(v->mount->options, rows[i].super + 2);
                ASSERT_EQ(v->mount->options[1], rows[i].read_only ? 'o' : 'w');
                ASSERT_CALLS(s, 0, 2, 0, 0);
        }
}

/* As an event of mountinfo would lead to it, when somebody remounts it. */
static void test_remount_is_noticed(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");

        fake_mountd_set_super(s->mountd, "/mnt/data", "ro");
        manager_wake(s->manager);
        scene_settle(s);
        assert_data(s, "run", EROFS, "read-only");
        fake_mountd_set_super(s->mountd, "/mnt/data", "rw");
        manager_wake(s->manager);
        scene_settle(s);
        assert_data(s, "", 0, NULL);
        ASSERT(!scene_volume(s, "data")->mount->read_only);
        fake_mountd_set_super(s->mountd, "/mnt/data", "rw,commit=5");
        manager_wake(s->manager);
        scene_settle(s);
        ASSERT_CONTAINS(scene_volume(s, "data")->mount->options, "commit=5");
}

static void test_heard(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");

        fake_mountd_tell_error(s->mountd, "/mnt/data", EBADMSG);
        scene_settle(s);
        assert_data(s, "run", EBADMSG, "/dev/fake1 has an error (wrong checksum); ");
        /* What the kernel does after it told is seen a moment later. */
        fake_mountd_set_super(s->mountd, "/mnt/data", "rw,emergency_ro");
        for (unsigned tries = SCENE_TRIES; !scene_volume(s, "data")->mount->read_only;)
                ASSERT(scene_wait(s, &tries));
        assert_data(s, "run", EBADMSG, "was made read-only by the kernel (wrong checksum); ");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_heard_of_another(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");

        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(3), "/mnt/foreign", "ext4", "/dev/fake3");
        fake_mountd_tell_error(s->mountd, "/mnt/foreign", EUCLEAN);
        scene_settle(s);
        assert_data(s, "", 0, NULL);
}

/* What can only be read was not turned so. */
static void test_made_read_only(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "erofs", "/dev/fake1");
        fake_mountd_set_super(s->mountd, "/mnt/data", "ro");
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT(scene_volume(s, "data")->mount->read_only);
}

static void unmount_and_mount(Scene *s)
{
        const char *answer;

        ASSERT(scene_request(s, "data", false, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "");
        ASSERT(scene_request(s, "data", true, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "");
}

static void replug(Scene *s)
{
        scene_unplug(s, 1);
        scene_settle(s);
        scene_plug(s, 1, 9, UUID_A);
        scene_settle(s);
}

static void test_ends_with_the_mount(void)
{
        static void (*const rows[])(Scene *) = { unmount_and_mount, replug };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(scene_freep) Scene *s = mount_data("");

                fake_mountd_set_super(s->mountd, "/mnt/data", "ro");
                fake_mountd_tell_error(s->mountd, "/mnt/data", EUCLEAN);
                scene_settle(s);
                assert_data(s, "run", EUCLEAN, "read-only");
                rows[i](s);
                assert_data(s, "", 0, NULL);
                ASSERT(!scene_volume(s, "data")->mount->read_only);
                ASSERT_CALLS(s, 0, 3, 1, 0);
        }
}

static void test_found_when_adopted(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();

        (void)fake_mountd_mount(s->mountd, FAKE_DEVNUM(1), "/mnt/data", "xfs", "/dev/fake1");
        fake_mountd_break(s->mountd, "/mnt/data", EIO);
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "run");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "Input/output error");
}

/* Verifying. */

static void reconnect(Scene *s)
{
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        scene_connect(s);
        scene_settle(s);
}

static void test_verified_by_a_new_mountd(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");
        uint64_t since = scene_volume(s, "data")->state_change_monotonic_usec;

        reconnect(s);
        ASSERT_CALLS(s, 0, 2, 0, 2);
        assert_data(s, "", 0, NULL);
        ASSERT_EQ(scene_volume(s, "data")->state_change_monotonic_usec, since);
        ASSERT_EQ(fake_mountd_count_started(s->mountd), 2);
        scene_look_again(s);
        ASSERT_CALLS(s, 0, 2, 0, 2); /* once */

        fake_mountd_break(s->mountd, "/mnt/data", EIO);
        reconnect(s);
        assert_data(s, "run", EIO, "has an error (Input/output error)");
        /* It does not mend itself. */
        fake_mountd_break(s->mountd, "/mnt/data", 0);
        reconnect(s);
        assert_data(s, "run", EIO, "has an error (Input/output error)");
}

static void test_verified_after_suspend(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");

        manager_doubt(s->manager);
        manager_doubt(s->manager);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 2, 0, 2);
        assert_data(s, "", 0, NULL);

        /* What happened meanwhile is found. */
        fake_mountd_break(s->mountd, "/mnt/data", EIO);
        manager_doubt(s->manager);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 2, 0, 4);
        assert_data(s, "run", EIO, "Input/output error");
        fake_mountd_unmount(s->mountd, "/mnt/data");
        manager_doubt(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "unmounted");
        ASSERT_CALLS(s, 0, 2, 1, 5);
}

static const FakeAnswer timed_out = { .kind = FAKE_FAILURE,
                                      .error = "TimedOut",
                                      .step = "verify",
                                      .errnum = ETIMEDOUT,
                                      .message = "It did not end in time" };

static void test_verification_fails(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("RetryLimit=2\n");

        for (unsigned i = 0; i < 3; i++)
                fake_mountd_answer(s->mountd, FAKE_ADOPT, timed_out);
        scene_remove(s, "other");
        manager_reload(s->manager);
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        scene_connect(s);
        scene_settle(s);
        for (unsigned i = 1; i <= 3; i++) {
                ASSERT_CALLS(s, 0, 2, 0, i);
                ASSERT_STATE(s, "data", "mounted");
                ASSERT_FAILURE(s, "data", "run");
                ASSERT_STR(scene_volume(s, "data")->failure_message, "It did not end in time");
                if (i < 3)
                        scene_hasten(s, "data");
        }
        ASSERT(!scene_volume(s, "data")->retry);
        scene_look_again(s);
        ASSERT_CALLS(s, 0, 2, 0, 3);

        /* Another doubt starts afresh. */
        manager_doubt(s->manager);
        scene_settle(s);
        ASSERT_CALLS(s, 0, 2, 0, 4);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "");
        ASSERT_EQ(scene_volume(s, "data")->past.attempts, 0);
}

/* That a file changed just now, or is bad, says nothing of the mount. */
static void test_verification_needs_the_file(void)
{
        _cleanup_(scene_freep) Scene *s = mount_data("");
        const FakeAnswer changed = { .kind = FAKE_ERROR,
                                     .error = "ConfigInvalid",
                                     .message = "The file changed since it was loaded" };

        fake_mountd_answer(s->mountd, FAKE_ADOPT, changed);
        reconnect(s);
        assert_data(s, "", 0, NULL);
        scene_hasten(s, "data");
        ASSERT_CALLS(s, 0, 2, 0, 3);

        scene_write(s, "data", "rubbish\n");
        manager_reload(s->manager);
        reconnect(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_FAILURE(s, "data", "config");
        ASSERT_CALLS(s, 0, 2, 0, 4); /* only of other */
        scene_configure(s, "data", UUID_A, "");
        manager_reload(s->manager);
        scene_settle(s);
        assert_data(s, "", 0, NULL);
        ASSERT_CALLS(s, 0, 2, 0, 5);
}

TEST_MAIN(TEST(seen), TEST(remount_is_noticed), TEST(heard), TEST(heard_of_another),
          TEST(made_read_only), TEST(ends_with_the_mount), TEST(found_when_adopted),
          TEST(verified_by_a_new_mountd), TEST(verified_after_suspend), TEST(verification_fails),
          TEST(verification_needs_the_file))
