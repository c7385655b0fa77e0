/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "images.h"
#include "macro.h"
#include "mountinfo.h"
#include "record.h"
#include "served.h"
#include "test.h"
#include "text.h"

/* A filesystem on two disks, by mountd's requests. */

/* A new filesystem each time: the kernel remembers those that it knew, and refuses older copies. */
static void begin(Disk *first)
{
        _cleanup_free_ char *image = NULL;

        served_begin_with_disks();
        image = image_path("btrfs-two");
        (void)unlink(image);
        served_start(); /* first, as it would keep what is open already */
        served_attach("btrfs-two", first);
}

static void configure(const char *options)
{
        _cleanup_free_ char *text = text_format(
                "[Match]\nLabel=on two\n[Mount]\nWhere=%s\nOptions=%s\n", served.where, options);

        test_write(served.config, "data.conf", text);
}

/* As it does when wslbared wants to know what is on a new disk. */
static void attach_second(Disk *second)
{
        served_attach("btrfs-two-2", second);
        ASSERT_CONTAINS(ask("Probe", "tt", (uint64_t)second->devnum, second->diskseq),
                        "UUIDSub s ");
}

static void detach(Disk *disk)
{
        _cleanup_free_ char *path = text_format("/sys/block/%s/loop", disk->node + 5);

        disk->fd = close_fd(disk->fd);
        WAIT_FOR(!is_there(path));
}

static void assert_incomplete(const Disk *disk)
{
        unsigned n_mounts = count_mounts();
        const char *a = ask_mount("data", disk);

        ASSERT_CONTAINS(a, "Error s Incomplete\n");
        ASSERT_CONTAINS(a, disk->node);
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(served.where));
}

static void assert_mounts(const Disk *disk)
{
        const char *a = ask_mount("data", disk);
        int id = mount_on(served.where);

        if (id == 0)
                test_fail(__FILE__, __LINE__, "%s", a);
        ASSERT_CONTAINS(a, disk->node);
        /* Whichever of the two the kernel calls the source, it is known by both. */
        ASSERT_CONTAINS(ask("Adopt", "stt", "data", (uint64_t)disk->devnum, disk->diskseq),
                        "Target s ");
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
}

static void test_comes_one_by_one(void)
{
        Disk a, b;

        begin(&a);
        configure("");
        assert_incomplete(&a);
        attach_second(&b);
        assert_mounts(&a);
        assert_mounts(&b);
        detach(&a);
        detach(&b);
        served_stop();
}

/* The kernel counts a device that went for one that is there. */
static void test_one_went(void)
{
        Disk a, b;

        begin(&a);
        configure("");
        attach_second(&b);
        assert_mounts(&a);
        detach(&b);
        assert_incomplete(&a);
        configure("degraded");
        assert_mounts(&a);
        detach(&a);
        served_stop();
}

/* The kernel's errno is the same. */
static void test_no_such_subvolume(void)
{
        Disk a, b;

        begin(&a);
        configure("subvol=nonesuch");
        attach_second(&b);
        ASSERT_CONTAINS(ask_mount("data", &a), "Error s MountFailed\n");
        detach(&b);
        assert_incomplete(&a);
        detach(&a);
        served_stop();
}

/* Mounted there by somebody else, and the mount's ID is given again. */
static void test_other_one_is_not_taken_for_it(void)
{
        _cleanup_(record_freep) Record *record = NULL;
        Disk a, b, other;

        begin(&a);
        configure("");
        attach_second(&b);
        served_attach("btrfs", &other);
        ASSERT_CONTAINS(ask_mount("data", &a), "Target s ");
        ASSERT_OK(umount2(served.where, 0));
        ASSERT_OK(mount(other.node, served.where, "btrfs", 0, NULL));
        ASSERT_OK(record_load(served.records, "data", &record));
        record->mount_id = mount_on(served.where);
        ASSERT_OK(record_save(served.records, "data", record));
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT(mount_on(served.where) > 0);
        ASSERT_CONTAINS(ask_mount("data", &other), "Error s DeviceAbsent\n");
        ASSERT_CONTAINS(ask_mount("data", &a), "Error s MountFailed\nStep s target\n");
        ASSERT_OK(umount2(served.where, 0));
        detach(&a);
        detach(&b);
        detach(&other);
        served_stop();
}

static void change_devices(unsigned long command, const char *node)
{
        struct btrfs_ioctl_vol_args args = { 0 };
        _cleanup_close_ int fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)snprintf(args.name, sizeof(args.name), "%s", node);
        ASSERT_OK(ioctl(fd, command, &args));
}

static char *source_of(int id)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;

        ASSERT_OK(mountinfo_read_self(&m));
        e = mountinfo_find_id(m, id);
        ASSERT(e);
        return strdup(e->source);
}

/* As after `btrfs device remove` or `btrfs replace`: the mount is the same, what it calls its
 * source is not. */
static void test_its_source_changes(void)
{
        _cleanup_free_ char *before = NULL, *after = NULL;
        Disk a, b, c;
        int id;

        begin(&a);
        configure("");
        attach_second(&b);
        served_attach("btrfs", &c);
        ASSERT_CONTAINS(ask_mount("data", &a), "Target s ");
        id = mount_on(served.where);
        before = source_of(id);
        change_devices(BTRFS_IOC_ADD_DEV, c.node);
        change_devices(BTRFS_IOC_RM_DEV, before);
        after = source_of(id);
        ASSERT(before && after && !streq(before, after));
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
        detach(&a);
        detach(&b);
        detach(&c);
        served_stop();
}

static void make_subvolume(const char *node, const char *name)
{
        struct btrfs_ioctl_vol_args args = { 0 };
        _cleanup_close_ int fd = -1;

        ASSERT_OK(mount(node, served.where, "btrfs", 0, NULL));
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)snprintf(args.name, sizeof(args.name), "%s", name);
        ASSERT_OK(ioctl(fd, BTRFS_IOC_SUBVOL_CREATE, &args));
        fd = close_fd(fd);
        ASSERT_OK(umount2(served.where, 0));
}

/* What somebody mounted is taken over; that it is not the one that is wanted is said. */
static void test_another_subvolume(void)
{
        static const struct {
                const char *asked;
                const char *mounted;
                bool is_other;
        } rows[] = {
                { "subvol=@data", "subvol=@data", false },
                { "subvol=/@data", "subvol=@data", false },
                { "subvol=@data", "subvolid=5", true },
                { "subvolid=5", "subvolid=5", false },
                { "subvolid=5", "subvol=@data", true },
                { "", "subvol=@data", false },
        };
        Disk disk;

        served_begin_with_disks();
        served_start();
        served_attach("btrfs", &disk);
        ASSERT_OK(mkdir(served.where, 0755));
        make_subvolume(disk.node, "@data");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text =
                        text_format("[Match]\nLabel=bu tter\n[Mount]\nWhere=%s\nOptions=%s\n",
                                    served.where, rows[i].asked);
                const char *a;

                test_row(rows[i].asked);
                test_write(served.config, "data.conf", text);
                ASSERT_OK(mount(disk.node, served.where, "btrfs", MS_NOSUID | MS_NODEV,
                                rows[i].mounted));
                a = ask("Adopt", "stt", "data", (uint64_t)disk.devnum, disk.diskseq);
                ASSERT_CONTAINS(a, "Target s ");
                ASSERT_CONTAINS(a, rows[i].is_other ? "Stale b true\n" : "Stale b false\n");
                ASSERT(!strstr(a, "Warnings") == !rows[i].is_other);
                ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        }
        detach(&disk);
        served_stop();
}

TEST_MAIN(TEST(comes_one_by_one), TEST(one_went), TEST(no_such_subvolume),
          TEST(other_one_is_not_taken_for_it), TEST(its_source_changes), TEST(another_subvolume))
