/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "config.h"
#include "macro.h"
#include "origins.h"
#include "text.h"

static size_t count_keys(void)
{
        size_t n = 0;

        while (config_keys()[n].key)
                n++;
        return n;
}

void origins_done(Origins *o)
{
        for (size_t i = 0; o->items && i < count_keys(); i++)
                free(o->items[i].value);
        free(o->items);
        *o = (Origins){ 0 };
}

const Origin *origins_find(const Origins *o, const char *section, const char *key)
{
        const ConfigKey *k = config_keys();

        while (!streq(k->section, section) || !streq(k->key, key))
                k++;
        return &o->items[k - config_keys()];
}

/* What is wrong with it was said when the volume was parsed. */
static int note(const ConfigAssignment *a, void *userdata)
{
        Origins *o = userdata;

        for (const ConfigKey *k = config_keys(); k->key; k++) {
                Origin *origin = &o->items[k - config_keys()];

                if (!streq(k->section, a->section) || !streq(k->key, a->key) || origin->line > 0 ||
                    !*a->value)
                        continue;
                origin->line = a->line;
                origin->value = strdup(a->value);
                if (!origin->value)
                        return -ENOMEM;
        }
        return 0;
}

static int read_origins(const ConfigFile *file, Origins *ret)
{
        ConfigProblems said = { 0 };
        Origins o = { .items = calloc(count_keys(), sizeof(*o.items)) };
        int r = o.items ? 0 : -ENOMEM;

        if (r >= 0)
                r = config_reader_run(file->path, file->text, file->size, config_key_sections(),
                                      note, &o, &said);
        config_problems_done(&said);
        if (r < 0) {
                origins_done(&o);
                return r;
        }
        *ret = o;
        return 0;
}

/* 1, 0 a mask, or as config_file_read(). A draft is its writer's. */
static int read_file(const char *path, ConfigProblems *problems, ConfigFile *ret)
{
        _cleanup_free_ char *dir = strdup(path);
        _cleanup_close_ int fd = -1;
        const char *name, *base;
        char *slash = dir ? strrchr(dir, '/') : NULL;
        struct stat st;

        if (!dir)
                return -ENOMEM;
        if (slash)
                *slash = '\0';
        name = slash ? path + (slash - dir) + 1 : path;
        base = !slash ? "." : slash == dir ? "/" : dir;
        fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatat(fd, name, &st, 0) < 0)
                return errno == ENOMEM ? -ENOMEM
                       : config_problems_add(problems, path, 0, PROBLEM_ERROR, "cannot be read: %s",
                                             strerror(errno)) < 0
                               ? -ENOMEM
                               : -EINVAL;
        return config_file_read(fd, base, name, st.st_uid, problems, ret);
}

/* NULL: no volume's file is called so, or out of memory. */
static char *name_of(const char *path)
{
        const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path,
                   *dot = strrchr(file, '.');
        char *name = dot && streq(dot, ".conf") ? strndup(file, (size_t)(dot - file)) : NULL;

        if (name && volume_name_is_valid(name))
                return name;
        free(name);
        return NULL;
}

int origins_load(const char *path, ConfigProblems *problems, VolumeConfig **ret_config,
                 Origins *ret)
{
        _cleanup_(config_file_done) ConfigFile file = { 0 };
        _cleanup_(volume_config_freep) VolumeConfig *config = NULL;
        _cleanup_free_ char *name = name_of(path);
        int r = read_file(path, problems, &file);

        if (r <= 0)
                return r;
        if (!name)
                return config_problems_add(problems, path, 0, PROBLEM_ERROR,
                                           "its name makes no volume; NAME.conf would, with a NAME "
                                           "of letters, digits, '_', '.' and '-', at most %d",
                                           VOLUME_NAME_MAX) < 0
                               ? -ENOMEM
                               : -EINVAL;
        /* As it was given. */
        free(file.path);
        file.path = strdup(path);
        if (!file.path)
                return -ENOMEM;
        r = volume_config_parse(name, &file, problems, &config);
        if (r >= 0)
                r = read_origins(&file, ret);
        if (r < 0)
                return r;
        *ret_config = TAKE_PTR(config);
        return 1;
}
