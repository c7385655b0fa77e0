/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "advice.h"
#include "macro.h"
#include "programs.h"
#include "sbin.h"
#include "text.h"

static bool has_program(const char *root, const char *kind, const char *type)
{
        for (const char *const *dir = sbin_dirs; *dir; dir++) {
                _cleanup_free_ char *path = text_format("%s%s", root, *dir), *found = NULL;

                if (!path || sbin_find((const char *const[]){ path, NULL }, kind, type, &found))
                        return true;
        }
        return false;
}

/* Whether a list of modules, their aliases or filesystems, one a line, has TYPE. */
static bool is_listed(const char *root, const char *path, const char *type)
{
        _cleanup_free_ char *full = text_format("%s%s", root, path),
                            *module = text_format("/%s.ko", type),
                            *alias = text_format("alias fs-%s ", type);
        char line[1024];
        bool found = false;
        FILE *f = full && module && alias ? fopen(full, "re") : NULL;

        while (f && !found && fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\n:")] = '\0';
                found = strstr(line, module) || startswith(line, alias) ||
                        (line[0] == '\t' && streq(line + 1, type));
        }
        if (f)
                (void)fclose(f);
        return found;
}

static bool kernel_has(const char *root, const char *type)
{
        _cleanup_free_ char *builtin = NULL, *modules = NULL, *aliases = NULL;
        struct utsname name;

        if (uname(&name) < 0)
                return true;
        builtin = text_format("/lib/modules/%s/modules.builtin", name.release);
        modules = text_format("/lib/modules/%s/modules.dep", name.release);
        /* A module may be called otherwise: ext2 is mounted by ext4, and iso9660 by isofs. What
         * such a one that is built in mounts is among the filesystems. */
        aliases = text_format("/lib/modules/%s/modules.alias", name.release);
        if (!builtin || !modules || !aliases)
                return true;
        return is_listed(root, "/proc/filesystems", type) || is_listed(root, builtin, type) ||
               is_listed(root, modules, type) || is_listed(root, aliases, type);
}

bool programs_mount(const char *root, const char *type)
{
        return has_program(root, "mount", type) || kernel_has(root, type) ||
               kernel_has(root, advice_driver(type));
}

bool programs_check(const char *root, const VolumeConfig *c, const char *type)
{
        bool is_wanted =
                c->check == CHECK_ALWAYS || (c->check == CHECK_AUTO && check_package(type));

        return !is_wanted || !check_is_useful(type) || has_program(root, "fsck", type);
}
