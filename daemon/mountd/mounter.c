/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "advice.h"
#include "blockdev.h"
#include "btrfs.h"
#include "checker.h"
#include "detached.h"
#include "fs-errors.h"
#include "macro.h"
#include "mount.h"
#include "mounter.h"
#include "record.h"
#include "recorded.h"
#include "shared.h"
#include "target.h"
#include "unit-target.h"
#include "verify.h"

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

/* The root of the mount is PATH in DIR_FD. */
static int save_mounted(const Mounter *m, const char *name, Record *record, int mount_id,
                        int dir_fd, const char *path, Report *report)
{
        int r = recorded_identify(record, dir_fd, path, mount_id);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot see what is mounted: %s", strerror(-r));
        return recorded_save(m->records, name, record, RECORD_MOUNTED, mount_id, report);
}

/* Whether the report says that the mount is read-only; unless it was when it was made, it was
 * turned so. */
static void note_read_only(Record *record, const Record *old, Report *report)
{
        record->read_only = old ? old->read_only : streq_ptr(report_get(report, "ReadOnly"), "yes");
        report_add(report, "MadeReadOnly", "%s", record->read_only ? "yes" : "no");
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

        m->progress(STEP_MOUNT, m->userdata);
        r = detached_mount(config, m->staging, b->device, read_only, &options, &fd, report);
        if (r < 0)
                return r;
        /* Whatever becomes of us then, it is not unmounted by intent any more. */
        shared_unmark(m->shared, config->where, b->device->devnum, b->device->diskseq);
        r = mount_attach(fd, target->fd, &id, &error);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r, "Cannot mount on %s: %s",
                                   config->where, error ? error : strerror(-r));
        m->progress(STEP_VERIFY, m->userdata);
        /* Before the filesystem is asked anything, as it may not answer any more. */
        record->read_only = options->read_only;
        (void)recorded_note(record, fd, id);
        r = recorded_save(m->records, config->name, record, RECORD_MOUNTED, id, report);
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
        r = recorded_new(config->where, b->device, made || !target_exists(config->where), &record);
        if (r >= 0 && !(record->asked = record_asked(config)))
                r = -ENOMEM;
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r, "Out of memory");
        r = recorded_save(m->records, config->name, record, RECORD_MOUNTING, 0, report);
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
        int r = recorded_new(where, d, made_before(m, config->name, where), &record);

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
        m->progress(STEP_TARGET, m->userdata);
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
        m->progress(STEP_PROBE, m->userdata);
        r = open_device(config, devnum, diskseq, &b, report);
        if (r < 0)
                return r;
        r = verify_find(config->where, b.device, &id);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r,
                                   "Cannot read mountinfo: %s", strerror(-r));
        if (r == 0)
                return mount_anew(m, config, &b, report);
        shared_unmark(m->shared, config->where, devnum, diskseq);
        return adopt(m, config, config->where, config->where, b.device, id, NULL, report);
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
        r = where ? verify_find(where, b.device, &id) : 0;
        if (r <= 0)
                return report_fail(report, "NotMounted", STEP_VERIFY, r < 0 ? r : EINVAL,
                                   "%s is not mounted on %s", b.device->node,
                                   where ? where : "anything");
        return adopt(m, config, where, where, b.device, id, NULL, report);
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

void mounter_share(const Config *config)
{
        for (size_t i = 0; i < config->n_volumes; i++)
                if (config->volumes[i]->where)
                        target_share(config->volumes[i]->where, NULL);
}
