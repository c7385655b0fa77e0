/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "mount.h"
#include "mountinfo.h"
#include "target.h"

void target_done(Target *t)
{
        t->fd = close_fd(t->fd);
        t->parent_fd = close_fd(t->parent_fd);
}

static const char *last_component(const char *path)
{
        return strrchr(path, '/') + 1;
}

/* Whatever is mounted there already, it is in the way: the caller has looked for a mount of its own
 * before. */
static int check_free(const VolumeConfig *config, const Target *t, Report *report)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        bool is_root;
        int id, r = mount_id_of(t->fd, &id, &is_root);

        if (r >= 0 && !is_root)
                return 0;
        if (r >= 0)
                r = mountinfo_read_self(&info);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r, "Cannot look at %s: %s",
                                   config->where, strerror(-r));
        e = mountinfo_find_id(info, id);
        return report_fail(report, "MountFailed", STEP_TARGET, EBUSY,
                           "%s (%s) is mounted on %s already; unmount it, or change Where=",
                           e ? e->source : "something", e ? e->type : "unknown", config->where);
}

static void warn_if_populated(const VolumeConfig *config, const Target *t, Report *report)
{
        if (mount_directory_is_populated(t->fd) > 0)
                report_add(report, "Warnings",
                           "%s is not empty; what is in it is hidden while the volume is mounted",
                           config->where);
}

/* The kernel takes a set-group-ID bit away from whoever does not belong to the group, which a
 * directory above may have given, and says nothing. */
static void warn_if_mode_differs(const VolumeConfig *config, const Target *t, Report *report)
{
        struct stat st;

        if (fstat(t->fd, &st) == 0 && (st.st_mode & 07777) != config->directory_mode)
                report_add(
                        report, "Warnings",
                        "%s has mode %04o, not %04o as DirectoryMode= says; its group %u, or the "
                        "filesystem that it is on, does not allow that",
                        config->where, (unsigned)st.st_mode & 07777,
                        (unsigned)config->directory_mode, (unsigned)st.st_gid);
}

int target_open(const VolumeConfig *config, Target *ret, Report *report)
{
        _cleanup_(target_done) Target t = { .fd = -1, .parent_fd = -1 };
        _cleanup_free_ char *error = NULL;
        int r;

        r = mount_open_target(config->where, config->directory_mode, &t.fd, &t.parent_fd, &t.made,
                              &error);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_TARGET, r, "Cannot use %s: %s",
                                   config->where, error ? error : strerror(-r));
        r = check_free(config, &t, report);
        if (r < 0)
                return r;
        if (t.made)
                warn_if_mode_differs(config, &t, report);
        warn_if_populated(config, &t, report);
        target_share(config->where, report);

        t.name = last_component(config->where);
        *ret = t;
        t = (Target){ .fd = -1, .parent_fd = -1 };
        return 0;
}

int target_open_existing(const char *path, Target *ret)
{
        _cleanup_free_ char *error = NULL;
        int r = mount_open_existing(path, &ret->fd, &ret->parent_fd, &error);

        if (r >= 0)
                ret->name = last_component(path);
        return r;
}

bool target_exists(const char *path)
{
        return access(path, F_OK) == 0 || errno != ENOENT;
}

void target_remove(const char *path)
{
        _cleanup_(target_done) Target t = { .fd = -1, .parent_fd = -1 };

        /* rmdir(2) refuses mount points and directories that are not empty. */
        if (target_open_existing(path, &t) >= 0)
                (void)unlinkat(t.parent_fd, t.name, AT_REMOVEDIR);
}

/* The closest directory above PATH that exists decides which mount will hold it. */
static int open_holder(const char *path, int *ret_fd)
{
        _cleanup_free_ char *p = strdup(path);

        if (!p)
                return -ENOMEM;
        for (;;) {
                _cleanup_free_ char *error = NULL;
                _cleanup_close_ int fd = -1, parent_fd = -1;
                char *slash = strrchr(p, '/');
                int r;

                *slash = '\0';
                if (p[0] == '\0') {
                        *ret_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                        return *ret_fd < 0 ? -errno : 0;
                }
                r = mount_open_existing(p, &fd, &parent_fd, &error);
                if (r >= 0)
                        *ret_fd = TAKE_FD(fd);
                if (r != -ENOENT)
                        return r;
        }
}

void target_share(const char *path, Report *report)
{
        _cleanup_free_ char *shared = NULL, *error = NULL;
        _cleanup_close_ int fd = -1;
        int r = open_holder(path, &fd);

        if (r >= 0)
                r = mount_share(fd, &shared, &error);
        if (!report)
                return;
        if (r > 0)
                report_add(report, "Shared", "%s", shared);
        if (r < 0)
                report_add(report, "Warnings",
                           "The mount that holds %s could not be made shared (%s); other mount "
                           "namespaces may keep copies of the volume, or not see it",
                           path, error ? error : strerror(-r));
}
