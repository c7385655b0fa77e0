/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "macro.h"
#include "mountinfo.h"
#include "parse.h"
#include "text.h"
#include "usage.h"

struct Usage {
        char *root;
        Mountinfo *mounts;
        char **swaps; /* kernel names */
        bool is_wsl;
};

/* The first line of ROOT/PATH, "" where there is none. */
static void read_line(const char *root, const char *path, char *buffer, size_t size)
{
        _cleanup_free_ char *p = text_format("%s%s", root, path);
        FILE *f = p ? fopen(p, "re") : NULL;

        if (!f || !fgets(buffer, (int)size, f))
                buffer[0] = '\0';
        buffer[strcspn(buffer, "\n")] = '\0';
        if (f)
                (void)fclose(f);
}

/* systemd is told what it runs in; without it, the kernel's name says it unless it is one's own. */
static bool is_wsl(const char *root)
{
        char container[32], release[256];

        read_line(root, "/run/systemd/container", container, sizeof(container));
        read_line(root, "/proc/sys/kernel/osrelease", release, sizeof(release));
        return streq(container, "wsl") || strcasestr(release, "microsoft");
}

/* Whose /dev a path is in depends on who turned the swap on; the name is everybody's. */
static int read_swaps(Usage *u)
{
        _cleanup_free_ char *path = text_format("%s/proc/swaps", u->root);
        char line[512];
        FILE *f;
        int r = 0;

        if (!path)
                return -ENOMEM;
        f = fopen(path, "re");
        while (f && r >= 0 && fgets(line, sizeof(line), f)) {
                char *name;

                line[strcspn(line, " \t\n")] = '\0';
                name = strrchr(line, '/');
                if (name)
                        r = strv_push(&u->swaps, name + 1);
        }
        if (f)
                (void)fclose(f);
        return r;
}

static int read_mounts(Usage *u)
{
        _cleanup_free_ char *path = text_format("%s/proc/self/mountinfo", u->root);
        _cleanup_close_ int fd = -1;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : mountinfo_read(fd, &u->mounts);
}

int usage_new(const char *root, Usage **ret)
{
        _cleanup_(usage_freep) Usage *u = calloc(1, sizeof(*u));
        int r;

        if (!u)
                return -ENOMEM;
        u->root = strdup(root);
        if (!u->root)
                return -ENOMEM;
        u->is_wsl = is_wsl(root);
        r = read_swaps(u);
        if (r >= 0)
                r = read_mounts(u);
        if (r < 0) {
                fprintf(stderr, "wslbarectl: cannot see what is mounted: %s\n", strerror(-r));
                return r;
        }
        *ret = TAKE_PTR(u);
        return 0;
}

Usage *usage_free(Usage *u)
{
        if (!u)
                return NULL;
        mountinfo_free(u->mounts);
        strv_free(u->swaps);
        free(u->root);
        free(u);
        return NULL;
}

/* The mount that says most: the one nearest to the root. */
static const MountEntry *find_mount(const Usage *u, const Device *d)
{
        const MountEntry *best = NULL;

        for (size_t i = 0; i < u->mounts->n_entries; i++) {
                const MountEntry *e = &u->mounts->entries[i];

                if (mount_entry_is_device(e, d) &&
                    (!best || strlen(e->target) < strlen(best->target)))
                        best = e;
        }
        return best;
}

/* Filesystems show each of their superblocks in sysfs, in whatever namespace it is mounted. */
static bool has_superblock(const Usage *u, const Device *d, const char *name)
{
        static const char *const types[] = { "ext4", "xfs", "f2fs", "erofs", "nilfs2" };
        _cleanup_free_ char *btrfs = text_format("%s/sys/fs/btrfs/%s/devices/%s", u->root,
                                                 d->uuid ? d->uuid : "none", name);
        bool has = btrfs && access(btrfs, F_OK) == 0;

        for (size_t i = 0; !has && i < ELEMENTSOF(types); i++) {
                _cleanup_free_ char *path = text_format("%s/sys/fs/%s/%s", u->root, types[i], name);

                has = path && access(path, F_OK) == 0;
        }
        return has;
}

/* What is stacked on it: device mapper, RAID, bcache. NULL: nothing. */
static char *find_holder(const Usage *u, const char *name)
{
        _cleanup_free_ char *path = text_format("%s/sys/class/block/%s/holders", u->root, name);
        DIR *dir = path ? opendir(path) : NULL;
        struct dirent *e;
        char *holder = NULL;

        while (dir && !holder && (e = readdir(dir)))
                if (e->d_name[0] != '.')
                        holder = strdup(e->d_name);
        if (dir)
                (void)closedir(dir);
        return holder;
}

/* In sysfs, and in the kernel's messages. */
static char *kernel_name(const Device *d)
{
        char *name = strdup(startswith(d->node, "/dev/") ? d->node + 5 : d->node);

        for (char *p = name; p && *p; p++)
                if (*p == '/')
                        *p = '!';
        return name;
}

int usage_describe(const Usage *u, const Device *d, char **ret, UsageKind *ret_kind)
{
        _cleanup_free_ char *name = kernel_name(d), *holder = name ? find_holder(u, name) : NULL;
        const MountEntry *e = find_mount(u, d);
        UsageKind kind = USAGE_HERE;
        char *text;

        if (!name)
                return -ENOMEM;
        if (e) {
                text = text_format("mounted on %s", e->target);
                if (streq(e->target, "/") || path_is_below(e->target, "/mnt/wslg"))
                        kind = USAGE_WSL;
        } else if (holder)
                text = text_format("part of %s", holder);
        else if (strv_contains(u->swaps, name)) {
                text = strdup("swap");
                kind = USAGE_WSL;
        } else if (has_superblock(u, d, name)) {
                text = strdup(u->is_wsl ? "mounted by WSL or another distribution"
                                        : "mounted in another namespace");
                kind = USAGE_ELSEWHERE;
        } else {
                *ret = NULL;
                *ret_kind = USAGE_NONE;
                return 0;
        }
        if (!text)
                return -ENOMEM;
        *ret = text;
        /* Its disks have no partitions; those that come from Windows mostly do. */
        *ret_kind = kind == USAGE_WSL && (!u->is_wsl || d->is_partition) ? USAGE_HERE : kind;
        return 0;
}
