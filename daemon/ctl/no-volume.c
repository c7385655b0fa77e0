/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/stat.h>

#include "macro.h"
#include "no-volume.h"
#include "term.h"
#include "text.h"

/* The file that counts, "" where there is none; NULL when out of memory. */
static char *find_file(const ConfigSource *source, const char *name)
{
        for (const char *const *dir = source->dirs; *dir; dir++) {
                _cleanup_free_ char *path = text_format("%s/%s.conf", *dir, name);

                if (!path || access(path, F_OK) == 0)
                        return TAKE_PTR(path);
        }
        return strdup("");
}

static bool is_mask(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && st.st_size == 0;
}

static int explain_file(const Config *c, const char *name, const char *path, char **ret)
{
        const ConfigProblem *error = config_find_error(c, name);
        _cleanup_free_ char *problem = error ? config_problem_to_string(error) : NULL;

        if (error) {
                *ret = problem ? text_format("'%s' has errors and is not in force: %s", name,
                                             problem)
                               : NULL;
                return -EBADMSG;
        }
        if (is_mask(path)) {
                *ret = text_format("volume '%s' is masked by %s", name, path);
                return -ENOENT;
        }
        if (config_find(c, name)) {
                *ret = text_format("there is no volume '%s' yet; `wslbarectl reload` loads %s",
                                   name, path);
                return -ENOENT;
        }
        *ret = text_format("%s is there and not in force; `wslbarectl verify` says why", path);
        return -EBADMSG;
}

int no_volume_explain(const ConfigSource *source, const char *name, char **ret)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *path = find_file(source, name), *text = NULL;
        int r = path ? config_load(source, &c) : -ENOMEM;

        if (r < 0)
                return r;
        if (*path)
                r = explain_file(c, name, path, &text);
        else {
                r = -ENOENT;
                text = text_format("there is no volume '%s'; %s/%s.conf would make one", name,
                                   source->dirs[0], name);
        }
        if (!text)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return r;
}

int no_volume_say(const char *name)
{
        static const ConfigSource source = { config_default_dirs, 0 };
        _cleanup_free_ char *text = NULL;
        int r = no_volume_explain(&source, name, &text);

        if (text)
                term_line(stderr, "wslbarectl: %s", text);
        return r;
}
