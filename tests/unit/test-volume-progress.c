/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "macro.h"
#include "scene.h"
#include "test.h"
#include "text.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer refused = {
        FAKE_FAILURE, "CheckFailed", "check", 117, "errors are left (exit status 4)", NULL
};

static void emit(Scene *s, const char *signal, const char *types, const char *name,
                 const void *value)
{
        static const char path[] = "/org/wslbare1/mountd", interface[] = "org.wslbare1.Mountd";
        sd_bus *bus = fake_mountd_bus(s->mountd);

        if (types[1] == 's')
                ASSERT(sd_bus_emit_signal(bus, path, interface, signal, types, name,
                                          (const char *)value) >= 0);
        else
                ASSERT(sd_bus_emit_signal(bus, path, interface, signal, types, name,
                                          *(const uint32_t *)value) >= 0);
        scene_settle(s);
}

static void step(Scene *s, const char *name, const char *step_name)
{
        emit(s, "Progress", "ss", name, step_name);
}

static void percent(Scene *s, const char *name, uint32_t value)
{
        emit(s, "Percent", "su", name, &value);
}

/* What systemd was told last. */
static const char *status(const Scene *s)
{
        const char *last = NULL;

        for (const char *p = s->heard; (p = strstr(p, "STATUS=")); p++)
                last = p;
        return last ? last : "";
}

static Scene *begin(const char *extra, const FakeAnswer *answer)
{
        Scene *s = scene_new();

        scene_configure(s, "data", UUID_A, extra);
        if (answer)
                fake_mountd_answer(s->mountd, FAKE_MOUNT, *answer);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        return s;
}

static void test_checking(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", &held);

        step(s, "data", "probe");
        ASSERT_STATE(s, "data", "mounting");
        percent(s, "data", 12); /* of nothing */
        ASSERT_CONTAINS(status(s), "mounting: data\n");
        step(s, "data", "check");
        ASSERT_STATE(s, "data", "checking");
        ASSERT_STR(scene_volume(s, "data")->device, "/dev/fake1");
        ASSERT_CONTAINS(status(s), "checking: data\n");
        percent(s, "data", 43);
        ASSERT_CONTAINS(status(s), "checking: data (43 %)\n");
        percent(s, "data", 70);
        ASSERT_CONTAINS(status(s), "checking: data (70 %)\n");
        step(s, "data", "target");
        ASSERT_STATE(s, "data", "mounting");
        ASSERT_CONTAINS(status(s), "mounting: data\n");
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* Signals that are late, or about nobody. */
static void test_not_at_work(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", NULL);

        ASSERT_STATE(s, "data", "mounted");
        step(s, "data", "check");
        percent(s, "data", 5);
        step(s, "nobody", "check");
        percent(s, "nobody", 5);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CONTAINS(status(s), "1 of 1 mounted\n");
}

static void test_gone_while_checking(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", &held);

        step(s, "data", "check");
        fake_mountd_disconnect(s->mountd);
        scene_settle(s);
        scene_connect(s);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 2, 0, 0);
}

static void test_requests(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", &held);
        const char *mount, *unmount;

        step(s, "data", "check");
        ASSERT(!scene_request(s, "data", false, &unmount));
        ASSERT_STR(unmount, "InProgress");
        ASSERT(scene_request(s, "data", true, &mount)); /* joined */
        scene_settle(s);
        ASSERT_STR(mount, NULL);
        ASSERT_CALLS(s, 0, 1, 0, 0);
        fake_mountd_release(s->mountd);
        scene_settle(s);
        ASSERT_STR(mount, "");
        ASSERT_CALLS(s, 0, 1, 0, 0);
}

/* What a check refused, no other check would allow: it waits for a person. */
static void test_refused(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", &refused);
        const char *answer;

        ASSERT_STATE(s, "data", "failed");
        ASSERT_FAILURE(s, "data", "check");
        ASSERT_CONTAINS(scene_volume(s, "data")->failure_message, "exit status 4");
        ASSERT(!scene_volume(s, "data")->retry);
        scene_look_again(s);
        /* The check itself had it announced again. */
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_CALLS(s, 0, 1, 0, 0);

        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        ASSERT(scene_request(s, "data", true, &answer));
        scene_settle(s);
        ASSERT_STR(answer, "CheckFailed");
        ASSERT_CALLS(s, 0, 2, 0, 0);

        fake_mountd_answer(s->mountd, FAKE_MOUNT, refused);
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_STATE(s, "data", "failed");
        ASSERT_CALLS(s, 0, 3, 0, 0);

        scene_unplug(s, 1);
        scene_plug(s, 1, 8, UUID_A);
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
        ASSERT_CALLS(s, 0, 4, 0, 0);
}

/* Each check makes somebody's udevd announce the disk again. Who hears the kernel only does not
 * know by that what is on it, looks, and finds what was there before. */
static void test_refused_and_announced(void)
{
        _cleanup_(scene_freep) Scene *s = begin("", &refused);

        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "ext4", UUID_A);
        for (unsigned i = 0; i < 3; i++) {
                scene_event(s, 1, ++s->seqnum, scene_device(1, 7, NULL));
                scene_settle(s);
                ASSERT_STATE(s, "data", "failed");
                ASSERT_CALLS(s, i + 1, 1, 0, 0);
        }

        /* Another filesystem is another matter. */
        fake_mountd_set_content(s->mountd, FAKE_DEVNUM(1), "xfs", UUID_A);
        scene_event(s, 1, ++s->seqnum, scene_device(1, 7, NULL));
        scene_settle(s);
        ASSERT_STATE(s, "data", "mounted");
}

/* One that was too slow may be faster the next time. */
static void test_too_slow(void)
{
        static const FakeAnswer slow = {
                FAKE_FAILURE, "TimedOut", "check", 110, "not in time", NULL
        };
        _cleanup_(scene_freep) Scene *s = begin("", &slow);

        ASSERT_STATE(s, "data", "failed");
        scene_hasten(s, "data");
        ASSERT_STATE(s, "data", "mounted");
}

TEST_MAIN(TEST(checking), TEST(not_at_work), TEST(gone_while_checking), TEST(requests),
          TEST(refused), TEST(refused_and_announced), TEST(too_slow))
