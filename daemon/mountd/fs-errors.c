/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/vfs.h>
#include <time.h>

#include "fs-errors.h"
#include "macro.h"
#include "mount.h"

struct FsErrors {
        int fd;
        FsErrorsHeard heard;
        void *userdata;
        sd_event_source *io;
        sd_event_source *quiet;
};

static uint64_t number_of(const void *fsid)
{
        uint64_t n;

        _Static_assert(sizeof(n) == sizeof(__kernel_fsid_t), "a filesystem's ID is a number");
        memcpy(&n, fsid, sizeof(n));
        return n;
}

/* One event, of which P to END is what follows its metadata. */
static void tell(const FsErrors *e, const char *p, const char *end)
{
        struct fanotify_event_info_header header;
        struct fanotify_event_info_error error = { 0 };
        struct fanotify_event_info_fid fid = { 0 };

        for (; p + sizeof(header) <= end; p += header.len) {
                memcpy(&header, p, sizeof(header));
                if (header.len < sizeof(header) || header.len > end - p)
                        return;
                if (header.info_type == FAN_EVENT_INFO_TYPE_FID && header.len >= sizeof(fid))
                        memcpy(&fid, p, sizeof(fid));
                if (header.info_type == FAN_EVENT_INFO_TYPE_ERROR && header.len >= sizeof(error))
                        memcpy(&error, p, sizeof(error));
        }
        if (fid.hdr.len > 0 && error.hdr.len > 0)
                e->heard(number_of(&fid.fsid), error.error < 0 ? -error.error : error.error,
                         e->userdata);
}

static int on_quiet(sd_event_source *s, uint64_t usec, void *userdata)
{
        FsErrors *e = userdata;

        (void)sd_event_source_set_enabled(e->io, SD_EVENT_ON);
        return 0;
}

static int on_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        FsErrors *e = userdata;
        struct fanotify_event_metadata m;
        char buffer[4096];
        ssize_t n = read(fd, buffer, sizeof(buffer));

        for (const char *p = buffer; n >= (ssize_t)sizeof(m); p += m.event_len, n -= m.event_len) {
                memcpy(&m, p, sizeof(m));
                if (m.event_len < sizeof(m) || m.event_len > n)
                        break;
                if (m.mask & FAN_FS_ERROR)
                        tell(e, p + m.metadata_len, p + m.event_len);
        }
        (void)sd_event_source_set_enabled(e->io, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(e->quiet, FS_ERRORS_QUIET_USEC);
        (void)sd_event_source_set_enabled(e->quiet, SD_EVENT_ONESHOT);
        return 0;
}

int fs_errors_new(sd_event *event, FsErrorsHeard heard, void *userdata, FsErrors **ret)
{
        FsErrors *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->heard = heard;
        e->userdata = userdata;
        e->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK,
                              O_RDONLY);
        r = e->fd < 0 ? -errno : sd_event_add_io(event, &e->io, e->fd, EPOLLIN, on_event, e);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &e->quiet, CLOCK_MONOTONIC, 0, 0, on_quiet,
                                               e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->quiet, SD_EVENT_OFF);
        if (r < 0) {
                fs_errors_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

FsErrors *fs_errors_free(FsErrors *e)
{
        if (!e)
                return NULL;
        sd_event_source_disable_unref(e->io);
        sd_event_source_disable_unref(e->quiet);
        close_fd(e->fd);
        free(e);
        return NULL;
}

int fs_errors_fd(const FsErrors *e)
{
        return e ? e->fd : -1;
}

/* What a filesystem says that can do nothing any more; not, say, that its root may not be read. */
static bool is_broken(int error)
{
        return error == EIO || error == EUCLEAN || error == EBADMSG || error == ESHUTDOWN ||
               error == ENOTCONN;
}

void fs_errors_look(int group_fd, int dir_fd, const char *path, int id, Report *report)
{
        _cleanup_close_ int fd =
                openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        struct statfs fs;
        bool is_root;
        int actual;

        if (fd < 0 && is_broken(errno))
                report_add(report, "FilesystemError", "%d", errno);
        /* Another mount may hide it. */
        if (fd < 0 || mount_id_of(fd, &actual, &is_root) < 0 || actual != id)
                return;
        if (fstatfs(fd, &fs) == 0)
                report_add(report, "FilesystemId", "%" PRIu64, number_of(&fs.f_fsid));
        if (group_fd >= 0) /* that it cannot be is no failure */
                (void)fanotify_mark(group_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_FS_ERROR, fd,
                                    NULL);
}
