/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <strings.h>

#include "fstab.h"
#include "macro.h"
#include "text.h"

/* Whether SOURCE is TAG with VALUE, which fstab may quote. */
static bool has_tag(const char *source, const char *tag, const char *value, bool exact)
{
        size_t length = value ? strlen(value) : 0;

        if (!value || !startswith(source, tag))
                return false;
        source += strlen(tag);
        source += *source == '"';
        if ((exact ? strncmp(source, value, length) : strncasecmp(source, value, length)) != 0)
                return false;
        return source[length] == '\0' || streq(source + length, "\"");
}

static const char *find_key(const char *source, const Match *m)
{
        const struct {
                const char *tag, *key, *value;
                bool exact;
        } tags[] = {
                { "UUID=", "UUID", m->uuid, false },
                { "/dev/disk/by-uuid/", "UUID", m->uuid, false },
                { "LABEL=", "Label", m->label, true },
                { "PARTUUID=", "PartUUID", m->part_uuid, false },
                { "/dev/disk/by-partuuid/", "PartUUID", m->part_uuid, false },
                { "PARTLABEL=", "PartLabel", m->part_label, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(tags); i++)
                if (has_tag(source, tags[i].tag, tags[i].value, tags[i].exact))
                        return tags[i].key;
        return NULL;
}

int fstab_find(const char *root, const VolumeConfig *v, FstabFound found, void *userdata)
{
        _cleanup_free_ char *path = text_format("%s/etc/fstab", root);
        struct mntent line;
        char buffer[4096];
        FILE *f;
        int r = 0;

        if (!path)
                return -ENOMEM;
        f = setmntent(path, "re");
        while (f && r >= 0 && getmntent_r(f, &line, buffer, sizeof(buffer))) {
                FstabEntry e = { &line, find_key(line.mnt_fsname, &v->match) };

                if (!hasmntopt(&line, "noauto") &&
                    (e.key || (v->where && streq(line.mnt_dir, v->where))))
                        r = found(&e, v, userdata);
        }
        if (f)
                (void)endmntent(f);
        return r;
}
