/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "adoption.h"
#include "macro.h"
#include "term.h"
#include "text.h"

#define IDENTITY_LENGTH 8U /* of a UUID: its first group */

char *adoption_name(const Device *d)
{
        char name[VOLUME_NAME_MAX + 1];
        const char *identity = d->uuid ? d->uuid : d->part_uuid ? d->part_uuid : "";
        size_t n = 0;

        for (const char *p = d->label ? d->label : ""; *p && n < VOLUME_NAME_MAX; p++)
                if (strchr(LETTERS DIGITS, *p) || (n > 0 && strchr("_.-", *p)))
                        name[n++] = *p;
                else if (n > 0 && name[n - 1] != '-')
                        name[n++] = '-';
        while (n > 0 && name[n - 1] == '-')
                n--;
        name[n] = '\0';
        if (volume_name_is_valid(name))
                return strdup(name);
        return text_format("%s-%.*s", d->type, (int)IDENTITY_LENGTH, identity);
}

/* What hardly anybody would do without. */
static const char *options_for(const char *type)
{
        static const char *const with_atime[] = { "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs" };

        for (size_t i = 0; i < ELEMENTSOF(with_atime); i++)
                if (streq(with_atime[i], type))
                        return "Options=noatime\n";
        return "";
}

/* A value must not begin a line of its own. */
static void print_key(FILE *f, const char *comment, const char *key, const char *value)
{
        if (value && *value)
                term_line(f, "%s%s=%s", comment, key, value);
}

char *adoption_text(const Device *d, const char *where)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        int r;

        if (!f)
                return NULL;
        fputs("# Written by `wslbarectl adopt`; see wslbare.d(5).\n\n[Match]\n", f);
        print_key(f, "", "UUID", d->uuid);
        print_key(f, d->uuid ? "# " : "", "PartUUID", d->part_uuid);
        print_key(f, "", "Type", d->type);
        if (d->disk_guid || d->serial || d->wwn)
                fputs("# To insist on this very disk:\n", f);
        print_key(f, "# ", "DiskGUID", d->disk_guid);
        print_key(f, "# ", "Serial", d->serial);
        print_key(f, "# ", "WWN", d->wwn);
        fprintf(f, "\n[Mount]\nWhere=%s\n%s", where, options_for(d->type));
        r = ferror(f);
        if (fclose(f) != 0 || r != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static const VolumeConfig *find_where(const Config *config, const VolumeConfig *v)
{
        for (size_t i = 0; i < config->n_volumes; i++) {
                const VolumeConfig *other = config->volumes[i];

                if (other->where && streq_ptr(other->where, v->where) &&
                    !streq(other->name, v->name))
                        return other;
        }
        return NULL;
}

static int check(const char *name, const ConfigFile *file, const Config *config,
                 ConfigProblems *problems)
{
        _cleanup_(volume_config_freep) VolumeConfig *v = NULL;
        const VolumeConfig *other;
        int r = volume_config_parse(name, file, problems, &v);

        if (r < 0)
                return r;
        other = find_where(config, v);
        if (!other)
                return 0;
        r = config_problems_add(problems, v->path, v->where_line, PROBLEM_ERROR,
                                "Where=%s is the mount point of %s already; choose another",
                                v->where, other->path);
        return r < 0 ? r : -EEXIST;
}

int adoption_check(const char *path, const char *name, const char *text, const Config *config,
                   char **ret_problem)
{
        const ConfigFile file = {
                .path = (char *)path,
                .text = (char *)text,
                .size = strlen(text),
                .fingerprint = (char *)"", /* it is not there yet */
        };
        _cleanup_(config_problems_done) ConfigProblems problems = { 0 };
        int r = check(name, &file, config, &problems);

        if (r >= 0 || r == -ENOMEM)
                return r;
        *ret_problem = config_problem_to_string(config_problems_first_error(&problems, 0));
        return *ret_problem ? r : -ENOMEM;
}

static int write_whole(int fd, const char *text)
{
        size_t n = strlen(text);
        ssize_t k = write(fd, text, n);

        if (k < 0)
                return -errno;
        if ((size_t)k != n)
                return -ENOSPC;
        return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int adoption_write(const char *directory, const char *name, const char *text)
{
        /* No volume's name begins so: nobody takes it for one while it is written. */
        _cleanup_free_ char *temporary = text_format("%s/.adopt-XXXXXX", directory);
        _cleanup_free_ char *path = text_format("%s/%s.conf", directory, name);
        _cleanup_close_ int fd = -1;
        int r;

        if (!temporary || !path)
                return -ENOMEM;
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = write_whole(fd, text);
        if (r >= 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}
