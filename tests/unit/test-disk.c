/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "disk.h"
#include "macro.h"
#include "test.h"
#include "text.h"

/* A sysfs with disk sdb, 8:16, and its partitions sdb1 and sdb2, linked to as in the real one. */

static void add_device(const char *dir, const char *path, unsigned minor_number)
{
        _cleanup_free_ char *uevent = text_format("DEVNAME=%s\n", strrchr(path, '/') + 1),
                            *dev = text_format("8:%u\n", minor_number);
        char name[PATH_MAX], to[PATH_MAX];

        snprintf(name, sizeof(name), "%s/dev", path);
        test_write(dir, name, dev);
        snprintf(name, sizeof(name), "%s/uevent", path);
        test_write(dir, name, uevent);
        snprintf(name, sizeof(name), "%s/dev/block/8:%u", dir, minor_number);
        snprintf(to, sizeof(to), "../../%s", path);
        ASSERT_OK(symlink(to, name));
}

static const char *make_sysfs(void)
{
        const char *dir = test_directory();

        test_write(dir, "dev/block/placeholder", "");
        add_device(dir, "devices/sdb", 16);
        add_device(dir, "devices/sdb/sdb1", 17);
        test_write(dir, "devices/sdb/sdb1/partition", "1\n");
        add_device(dir, "devices/sdb/sdb2", 18);
        test_write(dir, "devices/sdb/sdb2/partition", "2\n");
        /* As deep as a partition, and none. */
        test_write(dir, "devices/sdb/queue/dev", "8:99\n");
        return dir;
}

static void test_parts(void)
{
        const dev_t numbers[] = { makedev(8, 16), makedev(8, 17), makedev(8, 18) };
        const char *sysfs = make_sysfs();

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                _cleanup_(disk_freep) Disk *d = NULL;
                unsigned seen = 0;

                ASSERT_OK(disk_new(sysfs, numbers[i], &d));
                ASSERT_EQ(d->n_parts, 3);
                ASSERT_STR(d->parts[0]->node, "/dev/sdb");
                ASSERT_EQ(d->parts[0]->devnum, numbers[0]);
                for (size_t k = 1; k < 3; k++) {
                        ASSERT(startswith(d->parts[k]->node, "/dev/sdb"));
                        seen |= 1U << minor(d->parts[k]->devnum);
                }
                ASSERT_EQ(seen, 1U << 17 | 1U << 18);
        }
}

static void test_gone(void)
{
        const char *sysfs = make_sysfs();
        Disk *d;

        ASSERT_EQ(disk_new(sysfs, makedev(8, 32), &d), -ENODEV);
        ASSERT(!disk_free(NULL));
}

/* What uses it. */

#define OWN_MOUNT "50 1 8:17 / /mnt/data rw - ext4 /dev/sdb1 rw\n"
#define OWN_BTRFS "50 1 0:40 / /mnt/data rw - btrfs /dev/sdb1 rw\n"
#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

typedef struct Row {
        const char *row;
        const char *path; /* that is there, NULL none; what stands in it */
        const char *text;
        const char *mounts; /* its own is the one with ID 50 */
        const char *swaps;
        const char *want; /* NULL: no use */
} Row;

static const Row rows[] = {
        { "nothing", NULL, NULL, "", "", NULL },
        { "its own mount", NULL, NULL, OWN_MOUNT, SWAPS, NULL },
        { "mounted, not as its own", NULL, NULL, "51 1 8:17 / /srv rw - ext4 /dev/sdb1 rw\n", SWAPS,
          "/dev/sdb1 is mounted on /srv" },
        { "mounted twice", NULL, NULL,
          OWN_MOUNT "51 1 8:17 /www /srv\\040www rw - ext4 /dev/sdb1 rw\n", SWAPS,
          "/dev/sdb1 is mounted on /srv www" },
        { "the other partition is mounted", NULL, NULL,
          OWN_MOUNT "51 1 8:18 / /home rw - ext4 /dev/root rw\n", SWAPS,
          "/dev/sdb2 is mounted on /home" },
        { "the disk itself is mounted", NULL, NULL, "51 1 8:16 / /home rw - ext4 /dev/sdb rw\n",
          SWAPS, "/dev/sdb is mounted on /home" },
        { "another disk is", NULL, NULL,
          OWN_MOUNT "51 1 8:1 / / rw - ext4 /dev/sda1 rw\n52 1 0:5 / /dev rw - devtmpfs udev rw\n",
          SWAPS "/dev/sda2\t\t\t\tpartition\t100\t0\t-2\n", NULL },
        { "somebody's FUSE says that it is", NULL, NULL,
          OWN_MOUNT "51 1 0:50 / /home/x rw - fuse.x /dev/sdb2 rw\n", SWAPS, NULL },
        { "its own btrfs", NULL, NULL, OWN_BTRFS, SWAPS, NULL },
        { "its own btrfs twice, by another member", NULL, NULL,
          OWN_BTRFS "51 1 0:40 /sub /srv rw - btrfs /dev/sdc rw\n", SWAPS,
          "/dev/sdb1 is mounted on /srv" },
        { "its own btrfs, by another partition", NULL, NULL,
          "50 1 0:40 / /mnt/data rw - btrfs /dev/sdb2 rw\n", SWAPS, NULL },
        { "another btrfs", NULL, NULL, OWN_MOUNT "51 1 0:41 / /srv rw - btrfs /dev/sdb2 rw\n",
          SWAPS, "/dev/sdb2 is mounted on /srv" },
        { "member of another btrfs", "fs/btrfs/1-2/devices/sdb2/dev", "8:18\n",
          OWN_MOUNT "51 1 0:41 / /srv rw - btrfs /dev/sdc rw\n", SWAPS,
          "/dev/sdb2 belongs to the btrfs 1-2, which is mounted" },
        { "itself in its own btrfs", "fs/btrfs/1-2/devices/sdb1/dev", "8:17\n", OWN_BTRFS, SWAPS,
          NULL },
        { "not a btrfs", "fs/btrfs/features/raid56", "0\n", OWN_MOUNT, SWAPS, NULL },
        { "device mapper above the other", "devices/sdb/sdb2/holders/dm-0/x", "", OWN_MOUNT, SWAPS,
          "/dev/sdb2 is part of dm-0" },
        { "above the disk", "devices/sdb/holders/md127/x", "", OWN_MOUNT, SWAPS,
          "/dev/sdb is part of md127" },
        { "above itself", "devices/sdb/sdb1/holders/dm-1/x", "", "", SWAPS,
          "/dev/sdb1 is part of dm-1" },
        { "swap", NULL, NULL, OWN_MOUNT,
          SWAPS "/dev/sdb22\t\t\t\tpartition\t100\t0\t-2\n/dev/sdb2   \t\tpartition\t100\t0\t-3\n",
          "/dev/sdb2 is used as swap" },
        { "the swap of another", NULL, NULL, OWN_MOUNT,
          SWAPS "/dev/sdb22\t\t\t\tpartition\t100\t0\t-2\n/mnt/dev/sdb2 file 1 0 -3", NULL },
        { "a loop device shows it", "block/loop3/loop/backing_file", "/dev/sdb2\n", OWN_MOUNT,
          SWAPS, "/dev/sdb2 is what loop3 shows" },
        { "a loop device shows a file", "block/loop3/loop/backing_file", "/dev/sdb2.img\n",
          OWN_MOUNT, SWAPS, NULL },
};

static void test_use(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *sysfs = make_sysfs();
                _cleanup_(disk_freep) Disk *d = NULL;
                _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
                _cleanup_free_ char *use = NULL;
                int r;

                test_row(rows[i].row);
                if (rows[i].path)
                        test_write(sysfs, rows[i].path, rows[i].text);
                ASSERT_OK(disk_new(sysfs, makedev(8, 17), &d));
                ASSERT_OK(mountinfo_parse(strdup(rows[i].mounts), &mounts));
                r = disk_find_use(sysfs, d, &(DiskUsers){ mounts, rows[i].swaps }, makedev(8, 17),
                                  mountinfo_find_id(mounts, 50), &use);
                ASSERT_STR(use, rows[i].want);
                ASSERT_EQ(r, rows[i].want ? 1 : 0);
        }
}

/* A btrfs over two partitions of one disk. */
static void test_members_on_one_disk(void)
{
        const char *sysfs = make_sysfs();
        _cleanup_(disk_freep) Disk *d = NULL;
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        _cleanup_free_ char *use = NULL;

        test_write(sysfs, "fs/btrfs/1-2/devices/sdb1/dev", "8:17\n");
        test_write(sysfs, "fs/btrfs/1-2/devices/sdb2/dev", "8:18\n");
        ASSERT_OK(disk_new(sysfs, makedev(8, 17), &d));
        ASSERT_OK(mountinfo_parse(strdup(OWN_BTRFS), &mounts));
        ASSERT_EQ(disk_find_use(sysfs, d, &(DiskUsers){ mounts, SWAPS }, makedev(8, 17),
                                mountinfo_find_id(mounts, 50), &use),
                  0);
}

/* Letting go. */

static void test_lower(void)
{
        const char *sysfs = make_sysfs();
        _cleanup_(disk_freep) Disk *d = NULL;
        _cleanup_free_ char *name = NULL;

        ASSERT_OK(disk_new(sysfs, makedev(8, 16), &d));
        ASSERT_EQ(disk_find_lower(sysfs, d, &name), 0);
        test_write(sysfs, "devices/sdb/slaves/sda/x", "");
        ASSERT_EQ(disk_find_lower(sysfs, d, &name), 1);
        ASSERT_STR(name, "sda");
}

static void test_delete(void)
{
        const char *sysfs = make_sysfs();
        _cleanup_(disk_freep) Disk *d = NULL;
        _cleanup_close_ int fd = -1;

        ASSERT_OK(disk_new(sysfs, makedev(8, 17), &d));
        ASSERT_EQ(disk_open_delete(sysfs, d), -ENOENT);
        test_write(sysfs, "devices/sdb/device/delete", "");
        fd = disk_open_delete(sysfs, d);
        ASSERT(fd >= 0);
        ASSERT_EQ(write(fd, "1", 1), 1);
}

/* The machine's own, whatever it has. */
static void test_real(void)
{
        _cleanup_(disk_freep) Disk *d = NULL;
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        _cleanup_free_ char *use = NULL;
        const MountEntry *root;

        ASSERT_OK(mountinfo_read_self(&mounts));
        root = mountinfo_find_target(mounts, "/");
        if (!root || disk_new("/sys", root->devnum, &d) < 0)
                test_skip("the root is not on a disk");
        ASSERT_EQ(disk_find_use("/sys", d, &(DiskUsers){ mounts, "" }, 0, NULL, &use), 1);
        ASSERT_CONTAINS(use, d->parts[0]->node);
}

TEST_MAIN(TEST(parts), TEST(gone), TEST(use), TEST(members_on_one_disk), TEST(lower), TEST(delete),
          TEST(real))
