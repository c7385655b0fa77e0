/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "blockdev.h"
#include "disk.h"
#include "eject.h"
#include "holders.h"
#include "hotplug.h"
#include "macro.h"
#include "mount.h"
#include "mountinfo.h"
#include "record.h"
#include "target.h"

/* After umount(2) the kernel takes a superblock down a little later when somebody looks at it just
 * then, and a FUSE server lets go of the disk when it ends. */
#define CLAIM_PATIENCE_USEC (5 * USEC_PER_SEC)
#define CLAIM_PAUSE_USEC (20 * USEC_PER_MSEC)

#define SWAPS_SIZE_MAX (16U * 1024U) /* the kernel has some 30 at most */

typedef struct Ejection {
        const Mounter *mounter;
        const char *name;
        Report *report;
        Record *record;       /* of the mount; NULL: it is not mounted */
        VolumeConfig *config; /* where it is not mounted */
        BlockDevice b;
        Disk *disk;
} Ejection;

static void ejection_done(Ejection *e)
{
        record_free(e->record);
        volume_config_free(e->config);
        blockdev_done(&e->b);
        disk_free(e->disk);
}

static void progress(const Ejection *e, FailureStep step)
{
        if (e->mounter->progress)
                e->mounter->progress(step, e->mounter->userdata);
}

/* Which device. */

typedef struct Search {
        const Match *match;
        Device *found; /* the first of them */
        unsigned n;
} Search;

/* One of which udev does not tell the content. */
static bool fits_by_probe(const Match *match, const Device *d)
{
        _cleanup_(report_freep) Report *unread = report_new();
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };

        return unread && match_device_unseen(match, d) &&
               blockdev_open(d->devnum, d->diskseq, &b, unread) >= 0 &&
               blockdev_probe(&b, unread) >= 0 && match_fits(match, b.device);
}

static int on_device(HotplugEvent *e, void *userdata)
{
        Search *s = userdata;
        const Device *d = e->device;

        if (!(e->settled ? match_fits(s->match, d)
                         : d->ready && d->size > 0 && fits_by_probe(s->match, d)))
                return 0;
        if (s->n++ == 0)
                s->found = TAKE_PTR(e->device);
        return 0;
}

/* What udev says chooses; what is found there has the last word. */
static int open_meant(Ejection *e)
{
        Search s = { .match = &e->config->match };
        _cleanup_(device_freep) Device *found = NULL;
        int r = hotplug_enumerate(hotplug_udev_is_running(), on_device, &s);

        found = s.found;
        if (r < 0)
                return report_fail(e->report, "MountFailed", STEP_PROBE, r,
                                   "Cannot list the devices: %s", strerror(-r));
        if (s.n > 1)
                return report_fail(e->report, "Ambiguous", STEP_PROBE, EEXIST,
                                   "%u devices fit %s, %s among them", s.n, e->config->path,
                                   found->node);
        if (s.n == 0)
                return report_fail(e->report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                   "No device is here that %s means", e->config->path);
        r = blockdev_open(found->devnum, found->diskseq, &e->b, e->report);
        if (r >= 0)
                r = blockdev_probe(&e->b, e->report);
        if (r >= 0 && !match_fits(s.match, e->b.device))
                return report_fail(e->report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                   "%s is not what %s means", found->node, e->config->path);
        return r;
}

static int open_by_file(Ejection *e, const ConfigSource *source)
{
        _cleanup_free_ char *problem = NULL;
        int r = config_load_volume(source, e->name, &e->config, &problem);

        if (r == -ENOENT)
                return report_fail(e->report, "NoSuchVolume", STEP_CONFIG, r,
                                   "There is no file of this volume");
        if (r < 0)
                return report_fail(e->report, "ConfigInvalid", STEP_CONFIG, r, "%s",
                                   problem ? problem : strerror(-r));
        return open_meant(e);
}

static int open_device(Ejection *e, const ConfigSource *source)
{
        _cleanup_(record_freep) Record *record = NULL;

        if (record_load(e->mounter->records, e->name, &record) < 0 ||
            mounter_is_mounted(record) <= 0)
                return open_by_file(e, source);
        e->record = TAKE_PTR(record);
        return blockdev_open(e->record->devnum, e->record->diskseq, &e->b, e->report);
}

/* What else lies on the disk. */

static void read_swaps(char *text, size_t size)
{
        _cleanup_close_ int fd = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

        text[n > 0 ? n : 0] = '\0';
}

static int refuse_used(Ejection *e, const char *use)
{
        return report_fail(e->report, "Busy", STEP_UNMOUNT, EBUSY,
                           "The disk of %s is used by more than that: %s; end that first", e->name,
                           use);
}

static int check_use(Ejection *e)
{
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        _cleanup_free_ char *use = NULL, *lower = NULL;
        char swaps[SWAPS_SIZE_MAX];
        const MountEntry *own;
        int r = mountinfo_read_self(&mounts);

        if (r >= 0)
                r = disk_new("/sys", e->b.device->devnum, &e->disk);
        if (r >= 0)
                r = disk_find_lower("/sys", e->disk, &lower);
        if (r > 0)
                return report_fail(e->report, "NotSupported", STEP_UNMOUNT, EOPNOTSUPP,
                                   "%s is made of %s by device mapper or RAID; unmount %s, undo "
                                   "that, and detach the disk below",
                                   e->b.device->node, lower, e->name);
        read_swaps(swaps, sizeof(swaps));
        own = r >= 0 && e->record ? mountinfo_find_id(mounts, e->record->mount_id) : NULL;
        if (r >= 0)
                r = disk_find_use("/sys", e->disk, &(DiskUsers){ mounts, swaps },
                                  e->b.device->devnum, own, &use);
        if (r < 0)
                return report_fail(e->report, "MountFailed", STEP_UNMOUNT, r,
                                   "Cannot see what uses the disk of %s: %s", e->name,
                                   strerror(-r));
        return r > 0 ? refuse_used(e, use) : 0;
}

/* The other partitions, as far as the own mount does not claim them with the whole disk. */
static int check_claims(Ejection *e)
{
        for (size_t i = 1; i < e->disk->n_parts; i++) {
                const Device *part = e->disk->parts[i];
                _cleanup_close_ int fd = -1;

                if (part->devnum == e->b.device->devnum || !e->b.device->is_partition)
                        continue;
                fd = blockdev_claim(part);
                if (fd == -EBUSY) {
                        (void)holders_report_devices(&e->disk->parts[i], 1, e->report);
                        return report_fail(e->report, "Busy", STEP_UNMOUNT, EBUSY,
                                           "%s, on the disk of %s, is in use in another mount "
                                           "namespace or by another distribution; end that first",
                                           part->node, e->name);
                }
        }
        return 0;
}

/* The steps. */

/* What cannot be written is better known while it is still mounted. */
static int sync_mount(const Ejection *e)
{
        _cleanup_(target_done) Target t = { .fd = -1, .parent_fd = -1 };
        _cleanup_close_ int fd = -1;
        bool is_root;
        int id;

        if (target_open_existing(e->record->target, &t) < 0 ||
            mount_id_of(t.fd, &id, &is_root) < 0 || id != e->record->mount_id)
                return 0; /* unmounting says why */
        fd = openat(t.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || syncfs(fd) >= 0)
                return 0;
        return report_fail(e->report, "MountFailed", STEP_UNMOUNT, errno,
                           "Not everything could be written to %s (%s); it stays mounted",
                           e->b.device->node, strerror(errno));
}

static int unmount(Ejection *e)
{
        int r;

        progress(e, STEP_UNMOUNT);
        if (!e->record)
                return e->config->where
                               ? mounter_hold_back(e->mounter, e->config, e->b.device, e->report)
                               : 0;
        r = sync_mount(e);
        return r < 0 ? r : mounter_unmount(e->mounter, e->name, false, e->report);
}

static int flush(Ejection *e)
{
        if (fsync(e->b.fd) >= 0 && (e->b.disk_fd < 0 || fsync(e->b.disk_fd) >= 0))
                return 0;
        return report_fail(e->report, "MountFailed", STEP_EJECT, errno,
                           "%s could not be flushed (%s); what was written last may be lost",
                           e->b.device->node, strerror(errno));
}

/* A claim of the disk: it is only had while no partition is claimed, by whatever namespace. */
static int claim_patiently(const Device *disk)
{
        const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_USEC * 1000 };
        int fd = blockdev_claim(disk);

        for (uint64_t t = 0; fd == -EBUSY && t < CLAIM_PATIENCE_USEC; t += CLAIM_PAUSE_USEC) {
                (void)nanosleep(&pause, NULL);
                fd = blockdev_claim(disk);
        }
        return fd;
}

static int claim(Ejection *e)
{
        const Device *disk = e->disk->parts[0];
        int fd = claim_patiently(disk);
        bool is_known;

        if (fd >= 0)
                return fd;
        if (fd != -EBUSY)
                return report_fail(e->report, "MountFailed", STEP_EJECT, fd, "Cannot open %s: %s",
                                   disk->node, strerror(-fd));
        is_known = holders_report_devices(e->disk->parts, e->disk->n_parts, e->report) > 0;
        return report_fail(e->report, "Busy", STEP_EJECT, fd,
                           "%s is not mounted any more, but %s is still held by %s; do not detach "
                           "it yet",
                           e->name, disk->node,
                           is_known ? "those in Holders"
                                    : "another distribution, or a process that cannot be seen "
                                      "from here");
}

static int release_loop(Ejection *e)
{
        int fd = e->b.disk_fd >= 0 ? e->b.disk_fd : e->b.fd;

        return ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO ? -errno : 0;
}

static int remove_scsi(Ejection *e)
{
        _cleanup_close_ int fd = disk_open_delete("/sys", e->disk);

        if (fd < 0)
                return fd;
        return write(fd, "1", 1) < 0 ? -errno : 0;
}

static int let_go(Ejection *e)
{
        const Device *disk = e->disk->parts[0];
        int r = major(disk->devnum) == LOOP_MAJOR ? release_loop(e) : remove_scsi(e);

        if (r < 0 && r != -ENOENT)
                return report_fail(e->report, "MountFailed", STEP_EJECT, r,
                                   "%s is unmounted and nobody has %s, but it could not be "
                                   "removed: %s",
                                   e->name, disk->node, strerror(-r));
        report_add(e->report, "Removed", "%s", r == -ENOENT ? "no" : "yes");
        return 0;
}

int eject_volume(const Mounter *m, const ConfigSource *source, const char *name, Report *report)
{
        _cleanup_(ejection_done) Ejection e = {
                .mounter = m,
                .name = name,
                .report = report,
                .b = { .fd = -1, .disk_fd = -1 },
        };
        _cleanup_close_ int claimed = -1;
        int r;

        progress(&e, STEP_PROBE);
        r = open_device(&e, source);
        if (r >= 0)
                r = blockdev_lock(&e.b, report);
        if (r >= 0)
                r = check_use(&e);
        if (r >= 0)
                r = check_claims(&e);
        if (r >= 0)
                r = unmount(&e);
        if (r < 0)
                return r;
        progress(&e, STEP_EJECT);
        r = flush(&e);
        if (r >= 0)
                r = claimed = claim(&e);
        return r < 0 ? r : let_go(&e);
}
