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

static bool is_on(int dir_fd, const char *name, dev_t devnum)
{
        struct statx st;

        /* What is cached is enough, and does not ask a disk that may hang. */
        if (statx(dir_fd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0)
                return false;
        return makedev(st.stx_dev_major, st.stx_dev_minor) == devnum;
}

static bool has_directory(int proc_fd, dev_t devnum)
{
        return is_on(proc_fd, "cwd", devnum) || is_on(proc_fd, "root", devnum) ||
               is_on(proc_fd, "exe", devnum);
}

static bool has_open(int proc_fd, dev_t devnum)
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
                found = isdigit((unsigned char)e->d_name[0]) && is_on(fd, e->d_name, devnum);
        closedir(d);
        return found;
}

static bool has_mapped(int proc_fd, dev_t devnum)
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
                        makedev(a, b) == devnum;
        }
        fclose(f);
        return found;
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

void holders_report(dev_t devnum, Report *report)
{
        DIR *d = opendir("/proc");
        unsigned n = 0;
        struct dirent *e;

        if (!d)
                return;
        while (n < HOLDERS_MAX && (e = readdir(d))) {
                _cleanup_close_ int proc_fd = -1;

                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                proc_fd = openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (proc_fd < 0 || !(has_directory(proc_fd, devnum) || has_open(proc_fd, devnum) ||
                                     has_mapped(proc_fd, devnum)))
                        continue;
                report_process(proc_fd, e->d_name, report);
                n++;
        }
        closedir(d);
}
