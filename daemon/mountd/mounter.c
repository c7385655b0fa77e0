/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "advice.h"
#include "blockdev.h"
#include "btrfs.h"
#include "checker.h"
#include "detached.h"
#include "fs-errors.h"
#include "helper.h"
#include "holders.h"
#include "hotplug.h"
#include "macro.h"
#include "mount.h"
#include "mounter.h"
#include "mountinfo.h"
#include "parse.h"
#include "record.h"
#include "recorded.h"
#include "shared.h"
#include "target.h"
#include "unit-target.h"
#include "verify.h"

/* A mount moves with every directory above it that is renamed. */
#define DETACH_TRIES 3U

static void progress(const Mounter *m, FailureStep step)
{
        m->progress(step, m->userdata);
}

int mounter_probe(dev_t devnum, uint64_t diskseq, Report *report)
{
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };
        int r = blockdev_open(devnum, diskseq, &b, report);

        if (r >= 0)
                r = blockdev_probe(&b, report);
        if (r < 0)
                return r;
        /* Where no udevd tells the kernel. */
        if (b.device->uuid_sub && streq_ptr(b.device->type, "btrfs"))
                (void)btrfs_scan(b.device->node);
        blockdev_report(&b, report);
        return 0;
}

/* The device must be one that the file means, and hold something that can be mounted. */
static int check_device(const VolumeConfig *config, const Device *d, Report *report)
{
        _cleanup_free_ char *why = NULL;
        const char *key = NULL;
        VolumeState state;

        if (d->content == DEVICE_CONTENT_AMBIVALENT && match_device_but_content(&config->match, d))
                return report_fail(
                        report, "MountFailed", STEP_PROBE, EUCLEAN,
                        "%s has the signatures of two filesystems, and which one is right "
                        "cannot be known; look with `wipefs %s` and remove the wrong one",
                        d->node, d->node);
        if (!match_device(&config->match, d, &key))
                return report_fail(report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                   "%s is not what %s means: %s= does not fit", d->node,
                                   config->path, key);
        state = advice_on_device(d, &why);
        if (state == VOLUME_MOUNTED)
                return 0;
        if (!why)
                return report_fail(report, "MountFailed", STEP_PROBE, ENOMEM, "Out of memory");
        if (state == VOLUME_FAILED)
                return report_fail(report, "MountFailed", STEP_PROBE, EUCLEAN, "%s", why);
        return report_fail(report, state == VOLUME_LOCKED ? "Locked" : "NotSupported", STEP_PROBE,
                           EMEDIUMTYPE, "%s", why);
}

static int open_device(const VolumeConfig *config, dev_t devnum, uint64_t diskseq, BlockDevice *b,
                       Report *report)
{
        int r = blockdev_open(devnum, diskseq, b, report);

        if (r >= 0)
                r = blockdev_probe(b, report);
        if (r >= 0)
                r = check_device(config, b->device, report);
        return r;
}

static int save(const Mounter *m, const char *name, Record *record, RecordPhase phase, int mount_id,
                Report *report)
{
        int r;

        record->phase = phase;
        record->mount_id = mount_id;
        r = record_save(m->records, name, record);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot write the record of %s in %s: %s", name, m->records,
                                   strerror(-r));
        return 0;
}

/* The root of the mount is PATH in DIR_FD. */
static int save_mounted(const Mounter *m, const char *name, Record *record, int mount_id,
                        int dir_fd, const char *path, Report *report)
{
        int r = recorded_identify(record, dir_fd, path, mount_id);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot see what is mounted: %s", strerror(-r));
        return save(m, name, record, RECORD_MOUNTED, mount_id, report);
}

/* Whether the report says that the mount is read-only; unless it was when it was made, it was
 * turned so. */
static void note_read_only(Record *record, const Record *old, Report *report)
{
        record->read_only = old ? old->read_only : streq_ptr(report_get(report, "ReadOnly"), "yes");
        report_add(report, "MadeReadOnly", "%s", record->read_only ? "yes" : "no");
}

/* What is mounted on WHERE is not, or not any more, unmounted by intent. */
static void unmark(const Mounter *m, const char *where, dev_t devnum, uint64_t diskseq)
{
        if (path_is_below(where, m->shared))
                shared_unmark(m->shared, devnum, diskseq);
}

/* A mount that is not what it should be goes again; its record stays where it does not. */
static void undo(const VolumeConfig *config, int fd, bool *ret_is_left, Report *report)
{
        int r = mount_undo(fd);

        *ret_is_left = r < 0;
        if (r < 0)
                report_add(report, "Warnings",
                           "What was mounted on %s could not be unmounted again (%s); unmount it",
                           config->where, strerror(-r));
}

static int attach(const Mounter *m, const VolumeConfig *config, const BlockDevice *b,
                  bool read_only, Target *target, Record *record, bool *ret_is_left, Report *report)
{
        _cleanup_(mount_options_freep) MountOptions *options = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int fd = -1;
        int id, r;

        progress(m, STEP_MOUNT);
        r = detached_mount(config, m->staging, b->device, read_only, &options, &fd, report);
        if (r < 0)
                return r;
        r = mount_attach(fd, target->fd, &id, &error);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r, "Cannot mount on %s: %s",
                                   config->where, error ? error : strerror(-r));
        progress(m, STEP_VERIFY);
        /* Before the filesystem is asked anything, as it may not answer any more. */
        record->read_only = options->read_only;
        (void)recorded_note(record, fd, id);
        r = save(m, config->name, record, RECORD_MOUNTED, id, report);
        if (r >= 0)
                r = verify_mount(id, b->device, config->where, options, report);
        if (r >= 0) {
                note_read_only(record, NULL, report);
                fs_errors_look(m->errors_fd, fd, ".", id, report);
                r = save_mounted(m, config->name, record, id, fd, ".", report);
        }
        if (r < 0)
                undo(config, fd, ret_is_left, report);
        return r;
}

static int new_record(const char *target, const Device *d, bool directory_made, Record **ret)
{
        _cleanup_(record_freep) Record *record = calloc(1, sizeof(*record));

        if (record)
                record->target = strdup(target);
        if (!record || !record->target)
                return -ENOMEM;
        record->devnum = d->devnum;
        record->diskseq = d->diskseq;
        record->directory_made = directory_made;
        *ret = TAKE_PTR(record);
        return 0;
}

/* Whether an earlier attempt that was interrupted made the directory that is now found. */
static bool made_before(const Mounter *m, const char *name, const char *target)
{
        _cleanup_(record_freep) Record *old = NULL;

        return record_load(m->records, name, &old) == 0 && old->directory_made &&
               streq(old->target, target);
}

static int mount_on_target(const Mounter *m, const VolumeConfig *config, const BlockDevice *b,
                           bool read_only, Report *report)
{
        _cleanup_(target_done) Target target = { .fd = -1, .parent_fd = -1 };
        _cleanup_(record_freep) Record *record = NULL;
        bool made = made_before(m, config->name, config->where), is_left = false;
        int r;

        /* Before the directory is made, so that a crash right after leaves nothing nobody knows of.
         * A directory that is there is not ours. */
        r = new_record(config->where, b->device, made || !target_exists(config->where), &record);
        if (r >= 0 && !(record->asked = record_asked(config)))
                r = -ENOMEM;
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r, "Out of memory");
        r = save(m, config->name, record, RECORD_MOUNTING, 0, report);
        if (r >= 0)
                r = target_open(config, &target, report);
        if (r >= 0) {
                record->directory_made = made || target.made;
                r = attach(m, config, b, read_only, &target, record, &is_left, report);
        }
        if (r < 0 && !is_left) {
                if (record->directory_made)
                        target_remove(config->where);
                (void)record_remove(m->records, config->name);
        }
        return r;
}

/* The mount of the device that is on TARGET: 1, 0 none, -errno. */
static int find_existing(const char *target, const Device *d, int *ret_id)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        int r = mountinfo_read_self(&info);

        if (r < 0)
                return r;
        e = mountinfo_find_target(info, target);
        if (!e || !verify_is_device(e, d))
                return 0;
        *ret_id = e->id;
        return 1;
}

/* What was asked for when it was mounted, by a record that is of just this mount. */
static int inherit_asked(const VolumeConfig *config, int id, const Record *old, Record *record,
                         Report *report)
{
        _cleanup_free_ char *asked = record_asked(config);

        if (!asked)
                return -ENOMEM;
        if (!old || !old->asked) {
                /* Somebody else mounted it. What is lacking is looked for again the next time. */
                bool lacks = verify_lacks(id, config->options, report);

                report_add(report, "Stale", "%s", lacks ? "yes" : "no");
                if (!lacks)
                        record->asked = TAKE_PTR(asked);
                return 0;
        }
        report_add(report, "Stale", "%s", streq(old->asked, asked) ? "no" : "yes");
        record->asked = strdup(old->asked);
        return record->asked ? 0 : -ENOMEM;
}

/* WHERE it was mounted, and PLACE, where it is by now. OLD: the record of the mount, NULL when
 * there is none. */
static int adopt(const Mounter *m, const VolumeConfig *config, const char *where, const char *place,
                 const Device *d, int id, const Record *old, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;
        int r = new_record(where, d, made_before(m, config->name, where), &record);

        if (r >= 0)
                r = inherit_asked(config, id, old, record, report);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_VERIFY, r, "Out of memory");
        target_share(place, report);
        r = verify_describe(id, d, where, report);
        if (r < 0)
                return r;
        note_read_only(record, old, report);
        fs_errors_look(m->errors_fd, AT_FDCWD, place, id, report);
        return save_mounted(m, config->name, record, id, AT_FDCWD, place, report);
}

/* One volume is mounted once: its file may name another target by now, or another device fit. */
static int check_not_mounted(const Mounter *m, const VolumeConfig *config, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;
        _cleanup_free_ char *where = NULL;

        if (record_load(m->records, config->name, &record) < 0 ||
            recorded_find(record, &where) <= 0)
                return 0;
        return report_fail(report, "AlreadyMounted", STEP_TARGET, EBUSY,
                           "%s is mounted on %s already, from device %u:%u; unmount it there first",
                           config->name, where, major(record->devnum), minor(record->devnum));
}

static bool is_recorded_elsewhere(const Mounter *m, const VolumeConfig *config)
{
        _cleanup_(record_freep) Record *record = NULL;

        return record_load(m->records, config->name, &record) == 0 &&
               !streq(record->target, config->where);
}

static int mount_anew(const Mounter *m, const VolumeConfig *config, const BlockDevice *b,
                      Report *report)
{
        _cleanup_close_ int lock_fd = -1;
        bool read_only;
        int r = check_not_mounted(m, config, report);

        if (r >= 0)
                r = checker_check(m, config, b, &read_only, &lock_fd, report);
        if (r < 0)
                return r;
        progress(m, STEP_TARGET);
        return mount_on_target(m, config, b, read_only, report);
}

int mounter_mount(const Mounter *m, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                  Report *report)
{
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };
        int id, r;

        if (!config->where)
                return report_fail(report, "NotSupported", STEP_TARGET, EINVAL,
                                   "%s says Where=none: there is nothing to mount", config->path);
        r = is_recorded_elsewhere(m, config) ? check_not_mounted(m, config, report) : 0;
        if (r < 0)
                return r;
        progress(m, STEP_PROBE);
        r = open_device(config, devnum, diskseq, &b, report);
        if (r < 0)
                return r;
        r = find_existing(config->where, b.device, &id);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r,
                                   "Cannot read mountinfo: %s", strerror(-r));
        r = r > 0 ? adopt(m, config, config->where, config->where, b.device, id, NULL, report)
                  : mount_anew(m, config, &b, report);
        if (r >= 0)
                unmark(m, config->where, devnum, diskseq);
        return r;
}

/* Whether the record says that the mount ID is ours, and of just this incarnation of the device;
 * then *ret_place is where it is. */
static bool is_recorded(const Record *record, const Device *d, char **ret_place)
{
        return record && record->devnum == d->devnum && record->diskseq == d->diskseq &&
               recorded_find(record, ret_place) > 0;
}

int mounter_adopt(const Mounter *m, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                  Report *report)
{
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };
        _cleanup_(record_freep) Record *record = NULL;
        _cleanup_free_ char *place = NULL;
        const char *where;
        int id, r;

        r = record_load(m->records, config->name, &record);
        if (r == -ENOMEM)
                return report_fail(report, "MountFailed", STEP_VERIFY, r, "Out of memory");
        where = record && record->phase != RECORD_UNMOUNTED ? record->target : config->where;
        r = blockdev_open(devnum, diskseq, &b, report);
        if (r < 0)
                return r;
        /* What a record of ours proves need not be probed. */
        if (is_recorded(record, b.device, &place))
                return adopt(m, config, where, place, b.device, record->mount_id, record, report);
        r = blockdev_probe(&b, report);
        if (r >= 0)
                r = check_device(config, b.device, report);
        if (r < 0)
                return r;
        r = where ? find_existing(where, b.device, &id) : 0;
        if (r <= 0)
                return report_fail(report, "NotMounted", STEP_VERIFY, r < 0 ? r : EINVAL,
                                   "%s is not mounted on %s", b.device->node,
                                   where ? where : "anything");
        return adopt(m, config, where, where, b.device, id, NULL, report);
}

static int open_to_unmount(const char *path, Target *target, dev_t *ret_devnum)
{
        struct statx st;
        int r = target_open_existing(path, target);

        if (r < 0)
                return r;
        /* Only for who holds it: a filesystem that is shut down answers with an error, and one
         * whose server hangs is not asked. */
        if (statx(target->fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &st) ==
            0)
                *ret_devnum = makedev(st.stx_dev_major, st.stx_dev_minor);
        target->fd = close_fd(target->fd); /* it would keep the mount busy */
        return 0;
}

/* WHERE: its mount point by now. -ESTALE, -EINVAL, -ENOENT: it is not, or not to be reached. */
static int detach_from(const char *where, const Record *record, bool lazy, dev_t *ret_devnum)
{
        _cleanup_(target_done) Target target = { .fd = -1, .parent_fd = -1 };
        int r = open_to_unmount(where, &target, ret_devnum);

        if (r < 0)
                return r;
        return mount_detach(target.parent_fd, target.name, record->mount_id, lazy ? MNT_DETACH : 0);
}

static bool is_elsewhere(int error)
{
        return error == -ESTALE || error == -EINVAL || error == -ENOENT;
}

static int fail_detach(const char *name, const char *where, dev_t devnum, int error, Report *report)
{
        if (is_elsewhere(error))
                return report_fail(
                        report, "Busy", STEP_UNMOUNT, EBUSY,
                        "Something else is mounted over %s, or above it; unmount that first",
                        where);
        if (error != -EBUSY)
                return report_fail(report, "MountFailed", STEP_UNMOUNT, error,
                                   "Cannot unmount %s of %s: %s", where, name, strerror(-error));
        holders_report(devnum, report);
        return report_fail(report, "Busy", STEP_UNMOUNT, error, "%s is in use; it stays mounted",
                           where);
}

/* Never is it said to be gone while it is there. */
static int detach(const char *name, const Record *record, bool lazy, Report *report)
{
        dev_t devnum = record->devnum;
        int error = 0;

        for (unsigned i = 0;; i++) {
                _cleanup_free_ char *where = NULL;
                int r = recorded_find(record, &where);

                if (r == 0)
                        return 0; /* or something else is there: ours is gone */
                if (r < 0)
                        return report_fail(report, "MountFailed", STEP_UNMOUNT, r,
                                           "Cannot see whether %s is mounted: %s", name,
                                           strerror(-r));
                if (i == DETACH_TRIES || (error < 0 && !is_elsewhere(error)))
                        return fail_detach(name, where, devnum, error, report);
                error = detach_from(where, record, lazy, &devnum);
                if (error >= 0)
                        return 0;
        }
}

/* Other distributions have it mounted too, as one mount with ours: they see it go, and must know by
 * then that it is meant to. */
static int detach_marked(const Mounter *m, const char *name, const Record *record, bool lazy,
                         Report *report)
{
        bool marks = path_is_below(record->target, m->shared) && recorded_is_mounted(record) > 0;
        int k = marks ? shared_mark(m->shared, record->devnum, record->diskseq) : 0;
        int r = detach(name, record, lazy, report);

        if (k < 0)
                report_add(report, "Warnings",
                           "Other distributions cannot be told that %s is unmounted by intent, "
                           "and may mount it again: %s/.wslbare: %s",
                           record->target, m->shared, strerror(-k));
        if (marks && r < 0)
                unmark(m, record->target, record->devnum, record->diskseq);
        return r;
}

/* The kernel takes a mount away first and writes out what is not written yet then, which may take
 * long: whoever looks meanwhile is to know that it is meant to go. */
static int detach_by_intent(const Mounter *m, const char *name, Record *record, bool lazy,
                            Report *report)
{
        int r;

        record->phase = RECORD_UNMOUNTING;
        r = record_save(m->records, name, record);
        if (r < 0 && !lazy) /* what is gone goes all the same */
                return report_fail(report, "MountFailed", STEP_UNMOUNT, r,
                                   "Cannot write the record of %s in %s (%s); it stays mounted",
                                   name, m->records, strerror(-r));
        r = detach_marked(m, name, record, lazy, report);
        if (r < 0) {
                record->phase = RECORD_MOUNTED;
                (void)record_save(m->records, name, record);
        }
        return r;
}

/* It is not mounted any more. */
static int finish_unmount(const Mounter *m, const char *name, Record *record, Report *report)
{
        if (record->directory_made)
                target_remove(record->target);
        record->directory_made = false;
        return save(m, name, record, RECORD_UNMOUNTED, 0, report);
}

int mounter_unmount(const Mounter *m, const char *name, bool lazy, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;
        int r = record_load(m->records, name, &record);

        if (r < 0)
                return report_fail(report, "NotMounted", STEP_UNMOUNT, r,
                                   "There is no record of a mount of %s", name);
        progress(m, STEP_UNMOUNT);
        if (record->phase == RECORD_MOUNTED || record->phase == RECORD_UNMOUNTING) {
                if (lazy)
                        unit_target_halt(m->flags, name);
                r = detach_by_intent(m, name, record, lazy, report);
                if (r < 0)
                        return r;
        }
        return finish_unmount(m, name, record, report);
}

int mounter_hold_back(const Mounter *m, const VolumeConfig *config, const Device *d, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;

        if (new_record(config->where, d, false, &record) < 0)
                return report_fail(report, "MountFailed", STEP_UNMOUNT, ENOMEM, "Out of memory");
        return save(m, config->name, record, RECORD_UNMOUNTED, 0, report);
}

int mounter_set_target(const Mounter *m, const char *name, bool active, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;

        /* Nobody gets what needs the volume started while it is not mounted. */
        if (active &&
            (record_load(m->records, name, &record) < 0 || recorded_is_mounted(record) <= 0))
                return report_fail(report, "NotMounted", STEP_RUN, ENOENT, "%s is not mounted",
                                   name);
        return unit_target_set(m->flags, name, active, report);
}

/* Whether a mount that was about to be made by a child that died was made after all. */
static bool was_mounted(const Record *record)
{
        _cleanup_(hotplug_event_done) HotplugEvent e = { 0 };
        int id;

        return hotplug_lookup(record->devnum, &e) == 0 && e.device->diskseq == record->diskseq &&
               find_existing(record->target, e.device, &id) > 0;
}

static void tidy_mounting(const Mounter *m, const char *name, const Record *record)
{
        if (was_mounted(record))
                return; /* wslbared sees it, and has it adopted */
        if (record->directory_made)
                target_remove(record->target);
        (void)record_remove(m->records, name);
}

static void tidy_unmounting(const Mounter *m, const char *name, Record *record)
{
        _cleanup_(report_freep) Report *report = report_new();
        int r = recorded_is_mounted(record);

        if (r == 0 && report)
                (void)finish_unmount(m, name, record, report);
        if (r <= 0)
                return;
        unmark(m, record->target, record->devnum, record->diskseq);
        record->phase = RECORD_MOUNTED;
        (void)record_save(m->records, name, record);
}

void mounter_tidy(const Mounter *m, const char *name)
{
        _cleanup_(record_freep) Record *record = NULL;

        record_tidy(m->records, name);
        if (record_load(m->records, name, &record) < 0)
                return;
        helper_clean(m->staging, name, record->diskseq);
        if (record->phase == RECORD_MOUNTING)
                tidy_mounting(m, name, record);
        if (record->phase == RECORD_UNMOUNTING)
                tidy_unmounting(m, name, record);
}

static void for_each_record(const Mounter *m, void (*act)(const Mounter *m, const char *name))
{
        DIR *d = opendir(m->records);
        struct dirent *e;

        if (!d)
                return;
        while ((e = readdir(d))) {
                const char *name = record_name_of(e->d_name);

                if (name)
                        act(m, name);
        }
        closedir(d);
}

void mounter_tidy_all(const Mounter *m)
{
        for_each_record(m, mounter_tidy);
}

static void stop_stale_target(const Mounter *m, const char *name)
{
        _cleanup_(record_freep) Record *record = NULL;
        _cleanup_(report_freep) Report *report = NULL;

        if (!unit_target_is_flagged(m->flags, name) || record_load(m->records, name, &record) < 0 ||
            recorded_is_mounted(record) != 0)
                return;
        report = report_new();
        if (report)
                (void)unit_target_set(m->flags, name, false, report);
}

void mounter_stop_stale_targets(const Mounter *m)
{
        for_each_record(m, stop_stale_target);
}

void mounter_share(const Config *config)
{
        for (size_t i = 0; i < config->n_volumes; i++)
                if (config->volumes[i]->where)
                        target_share(config->volumes[i]->where, NULL);
}
