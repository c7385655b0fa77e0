/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"
#include "macro.h"
#include "mount.h"
#include "pid1.h"
#include "text.h"

#define OUTPUT_MAX 512 /* of the helper's words, the last ones */

/* One that serves a disk which was pulled may live as long as somebody has a file of it open. */
static char *unit_of(const char *name, uint64_t diskseq)
{
        return text_format("wslbare-mount-%s-%" PRIu64 ".service", name, diskseq);
}

static char *directory_of(const char *staging, const char *name)
{
        return text_format("%s/%s", staging, name);
}

/* The last words in FD as one line; NULL where there are none. */
static char *last_words(int fd)
{
        char text[OUTPUT_MAX];
        off_t size = lseek(fd, 0, SEEK_END);
        ssize_t n;

        if (size <= 0)
                return NULL;
        n = pread(fd, text, sizeof(text), size > OUTPUT_MAX ? size - OUTPUT_MAX : 0);
        return n > 0 ? text_one_line(text, (size_t)n) : NULL;
}

static int run(const Driver *driver, const char *name, const Device *d, const char *directory,
               const MountOptions *options, uint64_t timeout_usec, int output_fd)
{
        _cleanup_free_ char *unit = unit_of(name, d->diskseq),
                            *words = mount_options_to_string(options),
                            *description = text_format("Mount helper of wslbare volume %s", name);
        const char *argv[] = { driver->helper, d->node, directory, "-o", words, NULL };
        const Pid1Command command = {
                .unit = unit,
                .description = description,
                .argv = argv,
                .timeout_usec = timeout_usec,
                .output_fd = output_fd,
        };

        if (!unit || !words || !description)
                return -ENOMEM;
        return pid1_run(&command);
}

static int clone_staged(const char *directory, const MountOptions *options, int *ret_fd,
                        Report *report)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        bool is_root = false;
        int id, r;

        r = fd < 0 ? -errno : mount_id_of(fd, &id, &is_root);
        if (r >= 0 && !is_root)
                return report_fail(report, "MountFailed", STEP_MOUNT, EIO,
                                   "The mount helper said that it mounted, and did not");
        if (r >= 0)
                r = mount_clone(fd, options, ret_fd, &error);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot take over what the mount helper mounted: %s",
                                   error ? error : strerror(-r));
        return 0;
}

static int fail_with_words(const Driver *driver, const Device *d, int error, int output_fd,
                           Report *report)
{
        _cleanup_free_ char *words = last_words(output_fd);

        if (error == -EEXIST)
                return report_fail(report, "InProgress", STEP_MOUNT, EBUSY,
                                   "The mount helper that served %s is still at work, as somebody "
                                   "has a file open; it is mounted when that has ended",
                                   d->node);
        return report_fail(report, error == -ETIMEDOUT ? "TimedOut" : "MountFailed", STEP_MOUNT,
                           error, "%s failed: %s", driver->helper,
                           words && words[0]     ? words
                           : error == -ETIMEDOUT ? "it did not end in time"
                           : error == -ECHILD    ? "it gave no reason"
                                                 : strerror(-error));
}

void helper_clean(const char *staging, const char *name, uint64_t diskseq)
{
        _cleanup_free_ char *directory = directory_of(staging, name),
                            *unit = unit_of(name, diskseq);

        if (!directory || !unit || access(directory, F_OK) < 0)
                return;
        (void)pid1_stop(unit);
        while (umount2(directory, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
                ;
        (void)rmdir(directory);
}

int helper_mount(const Driver *driver, const char *staging, const char *name, const Device *d,
                 const MountOptions *options, uint64_t timeout_usec, int *ret_fd, Report *report)
{
        _cleanup_free_ char *directory = directory_of(staging, name);
        _cleanup_close_ int output_fd = memfd_create("wslbare-helper", MFD_CLOEXEC);
        bool is_other;
        int r;

        if (!directory || output_fd < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, ENOMEM, "Out of memory");
        helper_clean(staging, name, d->diskseq);
        if (mkdir(directory, 0700) < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, errno, "Cannot make %s: %s",
                                   directory, strerror(errno));
        r = run(driver, name, d, directory, options, timeout_usec, output_fd);
        is_other = r == -EEXIST; /* and goes on */
        if (r < 0)
                r = fail_with_words(driver, d, r, output_fd, report);
        else
                r = clone_staged(directory, options, ret_fd, report);
        if (r < 0 && !is_other) {
                helper_clean(staging, name, d->diskseq);
                return r;
        }
        (void)umount2(directory, MNT_DETACH | UMOUNT_NOFOLLOW);
        (void)rmdir(directory);
        return r;
}
