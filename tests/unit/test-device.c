/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "device.h"
#include "macro.h"
#include "test.h"
#include "text.h"

static void test_new(void)
{
        _cleanup_(device_freep) Device *d = NULL;

        ASSERT_OK(device_new(makedev(8, 1), &d));
        ASSERT_EQ(d->devnum, makedev(8, 1));
        ASSERT_EQ(d->diskseq, 0);
        ASSERT_EQ(d->content, DEVICE_CONTENT_UNKNOWN);
        ASSERT(d->ready);
        ASSERT(!d->node);
        ASSERT(!device_free(NULL));
}

static void test_same(void)
{
        static const struct {
                const char *name;
                Device a, b;
                bool want;
        } rows[] = {
                { "both equal",
                  { .devnum = 7, .diskseq = 3 },
                  { .devnum = 7, .diskseq = 3 },
                  true },
                { "replugged",
                  { .devnum = 7, .diskseq = 3 },
                  { .devnum = 7, .diskseq = 4 },
                  false },
                { "a partition",
                  { .devnum = 7, .diskseq = 3 },
                  { .devnum = 8, .diskseq = 3 },
                  false },
                { "none known", { .devnum = 7 }, { .devnum = 7 }, true },
                { "one known", { .devnum = 7, .diskseq = 3 }, { .devnum = 7 }, false },
                { "renamed",
                  { .devnum = 7, .diskseq = 3, .node = (char *)"/dev/a" },
                  { .devnum = 7, .diskseq = 3, .node = (char *)"/dev/b" },
                  true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                ASSERT_EQ(device_same(&rows[i].a, &rows[i].b), rows[i].want);
        }
}

static void test_sibling(void)
{
#define S(x) ((char *)(x))
        static const Device a = { .type = S("btrfs"), .uuid = S("u"), .uuid_sub = S("1") };
        static const struct {
                const char *name;
                Device b;
                bool want;
        } rows[] = {
                { "another device of it",
                  { .type = S("btrfs"), .uuid = S("u"), .uuid_sub = S("2") },
                  true },
                { "a copy", { .type = S("btrfs"), .uuid = S("u"), .uuid_sub = S("1") }, false },
                { "of another one",
                  { .type = S("btrfs"), .uuid = S("v"), .uuid_sub = S("2") },
                  false },
                { "of another type",
                  { .type = S("zfs_member"), .uuid = S("u"), .uuid_sub = S("2") },
                  false },
                { "on one device", { .type = S("btrfs"), .uuid = S("u") }, false },
                { "nothing known", { 0 }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                ASSERT_EQ(device_is_sibling(&a, &rows[i].b), rows[i].want);
                ASSERT_EQ(device_is_sibling(&rows[i].b, &a), rows[i].want);
        }
        ASSERT(!device_is_sibling(&rows[5].b, &rows[5].b));
#undef S
}

/* A sysfs with disk 8:16, below `sys`, and its partition 8:17, linked to as in the real one. */
static const char *make_sysfs(void)
{
        const char *dir = test_directory();
        char path[PATH_MAX];

        test_write(dir, "devices/sdb/dev", "8:16\n");
        test_write(dir, "devices/sdb/uevent", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk\n");
        test_write(dir, "devices/sdb/size", "2048\n");
        test_write(dir, "devices/sdb/ro", "0\n");
        test_write(dir, "devices/sdb/diskseq", "18446744073709551615\n");
        test_write(dir, "devices/sdb/sdb1/dev", "8:17\n");
        test_write(dir, "devices/sdb/sdb1/uevent", "MAJOR=8\nMINOR=17\nDEVNAME=sdb1\nPARTN=1\n");
        test_write(dir, "devices/sdb/sdb1/partition", "1\n");
        test_write(dir, "devices/sdb/sdb1/size", "1024\n");
        test_write(dir, "devices/sdb/sdb1/ro", "1\n");
        test_write(dir, "dev/block/placeholder", "");
        snprintf(path, sizeof(path), "%s/dev/block/8:16", dir);
        ASSERT_OK(symlink("../../devices/sdb", path));
        snprintf(path, sizeof(path), "%s/dev/block/8:17", dir);
        ASSERT_OK(symlink("../../devices/sdb/sdb1", path));
        return dir;
}

static void test_sysfs(void)
{
        static const struct {
                unsigned minor;
                const char *node;
                uint64_t size;
                bool read_only;
        } rows[] = {
                { 16, "/dev/sdb", 1048576, false },
                { 17, "/dev/sdb1", 524288, true },
        };
        const char *sysfs = make_sysfs();

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(device_freep) Device *d = NULL;
                dev_t disk;

                test_row(rows[i].node);
                ASSERT_OK(device_new(makedev(8, rows[i].minor), &d));
                d->node = strdup("/dev/before");
                ASSERT_OK(device_read_sysfs_at(sysfs, d));
                ASSERT_STR(d->node, rows[i].node);
                ASSERT_EQ(d->size, rows[i].size);
                ASSERT_EQ(d->read_only, rows[i].read_only);
                ASSERT(d->diskseq == UINT64_MAX);
                ASSERT_STR(d->serial, NULL);
                ASSERT_STR(d->wwn, NULL);
                ASSERT_OK(device_whole_disk_at(sysfs, d->devnum, &disk));
                ASSERT_EQ(disk, makedev(8, 16));
        }
}

/* A mapping 253:0 of the partition 8:17. */
static void test_outer(void)
{
        static const struct {
                const char *row, *uuid, *slaves[3];
                unsigned outer; /* minor */
                bool is_dead;
        } rows[] = {
                { "LUKS", "CRYPT-LUKS2-0123-luks-x\n", { "sdb1" }, 17 },
                { "a whole disk", "CRYPT-BITLK-0123-x\n", { "sdb" }, 16 },
                { "a logical volume", "LVM-abcd\n", { "sdb1" }, 0 },
                { "on two", "CRYPT-LUKS2-0123-x\n", { "sdb1", "sdb" }, 0 },
                { "on none", "CRYPT-LUKS2-0123-x\n", { NULL }, 0 },
                { "on one that went", "CRYPT-LUKS2-0123-x\n", { "sdc" }, 0, true },
                { "no mapping", NULL, { "sdb1" }, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();
                _cleanup_(device_freep) Device *d = NULL;
                char path[PATH_MAX], to[64];

                test_row(rows[i].row);
                test_write(sysfs, "devices/dm-0/uevent", "DEVNAME=dm-0\n");
                test_write(sysfs, "devices/dm-0/size", "8\n");
                test_write(sysfs, "devices/dm-0/slaves/.x", "");
                if (rows[i].uuid)
                        test_write(sysfs, "devices/dm-0/dm/uuid", rows[i].uuid);
                for (const char *const *s = rows[i].slaves; *s; s++) {
                        snprintf(to, sizeof(to), "../../sdb%s%s", (*s)[3] ? "/" : "",
                                 (*s)[3] ? *s : "");
                        if (streq(*s, "sdc"))
                                snprintf(to, sizeof(to), "../../sdc");
                        snprintf(path, sizeof(path), "%s/devices/dm-0/slaves/%s", sysfs, *s);
                        ASSERT_OK(symlink(to, path));
                }
                snprintf(path, sizeof(path), "%s/dev/block/253:0", sysfs);
                ASSERT_OK(symlink("../../devices/dm-0", path));
                ASSERT_OK(device_new(makedev(253, 0), &d));
                ASSERT_OK(device_read_sysfs_at(sysfs, d));
                ASSERT(d->outer == (rows[i].outer ? makedev(8, rows[i].outer) : 0));
                ASSERT(d->outer_diskseq == (rows[i].outer ? UINT64_MAX : 0));
                ASSERT_EQ(d->size, rows[i].is_dead ? 0 : 8 * 512);
        }
}

static void test_inherit(void)
{
        char *names[] = { (char *)"usb-x", NULL };
        const Device outer = {
                .uuid = (char *)"luks",
                .part_uuid = (char *)"p",
                .part_label = (char *)"l",
                .disk_guid = (char *)"g",
                .serial = (char *)"s",
                .by_id = names,
        };
        _cleanup_(device_freep) Device *d = NULL;

        ASSERT_OK(device_new(makedev(253, 0), &d));
        d->serial = strdup("own");
        ASSERT_OK(device_inherit(d, &outer));
        ASSERT_STR(d->uuid, NULL); /* that is what it holds */
        ASSERT_STR(d->part_uuid, "p");
        ASSERT_STR(d->part_label, "l");
        ASSERT_STR(d->disk_guid, "g");
        ASSERT_STR(d->serial, "own");
        ASSERT_STR(d->wwn, NULL);
        ASSERT_STR(d->by_id[0], "usb-x");
}

/* Attributes as they are, hostile ones among them, on the disk 8:16. */
static void test_attributes(void)
{
        static const struct {
                const char *name;
                const char *text;
                uint64_t size, diskseq; /* 77 is what was known before */
                bool read_only;
        } rows[] = {
                { "size", "", 0, UINT64_MAX, false },
                { "size", "-1\n", 0, UINT64_MAX, false },
                { "size", "x\n", 0, UINT64_MAX, false },
                { "size", "12x\n", 0, UINT64_MAX, false },
                { "size", " 12\n", 0, UINT64_MAX, false },
                { "size", "99999999999999999999\n", 0, UINT64_MAX, false },
                { "size", "7", 3584, UINT64_MAX, false },
                { "diskseq", "", 1048576, 77, false },
                { "diskseq", "12\n", 1048576, 12, false },
                { "ro", "1\n", 1048576, UINT64_MAX, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();
                _cleanup_(device_freep) Device *d = NULL;
                char name[64];

                test_row(rows[i].text);
                snprintf(name, sizeof(name), "devices/sdb/%s", rows[i].name);
                test_write(sysfs, name, rows[i].text);
                ASSERT_OK(device_new(makedev(8, 16), &d));
                d->diskseq = 77;
                ASSERT_OK(device_read_sysfs_at(sysfs, d));
                ASSERT(d->size == rows[i].size);
                ASSERT(d->diskseq == rows[i].diskseq);
                ASSERT_EQ(d->read_only, rows[i].read_only);
        }
}

static void write_page(const char *sysfs, const char *data, size_t size)
{
        _cleanup_free_ char *path = text_format("%s/devices/sdb/device/vpd_pg80", sysfs);
        FILE *f;

        test_write(sysfs, "devices/sdb/device/vpd_pg80", "");
        f = fopen(path, "we");
        ASSERT(f);
        ASSERT_EQ(fwrite(data, 1, size, f), size);
        ASSERT_OK(fclose(f));
}

static void test_identifiers(void)
{
        static const struct {
                const char *name;
                const char *disk_serial, *device_serial, *vendor, *page, *disk_wwid, *device_wwid;
                size_t page_size;
                const char *serial, *wwn;
        } rows[] = {
                /* The kernel asks the disk for it. */
                { "virtio", .disk_serial = "overlayblk" },
                { "NVMe", .device_serial = "S4EWNX0R   \n", .disk_wwid = "eui.0025385b01\n",
                  .serial = "S4EWNX0R", .wwn = "eui.0025385b01" },
                { "ATA", .vendor = "ATA     \n", .page = "\0\x80\0\x0c    WD-WX12Z",
                  .page_size = 16, .device_wwid = "naa.50014ee2b1c2d3e4\n", .serial = "WD-WX12Z",
                  .wwn = "0x50014ee2b1c2d3e4" },
                { "SCSI", .vendor = "Msft    \n",
                  .page = "\0\x80\0\x04"
                          "ABCD",
                  .page_size = 8, .device_wwid = "naa.60022480f1e2d3c4b5a6978877665544\n",
                  .serial = "60022480f1e2d3c4b5a6978877665544",
                  .wwn = "0x60022480f1e2d3c4b5a6978877665544" },
                { "SCSI without a registered name", .vendor = "ATTO    \n",
                  .page = "\0\x80\0\x04"
                          "ABCD",
                  .page_size = 8, .device_wwid = "t10.Linux   scsi_debug  ABCD\n",
                  .serial = "ABCD" },
                { "page shorter than it says",
                  .page = "\0\x80\xff\xff"
                          "AB",
                  .page_size = 6, .serial = "AB" },
                { "page longer than it says",
                  .page = "\0\x80\0\x02"
                          "ABCD",
                  .page_size = 8, .serial = "AB" },
                { "page with NULs",
                  .page = "\0\x80\0\x04"
                          "AB\0D",
                  .page_size = 8, .serial = "AB" },
                { "page of a header", .page = "\0\x80\0\x04", .page_size = 4 },
                { "page cut in its header", .page = "\0\x80", .page_size = 2 },
                { "another page",
                  .page = "\0\x83\0\x04"
                          "ABCD",
                  .page_size = 8 },
                { "blank page", .page = "\0\x80\0\x04    ", .page_size = 8 },
                { "blank goes on", .device_serial = " \n", .page = "\0\x80\0\x01X", .page_size = 5,
                  .serial = "X" },
                { "white space within", .device_serial = "  a b \t c_ d_  \n",
                  .serial = "a_b_c__d_" },
                { "not UTF-8",
                  .device_serial = "a\xff\x01"
                                   "b\n",
                  .serial = "a\\xff\\x01b" },
                { "nothing", .device_serial = "", .disk_wwid = "\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();

                test_row(rows[i].name);
                if (rows[i].disk_serial)
                        test_write(sysfs, "devices/sdb/serial", rows[i].disk_serial);
                if (rows[i].device_serial)
                        test_write(sysfs, "devices/sdb/device/serial", rows[i].device_serial);
                if (rows[i].vendor)
                        test_write(sysfs, "devices/sdb/device/vendor", rows[i].vendor);
                if (rows[i].page)
                        write_page(sysfs, rows[i].page, rows[i].page_size);
                if (rows[i].disk_wwid)
                        test_write(sysfs, "devices/sdb/wwid", rows[i].disk_wwid);
                if (rows[i].device_wwid)
                        test_write(sysfs, "devices/sdb/device/wwid", rows[i].device_wwid);
                for (unsigned minor_number = 16; minor_number <= 17; minor_number++) {
                        _cleanup_(device_freep) Device *d = NULL;

                        ASSERT_OK(device_new(makedev(8, minor_number), &d));
                        ASSERT_OK(device_read_sysfs_at(sysfs, d));
                        ASSERT(!d->serial && !d->wwn);
                        ASSERT_OK(device_read_names_at(sysfs, d));
                        ASSERT_STR(d->serial, rows[i].serial);
                        ASSERT_STR(d->wwn, rows[i].wwn);
                }
        }
}

/* What udev said stays. */
static void test_identifiers_known(void)
{
        const char *sysfs = make_sysfs();
        _cleanup_(device_freep) Device *d = NULL;

        test_write(sysfs, "devices/sdb/device/serial", "of sysfs\n");
        test_write(sysfs, "devices/sdb/wwid", "eui.1\n");
        ASSERT_OK(device_new(makedev(8, 16), &d));
        d->serial = strdup("of udev");
        ASSERT_OK(device_read_names_at(sysfs, d));
        ASSERT_STR(d->serial, "of udev");
        ASSERT_STR(d->wwn, "eui.1");
        free(d->wwn);
        d->wwn = strdup("0x1");
        ASSERT_OK(device_read_names_at(sysfs, d));
        ASSERT_STR(d->serial, "of udev");
        ASSERT_STR(d->wwn, "0x1");
}

static void test_uevent(void)
{
        static const struct {
                const char *text;
                const char *node; /* NULL: -ENODEV */
        } rows[] = {
                { "DEVNAME=sdb\n", "/dev/sdb" },
                { "MAJOR=8\nDEVNAME=mapper/x y", "/dev/mapper/x y" },
                { "XDEVNAME=no\nDEVNAME=sdb\nDEVNAME=sdc\n", "/dev/sdb" },
                { "XDEVNAME=no\n", NULL },
                { "", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();
                _cleanup_(device_freep) Device *d = NULL;

                test_row(rows[i].text);
                test_write(sysfs, "devices/sdb/uevent", rows[i].text);
                ASSERT_OK(device_new(makedev(8, 16), &d));
                ASSERT_EQ(device_read_sysfs_at(sysfs, d), rows[i].node ? 0 : -ENODEV);
                ASSERT_STR(d->node, rows[i].node);
        }
}

static void test_whole_disk_malformed(void)
{
        static const char *const rows[] = { "", "8\n", "8:\n", ":16\n", "8:16", "8:16x\n", "x\n" };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();
                dev_t disk = 42;

                test_row(rows[i]);
                test_write(sysfs, "devices/sdb/dev", rows[i]);
                ASSERT_EQ(device_whole_disk_at(sysfs, makedev(8, 17), &disk), -ENODEV);
                ASSERT_EQ(disk, 42);
        }
}

static void test_absent(void)
{
        static const struct {
                unsigned major, minor;
        } rows[] = { { 4095, 1048575 }, { 1, 3 /* /dev/null */ }, { 0, 0 } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(device_freep) Device *d = NULL;
                char path[64];
                dev_t disk = 42;

                snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", rows[i].major, rows[i].minor);
                if (access(path, F_OK) == 0)
                        continue;
                test_row(path);
                ASSERT_OK(device_new(makedev(rows[i].major, rows[i].minor), &d));
                ASSERT_EQ(device_read_sysfs(d), -ENODEV);
                ASSERT_STR(d->node, NULL);
                ASSERT_EQ(device_whole_disk(d->devnum, &disk), -ENODEV);
                ASSERT_EQ(disk, 42);
        }
}

/* Loop devices are other tests' too, and change meanwhile. */
static void check_real(const char *name, unsigned maj, unsigned min)
{
        _cleanup_(device_freep) Device *d = NULL;
        _cleanup_close_ int fd = -1;
        uint64_t size;
        struct stat st;
        dev_t disk;

        test_row(name);
        ASSERT_OK(device_new(makedev(maj, min), &d));
        ASSERT_OK(device_read_sysfs(d));
        ASSERT_OK(device_whole_disk(d->devnum, &disk));
        ASSERT(startswith(d->node, "/dev/"));
        fd = open(d->node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
                return;
        ASSERT_EQ(st.st_rdev, d->devnum);
        if (ioctl(fd, BLKGETSIZE64, &size) >= 0)
                ASSERT(size == d->size);
}

static void test_real(void)
{
        DIR *dir = opendir("/sys/dev/block");
        const struct dirent *entry;
        unsigned n = 0, maj, min;

        if (!dir)
                test_skip("no /sys/dev/block");
        while ((entry = readdir(dir)))
                if (sscanf(entry->d_name, "%u:%u", &maj, &min) == 2 && maj != LOOP_MAJOR) {
                        check_real(entry->d_name, maj, min);
                        n++;
                }
        (void)closedir(dir);
        if (n == 0)
                test_skip("no block device but loops here");
}

static void test_contents(void)
{
        for (DeviceContent c = DEVICE_CONTENT_UNKNOWN; c <= DEVICE_CONTENT_AMBIVALENT; c++)
                ASSERT_EQ(device_content_from_string(device_content_to_string(c)), c);
        ASSERT_EQ(device_content_from_string("soup"), DEVICE_CONTENT_UNKNOWN);
}

TEST_MAIN(TEST(contents), TEST(new), TEST(same), TEST(sibling), TEST(sysfs), TEST(outer),
          TEST(inherit), TEST(attributes), TEST(identifiers), TEST(identifiers_known), TEST(uevent),
          TEST(whole_disk_malformed), TEST(absent), TEST(real))
