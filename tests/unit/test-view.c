/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "bus-volume.h"
#include "macro.h"
#include "scene.h"
#include "text.h"
#include "view.h"

#define S(x) ((char *)(x))

static char *one[] = { S("/dev/a"), NULL }, *two[] = { S("/dev/a"), S("/dev/b"), NULL },
            *none[] = { NULL };
static MountdHolder holders[] = { { 1, S("bash") }, { 2, S("vi") } };
static MountdHolder other_pids[] = { { 1, S("bash") }, { 3, S("vi") } };
static MountdHolder other_commands[] = { { 1, S("bash") }, { 2, S("cat") } };

static const VolumeView base = {
        .name = S("data"),
        .config_path = S("/etc/wslbare.d/data.conf"),
        .state = S("mounted"),
        .automatic = 1,
        .device = S("/dev/a"),
        .diskseq = 7,
        .uuid = S("u"),
        .label = S("l"),
        .type = S("ext4"),
        .where = S("/mnt/data"),
        .options = S("noatime"),
        .mounted_options = S("rw,noatime"),
        .read_only = 0,
        .stale = 0,
        .candidates = one,
        .attempts = 1,
        .next_retry_usec = 10,
        .state_change_usec = 20,
        .state_change_monotonic_usec = 30,
        .latency_usec = 40,
        .failure_step = S("mount"),
        .failure_errno = EIO,
        .failure_message = S("It failed"),
        .holders = holders,
        .n_holders = 2,
};

static void assert_differ(const char *row, const VolumeView *other, const char *property)
{
        char *names[VIEW_PROPERTIES_MAX];

        test_row(row);
        ASSERT_EQ(view_compare(&base, other, names), 1);
        ASSERT_STR(names[0], property);
        ASSERT_STR(names[1], NULL);
        ASSERT_EQ(view_compare(other, &base, names), 1);
        ASSERT_EQ(view_compare(other, other, names), 0);
        ASSERT_STR(names[0], NULL);
}

/* One field is another. */
#define DIFFERS(row, field, value, property)              \
        do {                                              \
                VolumeView other = base;                  \
                                                          \
                other.field = (value);                    \
                assert_differ((row), &other, (property)); \
        } while (0)

static void test_compare(void)
{
        DIFFERS("name", name, S("other"), "Name");
        DIFFERS("path", config_path, S("/run/wslbare.d/data.conf"), "ConfigPath");
        DIFFERS("state", state, S("failed"), "State");
        DIFFERS("auto", automatic, 0, "Auto");
        DIFFERS("device", device, S("/dev/b"), "Device");
        DIFFERS("no device", device, NULL, "Device");
        DIFFERS("diskseq", diskseq, UINT64_C(7) << 32, "DiskSequence");
        DIFFERS("uuid", uuid, S("U"), "UUID");
        DIFFERS("label", label, S(""), "Label");
        DIFFERS("type", type, S("ext3"), "Type");
        DIFFERS("where", where, S("none"), "Where");
        DIFFERS("options", options, NULL, "Options");
        DIFFERS("in force", mounted_options, S("ro,noatime"), "MountedOptions");
        DIFFERS("read-only", read_only, 1, "ReadOnly");
        DIFFERS("stale", stale, 1, "Stale");
        DIFFERS("candidates", candidates, two, "Candidates");
        DIFFERS("another candidate", candidates, two + 1, "Candidates");
        DIFFERS("no candidates", candidates, none, "Candidates");
        DIFFERS("candidates, never any", candidates, NULL, "Candidates");
        DIFFERS("attempts", attempts, 2, "Attempts");
        DIFFERS("retry", next_retry_usec, 0, "NextRetryTimestampMonotonic");
        DIFFERS("change", state_change_usec, 21, "StateChangeTimestamp");
        DIFFERS("monotonic", state_change_monotonic_usec, 31, "StateChangeTimestampMonotonic");
        DIFFERS("latency", latency_usec, 0, "LatencyUSec");
        DIFFERS("step", failure_step, S("check"), "Failure");
        DIFFERS("errno", failure_errno, 0, "Failure");
        DIFFERS("message", failure_message, NULL, "Failure");
        DIFFERS("fewer holders", n_holders, 1, "Holders");
        DIFFERS("other holders", holders, other_pids, "Holders");
        DIFFERS("other commands", holders, other_commands, "Holders");
}

/* A property of several fields is told once. */
static void test_compare_many(void)
{
        char *names[VIEW_PROPERTIES_MAX];
        VolumeView other = base;

        other.state = S("failed");
        other.failure_step = S("check");
        other.failure_errno = 0;
        other.failure_message = NULL;
        other.n_holders = 0;
        ASSERT_EQ(view_compare(&base, &other, names), 3);
        ASSERT_STR(names[0], "State");
        ASSERT_STR(names[1], "Failure");
        ASSERT_STR(names[2], "Holders");
        ASSERT_STR(names[3], NULL);
}

static void test_compare_copies(void)
{
        char *a[] = { strdup("/dev/a"), NULL };
        MountdHolder h[] = { { 1, strdup("bash") }, { 2, strdup("vi") } };
        VolumeView copy = base;
        char *names[VIEW_PROPERTIES_MAX];

        copy.state = strdup(base.state);
        copy.candidates = a;
        copy.holders = h;
        ASSERT_EQ(view_compare(&base, &copy, names), 0); /* what they say, not where they are */
        free(copy.state);
        free(a[0]);
        free(h[0].command);
        free(h[1].command);
}

/* Each property of the interface is compared, else its change would not be told; and nothing is
 * named that is no property. */
static void test_every_property(void)
{
        const VolumeView empty = { 0 };
        char *names[VIEW_PROPERTIES_MAX];
        VolumeView all = base;
        unsigned n, n_properties = 0;

        all.read_only = all.stale = 1;
        n = view_compare(&empty, &all, names);
        for (const sd_bus_vtable *v = bus_volume_vtable; v->type != _SD_BUS_VTABLE_END; v++) {
                bool found = false;

                if (v->type != _SD_BUS_VTABLE_PROPERTY)
                        continue;
                n_properties++;
                test_row(v->x.property.member);
                for (unsigned i = 0; i < n; i++)
                        found |= streq(names[i], v->x.property.member);
                ASSERT(found);
        }
        test_row(NULL);
        ASSERT_EQ(n, n_properties);
}

/* Of a volume on its road. */

static void test_of_an_absent_volume(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const VolumeView *w;

        scene_configure(s, "data", UUID_A, "Auto=no\nOptions=noatime\n");
        scene_start(s);
        scene_settle(s);
        w = &scene_volume(s, "data")->view;
        ASSERT(scene_volume(s, "data")->is_published);
        ASSERT_STR(w->name, "data");
        ASSERT_CONTAINS(w->config_path, "/data.conf");
        ASSERT_STR(w->state, "absent");
        ASSERT_EQ(w->automatic, 0);
        ASSERT_STR(w->device, NULL);
        ASSERT_STR(w->uuid, NULL);
        ASSERT_STR(w->where, "/mnt/data");
        ASSERT_STR(w->options, "noatime");
        ASSERT_STR(w->mounted_options, NULL);
        ASSERT_STR(w->failure_step, "");
        ASSERT_EQ(w->diskseq, 0);
        ASSERT_EQ(strv_length(w->candidates), 0);
}

static void test_of_a_mounted_volume(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const VolumeView *w;
        Device *d = scene_device(1, 7, UUID_A);

        d->label = strdup("a\xff\n");
        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_event(s, 1, ++s->seqnum, d);
        scene_settle(s);
        w = &scene_volume(s, "data")->view;
        ASSERT_STR(w->state, "mounted");
        ASSERT_STR(w->device, "/dev/fake1");
        ASSERT_EQ(w->diskseq, 7);
        ASSERT_STR(w->uuid, UUID_A);
        ASSERT_STR(w->label, "a\\xff\\x0a");
        ASSERT_STR(w->type, "ext4");
        ASSERT_STR(w->mounted_options, "rw,nosuid,nodev,relatime");
        ASSERT_EQ(strv_length(w->candidates), 1);
        ASSERT(w->state_change_usec > w->state_change_monotonic_usec);
        ASSERT_EQ(w->stale, 0);

        scene_configure(s, "data", UUID_A, "ReadOnly=yes\n");
        manager_reload(s->manager);
        scene_settle(s);
        ASSERT_EQ(w->stale, 1);
        ASSERT_EQ(w->read_only, 0);
        scene_unplug(s, 1);
        scene_settle(s);
        ASSERT_EQ(w->stale, 0);
        ASSERT_STR(w->state, "absent");
        ASSERT_STR(w->device, NULL);
        ASSERT_STR(w->mounted_options, NULL);
        ASSERT_EQ(w->diskseq, 0);
}

static void test_of_a_failed_volume(void)
{
        const FakeAnswer failed = { FAKE_FAILURE, "TimedOut", "probe", ETIMEDOUT, "Hangs\n", NULL };
        _cleanup_(scene_freep) Scene *s = scene_new();
        const VolumeView *w;

        scene_configure(s, "data", UUID_A, "RetrySec=10\n");
        fake_mountd_answer(s->mountd, FAKE_MOUNT, failed);
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
        w = &scene_volume(s, "data")->view;
        ASSERT_STR(w->state, "failed");
        ASSERT_STR(w->failure_step, "probe");
        ASSERT_EQ(w->failure_errno, ETIMEDOUT);
        ASSERT_STR(w->failure_message, "Hangs\\x0a");
        ASSERT_EQ(w->attempts, 1);
        ASSERT(w->next_retry_usec > w->state_change_monotonic_usec + 9 * USEC_PER_SEC);
        scene_hasten(s, "data");
        ASSERT_STR(w->state, "mounted");
        ASSERT_STR(w->failure_step, "");
        ASSERT_EQ(w->failure_errno, 0);
        ASSERT_STR(w->failure_message, NULL);
        ASSERT_EQ(w->attempts, 0);
        ASSERT_EQ(w->next_retry_usec, 0);
}

static void test_of_an_ambiguous_volume(void)
{
        _cleanup_(scene_freep) Scene *s = scene_new();
        const VolumeView *w;

        scene_configure(s, "data", UUID_A, "");
        scene_start(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_plug(s, 2, 8, UUID_A);
        scene_settle(s);
        w = &scene_volume(s, "data")->view;
        ASSERT_STR(w->state, "ambiguous");
        ASSERT_EQ(strv_length(w->candidates), 2);
        ASSERT_STR(w->failure_step, "probe");
        scene_unplug(s, 1);
        scene_unplug(s, 2);
        scene_settle(s);
        ASSERT_EQ(strv_length(w->candidates), 0);
        ASSERT_STR(w->failure_step, "");
}

TEST_MAIN(TEST(compare), TEST(compare_many), TEST(compare_copies), TEST(every_property),
          TEST(of_an_absent_volume), TEST(of_a_mounted_volume), TEST(of_a_failed_volume),
          TEST(of_an_ambiguous_volume))
