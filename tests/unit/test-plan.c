/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Device numbers are written as the kernel packs small ones: major << 8 | minor. */

#include "macro.h"
#include "plan.h"
#include "test.h"

#define S(x) ((char *)(x))

static const Device ext4 = {
        .devnum = 0x801,
        .diskseq = 1,
        .node = S("/dev/sda1"),
        .type = S("ext4"),
        .content = DEVICE_CONTENT_FILESYSTEM,
        .part_uuid = S("p1"),
};
static const Device clone = {
        .devnum = 0x811,
        .diskseq = 2,
        .node = S("/dev/sdb1"),
        .type = S("ext4"),
        .content = DEVICE_CONTENT_FILESYSTEM,
        .part_uuid = S("p2"),
};
static const Device swap = {
        .devnum = 0x802, .node = S("/dev/sda2"), .type = S("swap"), .content = DEVICE_CONTENT_OTHER
};
static const Device blank = { .devnum = 0x803,
                              .node = S("/dev/sda3"),
                              .content = DEVICE_CONTENT_NONE };
static const Device ambivalent = { .devnum = 0x804,
                                   .node = S("/dev/sda4"),
                                   .content = DEVICE_CONTENT_AMBIVALENT };

static const Device *const none[] = { NULL }, *const one[] = { &ext4 },
                           *const two[] = { &ext4, &clone }, *const a_swap[] = { &swap },
                           *const a_blank[] = { &blank }, *const an_ambivalent[] = { &ambivalent };

static const VolumeConfig config = { .name = S("data"),
                                     .path = S("/etc/wslbare.d/data.conf"),
                                     .where = S("/mnt/data"),
                                     .automatic = true };
static const VolumeConfig manual = { .name = S("data"), .where = S("/mnt/data") };
static const VolumeConfig nowhere = { .name = S("data"), .automatic = true };

static const MountEntry ours = {
        .devnum = 0x801, .target = "/mnt/data", .type = "ext4", .source = "/dev/sda1"
};
static const MountEntry foreign = {
        .devnum = 40, .target = "/mnt/data", .type = "tmpfs", .source = "tmpfs"
};

typedef struct Row {
        const char *row;
        PlanInput in;
        VolumeState state;
        PlanAction action;
        FailureStep step;
        const char *says; /* a part of the message, NULL: there is none */
} Row;

#define FITS(x) .fitting = (x), .n_fitting = ELEMENTSOF(x)

static const Row rows[] = {
        { "no device",
          { .config = &config, .fitting = none },
          VOLUME_ABSENT,
          PLAN_NOTHING,
          0,
          NULL },
        { "no device yet",
          { .config = &config, .fitting = none, .probing = true },
          VOLUME_PROBING,
          PLAN_NOTHING,
          0,
          NULL },
        { "a device", { .config = &config, FITS(one) }, VOLUME_MOUNTING, PLAN_MOUNT, 0, NULL },
        { "Auto=no", { .config = &manual, FITS(one) }, VOLUME_UNMOUNTED, PLAN_NOTHING, 0, NULL },
        { "Where=none",
          { .config = &nowhere, FITS(one) },
          VOLUME_UNMOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "held back",
          { .config = &config, FITS(one), .held_back = true },
          VOLUME_UNMOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "two devices",
          { .config = &config, FITS(two) },
          VOLUME_AMBIGUOUS,
          PLAN_NOTHING,
          STEP_PROBE,
          "add PartUUID=" },
        { "two devices, one mounted there",
          { .config = &config, FITS(two), .on_target = &ours },
          VOLUME_MOUNTING,
          PLAN_ADOPT,
          0,
          NULL },
        { "two devices, one mounted by us",
          { .config = &config,
            FITS(two),
            .on_target = &ours,
            .target_active = true,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4 },
          VOLUME_MOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "mounted already",
          { .config = &config, FITS(one), .on_target = &ours },
          VOLUME_MOUNTING,
          PLAN_ADOPT,
          0,
          NULL },
        { "mounted already, Auto=no",
          { .config = &manual, FITS(one), .on_target = &ours },
          VOLUME_MOUNTING,
          PLAN_ADOPT,
          0,
          NULL },
        { "adopting failed, wait",
          { .config = &config, FITS(one), .on_target = &ours, .past = PLAN_PAST_WAITING },
          VOLUME_FAILED,
          PLAN_NOTHING,
          0,
          NULL },
        { "something else mounted there",
          { .config = &config, FITS(one), .on_target = &foreign },
          VOLUME_FAILED,
          PLAN_NOTHING,
          STEP_TARGET,
          "tmpfs (tmpfs) is mounted on /mnt/data" },
        { "something else mounted, no device",
          { .config = &config, .fitting = none, .on_target = &foreign },
          VOLUME_ABSENT,
          PLAN_NOTHING,
          0,
          NULL },
        { "swap",
          { .config = &config, FITS(a_swap) },
          VOLUME_UNSUPPORTED,
          PLAN_NOTHING,
          STEP_PROBE,
          "/dev/sda2 holds swap" },
        { "blank",
          { .config = &config, FITS(a_blank) },
          VOLUME_UNSUPPORTED,
          PLAN_NOTHING,
          STEP_PROBE,
          "/dev/sda3 holds no filesystem" },
        { "ambivalent: mountd says why",
          { .config = &config, FITS(an_ambivalent) },
          VOLUME_MOUNTING,
          PLAN_MOUNT,
          0,
          NULL },
        { "failed, time to try again",
          { .config = &config, FITS(one), .past = PLAN_PAST_DUE },
          VOLUME_MOUNTING,
          PLAN_MOUNT,
          0,
          NULL },
        { "failed, not yet",
          { .config = &config, FITS(one), .past = PLAN_PAST_WAITING },
          VOLUME_FAILED,
          PLAN_NOTHING,
          0,
          NULL },
        { "failed too often",
          { .config = &config, FITS(one), .past = PLAN_PAST_EXHAUSTED },
          VOLUME_FAILED,
          PLAN_NOTHING,
          0,
          NULL },
        { "nothing mounts it",
          { .config = &config, FITS(one), .past = PLAN_PAST_UNSUPPORTED },
          VOLUME_UNSUPPORTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "mounted by us",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .target_active = true,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4 },
          VOLUME_MOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "mounted by us, device fits no more",
          { .config = &config,
            .fitting = none,
            .target_active = true,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4 },
          VOLUME_MOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "mounted before we started",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .mount = PLAN_MOUNT_RECORDED,
            .mount_device = &ext4 },
          VOLUME_MOUNTING,
          PLAN_ADOPT,
          0,
          NULL },
        { "device went while mounted",
          { .config = &config, .fitting = none, .mount = PLAN_MOUNT_PRESENT },
          VOLUME_LOST,
          PLAN_DETACH,
          0,
          NULL },
        { "device went while we were away",
          { .config = &config, .fitting = none, .mount = PLAN_MOUNT_RECORDED },
          VOLUME_LOST,
          PLAN_DETACH,
          0,
          NULL },
        { "somebody else unmounted it",
          { .config = &config, FITS(one), .mount = PLAN_MOUNT_GONE, .mount_device = &ext4 },
          VOLUME_UNMOUNTED,
          PLAN_FORGET,
          0,
          NULL },
        { "somebody else unmounted it, to be mounted again",
          { .config = &config,
            FITS(one),
            .mount = PLAN_MOUNT_GONE,
            .mount_device = &ext4,
            .keep = true },
          VOLUME_MOUNTING,
          PLAN_MOUNT,
          0,
          NULL },
        { "the same, what needed it first",
          { .config = &config,
            FITS(one),
            .mount = PLAN_MOUNT_GONE,
            .mount_device = &ext4,
            .keep = true,
            .target_active = true },
          VOLUME_MOUNTING,
          PLAN_STOP_TARGET,
          0,
          NULL },
        { "the same, and a clone came meanwhile",
          { .config = &config,
            FITS(two),
            .mount = PLAN_MOUNT_GONE,
            .mount_device = &ext4,
            .keep = true },
          VOLUME_AMBIGUOUS,
          PLAN_NOTHING,
          STEP_PROBE,
          "/dev/sda1" },
        { "what is on the target is of a disk that went",
          { .config = &config, FITS(one), .on_target = &foreign, .on_target_is_dead = true },
          VOLUME_FAILED,
          PLAN_NOTHING,
          STEP_TARGET,
          "umount -l" },
        { "the same, and something else is there now",
          { .config = &config,
            FITS(one),
            .mount = PLAN_MOUNT_GONE,
            .mount_device = &ext4,
            .keep = true,
            .on_target = &foreign },
          VOLUME_FAILED,
          PLAN_NOTHING,
          STEP_TARGET,
          "tmpfs" },
        { "unmounted and gone",
          { .config = &config, .fitting = none, .mount = PLAN_MOUNT_GONE },
          VOLUME_ABSENT,
          PLAN_FORGET,
          0,
          NULL },
        { "bad file, device there",
          { .config = &config, .config_is_bad = true, FITS(one) },
          VOLUME_FAILED,
          PLAN_NOTHING,
          STEP_CONFIG,
          "/etc/wslbare.d/data.conf has errors" },
        { "bad file, no device",
          { .config = &config, .config_is_bad = true, .fitting = none },
          VOLUME_ABSENT,
          PLAN_NOTHING,
          0,
          NULL },
        { "bad file, mounted",
          { .config = &config,
            .config_is_bad = true,
            FITS(one),
            .target_active = true,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4 },
          VOLUME_MOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
        { "bad file, another's mount of it",
          { .config = &config, .config_is_bad = true, FITS(one), .on_target = &ours },
          VOLUME_FAILED,
          PLAN_NOTHING,
          STEP_CONFIG,
          "errors" },
        { "mounted, what needs it is to be started",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4 },
          VOLUME_MOUNTED,
          PLAN_START_TARGET,
          0,
          NULL },
        { "to be unmounted, what needs it first",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4,
            .target_active = true,
            .unmount_wanted = true },
          VOLUME_UNMOUNTING,
          PLAN_STOP_TARGET,
          0,
          NULL },
        { "to be unmounted",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .mount = PLAN_MOUNT_PRESENT,
            .mount_device = &ext4,
            .unmount_wanted = true },
          VOLUME_UNMOUNTING,
          PLAN_UNMOUNT,
          0,
          NULL },
        { "to be unmounted, made before we started",
          { .config = &config,
            FITS(one),
            .on_target = &ours,
            .mount = PLAN_MOUNT_RECORDED,
            .mount_device = &ext4,
            .past = PLAN_PAST_EXHAUSTED,
            .unmount_wanted = true },
          VOLUME_UNMOUNTING,
          PLAN_UNMOUNT,
          0,
          NULL },
        { "lost before the target is stopped",
          { .config = &config,
            .fitting = none,
            .mount = PLAN_MOUNT_PRESENT,
            .target_active = true },
          VOLUME_LOST,
          PLAN_DETACH,
          0,
          NULL },
        { "gone, the target is left",
          { .config = &config, .fitting = none, .target_active = true },
          VOLUME_ABSENT,
          PLAN_STOP_TARGET,
          0,
          NULL },
        { "back before the target is stopped",
          { .config = &config, FITS(one), .target_active = true },
          VOLUME_MOUNTING,
          PLAN_STOP_TARGET,
          0,
          NULL },
        { "asked for, Auto=no",
          { .config = &manual, FITS(one), .mount_wanted = true },
          VOLUME_MOUNTING,
          PLAN_MOUNT,
          0,
          NULL },
        { "asked for, held back after all",
          { .config = &config, FITS(one), .mount_wanted = true, .held_back = true },
          VOLUME_UNMOUNTED,
          PLAN_NOTHING,
          0,
          NULL },
};

static void test_decisions(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Plan p;

                test_row(rows[i].row);
                ASSERT_OK(plan_volume(&rows[i].in, &p));
                ASSERT_STR(volume_state_to_string(p.state), volume_state_to_string(rows[i].state));
                ASSERT_EQ(p.action, rows[i].action);
                ASSERT_STR(failure_step_to_string(p.step), failure_step_to_string(rows[i].step));
                if (rows[i].says)
                        ASSERT_CONTAINS(p.message, rows[i].says);
                else
                        ASSERT_STR(p.message, NULL);
                plan_done(&p);
        }
}

/* What is to be done is always about a device, or about a mount. */
static void test_actions_have_devices(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Plan p;

                test_row(rows[i].row);
                ASSERT_OK(plan_volume(&rows[i].in, &p));
                if (p.action == PLAN_MOUNT || p.action == PLAN_ADOPT) {
                        ASSERT(p.device);
                        ASSERT(p.device == plan_focus(&rows[i].in));
                }
                if (p.action == PLAN_DETACH || p.action == PLAN_FORGET)
                        ASSERT(rows[i].in.mount != PLAN_MOUNT_NONE);
                plan_done(&p);
        }
}

static void test_names(void)
{
        for (FailureStep s = STEP_NONE; s <= STEP_RUN; s++)
                ASSERT_EQ(failure_step_from_string(failure_step_to_string(s)), s);
        ASSERT_EQ(failure_step_from_string("flying"), STEP_NONE);
        for (VolumeState s = VOLUME_ABSENT; s <= VOLUME_FAILED; s++)
                ASSERT(volume_state_to_string(s));
}

TEST_MAIN(TEST(decisions), TEST(actions_have_devices), TEST(names))
