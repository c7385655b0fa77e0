/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "forecast.h"
#include "macro.h"
#include "test.h"

#define S(x) ((char *)(x))

static VolumeConfig usual = { .name = S("data"),
                              .path = S("/etc/wslbare.d/data.conf"),
                              .match = { .uuid = S("1234-abcd") },
                              .where = S("/mnt/data"),
                              .automatic = true,
                              .members = 1 };
static VolumeConfig manual, nowhere;

#define DISK(letter, id)                                          \
        {                                                         \
                .device = { .devnum = (dev_t)letter,              \
                            .node = S("/dev/" #letter),           \
                            .ready = true,                        \
                            .size = 4096,                         \
                            .content = DEVICE_CONTENT_FILESYSTEM, \
                            .type = S("ext4"),                    \
                            .uuid = S(id) },                      \
        }
static const ClientDevice one[] = { DISK(1, "1234-abcd") };
static const ClientDevice two[] = { DISK(1, "1234-abcd"), DISK(2, "1234-abcd") };
static const ClientDevice near[] = { DISK(1, "1234-abce"), DISK(2, "none") };
static const ClientDevice locked[] = { { .device = { .devnum = 1,
                                                     .node = S("/dev/1"),
                                                     .ready = true,
                                                     .size = 4096,
                                                     .content = DEVICE_CONTENT_OTHER,
                                                     .type = S("crypto_LUKS"),
                                                     .uuid = S("1234-abcd") } } };

#define DEVICES(d) d, ELEMENTSOF(d)

static void test_rows(void)
{
        static const struct {
                const char *row;
                const VolumeConfig *config;
                const char *before; /* state that wslbared tells; NULL: it has not loaded it */
                const ClientDevice *devices;
                size_t n_devices;
                const char *mounted; /* on the target, NULL nothing */
                const char *state;
                PlanAction action;
                const char *device; /* NULL: none */
                const char *why;    /* a part of it; "": nothing */
                const char *step, *message;
                uint64_t next_retry_usec;
                bool stale, was_manual;
        } rows[] = {
                { "absent", &usual, "absent", NULL, 0, NULL, "absent", PLAN_NOTHING, NULL,
                  "no device that was seen fits" },
                { "nearly there", &usual, "absent", DEVICES(near), NULL, "absent", PLAN_NOTHING,
                  NULL, "/dev/1 nearly does: UUID= wants 1234-abcd" },
                { "dropped just now", &usual, NULL, DEVICES(one), NULL, "mounting", PLAN_MOUNT,
                  "/dev/1", "about to load" },
                { "dropped, no disk", &usual, NULL, NULL, 0, NULL, "absent", PLAN_NOTHING, NULL,
                  "no device" },
                { "attached just now", &usual, "absent", DEVICES(one), NULL, "absent", PLAN_MOUNT,
                  "/dev/1", "" },
                { "looked at", &usual, "probing", NULL, 0, NULL, "probing", PLAN_NOTHING, NULL,
                  "is looked at" },
                { "looked at before it is mounted", &usual, "probing", DEVICES(one), NULL,
                  "probing", PLAN_MOUNT, "/dev/1", "at work" },
                { "at work", &usual, "checking", DEVICES(one), NULL, "checking", PLAN_MOUNT,
                  "/dev/1", "at work" },
                { "at work, as was asked for", &manual, "mounting", DEVICES(one), NULL, "mounting",
                  PLAN_MOUNT, "/dev/1", "at work" },
                { "being unmounted", &usual, "unmounting", DEVICES(one), "1", "unmounting",
                  PLAN_UNMOUNT, "/dev/1", "at work" },
                { "mounted", &usual, "mounted", DEVICES(one), "1", "mounted", PLAN_NOTHING,
                  "/dev/1", "it is mounted" },
                { "stale", &usual, "mounted", DEVICES(one), "1", "mounted", PLAN_NOTHING, "/dev/1",
                  "its file was changed", .stale = true },
                { "turned read-only", &usual, "mounted", DEVICES(one), "1", "mounted", PLAN_NOTHING,
                  "/dev/1", "turned", .step = "run", .message = "turned" },
                { "was busy", &usual, "mounted", DEVICES(one), "1", "mounted", PLAN_NOTHING,
                  "/dev/1", "it is mounted", .step = "unmount", .message = "busy" },
                { "gone", &usual, "lost", NULL, 0, "1", "lost", PLAN_DETACH, NULL, "" },
                { "Auto=no", &manual, "unmounted", DEVICES(one), NULL, "unmounted", PLAN_NOTHING,
                  "/dev/1", "Auto=no: it is mounted by `wslbarectl", .was_manual = true },
                { "Where=none", &nowhere, "unmounted", DEVICES(one), NULL, "unmounted",
                  PLAN_NOTHING, "/dev/1", "Where=none" },
                { "by intent", &usual, "unmounted", DEVICES(one), NULL, "unmounted", PLAN_NOTHING,
                  "/dev/1", "by intent, or by somebody else" },
                { "Auto=yes by now", &usual, "unmounted", DEVICES(one), NULL, "unmounted",
                  PLAN_MOUNT, "/dev/1", "", .was_manual = true },
                { "two", &usual, "ambiguous", DEVICES(two), NULL, "ambiguous", PLAN_NOTHING, NULL,
                  "2 devices fit", .step = "probe", .message = "old words" },
                { "encrypted", &usual, "locked", DEVICES(locked), NULL, "locked", PLAN_NOTHING,
                  "/dev/1", "cryptsetup" },
                { "tried again", &usual, "failed", DEVICES(one), NULL, "failed", PLAN_NOTHING,
                  "/dev/1", "bad; it is tried again in 4s", .step = "mount", .message = "bad",
                  .next_retry_usec = 9000000 },
                { "tried again at once", &usual, "failed", DEVICES(one), NULL, "failed",
                  PLAN_NOTHING, "/dev/1", "bad; it is tried again in 0s", .step = "mount",
                  .message = "bad", .next_retry_usec = 1 },
                { "given up", &usual, "failed", DEVICES(one), NULL, "failed", PLAN_NOTHING,
                  "/dev/1", "bad; it is not tried again until", .step = "check", .message = "bad" },
                { "occupied", &usual, "failed", DEVICES(one), "2", "failed", PLAN_NOTHING, "/dev/1",
                  "/dev/2 (ext4) is mounted on /mnt/data already", .step = "target",
                  .message = "old words" },
                { "mended", &usual, "failed", DEVICES(one), NULL, "failed", PLAN_MOUNT, "/dev/1",
                  "", .step = "config", .message = "had errors" },
                { "no driver", &usual, "unsupported", DEVICES(one), NULL, "unsupported",
                  PLAN_NOTHING, "/dev/1", "no driver", .step = "mount", .message = "no driver" },
                { "of a later wslbared", &usual, "levitating", DEVICES(one), NULL, "levitating",
                  PLAN_MOUNT, "/dev/1", "" },
        };

        manual = nowhere = usual;
        manual.automatic = false;
        nowhere.where = NULL;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char source[] = "/dev/?";
                MountEntry e = {
                        .root = "/", .target = "/mnt/data", .type = "ext4", .source = source
                };
                const Mountinfo mounts = { .entries = &e, .n_entries = rows[i].mounted ? 1 : 0 };
                const char *step = rows[i].step, *message = rows[i].message;
                const ClientVolume v = {
                        .name = S("data"),
                        .state = S(rows[i].before),
                        .device = S(rows[i].n_devices > 0 ? "/dev/1" : ""),
                        .automatic = !rows[i].was_manual,
                        .stale = rows[i].stale,
                        .failure_step = S(step ? step : ""),
                        .failure_message = S(message ? message : ""),
                        .failure_errno = step ? EIO : 0,
                        .next_retry_usec = rows[i].next_retry_usec,
                };
                Forecast f = { 0 };

                test_row(rows[i].row);
                source[5] = rows[i].mounted ? rows[i].mounted[0] : '?';
                e.devnum = (dev_t)(source[5] - '0');
                ASSERT_OK(forecast_make(&(ForecastInput){ .config = rows[i].config,
                                                          .volume = rows[i].before ? &v : NULL,
                                                          .devices = rows[i].devices,
                                                          .n_devices = rows[i].n_devices,
                                                          .mounts = &mounts,
                                                          .now_usec = 5000000 },
                                        &f));
                ASSERT_STR(f.state, rows[i].state);
                ASSERT_STR(plan_action_to_string(f.action), plan_action_to_string(rows[i].action));
                ASSERT_STR(f.device ? f.device->node : NULL, rows[i].device);
                if (*rows[i].why)
                        ASSERT_CONTAINS(f.why, rows[i].why);
                else
                        ASSERT_STR(f.why, "");
                forecast_done(&f);
        }
        test_row(NULL);
}

TEST_MAIN(TEST(rows))
