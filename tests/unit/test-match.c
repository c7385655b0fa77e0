/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "macro.h"
#include "match.h"
#include "test.h"

#define S(x) ((char *)(x))
#define UUID S("0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11")
#define PART_UUID S("11111111-2222-3333-4444-555555555555")
#define DISK_GUID S("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

static char *ids[] = { S("ata-QEMU_HARDDISK_1"), S("wwn-0x5000-part1"), NULL };

static const Device disk = {
        .content = DEVICE_CONTENT_FILESYSTEM,
        .node = S("/dev/sdb1"),
        .uuid = S("0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11"),
        .label = S("my data"),
        .type = S("ext4"),
        .part_uuid = PART_UUID,
        .part_label = S("Linux"),
        .disk_guid = DISK_GUID,
        .serial = S("S1"),
        .wwn = S("0x5000"),
        .by_id = ids,
};

static void test_keys(void)
{
        static const struct {
                const char *row;
                Match match;
                const char *mismatch; /* NULL: it matches */
        } rows[] = {
                { "nothing asked", { 0 }, NULL },
                { "uuid", { .uuid = UUID }, NULL },
                { "other uuid", { .uuid = S("x") }, "UUID" },
                { "label", { .label = S("my data") }, NULL },
                { "label is not a prefix", { .label = S("my") }, "Label" },
                { "partuuid", { .part_uuid = PART_UUID }, NULL },
                { "other partuuid", { .part_uuid = UUID }, "PartUUID" },
                { "partlabel", { .part_label = S("Linux") }, NULL },
                { "partlabel by case", { .part_label = S("linux") }, "PartLabel" },
                { "disk guid", { .disk_guid = DISK_GUID }, NULL },
                { "other disk guid", { .disk_guid = UUID }, "DiskGUID" },
                { "serial", { .serial = S("S1") }, NULL },
                { "other serial", { .serial = S("S") }, "Serial" },
                { "wwn", { .wwn = S("0x5000") }, NULL },
                { "other wwn", { .wwn = S("0x50") }, "WWN" },
                { "by-id, whole", { .by_id = S("ata-QEMU_HARDDISK_1") }, NULL },
                { "by-id, glob", { .by_id = S("wwn-*-part[0-9]") }, NULL },
                { "by-id, none", { .by_id = S("nvme-*") }, "ById" },
                { "all must hold", { .uuid = UUID, .serial = S("S2") }, "Serial" },
                { "type", { .uuid = UUID, .type = S("ext4") }, NULL },
                { "type mismatch", { .uuid = UUID, .type = S("xfs") }, "Type" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *key = NULL;
                bool fits;

                test_row(rows[i].row);
                fits = match_device(&rows[i].match, &disk, &key);
                ASSERT_EQ(fits, rows[i].mismatch == NULL);
                ASSERT_STR(key, rows[i].mismatch);
        }
}

static void test_unknown_fits_nothing_asked_of_it(void)
{
        const Device blank = { .content = DEVICE_CONTENT_UNKNOWN };
        const Match m = { .uuid = UUID };

        ASSERT(!match_device(&m, &blank, NULL));
        ASSERT(match_device_but_content(&m, &blank));
}

static void test_but_content(void)
{
        static const struct {
                const char *row;
                DeviceContent content;
                Match match;
                bool fits;
        } rows[] = {
                { "unknown, any uuid", DEVICE_CONTENT_UNKNOWN, { .uuid = S("x") }, true },
                { "ambivalent, any uuid", DEVICE_CONTENT_AMBIVALENT, { .uuid = S("x") }, true },
                { "known is known", DEVICE_CONTENT_FILESYSTEM, { .uuid = S("x") }, false },
                { "empty is known", DEVICE_CONTENT_NONE, { .uuid = S("x") }, false },
                { "hardware must fit", DEVICE_CONTENT_UNKNOWN, { .serial = S("S2") }, false },
                { "hardware fits",
                  DEVICE_CONTENT_UNKNOWN,
                  { .uuid = S("x"), .serial = S("S1") },
                  true },
                { "by-id must fit", DEVICE_CONTENT_UNKNOWN, { .by_id = S("nvme-*") }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Device d = disk;

                test_row(rows[i].row);
                d.content = rows[i].content;
                ASSERT_EQ(match_device_but_content(&rows[i].match, &d), rows[i].fits);
        }
}

static void test_fits(void)
{
        const Match by_uuid = { .uuid = UUID }, by_part = { .part_uuid = PART_UUID },
                    by_serial = { .serial = S("S1") };
        const struct {
                const char *row;
                const Match *match;
                Device device; /* what differs is set below */
                bool fits;
        } rows[] = {
                { "fits", &by_uuid, { .content = DEVICE_CONTENT_FILESYSTEM, .uuid = UUID }, true },
                { "another",
                  &by_uuid,
                  { .content = DEVICE_CONTENT_FILESYSTEM, .uuid = S("x") },
                  false },
                { "unreadable", &by_part, { .part_uuid = PART_UUID }, true },
                { "unreadable, of the content", &by_uuid, { .part_uuid = PART_UUID }, false },
                { "a disk with partitions",
                  &by_serial,
                  { .content = DEVICE_CONTENT_NONE, .serial = S("S1"), .disk_guid = DISK_GUID },
                  false },
                { "a blank one",
                  &by_serial,
                  { .content = DEVICE_CONTENT_NONE, .serial = S("S1") },
                  true },
                { "a blank partition",
                  &by_serial,
                  { .content = DEVICE_CONTENT_NONE,
                    .serial = S("S1"),
                    .disk_guid = DISK_GUID,
                    .is_partition = true },
                  true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Device d = rows[i].device;

                test_row(rows[i].row);
                d.size = 1;
                d.ready = true;
                ASSERT_EQ(match_fits(rows[i].match, &d), rows[i].fits);
                d.ready = false;
                ASSERT(!match_fits(rows[i].match, &d));
                d.ready = true;
                d.size = 0;
                ASSERT(!match_fits(rows[i].match, &d));
        }
}

static void test_by_hardware(void)
{
        const Match by_id = { .by_id = S("*") }, label = { .label = S("x") };

        ASSERT(!match_is_by_hardware(&label));
        ASSERT(match_is_by_hardware(&by_id));
}

static void test_confused(void)
{
        const Match right = { .uuid = UUID, .part_uuid = PART_UUID };
        const Match part_as_uuid = { .uuid = PART_UUID };
        const Match guid_as_uuid = { .uuid = DISK_GUID };
        const Match uuid_as_part = { .part_uuid = UUID };
        const Match other = { .uuid = S("x") };

        ASSERT_STR(match_confused_key(&right, &disk), NULL);
        ASSERT_STR(match_confused_key(&part_as_uuid, &disk), "PartUUID");
        ASSERT_STR(match_confused_key(&guid_as_uuid, &disk), "DiskGUID");
        ASSERT_STR(match_confused_key(&uuid_as_part, &disk), "UUID");
        ASSERT_STR(match_confused_key(&other, &disk), NULL);
}

static void test_near(void)
{
        static const struct {
                const char *row;
                Match match;
                bool is_near;
                const char *why;
        } rows[] = {
                { "nothing of it", { .uuid = S("x") }, false, "UUID= wants x, and it is 0b5e2a6c" },
                { "a slip of the pen",
                  { .uuid = S("0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c12") },
                  true,
                  "UUID= wants 0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c12, and it is" },
                { "another key",
                  { .uuid = PART_UUID },
                  true,
                  "is its PartUUID, so write PartUUID=" },
                { "one of two",
                  { .uuid = UUID, .serial = S("other disk") },
                  true,
                  "Serial= wants other disk, and it is S1" },
                { "another type",
                  { .label = S("my data"), .type = S("xfs") },
                  true,
                  "Type= wants xfs, and it is ext4" },
                { "the type alone", { .uuid = S("x"), .type = S("ext4") }, false, "UUID=" },
                { "by-id, beside another",
                  { .by_id = S("wwn-*"), .label = S("completely else") },
                  true,
                  "Label=" },
                { "by-id",
                  { .by_id = S("nvme-*") },
                  false,
                  "ById= wants nvme-*, and it has no such" },
                { "it fits", { .uuid = UUID }, true, "it fits" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *why = match_explain(&rows[i].match, &disk);

                test_row(rows[i].row);
                ASSERT_EQ(match_is_near(&rows[i].match, &disk), rows[i].is_near);
                ASSERT_CONTAINS(why, rows[i].why);
        }
}

static void test_explain_nothing_known(void)
{
        const Device blank = { .content = DEVICE_CONTENT_NONE };
        const Match m = { .uuid = UUID };
        _cleanup_free_ char *why = match_explain(&m, &blank);

        ASSERT_CONTAINS(why, ", and it has none");
        ASSERT(!match_is_near(&m, &blank));
}

TEST_MAIN(TEST(keys), TEST(unknown_fits_nothing_asked_of_it), TEST(but_content), TEST(fits),
          TEST(by_hardware), TEST(confused), TEST(near), TEST(explain_nothing_known))
