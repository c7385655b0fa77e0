/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "blockdev.h"
#include "hotplug.h"
#include "macro.h"
#include "sandbox.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t) /* Linux 5.15 */
#endif

void blockdev_done(BlockDevice *b)
{
        b->device = device_free(b->device);
        b->fd = close_fd(b->fd);
        b->disk_fd = close_fd(b->disk_fd);
}

/* The path is only a way to get at the number: what it leads to is checked. */
static int open_number(const char *node, dev_t devnum, int flags, int *ret)
{
        _cleanup_close_ int fd =
                open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | flags);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISBLK(st.st_mode) || st.st_rdev != devnum)
                return -ENODEV;
        *ret = TAKE_FD(fd);
        return 0;
}

static int open_whole_disk(BlockDevice *b, dev_t disk)
{
        _cleanup_(device_freep) Device *d = NULL;
        int r = device_new(disk, &d);

        if (r >= 0)
                r = device_read_sysfs(d);
        if (r >= 0)
                r = open_number(d->node, disk, 0, &b->disk_fd);
        return r;
}

static int read_part_number(dev_t devnum, unsigned *ret)
{
        char path[64];
        FILE *f;
        int n;

        (void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(devnum),
                       minor(devnum));
        f = fopen(path, "re");
        if (!f)
                return -errno;
        n = fscanf(f, "%u", ret);
        (void)fclose(f);
        return n == 1 ? 0 : -ENODEV;
}

static int open_disk_of(BlockDevice *b)
{
        dev_t disk;
        int r = device_whole_disk(b->device->devnum, &disk);

        if (r < 0 || disk == b->device->devnum)
                return r;
        r = read_part_number(b->device->devnum, &b->part_number);
        return r < 0 ? r : open_whole_disk(b, disk);
}

static int fail_sequence(const char *node, uint64_t actual, uint64_t wanted, Report *report)
{
        return report_fail(report, "DeviceAbsent", STEP_PROBE, ENODEV,
                           "%s is another disk by now (sequence %" PRIu64 ", not %" PRIu64 ")",
                           node, actual, wanted);
}

/* NODE is the name for the message only. */
static int check_sequence(int fd, uint64_t diskseq, const char *node, Report *report)
{
        uint64_t actual;

        if (ioctl(fd, BLKGETDISKSEQ, &actual) < 0)
                return report_fail(report, "DeviceAbsent", STEP_PROBE, errno,
                                   "%s has no sequence number; Linux 5.15 or newer is needed",
                                   node);
        return actual == diskseq ? 0 : fail_sequence(node, actual, diskseq, report);
}

static int open_checked(BlockDevice *b, uint64_t diskseq, Report *report)
{
        const char *node = b->device->node;
        int r = open_number(node, b->device->devnum, 0, &b->fd);

        if (r >= 0)
                r = open_disk_of(b);
        if (r == -ENODEV || r == -ENOENT || r == -ENXIO || r == -ENOMEDIUM)
                return report_fail(report, "DeviceAbsent", STEP_PROBE, r, "%s is gone", node);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_PROBE, r, "Cannot open %s: %s", node,
                                   strerror(-r));
        r = check_sequence(b->fd, diskseq, node, report);
        if (r < 0)
                return r;
        /* What is known of the device was read before. */
        return b->device->diskseq == diskseq
                       ? 0
                       : fail_sequence(node, b->device->diskseq, diskseq, report);
}

static int lock(const BlockDevice *b, int operation, Report *report)
{
        if (flock(b->disk_fd >= 0 ? b->disk_fd : b->fd, operation | LOCK_NB) >= 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return report_fail(report, "MountFailed", STEP_PROBE, errno,
                                   "Cannot lock the disk of %s: %s", b->device->node,
                                   strerror(errno));
        return report_fail(report, "InProgress", STEP_PROBE, errno,
                           "Another program holds the disk of %s locked, to partition or "
                           "format it; it is looked at again when that is done",
                           b->device->node);
}

int blockdev_lock(const BlockDevice *b, Report *report)
{
        return lock(b, LOCK_EX, report);
}

int blockdev_claim(const Device *d)
{
        int fd, r = open_number(d->node, d->devnum, O_EXCL, &fd);

        return r < 0 ? r : fd;
}

int blockdev_open(dev_t devnum, uint64_t diskseq, BlockDevice *ret, Report *report)
{
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };
        _cleanup_(hotplug_event_done) HotplugEvent record = { 0 };
        int r = hotplug_lookup(devnum, &record);

        if (r < 0)
                return report_fail(report, "DeviceAbsent", STEP_PROBE, r,
                                   "There is no block device %u:%u", major(devnum), minor(devnum));
        b.device = TAKE_PTR(record.device);
        r = open_checked(&b, diskseq, report);
        if (r < 0)
                return r;
        r = lock(&b, LOCK_SH, report);
        if (r < 0)
                return r;
        *ret = b;
        b = (BlockDevice){ .fd = -1, .disk_fd = -1 };
        return 0;
}

static void report_flag(Report *report, const char *key, bool value)
{
        report_add(report, key, "%s", value ? "yes" : "no");
}

void blockdev_report(const BlockDevice *b, Report *report)
{
        const Device *d = b->device;
        const ProbeResult *p = &b->content;
        const struct {
                const char *key;
                const char *value;
        } rows[] = {
                { "Node", d->node },
                { "UUID", d->uuid },
                { "UUIDSub", d->uuid_sub },
                { "Label", d->label },
                { "Type", d->type },
                { "PartUUID", d->part_uuid },
                { "PartLabel", d->part_label },
                { "DiskGUID", d->disk_guid },
                { "Usage", p->usage },
                { "Version", p->version },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].value && rows[i].value[0])
                        report_add(report, rows[i].key, "%s", rows[i].value);
        report_add(report, "DeviceNumber", "%" PRIu64, (uint64_t)d->devnum);
        report_add(report, "DiskSequence", "%" PRIu64, d->diskseq);
        report_add(report, "Content", "%u", (unsigned)d->content);
        report_add(report, "Size", "%" PRIu64, p->size);
        report_add(report, "SectorSize", "%" PRIu32, p->sector_size);
        if (p->state.flags & FS_KNOWN) {
                report_flag(report, "Clean", p->state.flags & FS_CLEAN);
                report_flag(report, "Errors", p->state.flags & FS_ERRORS);
                report_flag(report, "CheckDue", fs_state_is_due(&p->state, (uint64_t)time(NULL)));
        }
}

/* What udev told of it was replaced by what was found on the mapping alone. */
static int inherit(Device *d, Report *report)
{
        _cleanup_(blockdev_done) BlockDevice outer = { .fd = -1, .disk_fd = -1 };
        int r;

        if (d->outer == 0)
                return 0;
        r = blockdev_open(d->outer, d->outer_diskseq, &outer, report);
        if (r >= 0)
                r = blockdev_probe(&outer, report);
        if (r >= 0 && device_inherit(d, outer.device) < 0)
                r = report_fail(report, "MountFailed", STEP_PROBE, ENOMEM, "Out of memory");
        return r;
}

int blockdev_probe(BlockDevice *b, Report *report)
{
        int r = sandbox_probe(b->fd, b->disk_fd, b->part_number, &b->content);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_PROBE, r, "Cannot read %s: %s",
                                   b->device->node, strerror(-r));
        r = probe_result_describe(&b->content, b->device);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_PROBE, r, "Out of memory");
        return inherit(b->device, report);
}
