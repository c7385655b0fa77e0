/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "check-lock.h"
#include "disk.h"
#include "eject.h"
#include "holders.h"
#include "macro.h"
#include "members.h"
#include "mount.h"
#include "mountinfo.h"
#include "record.h"
#include "recorded.h"
#include "target.h"
#include "unmounter.h"

/* After umount(2) the kernel takes a superblock down a little later when somebody looks at it just
 * then, and a FUSE server lets go of the disk when it ends. */
#define CLAIM_PATIENCE_USEC (5 * USEC_PER_SEC)
#define CLAIM_PAUSE_USEC (20 * USEC_PER_MSEC)
/* To look for writers is to look at all processes. */
#define WRITERS_PAUSE_USEC (200 * USEC_PER_MSEC)

#define SWAPS_SIZE_MAX (16U * 1024U) /* the kernel has some 30 at most */

/* One of the disks that the filesystem is on. */
typedef struct Drive {
        const BlockDevice *b;
        Disk *disk;
        int claim_fd;
} Drive;

typedef struct Ejection {
        const Mounter *mounter;
        const char *name;
        Report *report;
        Record *record;       /* of the mount; NULL: it is not mounted */
        VolumeConfig *config; /* where it is not mounted */
        Members members;
        Drive *drives;
        size_t n_drives;
} Ejection;

static void ejection_done(Ejection *e)
{
        record_free(e->record);
        volume_config_free(e->config);
        for (size_t i = 0; i < e->n_drives; i++) {
                close_fd(e->drives[i].claim_fd);
                disk_free(e->drives[i].disk);
        }
        free(e->drives);
        members_done(&e->members);
}

static void progress(const Ejection *e, FailureStep step)
{
        if (e->mounter->progress)
                e->mounter->progress(step, e->mounter->userdata);
}

/* Which devices, and disks. */

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
        return members_open_meant(e->config, &e->members, e->report);
}

static int open_devices(Ejection *e, const ConfigSource *source)
{
        _cleanup_(record_freep) Record *record = NULL;

        if (record_load(e->mounter->records, e->name, &record) < 0 ||
            recorded_is_mounted(record) <= 0)
                return open_by_file(e, source);
        e->record = TAKE_PTR(record);
        return members_open(e->record->devnum, e->record->diskseq, &e->members, e->report);
}

static int find_drives(Ejection *e)
{
        e->drives = calloc(e->members.n, sizeof(*e->drives));
        if (!e->drives)
                return report_fail(e->report, "MountFailed", STEP_PROBE, ENOMEM, "Out of memory");
        for (size_t i = 0; i < e->members.n; i++) {
                const BlockDevice *b = &e->members.devices[i];
                Drive *d = &e->drives[e->n_drives];
                int r;

                if (b->fd < 0)
                        continue; /* an earlier one is on its disk */
                *d = (Drive){ .b = b, .claim_fd = -1 };
                r = blockdev_lock(b, e->report);
                if (r < 0)
                        return r;
                r = disk_new("/sys", b->device->devnum, &d->disk);
                if (r < 0)
                        return report_fail(e->report, "DeviceAbsent", STEP_PROBE, r,
                                           "Cannot see the disk of %s: %s", b->device->node,
                                           strerror(-r));
                e->n_drives++;
        }
        return 0;
}

static bool is_member(const Ejection *e, const Device *d)
{
        for (size_t i = 0; i < e->members.n; i++)
                if (e->members.devices[i].device->devnum == d->devnum)
                        return true;
        return false;
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

static int check_use(Ejection *e, const Drive *d)
{
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        _cleanup_free_ char *use = NULL, *lower = NULL;
        char swaps[SWAPS_SIZE_MAX];
        const MountEntry *own;
        int r = mountinfo_read_self(&mounts);

        if (r >= 0)
                r = disk_find_lower("/sys", d->disk, &lower);
        if (r > 0)
                return report_fail(e->report, "NotSupported", STEP_UNMOUNT, EOPNOTSUPP,
                                   "%s is made of %s by device mapper or RAID; unmount %s, undo "
                                   "that, and detach the disk below",
                                   d->b->device->node, lower, e->name);
        read_swaps(swaps, sizeof(swaps));
        own = r >= 0 && e->record ? mountinfo_find_id(mounts, e->record->mount_id) : NULL;
        if (r >= 0)
                r = disk_find_use("/sys", d->disk, &(DiskUsers){ mounts, swaps },
                                  d->b->device->devnum, own, &use);
        if (r < 0)
                return report_fail(e->report, "MountFailed", STEP_UNMOUNT, r,
                                   "Cannot see what uses the disk of %s: %s", e->name,
                                   strerror(-r));
        return r > 0 ? refuse_used(e, use) : 0;
}

/* The other partitions, as far as the own mount does not claim them with the whole disk. */
static int check_claims(Ejection *e, const Drive *d)
{
        for (size_t i = 1; i < d->disk->n_parts; i++) {
                const Device *part = d->disk->parts[i];
                _cleanup_close_ int fd = -1;

                if (is_member(e, part) || !d->b->device->is_partition)
                        continue;
                fd = blockdev_claim(part);
                if (fd == -EBUSY) {
                        (void)holders_report_devices(&d->disk->parts[i], 1, e->report);
                        return report_fail(e->report, "Busy", STEP_UNMOUNT, EBUSY,
                                           "%s, on the disk of %s, is in use in another mount "
                                           "namespace or by another distribution; end that first",
                                           part->node, e->name);
                }
        }
        return 0;
}

static int check_drives(Ejection *e)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < e->n_drives; i++) {
                r = check_use(e, &e->drives[i]);
                if (r >= 0)
                        r = check_claims(e, &e->drives[i]);
        }
        return r;
}

/* The steps. */

/* What cannot be written is better known while it is still mounted. */
static int sync_mount(const Ejection *e)
{
        _cleanup_(target_done) Target t = { .fd = -1, .parent_fd = -1 };
        _cleanup_free_ char *where = NULL;
        _cleanup_close_ int fd = -1;
        bool is_root;
        int id;

        if (recorded_find(e->record, &where) <= 0 || target_open_existing(where, &t) < 0 ||
            mount_id_of(t.fd, &id, &is_root) < 0 || id != e->record->mount_id)
                return 0; /* unmounting says why */
        fd = openat(t.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || syncfs(fd) >= 0)
                return 0;
        return report_fail(e->report, "MountFailed", STEP_UNMOUNT, errno,
                           "Not everything could be written to %s (%s); it stays mounted",
                           e->members.devices[0].device->node, strerror(errno));
}

static int unmount(Ejection *e)
{
        int r;

        progress(e, STEP_UNMOUNT);
        if (!e->record)
                return e->config->where
                               ? unmounter_hold_back(e->mounter, e->config,
                                                     e->members.devices[0].device, e->report)
                               : 0;
        r = sync_mount(e);
        return r < 0 ? r : unmounter_unmount(e->mounter, e->name, false, e->report);
}

static int flush(Ejection *e, const Drive *d)
{
        if (fsync(d->b->fd) >= 0 && (d->b->disk_fd < 0 || fsync(d->b->disk_fd) >= 0))
                return 0;
        return report_fail(e->report, "MountFailed", STEP_EJECT, errno,
                           "%s could not be flushed (%s); what was written last may be lost",
                           d->b->device->node, strerror(errno));
}

static void pause_for(uint64_t usec)
{
        (void)nanosleep(&(struct timespec){ .tv_nsec = (long)usec * 1000 }, NULL);
}

/* A claim of the disk: it is only had while no partition is claimed, by whatever namespace. */
static int claim_patiently(const Device *disk)
{
        int fd = blockdev_claim(disk);

        for (uint64_t t = 0; fd == -EBUSY && t < CLAIM_PATIENCE_USEC; t += CLAIM_PAUSE_USEC) {
                pause_for(CLAIM_PAUSE_USEC);
                fd = blockdev_claim(disk);
        }
        return fd;
}

static int claim(Ejection *e, Drive *d)
{
        const Device *disk = d->disk->parts[0];
        int fd = claim_patiently(disk);
        bool is_known;

        if (fd >= 0) {
                d->claim_fd = fd;
                return 0;
        }
        if (fd != -EBUSY)
                return report_fail(e->report, "MountFailed", STEP_EJECT, fd, "Cannot open %s: %s",
                                   disk->node, strerror(-fd));
        is_known = holders_report_devices(d->disk->parts, d->disk->n_parts, e->report) > 0;
        return report_fail(e->report, "Busy", STEP_EJECT, fd,
                           "%s is not mounted any more, but %s is still held by %s; do not detach "
                           "it yet",
                           e->name, disk->node,
                           is_known ? "those in Holders"
                                    : "another distribution, or a process that cannot be seen "
                                      "from here");
}

/* A FUSE server may be about to end. */
static void await_writers(const Disk *disk)
{
        for (uint64_t t = 0; t < CLAIM_PATIENCE_USEC &&
                             holders_report_writers(disk->parts, disk->n_parts, NULL) > 0;
             t += WRITERS_PAUSE_USEC)
                pause_for(WRITERS_PAUSE_USEC);
}

/* Most who write to a device do not claim it, and some check programs are among them. */
static int check_writers(Ejection *e, const Drive *d)
{
        const Disk *disk = d->disk;

        await_writers(disk);
        if (holders_report_writers(disk->parts, disk->n_parts, e->report) > 0)
                return report_fail(e->report, "Busy", STEP_EJECT, EBUSY,
                                   "%s is not mounted any more, but those in Holders write to %s; "
                                   "do not detach it yet",
                                   e->name, disk->parts[0]->node);
        for (size_t i = 0; i < disk->n_parts; i++)
                if (check_lock_is_taken(e->mounter->checks, disk->parts[i]->devnum) > 0)
                        return report_fail(e->report, "Busy", STEP_EJECT, EBUSY,
                                           "%s is not mounted any more, but %s is being checked or "
                                           "mounted, maybe by another distribution; do not detach "
                                           "it yet",
                                           e->name, disk->parts[i]->node);
        return 0;
}

static int release_loop(const Drive *d)
{
        int fd = d->b->disk_fd >= 0 ? d->b->disk_fd : d->b->fd;

        return ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO ? -errno : 0;
}

static int remove_scsi(const Drive *d)
{
        _cleanup_close_ int fd = disk_open_delete("/sys", d->disk);

        if (fd < 0)
                return fd;
        return write(fd, "1", 1) < 0 ? -errno : 0;
}

/* 1; 0: there is nothing to be removed. */
static int let_go(Ejection *e, const Drive *d)
{
        const Device *disk = d->disk->parts[0];
        int r = major(disk->devnum) == LOOP_MAJOR ? release_loop(d) : remove_scsi(d);

        if (r < 0 && r != -ENOENT)
                return report_fail(e->report, "MountFailed", STEP_EJECT, r,
                                   "%s is unmounted and nobody has %s, but it could not be "
                                   "removed: %s",
                                   e->name, disk->node, strerror(-r));
        return r >= 0;
}

/* All are claimed, and nobody writes to them, before the first one goes. The one that is held back
 * goes last: as long as any of them is there, it is known not to be mounted again. */
static int let_go_of_all(Ejection *e)
{
        bool is_removed = false;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < e->n_drives; i++)
                r = claim(e, &e->drives[i]);
        for (size_t i = 0; r >= 0 && i < e->n_drives; i++) {
                r = check_writers(e, &e->drives[i]);
                if (r >= 0)
                        r = flush(e, &e->drives[i]); /* what these wrote, too */
        }
        for (size_t i = e->n_drives; r >= 0 && i > 0; i--) {
                r = let_go(e, &e->drives[i - 1]);
                is_removed |= r > 0;
        }
        if (r < 0)
                return r;
        report_add(e->report, "Removed", "%s", is_removed ? "yes" : "no");
        return 0;
}

int eject_volume(const Mounter *m, const ConfigSource *source, const char *name, Report *report)
{
        _cleanup_(ejection_done) Ejection e = { .mounter = m, .name = name, .report = report };
        int r;

        progress(&e, STEP_PROBE);
        r = open_devices(&e, source);
        if (r >= 0)
                r = find_drives(&e);
        if (r >= 0)
                r = check_drives(&e);
        if (r >= 0)
                r = unmount(&e);
        if (r < 0)
                return r;
        progress(&e, STEP_EJECT);
        return let_go_of_all(&e);
}
