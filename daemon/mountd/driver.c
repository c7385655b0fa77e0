/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "driver.h"
#include "macro.h"
#include "mount.h"
#include "pid1.h"
#include "sbin.h"

typedef struct DriverHint {
        const char *type;    /* as libblkid names it */
        const char *kernel;  /* as the kernel does, where that differs */
        const char *install; /* what brings a driver */
} DriverHint;

static const DriverHint hints[] = {
        { "ntfs", "ntfs3", "install ntfs-3g, or a kernel with ntfs3" },
        { "exfat", NULL, "install exfat-fuse, or a kernel with exfat" },
        { "vfat", NULL, "install a kernel with vfat" },
        { "f2fs", NULL, "install a kernel with f2fs" },
        { "apfs", NULL, "install apfs-fuse" },
        { "hfsplus", NULL, "install a kernel with hfsplus" },
        { "zfs_member", NULL, "import the pool with zpool(8)" },
};

void driver_done(Driver *d)
{
        free(d->type);
        free(d->helper);
        *d = (Driver){ 0 };
}

static const DriverHint *find_hint(const char *type)
{
        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (streq(hints[i].type, type))
                        return &hints[i];
        return NULL;
}

static int kernel_has(const char *type)
{
        int r = mount_type_known(type);

        if (r != 0)
                return r;
        /* Not by init_module ourselves: where modules come from is PID 1's to know (in WSL they are
         * on another disk). */
        r = pid1_load_module(type);
        return r < 0 ? 0 : mount_type_known(type);
}

static int take_type(Driver *d, const char *type)
{
        d->type = strdup(type);
        return d->type ? 1 : -ENOMEM;
}

/* 1 found, 0 not. */
static int find(const char *type, Driver *d)
{
        const DriverHint *hint = find_hint(type);
        int r = sbin_find(sbin_dirs, "mount", type, &d->helper);

        if (r == 0)
                r = kernel_has(type);
        if (r != 0)
                return r < 0 ? r : take_type(d, type);
        if (!hint || !hint->kernel)
                return 0;
        r = kernel_has(hint->kernel);
        return r <= 0 ? r : take_type(d, hint->kernel);
}

int driver_find(const char *type, Driver *ret, Report *report)
{
        _cleanup_(driver_done) Driver d = { 0 };
        const DriverHint *hint = find_hint(type);
        int r = find(type, &d);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot look for a driver of %s: %s", type, strerror(-r));
        if (r == 0)
                return report_fail(
                        report, "NotSupported", STEP_MOUNT, ENODEV,
                        "Nothing here mounts %s: the kernel does not know it, and there "
                        "is no mount.%s; %s",
                        type, type,
                        hint ? hint->install
                             : "install a kernel module or a mount helper for it, or set "
                               "Type= in [Mount] to a driver that is there");
        *ret = d;
        d = (Driver){ 0 };
        return 0;
}
