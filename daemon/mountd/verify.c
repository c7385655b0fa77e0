/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>

#include "btrfs.h"
#include "macro.h"
#include "missing.h"
#include "mountinfo.h"
#include "text.h"
#include "verify.h"

static int fail(Report *report, const char *target, const char *what)
{
        return report_fail(
                report, "MountFailed", STEP_VERIFY, EUCLEAN,
                "What is mounted on %s is not what was asked for: %s; it was unmounted again",
                target, what);
}

bool verify_is_device(const MountEntry *e, const Device *d)
{
        if (streq(e->type, "btrfs"))
                return btrfs_is_on_device(e->target, d->devnum);
        return e->devnum == d->devnum && streq(e->root, "/");
}

int verify_find(const char *target, const Device *d, int *ret_id)
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

/* The attribute that was asked for and is not in force; NULL when all are. */
static const char *missing_attribute(const MountEntry *e, const MountOptions *options)
{
        static const struct {
                uint64_t attribute;
                const char *word;
        } rows[] = {
                { MOUNT_ATTR_RDONLY, "ro" },       { MOUNT_ATTR_NOSUID, "nosuid" },
                { MOUNT_ATTR_NODEV, "nodev" },     { MOUNT_ATTR_NOEXEC, "noexec" },
                { MOUNT_ATTR_NOATIME, "noatime" }, { MOUNT_ATTR_NODIRATIME, "nodiratime" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if ((options->attr_set & rows[i].attribute) &&
                    !text_has_word(e->options, rows[i].word, strlen(rows[i].word)))
                        return rows[i].word;
        return NULL;
}

bool verify_lacks(int id, const MountOptions *options, Report *report)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e = mountinfo_read_self(&info) < 0 ? NULL : mountinfo_find_id(info, id);
        const char *other = e ? mount_options_other_subvolume(options, e->super_options) : NULL;

        if (other)
                report_add(
                        report, "Warnings",
                        "On %s, somebody mounted the subvolume %s, and not %s; unmount it to have "
                        "that mounted",
                        e->target, e->root, other);
        return !e || other || missing_attribute(e, options);
}

static void warn_of_missing(const MountEntry *e, const MountOptions *options, Report *report)
{
        _cleanup_free_ char *in_force = mount_entry_options(e);
        _cleanup_(strv_freep) char **missing = NULL;

        if (!in_force || mount_options_missing(options, in_force, &missing) < 0)
                return;
        for (char **word = missing; word && *word; word++)
                report_add(report, "Warnings",
                           "The option %s does not show among those in force on %s; the filesystem "
                           "may "
                           "have it as its default, or be mounted elsewhere with other options",
                           *word, e->target);
}

static int describe(const MountEntry *e, const Device *d, const char *target, Report *report)
{
        _cleanup_free_ char *options = mount_entry_options(e);
        const struct {
                const char *key;
                const char *value;
        } rows[] = {
                { "Node", d->node },   { "UUID", d->uuid },
                { "Label", d->label }, { "Type", d->type ? d->type : e->type },
                { "Target", target },  { "Options", options },
        };

        if (!options)
                return report_fail(report, "MountFailed", STEP_VERIFY, ENOMEM, "Out of memory");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].value)
                        report_add(report, rows[i].key, "%s", rows[i].value);
        report_add(report, "DeviceNumber", "%" PRIu64, (uint64_t)d->devnum);
        report_add(report, "DiskSequence", "%" PRIu64, d->diskseq);
        report_add(report, "MountId", "%d", e->id);
        report_add(report, "MountDevice", "%" PRIu64, (uint64_t)e->devnum);
        report_add(report, "ReadOnly", "%s", mount_entry_is_read_only(e) ? "yes" : "no");
        return 0;
}

static int find(int id, Mountinfo **ret_info, const MountEntry **ret_entry, Report *report)
{
        int r = mountinfo_read_self(ret_info);

        *ret_entry = r >= 0 ? mountinfo_find_id(*ret_info, id) : NULL;
        if (!*ret_entry)
                return report_fail(report, "MountFailed", STEP_VERIFY, r < 0 ? r : ENOENT,
                                   "The mount is gone as soon as it was made");
        return 0;
}

int verify_describe(int id, const Device *d, const char *target, Report *report)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        int r = find(id, &info, &e, report);

        return r < 0 ? r : describe(e, d, target, report);
}

int verify_mount(int id, const Device *d, const char *target, const MountOptions *options,
                 Report *report)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        const char *word;
        int r = find(id, &info, &e, report);

        if (r < 0)
                return r;
        if (!streq(e->target, target))
                return fail(report, target, "it is somewhere else");
        if (!verify_is_device(e, d))
                return fail(report, target, "it is another device");
        word = missing_attribute(e, options);
        if (word)
                return fail(report, target, word);
        warn_of_missing(e, options, report);
        return describe(e, d, target, report);
}
