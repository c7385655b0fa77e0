/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "btrfs.h"
#include "detached.h"
#include "driver.h"
#include "helper.h"
#include "macro.h"
#include "mount.h"
#include "text.h"

static int build_options(const VolumeConfig *config, const Device *d, const char *type,
                         bool read_only, MountOptions **ret, Report *report)
{
        _cleanup_(mount_options_freep) MountOptions *o = NULL;
        _cleanup_free_ char *error = NULL;
        int r = mount_options_parse(config->options_text, &o, &error);

        if (r >= 0)
                r = mount_options_add_defaults(o, type);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r, "%s",
                                   error ? error : strerror(-r));
        if (d->read_only && !o->read_only && !config->read_only)
                report_add(report, "Warnings", "%s is read-only, so it is mounted read-only",
                           d->node);
        if (d->read_only || config->read_only || read_only)
                mount_options_set_read_only(o);
        *ret = TAKE_PTR(o);
        return 0;
}

static bool is_btrfs(const Driver *driver)
{
        return !driver->helper && streq(driver->type, "btrfs");
}

static int fail_incomplete(const Device *d, Report *report)
{
        return report_fail(report, "Incomplete", STEP_PROBE, ENODEV,
                           "Devices of the filesystem on %s are missing; attach them (`btrfs "
                           "filesystem show %s` tells how many), or write degraded in Options=",
                           d->node, d->node);
}

/* The kernel gives the same errno when a device that it was told of went since, and when there is
 * no such subvolume. */
static bool lacks_devices(const Device *d)
{
        _cleanup_(mount_options_freep) MountOptions *plain = NULL;
        _cleanup_free_ char *error = NULL, *reason = NULL;
        _cleanup_close_ int fd = -1;

        return mount_options_parse("ro", &plain, &error) >= 0 &&
               mount_new("btrfs", d->node, plain, &fd, &reason) == -ENOENT;
}

static int check_complete(const VolumeConfig *config, const Driver *driver, const Device *d,
                          Report *report)
{
        if (!is_btrfs(driver) || btrfs_scan(d->node) != 0 ||
            text_has_word(config->options_text, "degraded", strlen("degraded")))
                return 0;
        return fail_incomplete(d, report);
}

static int make_mount(const VolumeConfig *config, const char *staging, const Driver *driver,
                      const Device *d, const MountOptions *options, int *ret_fd, Report *report)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (driver->helper)
                return helper_mount(driver, staging, config->name, d, options,
                                    config->mount_timeout_usec, ret_fd, report);
        r = mount_new(driver->type, d->node, options, ret_fd, &error);
        if (r == -ENOENT && is_btrfs(driver) && lacks_devices(d))
                return fail_incomplete(d, report);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot mount %s as %s: %s%s%s", d->node, driver->type,
                                   strerror(-r), error ? ": " : "", error ? error : "");
        return 0;
}

int detached_mount(const VolumeConfig *config, const char *staging, const Device *d, bool read_only,
                   MountOptions **ret_options, int *ret_fd, Report *report)
{
        _cleanup_(driver_done) Driver driver = { 0 };
        _cleanup_(mount_options_freep) MountOptions *options = NULL;
        int r = driver_find(config->type ? config->type : d->type, &driver, report);

        if (r >= 0)
                r = check_complete(config, &driver, d, report);
        if (r >= 0)
                r = build_options(config, d, driver.type, read_only, &options, report);
        if (r >= 0)
                r = make_mount(config, staging, &driver, d, options, ret_fd, report);
        if (r >= 0)
                *ret_options = TAKE_PTR(options);
        return r;
}
