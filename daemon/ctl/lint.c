/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "advice.h"
#include "fstab.h"
#include "lint.h"
#include "macro.h"
#include "mount.h"
#include "mountinfo.h"
#include "parse.h"
#include "programs.h"
#include "text.h"

struct Lint {
        char *root;
        Mountinfo *mounts; /* NULL: not known */
};

typedef struct Subject {
        const Lint *lint;
        const VolumeConfig *config;
        const Origins *origins;
        ConfigProblems *problems;
} Subject;

#define add(s, severity, section, key, ...)                   \
        config_problems_add((s)->problems, (s)->config->path, \
                            origins_find((s)->origins, section, key)->line, severity, __VA_ARGS__)
#define warn(s, section, key, ...) add(s, PROBLEM_WARNING, section, key, __VA_ARGS__)

int lint_new(const char *root, Lint **ret)
{
        _cleanup_(lint_freep) Lint *l = calloc(1, sizeof(*l));
        _cleanup_free_ char *path = text_format("%s/proc/self/mountinfo", root);
        _cleanup_close_ int fd = -1;

        if (!l || !path)
                return -ENOMEM;
        l->root = strdup(root);
        if (!l->root)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && mountinfo_read(fd, &l->mounts) == -ENOMEM)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

Lint *lint_free(Lint *l)
{
        if (!l)
                return NULL;
        mountinfo_free(l->mounts);
        free(l->root);
        free(l);
        return NULL;
}

static bool exists(const Lint *l, const char *path)
{
        _cleanup_free_ char *full = text_format("%s%s", l->root, path);

        return full && access(full, F_OK) == 0;
}

/* The driver that it would be mounted with; NULL: what is found on the disk will tell. */
static const char *type_of(const VolumeConfig *c)
{
        return c->type ? c->type : c->match.type;
}

/* Options. */

static const MountParam *find_param(const MountOptions *o, const char *key, const char *value)
{
        for (size_t i = 0; i < o->n_params; i++)
                if (streq(o->params[i].key, key) &&
                    (!value || streq_ptr(o->params[i].value, value)))
                        return &o->params[i];
        return NULL;
}

/* Of several that fit an option, the first is said. */
static const struct {
        const char *types; /* separated by commas; NULL: any */
        const char *key, *value;
        const char *text;
} regretted[] = {
        { "xfs", "nobarrier", NULL, "is gone from xfs since Linux 4.19: it will not be mounted" },
        { "xfs", "barrier", NULL, "is gone from xfs since Linux 4.19: it will not be mounted" },
        { NULL, "nobarrier", NULL,
          "loses what was written last, and maybe the filesystem, when the power goes" },
        { NULL, "barrier", "0",
          "loses what was written last, and maybe the filesystem, when the power goes" },
        { "ext4,ext3", "data", "writeback", "shows old data in files after a crash" },
        { "ext4,ext3,ext2", "errors", "panic",
          "halts all of WSL when the filesystem has an error; errors=remount-ro is the default" },
        { "ext4,ext3,ext2", "errors", "continue",
          "goes on writing to a filesystem that has errors; errors=remount-ro is the default" },
        { "ext4,ext3", "noload", NULL, "leaves out what is in the journal; it needs ro" },
        { "xfs", "norecovery", NULL, "leaves out what is in the log; it needs ro" },
};

/* The option that row I fits; NULL: there is none. */
static const MountParam *find_regretted(const Subject *s, size_t i)
{
        const char *type = type_of(s->config), *types = regretted[i].types;

        if (types && !(type && text_has_word(types, type, strlen(type))))
                return NULL;
        return find_param(s->config->options, regretted[i].key, regretted[i].value);
}

static int lint_regretted(const Subject *s)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(regretted); i++) {
                const MountParam *p = find_regretted(s, i);
                size_t before = 0;

                while (before < i && p != find_regretted(s, before))
                        before++;
                if (p && before == i)
                        r = warn(s, "Mount", "Options", "option '%s%s%s' %s", p->key,
                                 p->value ? "=" : "", p->value ? p->value : "", regretted[i].text);
        }
        return r;
}

static int lint_discard(const Subject *s)
{
        if (!find_param(s->config->options, "discard", NULL) ||
            !exists(s->lint, "/etc/systemd/system/timers.target.wants/fstrim.timer"))
                return 0;
        return warn(s, "Mount", "Options",
                    "option 'discard' makes every deletion slower, and fstrim.timer, which is "
                    "enabled, does the same once a week; leave it out");
}

/* Nobody knows better than the kernel that would mount it, and only root may ask. */
static int lint_kernel(const Subject *s)
{
        const char *type = type_of(s->config);
        _cleanup_free_ char *error = NULL;
        int r;

        if (!type || *s->lint->root || geteuid() != 0)
                return 0;
        r = mount_check_options(type, s->config->options, &error);
        if (r != -EINVAL)
                return r == -ENOMEM ? r : 0;
        return warn(s, "Mount", "Options", "the running kernel refuses it: %s",
                    error ? error : "invalid argument");
}

/* Who else would mount it. */

static int on_fstab(const FstabEntry *e, const VolumeConfig *v, void *userdata)
{
        const Subject *s = userdata;

        if (e->key)
                return warn(s, "Match", e->key, "/etc/fstab mounts it too, on %s; remove it there",
                            e->line->mnt_dir);
        return warn(s, "Mount", "Where", "/etc/fstab mounts %s there; remove one of the two",
                    e->line->mnt_fsname);
}

static int lint_fstab(const Subject *s)
{
        return fstab_find(s->lint->root, s->config, on_fstab, (void *)s);
}

/* The mount point. */

static int lint_nesting(const Subject *s, const VolumeConfig *const *others, size_t n)
{
        const VolumeConfig *c = s->config;
        int r = 0;

        for (size_t i = 0; r >= 0 && c->where && i < n; i++) {
                const VolumeConfig *o = others[i];

                if (!o->where || streq(o->name, c->name) || !path_is_below(c->where, o->where))
                        continue;
                if (streq(o->where, c->where))
                        r = add(s, PROBLEM_ERROR, "Mount", "Where",
                                "is the mount point of volume %s too; choose another one", o->name);
                else
                        r = warn(s, "Mount", "Where",
                                 "is below %s of volume %s, and hidden, or in the way, when that "
                                 "comes later; mount it elsewhere",
                                 o->where, o->name);
        }
        return r;
}

static const MountEntry *find_holding(const Mountinfo *mounts, const char *path)
{
        const MountEntry *best = NULL;

        for (size_t i = 0; i < mounts->n_entries; i++) {
                const MountEntry *e = &mounts->entries[i];

                if (path_is_below(path, e->target) &&
                    (!best || strlen(e->target) >= strlen(best->target)))
                        best = e;
        }
        return best;
}

static int lint_windows(const Subject *s)
{
        const char *where = s->config->where;
        const MountEntry *e =
                where && s->lint->mounts ? find_holding(s->lint->mounts, where) : NULL;

        if (!e ||
            (!streq(e->type, "9p") && !streq(e->type, "drvfs") && !streq(e->type, "virtiofs")))
                return 0;
        return warn(s, "Mount", "Where",
                    "is on the Windows drive at %s, where a directory for it may not be made, and "
                    "Windows does not see what is mounted; mount it elsewhere",
                    e->target);
}

/* What it needs. */

static int lint_driver(const Subject *s)
{
        const VolumeConfig *c = s->config;
        const char *type = type_of(c);

        if (!type || programs_mount(s->lint->root, type))
                return 0;
        return warn(s, c->type ? "Mount" : "Match", "Type",
                    "this system has nothing that mounts %s: no driver in the kernel, no module, "
                    "no mount.%s; %s",
                    type, type, advice_install(type));
}

static int lint_check(const Subject *s)
{
        const VolumeConfig *c = s->config;
        const char *type = type_of(c), *package;

        if (!type || programs_check(s->lint->root, c, type))
                return 0;
        package = check_package(type);
        return warn(s, c->type ? "Mount" : "Match", "Type",
                    "it cannot be checked before it is mounted, as there is no fsck.%s; install "
                    "%s, or write Check=never",
                    type, package ? package : "it");
}

int lint_volume(const Lint *l, const VolumeConfig *c, const Origins *o,
                const VolumeConfig *const *others, size_t n_others, ConfigProblems *problems)
{
        const Subject s = { l, c, o, problems };
        int (*const rules[])(const Subject *) = {
                lint_fstab,     lint_windows, lint_driver, lint_check,
                lint_regretted, lint_discard, lint_kernel,
        };
        int r = lint_nesting(&s, others, n_others);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rules); i++)
                r = rules[i](&s);
        return r;
}
