/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Device numbers are written as the kernel packs small ones: major << 8 | minor. */

#include "devices.h"
#include "macro.h"
#include "test.h"

static void devices_freep(Devices **d)
{
        devices_free(*d);
}

#define _cleanup_devices_ _cleanup_(devices_freep)

static Devices *devices(void)
{
        Devices *d;

        ASSERT_OK(devices_new(&d));
        return d;
}

static Device *device(dev_t devnum, uint64_t diskseq, const char *uuid)
{
        Device *d;

        ASSERT_OK(device_new(devnum, &d));
        d->diskseq = diskseq;
        d->node = strdup("/dev/x");
        d->content = uuid ? DEVICE_CONTENT_FILESYSTEM : DEVICE_CONTENT_UNKNOWN;
        d->uuid = uuid ? strdup(uuid) : NULL;
        return d;
}

/* D is taken; NULL: gone. What was known before is thrown away. */
static int apply(Devices *d, uint64_t seqnum, dev_t devnum, Device *new)
{
        HotplugEvent e = {
                .devnum = devnum,
                .seqnum = seqnum,
                .gone = !new,
                .settled = new &&new->content != DEVICE_CONTENT_UNKNOWN,
                .device = new,
        };
        Device *old = NULL;
        int r = devices_apply(d, &e, SEEN_UNKNOWN, seqnum + 1000, &old);

        hotplug_event_done(&e);
        device_free(old);
        return r;
}

/* One event after the other to one table. */
static const struct {
        const char *row;
        uint64_t seqnum;
        bool gone;
        uint64_t diskseq;
        const char *uuid;
        int change;
        size_t count;        /* afterwards */
        uint64_t generation; /* afterwards, of 8:1 */
} events[] = {
        { "goes before it came", 1, true, 0, NULL, DEVICES_NOTHING, 0, 0 },
        { "is enumerated", 0, false, 7, NULL, DEVICES_CHANGED, 1, 1 },
        { "is enumerated again", 0, false, 7, NULL, DEVICES_CHANGED, 1, 1 },
        { "udev looked at it", 5, false, 7, "a", DEVICES_CHANGED, 1, 2 },
        { "a copy", 5, false, 7, "a", DEVICES_NOTHING, 1, 2 },
        { "late", 4, false, 7, "b", DEVICES_NOTHING, 1, 2 },
        { "late end", 4, true, 0, NULL, DEVICES_NOTHING, 1, 2 },
        { "synthetic", 6, false, 7, "a", DEVICES_CHANGED, 1, 2 },
        { "enumerated after a loss", 0, false, 7, "a", DEVICES_CHANGED, 1, 2 },
        { "late all the same", 6, false, 7, "b", DEVICES_NOTHING, 1, 2 },
        { "another filesystem", 7, false, 7, "b", DEVICES_CHANGED, 1, 3 },
        { "the kernel alone says so", 8, false, 7, NULL, DEVICES_CHANGED, 1, 3 },
        { "and udev of the same", 8, false, 7, "b", DEVICES_CHANGED, 1, 3 },
        { "and again", 8, false, 7, "b", DEVICES_NOTHING, 1, 3 },
        { "and udev", 9, false, 7, "b", DEVICES_CHANGED, 1, 3 },
        { "the kernel again", 10, false, 7, NULL, DEVICES_CHANGED, 1, 3 },
        { "and udev that it changed", 11, false, 7, "c", DEVICES_CHANGED, 1, 4 },
        { "another disk, the end of the first was lost", 12, false, 8, "b", DEVICES_CHANGED, 1, 5 },
        { "goes", 13, true, 0, NULL, DEVICES_GONE, 0, 0 },
        { "a copy of its end", 13, true, 0, NULL, DEVICES_NOTHING, 0, 0 },
        { "late, after its end", 12, false, 8, "b", DEVICES_NOTHING, 0, 0 },
        { "another comes", 14, false, 9, "b", DEVICES_CHANGED, 1, 6 },
        { "is gone, an enumeration says", 0, true, 0, NULL, DEVICES_GONE, 0, 0 },
        { "and is back", 0, false, 9, "b", DEVICES_CHANGED, 1, 7 },
};

static void test_events(void)
{
        _cleanup_devices_ Devices *d = devices();

        for (size_t i = 0; i < ELEMENTSOF(events); i++) {
                const Seen *s;

                test_row(events[i].row);
                ASSERT_EQ(apply(d, events[i].seqnum, 0x801,
                                events[i].gone ? NULL
                                               : device(0x801, events[i].diskseq, events[i].uuid)),
                          events[i].change);
                ASSERT_EQ(devices_count(d), events[i].count);
                s = devices_find(d, 0x801);
                ASSERT_EQ(s != NULL, events[i].count > 0);
                ASSERT_EQ(s ? s->generation : 0, events[i].generation);
        }
}

static void test_what_is_known(void)
{
        static const struct {
                const char *row;
                bool settled;
                SeenKnowledge unsettled_is;
                SeenKnowledge knowledge;
        } rows[] = {
                { "udev told", true, SEEN_UNSETTLED, SEEN_SETTLED },
                { "udev will tell", false, SEEN_UNSETTLED, SEEN_UNSETTLED },
                { "nobody will tell", false, SEEN_UNKNOWN, SEEN_UNKNOWN },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_devices_ Devices *d = devices();
                HotplugEvent e = { .devnum = 0x801,
                                   .settled = rows[i].settled,
                                   .device = device(0x801, 7, "a") };
                Device *old = NULL;

                test_row(rows[i].row);
                ASSERT_EQ(devices_apply(d, &e, rows[i].unsettled_is, 1234, &old), DEVICES_CHANGED);
                ASSERT(!e.device && !old);
                ASSERT_EQ(devices_get(d, 0)->knowledge, rows[i].knowledge);
                ASSERT_EQ(devices_get(d, 0)->event_usec, 1234);
        }
}

/* What is looked at again is what it was until then, unless it is another disk or another size. */
static void test_known_until_looked_at(void)
{
        static const struct {
                const char *row;
                uint64_t diskseq, size;
                const char *known;
        } rows[] = {
                { "the same", 7, 100, "a" },
                { "another disk", 8, 100, NULL },
                { "another size", 7, 200, NULL },
                { "empty", 7, 0, NULL },
        };
        const MountdResult same = { .content = DEVICE_CONTENT_FILESYSTEM, .uuid = (char *)"a" };
        const MountdResult other = { .content = DEVICE_CONTENT_FILESYSTEM, .uuid = (char *)"b" };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                for (unsigned changed = 0; changed <= 1; changed++) {
                        _cleanup_devices_ Devices *d = devices();
                        _cleanup_(device_freep) Device *old = NULL;
                        HotplugEvent e = { .devnum = 0x801,
                                           .device = device(0x801, rows[i].diskseq, NULL) };
                        uint64_t generation;
                        Seen *s;

                        test_row(rows[i].row);
                        ASSERT_EQ(apply(d, 1, 0x801, device(0x801, 7, "a")), DEVICES_CHANGED);
                        s = devices_get(d, 0);
                        s->device->size = 100;
                        generation = s->generation;
                        e.device->size = rows[i].size;
                        ASSERT_EQ(devices_apply(d, &e, SEEN_UNKNOWN, 0, &old), DEVICES_CHANGED);
                        ASSERT_EQ(s->knowledge, SEEN_UNKNOWN);
                        ASSERT_STR(seen_known(s)->uuid, rows[i].known);
                        ASSERT_EQ(seen_known(s)->size, rows[i].size);
                        ASSERT_STR(s->device->uuid, NULL);
                        ASSERT_EQ(s->generation == generation, rows[i].diskseq == 7);
                        ASSERT_EQ(old != NULL, !rows[i].known);

                        generation = s->generation;
                        ASSERT_OK(devices_set_content(d, s, changed ? &other : &same));
                        ASSERT_STR(seen_known(s)->uuid, changed ? "b" : "a");
                        ASSERT_EQ(s->generation > generation, rows[i].diskseq != 7 || changed);
                }
        }
}

static void test_what_was_before_is_handed_back(void)
{
        _cleanup_devices_ Devices *d = devices();
        _cleanup_(device_freep) Device *old = NULL;
        HotplugEvent e = { .devnum = 0x801, .seqnum = 2, .device = device(0x801, 8, "b") };
        HotplugEvent gone = { .devnum = 0x801, .seqnum = 3, .gone = true };

        ASSERT_EQ(apply(d, 1, 0x801, device(0x801, 7, "a")), DEVICES_CHANGED);
        ASSERT_EQ(devices_apply(d, &e, SEEN_UNKNOWN, 0, &old), DEVICES_CHANGED);
        ASSERT_STR(old->uuid, "a");
        old = device_free(old);
        ASSERT_EQ(devices_apply(d, &gone, SEEN_UNKNOWN, 0, &old), DEVICES_GONE);
        ASSERT_STR(old->uuid, "b");
}

static void test_finding(void)
{
        _cleanup_devices_ Devices *d = devices();

        for (unsigned i = 0; i < 8; i++)
                ASSERT_EQ(apply(d, i + 1, 0x800 + i, device(0x800 + i, 100 + i, "a")),
                          DEVICES_CHANGED);
        ASSERT_EQ(devices_count(d), 8);
        ASSERT_EQ(apply(d, 20, 0x802, NULL), DEVICES_GONE);
        ASSERT_EQ(devices_count(d), 7);
        for (unsigned i = 0; i < 8; i++) {
                const Seen *s = devices_find(d, 0x800 + i);

                ASSERT_EQ(s != NULL, i != 2);
                ASSERT(!s || s->device->diskseq == 100 + i);
                ASSERT(devices_find_same(d, 0x800 + i, 100 + i) == s);
                ASSERT(!devices_find_same(d, 0x800 + i, 99));
        }
}

static void test_scan(void)
{
        _cleanup_devices_ Devices *d = devices();
        Device *gone;

        for (unsigned i = 0; i < 4; i++)
                ASSERT_EQ(apply(d, 10, 0x800 + i, device(0x800 + i, 7, "a")), DEVICES_CHANGED);
        ASSERT(!devices_take_missing(d)); /* none without a scan */
        devices_begin_scan(d);
        ASSERT_EQ(apply(d, 0, 0x801, device(0x801, 7, "a")), DEVICES_CHANGED);
        ASSERT_EQ(apply(d, 0, 0x804, device(0x804, 7, "a")), DEVICES_CHANGED); /* a new one */
        devices_confirm(d, 0x803);
        devices_confirm(d, 0x809); /* never heard of */
        for (unsigned i = 0; i < 2; i++) {
                gone = devices_take_missing(d);
                ASSERT(gone && (gone->devnum == 0x800 || gone->devnum == 0x802));
                device_free(gone);
        }
        ASSERT(!devices_take_missing(d));
        ASSERT_EQ(devices_count(d), 3);

        ASSERT_EQ(apply(d, 10, 0x800, device(0x800, 7, "a")), DEVICES_NOTHING); /* a late copy */
        ASSERT_EQ(apply(d, 11, 0x800, device(0x800, 8, "a")), DEVICES_CHANGED);
        devices_begin_scan(d); /* and no end: it failed */
        ASSERT_EQ(devices_count(d), 4);
}

static void test_content_of_a_probe(void)
{
        _cleanup_devices_ Devices *d = devices();
        const MountdResult found = { .content = DEVICE_CONTENT_FILESYSTEM,
                                     .uuid = (char *)"u",
                                     .uuid_sub = (char *)"s",
                                     .label = (char *)"l",
                                     .type = (char *)"ext4",
                                     .part_uuid = (char *)"p",
                                     .disk_guid = (char *)"g" };
        const MountdResult none = { .content = DEVICE_CONTENT_NONE };
        const MountdResult absurd = { .content = 77 };
        Seen *s;

        ASSERT_EQ(apply(d, 1, 0x801, device(0x801, 7, NULL)), DEVICES_CHANGED);
        s = devices_find(d, 0x801);
        ASSERT_EQ(s->knowledge, SEEN_UNKNOWN);
        ASSERT_OK(devices_set_content(d, s, &found));
        ASSERT_EQ(s->knowledge, SEEN_SETTLED);
        ASSERT_EQ(s->device->content, DEVICE_CONTENT_FILESYSTEM);
        ASSERT_STR(s->device->uuid, "u");
        ASSERT_STR(s->device->uuid_sub, "s");
        ASSERT_STR(s->device->label, "l");
        ASSERT_STR(s->device->type, "ext4");
        ASSERT_STR(s->device->part_uuid, "p");
        ASSERT_STR(s->device->disk_guid, "g");
        ASSERT_OK(devices_set_content(d, s, &none));
        ASSERT_STR(s->device->uuid, NULL);
        ASSERT_EQ(s->device->content, DEVICE_CONTENT_NONE);
        ASSERT_OK(devices_set_content(d, s, &absurd));
        ASSERT_EQ(s->device->content, DEVICE_CONTENT_UNKNOWN);
}

TEST_MAIN(TEST(events), TEST(what_is_known), TEST(known_until_looked_at),
          TEST(what_was_before_is_handed_back), TEST(finding), TEST(scan), TEST(content_of_a_probe))
