/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config-reader.h"
#include "device.h"
#include "macro.h"
#include "parse.h"
#include "shared.h"
#include "text.h"

#define DEFAULT_ROOT "/mnt"
#define CONF_SIZE_MAX 65536
#define MARKS ".wslbare"  /* the directory */
#define MARK_NAME_MAX 64U /* bytes: "unmounted-MAJOR:MINOR-DISKSEQ" */
#define MARK "unmounted-%u:%u-%" PRIu64

/* WSL takes a value in quotes, and one with a slash at its end. */
static int take_root(const ConfigAssignment *a, void *userdata)
{
        char **root = userdata, *value;
        size_t begin = strspn(a->value, "\"'"), end = strlen(a->value);

        if (!streq(a->key, "root") || end == 0)
                return 0;
        while (end > begin && strchr("\"'/", a->value[end - 1]))
                end--;
        value = strndup(a->value + begin, end - begin);
        if (!value)
                return -ENOMEM;
        free(*root);
        *root = value;
        return 0;
}

/* The file is somebody else's, and so are its problems. */
static int read_root(const char *conf, char **root)
{
        static const char *const sections[] = { "automount", NULL };
        _cleanup_free_ char *text = malloc(CONF_SIZE_MAX);
        _cleanup_close_ int fd = open(conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ConfigProblems problems = { 0 };
        ssize_t n;
        int r = 0;

        if (!text)
                return -ENOMEM;
        n = fd < 0 ? 0 : read(fd, text, CONF_SIZE_MAX);
        if (n > 0)
                r = config_reader_run(conf, text, (size_t)n, sections, take_root, root, &problems);
        config_problems_done(&problems);
        return r == -ENOMEM ? r : 0;
}

int shared_find(const char *conf, char **ret)
{
        _cleanup_free_ char *root = strdup(DEFAULT_ROOT);
        _cleanup_free_ char *path = NULL;
        int r = root ? read_root(conf, &root) : -ENOMEM;

        if (r < 0)
                return r;
        path = text_format("%s/wsl", root);
        if (path && !path_is_normalized(path)) {
                free(path);
                path = strdup(DEFAULT_ROOT "/wsl");
        }
        if (!path)
                return -ENOMEM;
        *ret = TAKE_PTR(path);
        return 0;
}

static void name_mark(dev_t devnum, uint64_t diskseq, char name[MARK_NAME_MAX])
{
        (void)snprintf(name, MARK_NAME_MAX, MARK, major(devnum), minor(devnum), diskseq);
}

/* Anybody may write where it is looked for. */
static bool is_ours(const struct stat *st)
{
        return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_marks(const char *shared, int *ret)
{
        _cleanup_close_ int shared_fd = open(shared, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
        struct stat st;

        if (shared_fd < 0)
                return -errno;
        fd = openat(shared_fd, MARKS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ENOENT : -EPERM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!is_ours(&st))
                return -EPERM;
        *ret = TAKE_FD(fd);
        return 0;
}

static int make_marks(const char *shared, int *ret)
{
        _cleanup_free_ char *path = text_format("%s/" MARKS, shared);

        if (!path)
                return -ENOMEM;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        return open_marks(shared, ret);
}

static bool is_outdated(const char *name)
{
        _cleanup_(device_freep) Device *d = NULL;
        unsigned maj, min;
        uint64_t diskseq;

        if (sscanf(name, MARK, &maj, &min, &diskseq) != 3)
                return false;
        return device_new(makedev(maj, min), &d) >= 0 &&
               (device_read_sysfs(d) == -ENODEV || d->diskseq != diskseq);
}

static void remove_outdated(int fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *e;

        if (!d) {
                close_fd(copy);
                return;
        }
        while ((e = readdir(d)))
                if (is_outdated(e->d_name))
                        (void)unlinkat(fd, e->d_name, 0);
        closedir(d);
}

int shared_mark(const char *shared, dev_t devnum, uint64_t diskseq)
{
        _cleanup_close_ int fd = -1, mark_fd = -1;
        char name[MARK_NAME_MAX];
        int r = make_marks(shared, &fd);

        if (r < 0)
                return r;
        remove_outdated(fd);
        name_mark(devnum, diskseq, name);
        mark_fd = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
        return mark_fd < 0 ? -errno : 0;
}

void shared_unmark(const char *shared, const char *where, dev_t devnum, uint64_t diskseq)
{
        _cleanup_close_ int fd = -1;
        char name[MARK_NAME_MAX];

        name_mark(devnum, diskseq, name);
        if (path_is_below(where, shared) && open_marks(shared, &fd) >= 0)
                (void)unlinkat(fd, name, 0);
}

bool shared_is_marked(const char *shared, dev_t devnum, uint64_t diskseq)
{
        _cleanup_close_ int fd = -1;
        char name[MARK_NAME_MAX];
        struct stat st;

        name_mark(devnum, diskseq, name);
        return open_marks(shared, &fd) >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0;
}
