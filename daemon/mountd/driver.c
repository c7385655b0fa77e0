/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "advice.h"
#include "driver.h"
#include "macro.h"
#include "mount.h"
#include "pid1.h"
#include "sbin.h"

void driver_done(Driver *d)
{
        free(d->type);
        free(d->helper);
        *d = (Driver){ 0 };
}

static int kernel_has(const char *type)
{
        int r = mount_type_known(type);

        if (r != 0)
                return r;
        /* Not by init_module ourselves: where modules come from is PID 1's to know (in WSL they are
         * on another disk). */
        r = pid1_load_filesystem(type);
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
        const char *kernel = advice_driver(type);
        int r = sbin_find(sbin_dirs, "mount", type, &d->helper);

        if (r == 0)
                r = kernel_has(type);
        if (r != 0)
                return r < 0 ? r : take_type(d, type);
        if (streq(kernel, type))
                return 0;
        r = kernel_has(kernel);
        return r <= 0 ? r : take_type(d, kernel);
}

int driver_find(const char *type, Driver *ret, Report *report)
{
        _cleanup_(driver_done) Driver d = { 0 };
        int r = find(type, &d);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot look for a driver of %s: %s", type, strerror(-r));
        if (r == 0)
                return report_fail(
                        report, "NotSupported", STEP_MOUNT, ENODEV,
                        "Nothing here mounts %s: the kernel does not know it, and there is no "
                        "mount.%s; %s",
                        type, type, advice_install(type));
        *ret = d;
        d = (Driver){ 0 };
        return 0;
}
