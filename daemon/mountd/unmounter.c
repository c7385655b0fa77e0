/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "helper.h"
#include "holders.h"
#include "hotplug.h"
#include "macro.h"
#include "mount.h"
#include "parse.h"
#include "record.h"
#include "recorded.h"
#include "shared.h"
#include "target.h"
#include "unit-target.h"
#include "unmounter.h"
#include "verify.h"

/* A mount moves with every directory above it that is renamed. */
#define DETACH_TRIES 3U

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
                shared_unmark(m->shared, record->target, record->devnum, record->diskseq);
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
        return recorded_save(m->records, name, record, RECORD_UNMOUNTED, 0, report);
}

int unmounter_unmount(const Mounter *m, const char *name, bool lazy, Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;
        int r = record_load(m->records, name, &record);

        if (r < 0)
                return report_fail(report, "NotMounted", STEP_UNMOUNT, r,
                                   "There is no record of a mount of %s", name);
        m->progress(STEP_UNMOUNT, m->userdata);
        if (record->phase == RECORD_MOUNTED || record->phase == RECORD_UNMOUNTING) {
                if (lazy)
                        unit_target_halt(m->flags, name);
                r = detach_by_intent(m, name, record, lazy, report);
                if (r < 0)
                        return r;
        }
        return finish_unmount(m, name, record, report);
}

int unmounter_hold_back(const Mounter *m, const VolumeConfig *config, const Device *d,
                        Report *report)
{
        _cleanup_(record_freep) Record *record = NULL;

        if (recorded_new(config->where, d, false, &record) < 0)
                return report_fail(report, "MountFailed", STEP_UNMOUNT, ENOMEM, "Out of memory");
        return recorded_save(m->records, config->name, record, RECORD_UNMOUNTED, 0, report);
}

/* Whether a mount that was about to be made by a child that died was made after all. */
static bool was_mounted(const Record *record)
{
        _cleanup_(hotplug_event_done) HotplugEvent e = { 0 };
        int id;

        return hotplug_lookup(record->devnum, &e) == 0 && e.device->diskseq == record->diskseq &&
               verify_find(record->target, e.device, &id) > 0;
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
        shared_unmark(m->shared, record->target, record->devnum, record->diskseq);
        record->phase = RECORD_MOUNTED;
        (void)record_save(m->records, name, record);
}

void unmounter_tidy(const Mounter *m, const char *name)
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

void unmounter_tidy_all(const Mounter *m)
{
        for_each_record(m, unmounter_tidy);
}

static void stop_stale_target(const Mounter *m, const char *name)
{
        _cleanup_(record_freep) Record *record = NULL;
        _cleanup_(report_freep) Report *report = NULL;

        if (!unit_target_may_be_active(m->flags, name) ||
            record_load(m->records, name, &record) < 0 || recorded_is_mounted(record) != 0)
                return;
        report = report_new();
        if (report)
                (void)unit_target_set(m->flags, name, false, report);
}

void unmounter_stop_stale_targets(const Mounter *m)
{
        for_each_record(m, stop_stale_target);
}
