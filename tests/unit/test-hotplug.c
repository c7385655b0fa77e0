/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What udev tells of a device may be older than that; the functions that tell are nobody else's.
 * Events as such are for the system tests. */
#include "../../lib/hotplug.c"

#include "test.h"

static const char *const fixed[] = {
        "ACTION=change", "DEVPATH=/devices/virtual/block/test0", "SUBSYSTEM=block", "SEQNUM=7",
        "DEVTYPE=disk",
};

/* libudev reads its properties from the environment, and writes there. */
static struct udev_device *make_device(const char *const *more, size_t n)
{
        _cleanup_(udev_unrefp) struct udev *udev = udev_new();
        _cleanup_(strv_freep) char **properties = NULL;
        char **saved = environ;
        struct udev_device *u;

        ASSERT(udev);
        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                ASSERT_OK(strv_push(&properties, fixed[i]));
        for (size_t i = 0; i < n && more[i]; i++)
                ASSERT_OK(strv_push(&properties, more[i]));
        environ = properties;
        u = udev_device_new_from_environment(udev);
        environ = saved;
        ASSERT(u);
        return u;
}

static void test_stale_event(void)
{
        static const struct {
                const char *row;
                const char *more[2];
                bool stale;
        } rows[] = {
                { "without a number", { NULL }, false },
                { "of this disk", { "DISKSEQ=7" }, false },
                { "of an earlier one", { "DISKSEQ=6" }, true },
                { "of an array", { "DISKSEQ=6", "ID_IGNORE_DISKSEQ=1" }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(udev_device_unrefp) struct udev_device *u =
                        make_device(rows[i].more, ELEMENTSOF(rows[i].more));
                const Device d = { .diskseq = 7 };

                test_row(rows[i].row);
                ASSERT_EQ(is_event_stale(&d, u), rows[i].stale);
        }
}

static void test_stale_record(void)
{
        static const struct {
                const char *row;
                const char *more[1];
                bool stale;
        } rows[] = {
                { "without names", { NULL }, false },
                { "no such name", { "DEVLINKS=/dev/disk/by-id/6" }, false },
                { "of this disk", { "DEVLINKS=/dev/disk/by-id/6 /dev/disk/by-diskseq/7" }, false },
                { "of an earlier one", { "DEVLINKS=/dev/disk/by-diskseq/6" }, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(udev_device_unrefp) struct udev_device *u =
                        make_device(rows[i].more, ELEMENTSOF(rows[i].more));
                const Device disk = { .diskseq = 7 }, part = { .diskseq = 7, .is_partition = true };

                test_row(rows[i].row);
                ASSERT_EQ(is_record_stale(&disk, u), rows[i].stale);
                ASSERT(!is_record_stale(&part, u)); /* an event is not told by its disk's record */
        }
}

TEST_MAIN(TEST(stale_event), TEST(stale_record))
