/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "holders.h"
#include "macro.h"
#include "mountinfo.h"
#include "text.h"

/* What is looked for: the filesystem FILESYSTEM, 0 none, or one of the devices. */
typedef struct Held {
        dev_t filesystem;
        Device *const *devices;
        size_t n_devices;
        bool for_writing;
} Held;

/* Whether NAME, which /proc makes a link of, leads to it. */
static bool is_on(int dir_fd, const char *name, const Held *held)
{
        struct statx st;
        dev_t rdev;

        /* What is cached is enough, and does not ask a disk that may hang. */
        if (statx(dir_fd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0)
                return false;
        if (held->filesystem)
                return makedev(st.stx_dev_major, st.stx_dev_minor) == held->filesystem;
        rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
        for (size_t i = 0; S_ISBLK(st.stx_mode) && i < held->n_devices; i++)
                if (held->devices[i]->devnum == rdev)
                        return true;
        return false;
}

static bool has_directory(int proc_fd, const Held *held)
{
        return is_on(proc_fd, "cwd", held) || is_on(proc_fd, "root", held) ||
               is_on(proc_fd, "exe", held);
}

static bool is_for_writing(int proc_fd, const char *name)
{
        _cleanup_free_ char *path = text_format("fdinfo/%s", name);
        int fd = path ? openat(proc_fd, path, O_RDONLY | O_CLOEXEC) : -1;
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
        unsigned flags = 0;
        char line[64];

        if (!f) {
                close_fd(fd);
                return false;
        }
        while (fgets(line, sizeof(line), f) && sscanf(line, "flags: %o", &flags) != 1)
                ;
        (void)fclose(f);
        return (flags & O_ACCMODE) != O_RDONLY;
}

static bool has_open(int proc_fd, const Held *held)
{
        int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        bool found = false;
        struct dirent *e;

        if (!d) {
                close_fd(fd);
                return false;
        }
        while (!found && (e = readdir(d)))
                found = isdigit((unsigned char)e->d_name[0]) && is_on(fd, e->d_name, held) &&
                        (!held->for_writing || is_for_writing(proc_fd, e->d_name));
        closedir(d);
        return found;
}

static bool has_mapped(int proc_fd, const Held *held)
{
        int fd = openat(proc_fd, "maps", O_RDONLY | O_CLOEXEC);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
        bool found = false;
        char line[256];

        if (!f) {
                close_fd(fd);
                return false;
        }
        while (!found && fgets(line, sizeof(line), f)) {
                unsigned a, b;

                found = sscanf(line, "%*x-%*x %*s %*x %x:%x", &a, &b) == 2 &&
                        makedev(a, b) == held->filesystem;
        }
        fclose(f);
        return found;
}

static bool has_mounted(int proc_fd, const Held *held)
{
        _cleanup_close_ int fd = openat(proc_fd, "mountinfo", O_RDONLY | O_CLOEXEC);
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;

        if (fd < 0 || mountinfo_read(fd, &m) < 0)
                return false;
        for (size_t i = 0; i < m->n_entries; i++)
                for (size_t k = 0; k < held->n_devices; k++)
                        if (mount_entry_is_device(&m->entries[i], held->devices[k]))
                                return true;
        return false;
}

static bool holds(int proc_fd, const Held *held)
{
        if (held->filesystem)
                return has_directory(proc_fd, held) || has_open(proc_fd, held) ||
                       has_mapped(proc_fd, held);
        return has_open(proc_fd, held) || (!held->for_writing && has_mounted(proc_fd, held));
}

static void report_process(int proc_fd, const char *pid, Report *report)
{
        _cleanup_close_ int fd = openat(proc_fd, "comm", O_RDONLY | O_CLOEXEC);
        char comm[64] = "?";
        ssize_t n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);

        if (n > 0)
                comm[comm[n - 1] == '\n' ? n - 1 : n] = '\0';
        report_add(report, "Holders", "%s %s", pid, comm);
}

static unsigned report_all(const Held *held, Report *report)
{
        DIR *d = opendir("/proc");
        unsigned n = 0;
        struct dirent *e;

        if (!d)
                return 0;
        while (n < HOLDERS_MAX && (e = readdir(d))) {
                _cleanup_close_ int proc_fd = -1;

                if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == getpid())
                        continue;
                proc_fd = openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (proc_fd < 0 || !holds(proc_fd, held))
                        continue;
                if (report)
                        report_process(proc_fd, e->d_name, report);
                n++;
        }
        closedir(d);
        return n;
}

void holders_report(dev_t devnum, Report *report)
{
        (void)report_all(&(Held){ .filesystem = devnum }, report);
}

unsigned holders_report_devices(Device *const *devices, size_t n, Report *report)
{
        return report_all(&(Held){ .devices = devices, .n_devices = n }, report);
}

unsigned holders_report_writers(Device *const *devices, size_t n, Report *report)
{
        return report_all(&(Held){ .devices = devices, .n_devices = n, .for_writing = true },
                          report);
}
