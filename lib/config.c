/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>

#include "config-file.h"
#include "config.h"
#include "macro.h"
#include "text.h"

#define SUFFIX ".conf"

const char *const config_default_dirs[] = {
        "/etc/wslbare.d", "/run/wslbare.d", "/usr/local/lib/wslbare.d", "/usr/lib/wslbare.d", NULL,
};

typedef struct Directory {
        const char *path;
        DIR *stream;
} Directory;

typedef struct Entry {
        char *name;       /* without the suffix; not necessarily valid */
        size_t directory; /* index; the lower beats the higher */
} Entry;

/* What the directories that may be used hold. */
typedef struct Listing {
        Directory *directories;
        size_t n_directories;
        Entry *entries;
        size_t n_entries;
} Listing;

bool volume_name_is_valid(const char *name)
{
        size_t size = strnlen(name, VOLUME_NAME_MAX + 1);

        return size > 0 && size <= VOLUME_NAME_MAX && strchr(LETTERS DIGITS, name[0]) &&
               strspn(name, LETTERS DIGITS "_.-") == size;
}

static void listing_done(Listing *l)
{
        for (size_t i = 0; i < l->n_directories; i++)
                closedir(l->directories[i].stream);
        for (size_t i = 0; i < l->n_entries; i++)
                free(l->entries[i].name);
        free(l->directories);
        free(l->entries);
}

static bool is_ours(const char *filename)
{
        size_t size = strlen(filename);

        return filename[0] != '.' && size > strlen(SUFFIX) &&
               streq(filename + size - strlen(SUFFIX), SUFFIX);
}

static int listing_add_file(Listing *l, const char *filename)
{
        Entry entry = { .directory = l->n_directories - 1 };
        Entry *grown = reallocarray(l->entries, l->n_entries + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        l->entries = grown;
        entry.name = strndup(filename, strlen(filename) - strlen(SUFFIX));
        if (!entry.name)
                return -ENOMEM;
        l->entries[l->n_entries++] = entry;
        return 0;
}

/* Takes STREAM, which is the directory at PATH. */
static int listing_add_directory(Listing *l, const char *path, DIR *stream,
                                 ConfigProblems *problems)
{
        Directory *grown = reallocarray(l->directories, l->n_directories + 1, sizeof(*grown));
        const struct dirent *entry;

        if (!grown) {
                closedir(stream);
                return -ENOMEM;
        }
        l->directories = grown;
        l->directories[l->n_directories++] = (Directory){ .path = path, .stream = stream };

        for (errno = 0; (entry = readdir(stream)); errno = 0) {
                int r = is_ours(entry->d_name) ? listing_add_file(l, entry->d_name) : 0;

                if (r < 0)
                        return r;
        }
        if (errno > 0)
                return config_problems_add(problems, path, 0, PROBLEM_ERROR, "cannot be listed: %s",
                                           strerror(errno));
        return 0;
}

static int compare_entries(const void *a, const void *b)
{
        const Entry *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r != 0 ? r : (x->directory > y->directory) - (x->directory < y->directory);
}

static int listing_read(Listing *l, const ConfigSource *source, ConfigProblems *problems)
{
        for (const char *const *path = source->dirs; *path; path++) {
                _cleanup_close_ int fd = -1;
                DIR *stream;
                int r;

                r = config_file_open_directory(*path, source->owner, problems, &fd);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        continue;
                stream = fdopendir(fd);
                if (!stream)
                        return -ENOMEM;
                (void)TAKE_FD(fd);
                r = listing_add_directory(l, *path, stream, problems);
                if (r < 0)
                        return r;
        }
        if (l->n_entries > 0)
                qsort(l->entries, l->n_entries, sizeof(*l->entries), compare_entries);
        return 0;
}

/* Takes VOLUME, unless its mount point is an earlier volume's. */
static int add_volume(Config *c, VolumeConfig **volume, ConfigProblems *problems)
{
        VolumeConfig *v = *volume, **grown;

        for (size_t i = 0; v->where && i < c->n_volumes; i++)
                if (streq_ptr(c->volumes[i]->where, v->where))
                        return config_problems_add(problems, v->path, v->where_line, PROBLEM_ERROR,
                                                   "Where=%s is the mount point of %s already; "
                                                   "choose another",
                                                   v->where, c->volumes[i]->path);
        grown = reallocarray(c->volumes, c->n_volumes + 1, sizeof(VolumeConfig *));
        if (!grown)
                return -ENOMEM;
        c->volumes = grown;
        c->volumes[c->n_volumes++] = TAKE_PTR(*volume);
        return 0;
}

static int refuse_name(const char *dir, const char *filename, ConfigProblems *problems)
{
        _cleanup_free_ char *path = text_format("%s/%s", dir, filename);

        if (!path)
                return -ENOMEM;
        return config_problems_add(problems, path, 0, PROBLEM_ERROR,
                                   "the file's name is no volume name; rename it to NAME%s, NAME "
                                   "being a letter or digit and up to %u more, '_', '.' and '-' "
                                   "included",
                                   SUFFIX, VOLUME_NAME_MAX - 1);
}

/* Loads NAME from the directory FD at PATH: 1; 0 when it is masked; -ENOENT; -EINVAL with the
 * errors in PROBLEMS; -ENOMEM. */
static int load_file(int fd, const char *path, const char *filename, const char *name, uid_t owner,
                     ConfigProblems *problems, VolumeConfig **ret)
{
        _cleanup_(config_file_done) ConfigFile file = {};
        int r;

        r = config_file_read(fd, path, filename, owner, problems, &file);
        if (r <= 0)
                return r;
        r = volume_config_parse(name, &file, problems, ret);
        return r < 0 ? r : 1;
}

static int load_entry(Config *c, const Directory *d, const char *name, uid_t owner,
                      ConfigProblems *problems)
{
        _cleanup_(volume_config_freep) VolumeConfig *v = NULL;
        _cleanup_free_ char *filename = text_format("%s%s", name, SUFFIX);
        int r;

        if (!filename)
                return -ENOMEM;
        if (!volume_name_is_valid(name))
                return refuse_name(d->path, filename, problems);
        r = load_file(dirfd(d->stream), d->path, filename, name, owner, problems, &v);
        if (r == -ENOENT || r == -EINVAL)
                return 0;
        return r > 0 ? add_volume(c, &v, problems) : r;
}

int config_load(const ConfigSource *source, Config **ret)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_(listing_done) Listing listing = {};
        _cleanup_(config_freep) Config *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = listing_read(&listing, source, &problems);
        if (r < 0)
                return r;
        for (size_t i = 0; i < listing.n_entries; i++) {
                const Entry *e = &listing.entries[i];

                if (i > 0 && streq(e->name, e[-1].name))
                        continue;
                r = load_entry(c, &listing.directories[e->directory], e->name, source->owner,
                               &problems);
                if (r < 0)
                        return r;
        }
        c->problems = TAKE_PTR(problems.items);
        c->n_problems = problems.n;
        problems.n = 0;
        *ret = TAKE_PTR(c);
        return 0;
}

int config_load_volume(const ConfigSource *source, const char *name, VolumeConfig **ret,
                       char **ret_problem)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_free_ char *filename = NULL;
        const ConfigProblem *first;
        int r = -ENOENT;
        size_t n = 0;

        if (!volume_name_is_valid(name)) /* it becomes part of a path */
                return -ENOENT;
        filename = text_format("%s%s", name, SUFFIX);
        if (!filename)
                return -ENOMEM;
        for (const char *const *path = source->dirs; *path && r == -ENOENT; path++) {
                _cleanup_close_ int fd = -1;

                r = config_file_open_directory(*path, source->owner, &problems, &fd);
                if (r == -EINVAL) /* a refused directory is as if it were not there */
                        r = -ENOENT;
                if (r < 0)
                        continue;
                n = problems.n;
                r = load_file(fd, *path, filename, name, source->owner, &problems, ret);
        }
        if (r == 0)
                return -ENOENT;
        if (r != -EINVAL)
                return r < 0 ? r : 0;

        first = config_problems_first_error(&problems, n);
        *ret_problem = config_problem_to_string(first);
        return *ret_problem ? -EINVAL : -ENOMEM;
}

static int compare_name(const void *name, const void *volume)
{
        const VolumeConfig *const *v = volume;

        return strcmp(name, (*v)->name);
}

const VolumeConfig *config_find(const Config *c, const char *name)
{
        VolumeConfig *const *found = NULL;

        if (c->n_volumes > 0)
                found = bsearch(name, c->volumes, c->n_volumes, sizeof(VolumeConfig *),
                                compare_name);
        return found ? *found : NULL;
}

static bool is_file_of(const char *path, const char *name)
{
        const char *slash = strrchr(path, '/');
        const char *filename = slash ? slash + 1 : path;

        return startswith(filename, name) && streq(filename + strlen(name), SUFFIX);
}

const ConfigProblem *config_find_error(const Config *c, const char *name)
{
        for (size_t i = 0; i < c->n_problems; i++)
                if (c->problems[i].severity == PROBLEM_ERROR &&
                    is_file_of(c->problems[i].file, name))
                        return &c->problems[i];
        return NULL;
}

static bool is_directory_of(const char *dir, const char *path)
{
        size_t size = strlen(dir);

        return startswith(path, dir) && path[size] == '/' && !strchr(path + size + 1, '/');
}

bool config_refuses(const Config *c, const VolumeConfig *v)
{
        if (config_find(c, v->name))
                return false;
        for (size_t i = 0; i < c->n_problems; i++)
                if (c->problems[i].severity == PROBLEM_ERROR &&
                    is_directory_of(c->problems[i].file, v->path))
                        return true;
        return config_find_error(c, v->name);
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_volumes; i++)
                volume_config_free(c->volumes[i]);
        free(c->volumes);
        config_problems_done(&(ConfigProblems){ .items = c->problems, .n = c->n_problems });
        free(c);
        return NULL;
}
