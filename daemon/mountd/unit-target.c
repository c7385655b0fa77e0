/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "macro.h"
#include "pid1.h"
#include "text.h"
#include "unit-target.h"

#define HALT_USEC (500 * USEC_PER_MSEC) /* half of what there is before the mount is to be gone */

static int set_flag(const char *flags, const char *prefix, const char *name, bool there)
{
        _cleanup_free_ char *path = text_format("%s/%s%s", flags, prefix, name);
        _cleanup_close_ int fd = -1;

        if (!path)
                return -ENOMEM;
        if (!there)
                return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
        return fd < 0 ? -errno : 0;
}

int unit_target_set(const char *flags, const char *name, bool active, Report *report)
{
        _cleanup_free_ char *unit = text_format("wslbare@%s.target", name);
        int r = unit ? set_flag(flags, ".", name, true) : -ENOMEM;

        if (r >= 0)
                r = set_flag(flags, "", name, active);
        if (r >= 0)
                r = active ? pid1_start(unit) : pid1_stop(unit);
        if (r >= 0)
                r = set_flag(flags, ".", name, false);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_RUN, r,
                                   "Cannot %s wslbare@%s.target: %s", active ? "start" : "stop",
                                   name, strerror(-r));
        return 0;
}

static bool has_flag(const char *flags, const char *prefix, const char *name)
{
        _cleanup_free_ char *path = text_format("%s/%s%s", flags, prefix, name);

        return path && access(path, F_OK) == 0;
}

bool unit_target_may_be_active(const char *flags, const char *name)
{
        return has_flag(flags, "", name) || has_flag(flags, ".", name);
}

void unit_target_halt(const char *flags, const char *name)
{
        _cleanup_free_ char *unit = text_format("wslbare@%s.target", name);

        if (!unit || !has_flag(flags, "", name) || set_flag(flags, ".", name, true) < 0)
                return;
        (void)set_flag(flags, "", name, false);
        (void)pid1_stop_within(unit, HALT_USEC);
}
