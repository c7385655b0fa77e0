/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config-file.h"
#include "macro.h"
#include "text.h"

/* Is -EINVAL, or -ENOMEM. */
#define refuse(problems, path, ...) \
        (config_problems_add(problems, path, 0, PROBLEM_ERROR, __VA_ARGS__) < 0 ? -ENOMEM : -EINVAL)

static int refuse_errno(ConfigProblems *problems, const char *path, const char *readable, int error)
{
        if (error == ENOMEM)
                return -ENOMEM;
        if (error == EACCES)
                return refuse(problems, path,
                              "user wslbare must be able to read it, and not everybody can; "
                              "chmod %s %s",
                              readable, path);
        return refuse(problems, path, "cannot be read: %s", strerror(error));
}

/* Whoever can write it can have any device mounted anywhere. */
static int check_trusted(const char *path, const struct stat *st, uid_t owner,
                         ConfigProblems *problems)
{
        if (st->st_uid != owner && owner == 0)
                return refuse(problems, path,
                              "belongs to user %u instead of root, and so is not used; "
                              "chown root: %s",
                              (unsigned)st->st_uid, path);
        if (st->st_uid != owner)
                return refuse(problems, path,
                              "belongs to user %u instead of %u, and so is not used; chown %u: %s",
                              (unsigned)st->st_uid, (unsigned)owner, (unsigned)owner, path);
        if ((st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0))
                return refuse(problems, path,
                              "can be written by others, and so is not used; chmod go-w %s", path);
        return 0;
}

int config_file_open_directory(const char *path, uid_t owner, ConfigProblems *problems, int *ret_fd)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0)
                return refuse_errno(problems, path, "a+rx", errno);
        if (fstat(fd, &st) < 0)
                return refuse_errno(problems, path, "a+rx", errno);
        r = check_trusted(path, &st, owner, problems);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_file(int dir_fd, const char *name, const char *path, ConfigProblems *problems,
                     int *ret_fd)
{
        struct stat st;
        int fd;

        /* O_NONBLOCK: opening a FIFO would wait for its writer. */
        fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
                *ret_fd = fd;
                return 0;
        }
        if (errno == ENOENT && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -ENOENT;
        if (errno == ENOENT)
                return refuse(problems, path,
                              "is a link to a file that is not there; mend it, or "
                              "link it to /dev/null to mask the volume");
        return refuse_errno(problems, path, "a+r", errno);
}

static bool is_null_device(const struct stat *st)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static char *fingerprint(const struct stat *st)
{
        return text_format("%ju:%ju:%jd:%jd.%09ld:%jd.%09ld", (uintmax_t)st->st_dev,
                           (uintmax_t)st->st_ino, (intmax_t)st->st_size,
                           (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                           (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

/* At most ROOM bytes; the number of bytes read or -errno. */
static ssize_t read_all(int fd, char *text, size_t room)
{
        size_t size = 0;

        while (size < room) {
                ssize_t n = read(fd, text + size, room - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        return (ssize_t)size;
}

static int read_text(int fd, const char *path, ConfigProblems *problems, ConfigFile *f)
{
        ssize_t n;

        f->text = malloc(CONFIG_FILE_MAX + 1);
        if (!f->text)
                return -ENOMEM;
        n = read_all(fd, f->text, CONFIG_FILE_MAX + 1);
        if (n < 0)
                return refuse_errno(problems, path, "a+r", (int)-n);
        if (n > (ssize_t)CONFIG_FILE_MAX)
                return refuse(problems, path, "is larger than %u bytes; a volume needs a few lines",
                              CONFIG_FILE_MAX);
        f->size = (size_t)n;
        return 0;
}

/* What was read is what the fingerprint is of. */
static int check_unchanged(int fd, const ConfigFile *f, ConfigProblems *problems)
{
        _cleanup_free_ char *now = NULL;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return refuse_errno(problems, f->path, "a+r", errno);
        now = fingerprint(&st);
        if (!now)
                return -ENOMEM;
        if (!streq(now, f->fingerprint))
                return refuse(problems, f->path,
                              "changed while it was read; reload when it is complete");
        return 0;
}

int config_file_read(int dir_fd, const char *dir, const char *name, uid_t owner,
                     ConfigProblems *problems, ConfigFile *ret)
{
        _cleanup_(config_file_done)
                ConfigFile f = { .path = text_format("%s/%s", streq(dir, "/") ? "" : dir, name) };
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        if (!f.path)
                return -ENOMEM;
        r = open_file(dir_fd, name, f.path, problems, &fd);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return refuse_errno(problems, f.path, "a+r", errno);
        if (is_null_device(&st))
                return 0;
        if (!S_ISREG(st.st_mode))
                return refuse(problems, f.path, "is not a regular file; remove or replace it");
        r = check_trusted(f.path, &st, owner, problems);
        if (r < 0)
                return r;
        if (st.st_size == 0)
                return 0;

        f.fingerprint = fingerprint(&st);
        if (!f.fingerprint)
                return -ENOMEM;
        r = read_text(fd, f.path, problems, &f);
        if (r >= 0)
                r = check_unchanged(fd, &f, problems);
        if (r < 0)
                return r;
        *ret = f;
        f = (ConfigFile){};
        return 1;
}

void config_file_done(ConfigFile *f)
{
        free(f->path);
        free(f->text);
        free(f->fingerprint);
        *f = (ConfigFile){};
}
