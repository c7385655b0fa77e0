/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "disk.h"
#include "macro.h"
#include "text.h"

/* Listing a directory of sysfs. */

/* 0: go on; else the walk ends with that. */
typedef int (*EntryFound)(int dir_fd, const char *name, void *userdata);

/* What FOUND returned last; 0 also where there is no such directory. PATH is taken. */
static int walk(char *path, EntryFound found, void *userdata)
{
        _cleanup_free_ char *owned = path;
        struct dirent *e;
        int r = 0;
        DIR *d;

        if (!owned)
                return -ENOMEM;
        d = opendir(owned);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r == 0 && (e = readdir(d)))
                if (e->d_name[0] != '.')
                        r = found(dirfd(d), e->d_name, userdata);
        (void)closedir(d);
        return r;
}

static char *path_of(const char *sysfs, const Device *d, const char *below)
{
        return text_format("%s/dev/block/%u:%u/%s", sysfs, major(d->devnum), minor(d->devnum),
                           below);
}

/* The first line of NAME/ATTRIBUTE, without its end; whether there is one. */
static bool read_line(int dir_fd, const char *name, const char *attribute, char *line, size_t size)
{
        _cleanup_free_ char *path = text_format("%s/%s", name, attribute);
        _cleanup_close_ int fd = path ? openat(dir_fd, path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

        if (n <= 0)
                return false;
        line[n] = '\0';
        line[strcspn(line, "\n")] = '\0';
        return true;
}

static bool read_devnum(int dir_fd, const char *name, dev_t *ret)
{
        unsigned a, b;
        char line[32];

        if (!read_line(dir_fd, name, "dev", line, sizeof(line)) ||
            sscanf(line, "%u:%u", &a, &b) != 2)
                return false;
        *ret = makedev(a, b);
        return true;
}

/* The parts. */

Disk *disk_free(Disk *d)
{
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_parts; i++)
                device_free(d->parts[i]);
        free(d->parts);
        free(d);
        return NULL;
}

static int add_part(const char *sysfs, Disk *d, dev_t devnum)
{
        _cleanup_(device_freep) Device *part = NULL;
        Device **grown;
        int r = device_new(devnum, &part);

        if (r >= 0)
                r = device_read_sysfs_at(sysfs, part);
        if (r < 0)
                return r;
        grown = reallocarray(d->parts, d->n_parts + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        d->parts = grown;
        d->parts[d->n_parts++] = TAKE_PTR(part);
        return 0;
}

typedef struct Parts {
        const char *sysfs;
        Disk *disk;
} Parts;

static int on_part(int dir_fd, const char *name, void *userdata)
{
        const Parts *p = userdata;
        char line[16];
        dev_t devnum;
        int r;

        if (!read_line(dir_fd, name, "partition", line, sizeof(line)) ||
            !read_devnum(dir_fd, name, &devnum))
                return 0;
        r = add_part(p->sysfs, p->disk, devnum);
        return r == -ENODEV ? 0 : r; /* it went while we looked */
}

int disk_new(const char *sysfs, dev_t devnum, Disk **ret)
{
        _cleanup_(disk_freep) Disk *d = calloc(1, sizeof(*d));
        dev_t whole;
        int r;

        if (!d)
                return -ENOMEM;
        r = device_whole_disk_at(sysfs, devnum, &whole);
        if (r >= 0)
                r = add_part(sysfs, d, whole);
        if (r >= 0)
                r = walk(path_of(sysfs, d->parts[0], ""), on_part, &(Parts){ sysfs, d });
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

/* What uses them: each gives 1 with *ret, 0, or -errno. */

static int found(char *text, char **ret)
{
        *ret = text;
        return text ? 1 : -ENOMEM;
}

static int on_name(int dir_fd, const char *name, void *userdata)
{
        return found(strdup(name), userdata);
}

static int find_above(const char *sysfs, const Device *part, char **ret)
{
        _cleanup_free_ char *name = NULL;
        int r = walk(path_of(sysfs, part, "holders"), on_name, &name);

        return r <= 0 ? r : found(text_format("%s is part of %s", part->node, name), ret);
}

static bool is_mount_of(const MountEntry *e, const Device *part)
{
        if (major(e->devnum) != 0)
                return e->devnum == part->devnum;
        /* Of others with an anonymous number the source is what anybody wrote there. */
        return streq(e->type, "btrfs") && mount_entry_is_device(e, part);
}

/* OWN_MOUNT is not looked for. Where PART is its own, any other mount with its number counts: a
 * btrfs that is mounted twice may show another source. */
static int find_mount(const Mountinfo *mounts, const Device *part, bool is_own,
                      const MountEntry *own_mount, char **ret)
{
        for (size_t i = 0; i < mounts->n_entries; i++) {
                const MountEntry *e = &mounts->entries[i];

                if (e != own_mount && (is_mount_of(e, part) ||
                                       (is_own && own_mount && e->devnum == own_mount->devnum)))
                        return found(text_format("%s is mounted on %s", part->node, e->target),
                                     ret);
        }
        return 0;
}

static int find_swap(const char *swaps, const Device *part, char **ret)
{
        size_t n = strlen(part->node);

        for (const char *line = swaps; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (startswith(line, part->node) && (line[n] == ' ' || line[n] == '\t'))
                        return found(text_format("%s is used as swap", part->node), ret);
        }
        return 0;
}

typedef struct Members {
        const Disk *disk;
        dev_t own;
        bool has_own;
        const Device *part; /* another than OWN */
} Members;

static int on_member(int dir_fd, const char *name, void *userdata)
{
        Members *m = userdata;
        dev_t devnum;

        if (!read_devnum(dir_fd, name, &devnum))
                return 0;
        m->has_own |= devnum == m->own;
        for (size_t i = 0; i < m->disk->n_parts; i++)
                if (m->disk->parts[i]->devnum == devnum && devnum != m->own)
                        m->part = m->disk->parts[i];
        return 0;
}

typedef struct Filesystems {
        const char *sysfs;
        const Disk *disk;
        dev_t own;
        char **ret;
} Filesystems;

static int on_btrfs(int dir_fd, const char *uuid, void *userdata)
{
        const Filesystems *f = userdata;
        Members m = { .disk = f->disk, .own = f->own };
        int r = walk(text_format("%s/fs/btrfs/%s/devices", f->sysfs, uuid), on_member, &m);

        if (r < 0 || !m.part || m.has_own)
                return r;
        return found(
                text_format("%s belongs to the btrfs %s, which is mounted", m.part->node, uuid),
                f->ret);
}

typedef struct Loops {
        const Device *part;
        char **ret;
} Loops;

static int on_loop(int dir_fd, const char *name, void *userdata)
{
        const Loops *l = userdata;
        char line[256];

        if (!startswith(name, "loop") ||
            !read_line(dir_fd, name, "loop/backing_file", line, sizeof(line)) ||
            !streq(line, l->part->node))
                return 0;
        return found(text_format("%s is what %s shows", l->part->node, name), l->ret);
}

static int find_use_of_part(const char *sysfs, const Device *part, const DiskUsers *users,
                            dev_t own, const MountEntry *own_mount, char **ret)
{
        int r = find_above(sysfs, part, ret);

        if (r == 0)
                r = find_mount(users->mounts, part, part->devnum == own, own_mount, ret);
        if (r == 0)
                r = find_swap(users->swaps, part, ret);
        if (r == 0)
                r = walk(text_format("%s/block", sysfs), on_loop, &(Loops){ part, ret });
        return r;
}

int disk_find_use(const char *sysfs, const Disk *d, const DiskUsers *users, dev_t own,
                  const MountEntry *own_mount, char **ret)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < d->n_parts; i++)
                r = find_use_of_part(sysfs, d->parts[i], users, own, own_mount, ret);
        if (r == 0)
                r = walk(text_format("%s/fs/btrfs", sysfs), on_btrfs,
                         &(Filesystems){ sysfs, d, own, ret });
        return r;
}

/* Letting go. */

int disk_find_lower(const char *sysfs, const Disk *d, char **ret)
{
        return walk(path_of(sysfs, d->parts[0], "slaves"), on_name, ret);
}

int disk_open_delete(const char *sysfs, const Disk *d)
{
        _cleanup_free_ char *path = path_of(sysfs, d->parts[0], "device/delete");
        int fd;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}
