/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "environment.h"
#include "fstab.h"
#include "macro.h"
#include "parse.h"
#include "shared.h"
#include "text.h"

/* What wslbare needs of others. */
#define KERNEL_MAJOR 5U
#define KERNEL_MINOR 15U
/* 2026-01-01: no clock that is right shows less. */
#define CLOCK_MIN 1767225600

unsigned environment_wsl(const Environment *e)
{
        if (strcasestr(e->kernel, "microsoft") == NULL)
                return 0;
        /* 4.4.0-19041-Microsoft against 5.15.167.4-microsoft-standard-WSL2 */
        return strstr(e->kernel, "-Microsoft") ? 1 : 2;
}

/* Whether PATH, of which there may be several, is there. */
static bool has(const Environment *e, const char *path)
{
        _cleanup_free_ char *full = text_format("%s%s", e->root, path);

        return full && access(full, F_OK) == 0;
}

static int good(Findings *f, const char *subject, const char *text)
{
        return findings_add(f, subject, HEALTH_GOOD, strdup(text), NULL);
}

static int examine_systemd(const Environment *e, Findings *f)
{
        if (has(e, "/run/systemd/system"))
                return good(f, "systemd", "is PID 1");
        return findings_add(f, "systemd", HEALTH_BAD, strdup("is not PID 1"),
                            strdup(environment_wsl(e) > 0
                                           ? "write `systemd=true` below `[boot]` into "
                                             "/etc/wsl.conf, then `wsl --shutdown` in Windows"
                                           : "wslbare needs a system that systemd runs"));
}

static int examine_kernel(const Environment *e, Findings *f)
{
        unsigned major = 0, minor = 0, wsl = environment_wsl(e);
        static const char *const kinds[] = { "", ", of WSL 1", ", of WSL 2" };
        Health health = HEALTH_GOOD;
        const char *cure = NULL;

        if (wsl == 1) {
                health = HEALTH_BAD;
                cure = "WSL 1 has no disks: `wsl --set-version DISTRO 2` in Windows";
        } else if (sscanf(e->kernel, "%u.%u", &major, &minor) != 2 || major < KERNEL_MAJOR ||
                   (major == KERNEL_MAJOR && minor < KERNEL_MINOR)) {
                health = HEALTH_BAD;
                cure = wsl == 2 ? "5.15 is needed: `wsl --update` in Windows" : "5.15 is needed";
        }
        return findings_add(f, "kernel", health,
                            text_format("is Linux %s%s", e->kernel, kinds[wsl]),
                            cure ? strdup(cure) : NULL);
}

static int examine_udev(const Environment *e, Findings *f)
{
        if (has(e, "/run/udev/control"))
                return good(f, "udev", "runs");
        return good(f, "udev",
                    "does not run here: the kernel tells of disks, and ById= cannot be matched");
}

static int examine_interop(const Environment *e, Findings *f)
{
        if (environment_wsl(e) != 2)
                return 0;
        if (has(e, "/proc/sys/fs/binfmt_misc/WSLInterop") ||
            has(e, "/proc/sys/fs/binfmt_misc/WSLInterop-late"))
                return good(f, "interop", "runs Windows' programs");
        return findings_add(f, "interop", HEALTH_ODD,
                            strdup("does not run Windows' programs: the rule WSLInterop is gone"),
                            strdup("`echo ':WSLInterop:M::MZ::/init:PF' "
                                   ">/etc/binfmt.d/WSLInterop.conf`, then `systemctl restart "
                                   "systemd-binfmt`"));
}

/* A volume that is mounted below DIR. */
static const VolumeConfig *find_below(const Config *c, const char *dir)
{
        for (size_t i = 0; i < c->n_volumes; i++)
                if (c->volumes[i]->where && path_is_below(c->volumes[i]->where, dir))
                        return c->volumes[i];
        return NULL;
}

static int examine_guard(const Environment *e, const char *shared, Findings *f)
{
        static const char *const dirs[] = { "/run", "/etc", "/usr/lib", "/usr/local/lib",
                                            "/run/systemd/generator" };
        const VolumeConfig *v = find_below(e->config, shared);

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                _cleanup_free_ char *path =
                        text_format(i < 4 ? "%s/systemd/system/wsl-mnt-guard.service"
                                          : "%s/wsl-mnt-guard.service",
                                    dirs[i]);

                if (!path)
                        return -ENOMEM;
                if (has(e, path))
                        return good(f, "guard", "wsl-mnt-guard.service is there");
        }
        if (!v || v->keep_mounted != KEEP_MOUNTED_NO)
                return good(
                        f, "guard",
                        v ? "wsl-mnt-guard.service is not there, which KeepMounted= makes up for"
                          : "wsl-mnt-guard.service is not there, and no volume needs it");
        return findings_add(f, "guard", HEALTH_ODD,
                            text_format("when another distribution shuts down, it unmounts '%s': "
                                        "wsl-mnt-guard.service is not there, and KeepMounted=no",
                                        v->name),
                            text_format("take KeepMounted=no out of %s", v->path));
}

static int examine_shared(const Environment *e, Findings *f)
{
        _cleanup_free_ char *conf = text_format("%s" SHARED_WSL_CONF, e->root), *shared = NULL;
        const MountEntry *entry;
        int r;

        if (environment_wsl(e) != 2)
                return 0;
        r = conf ? shared_find(conf, &shared) : -ENOMEM;
        if (r < 0)
                return r;
        entry = mountinfo_find_target(e->mountinfo, shared);
        if (entry && entry->shared)
                r = findings_add(f, "shared", HEALTH_GOOD,
                                 text_format("%s is shared by all distributions", shared), NULL);
        else
                r = findings_add(f, "shared", HEALTH_ODD,
                                 text_format("%s is not shared: other distributions do not see "
                                             "what is mounted there",
                                             shared),
                                 text_format("`mount --make-shared %s`, or `wsl --shutdown` in "
                                             "Windows",
                                             shared));
        return r < 0 ? r : examine_guard(e, shared, f);
}

static int examine_propagation(const Environment *e, Findings *f)
{
        const MountEntry *entry = mountinfo_find_target(e->mountinfo, "/");

        return good(f, "propagation",
                    entry && entry->shared
                            ? "/ is shared"
                            : "/ is private, as WSL leaves it; wslbared shares what it mounts on");
}

static int on_fstab(const FstabEntry *e, const VolumeConfig *v, void *userdata)
{
        return findings_add(userdata, "fstab", HEALTH_ODD,
                            text_format("mounts %s of '%s' too: %s on %s",
                                        e->key ? "the filesystem" : "the mount point", v->name,
                                        e->line->mnt_fsname, e->line->mnt_dir),
                            strdup("take that line out of /etc/fstab, or give it the option "
                                   "noauto"));
}

static int examine_fstab(const Environment *e, Findings *f)
{
        size_t n = f->n_items;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < e->config->n_volumes; i++)
                r = fstab_find(e->root, e->config->volumes[i], on_fstab, f);
        return r < 0 || f->n_items > n ? r : good(f, "fstab", "names no volume");
}

static int examine_clock(Findings *f)
{
        time_t now = time(NULL);
        struct tm tm;
        char text[64];

        if (!gmtime_r(&now, &tm) || strftime(text, sizeof(text), "shows %F %T UTC", &tm) == 0)
                return -EOVERFLOW;
        if (now >= CLOCK_MIN)
                return good(f, "clock", text);
        return findings_add(f, "clock", HEALTH_BAD,
                            text_format("%s, which was long ago: files will carry it", text),
                            strdup("`hwclock -s`"));
}

int environment_examine(const Environment *e, Findings *f)
{
        static int (*const examine[])(const Environment *e, Findings *f) = {
                examine_systemd, examine_kernel,      examine_udev,  examine_interop,
                examine_shared,  examine_propagation, examine_fstab,
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(examine); i++)
                r = examine[i](e, f);
        return r < 0 ? r : examine_clock(f);
}
