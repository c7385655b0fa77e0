/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What somebody asks of a volume while mountd is away or goes. */

#include "macro.h"
#include "scene.h"

static const FakeAnswer held = { .kind = FAKE_HOLD };
static const FakeAnswer drop = { .kind = FAKE_DROP };

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

                scene_start_with_data(s, mount ? "Auto=no\n" : "");
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

        scene_start_with_data(s, "Auto=no\n");
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

/* It does not come up: who asked hears of it, and what was asked for does not happen hours later.
 */
static void test_mountd_stays_away(void)
{
        for (VolumeVerb verb = VERB_UNMOUNT; verb <= VERB_EJECT; verb++) {
                _cleanup_(scene_freep) Scene *s = scene_new();
                const char *answer;

                scene_start_with_data(s, verb == VERB_MOUNT ? "Auto=no\n" : "");
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

                scene_start_with_data(s, "KeepMounted=yes\n");
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

TEST_MAIN(TEST(mountd_goes_while_asked), TEST(asked_without_a_mountd),
          TEST(plugged_without_a_mountd), TEST(plugged_while_mountd_is_away),
          TEST(mountd_stays_away), TEST(unmounted_while_mountd_was_away))
