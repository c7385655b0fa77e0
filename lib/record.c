/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "record.h"
#include "text.h"

#define RECORD_SIZE_MAX (2 * PATH_MAX + 8192) /* the options of a file fit */

static const char *const phase_names[] = {
        [RECORD_MOUNTING] = "mounting",
        [RECORD_MOUNTED] = "mounted",
        [RECORD_UNMOUNTING] = "unmounting",
        [RECORD_UNMOUNTED] = "unmounted",
};

Record *record_free(Record *r)
{
        if (!r)
                return NULL;
        free(r->target);
        free(r->source);
        free(r->fsid);
        free(r->asked);
        free(r);
        return NULL;
}

char *record_asked(const VolumeConfig *config)
{
        return text_format("%s %s %s %s", config->where ? config->where : "none",
                           config->type ? config->type : "-", config->read_only ? "ro" : "rw",
                           config->options_text);
}

static int read_small(int fd, char *buffer, size_t size)
{
        size_t n = 0;

        for (;;) {
                ssize_t k = read(fd, buffer + n, size - 1 - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t)k;
                if (n == size - 1)
                        return -EBADMSG;
        }
        buffer[n] = '\0';
        return 0;
}

static int parse_phase(const char *s, RecordPhase *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(phase_names); i++)
                if (streq(phase_names[i], s)) {
                        *ret = (RecordPhase)i;
                        return 0;
                }
        return -EBADMSG;
}

static int replace(char **field, const char *value)
{
        free(*field);
        *field = strdup(value);
        return *field ? 0 : -ENOMEM;
}

static int parse_devnum(const char *s, dev_t *ret)
{
        unsigned major_number, minor_number;

        if (sscanf(s, "%u:%u", &major_number, &minor_number) != 2)
                return -EBADMSG;
        *ret = makedev(major_number, minor_number);
        return 0;
}

static int parse_line(Record *r, const char *key, const char *value)
{
        if (streq(key, "PHASE"))
                return parse_phase(value, &r->phase);
        if (streq(key, "TARGET"))
                return replace(&r->target, value);
        if (streq(key, "SOURCE"))
                return replace(&r->source, value);
        if (streq(key, "ASKED"))
                return replace(&r->asked, value);
        if (streq(key, "FSID"))
                return replace(&r->fsid, value);
        if (streq(key, "DEVICE"))
                return parse_devnum(value, &r->devnum);
        if (streq(key, "MOUNT_DEVICE"))
                return parse_devnum(value, &r->mount_devnum);
        if (streq(key, "DISKSEQ"))
                return sscanf(value, "%" SCNu64, &r->diskseq) == 1 ? 0 : -EBADMSG;
        if (streq(key, "MOUNT_ID"))
                return sscanf(value, "%d", &r->mount_id) == 1 ? 0 : -EBADMSG;
        if (streq(key, "UNIQUE_ID"))
                return sscanf(value, "%" SCNu64, &r->unique_id) == 1 ? 0 : -EBADMSG;
        if (streq(key, "DIRECTORY_MADE")) {
                r->directory_made = streq(value, "1");
                return 0;
        }
        if (streq(key, "READ_ONLY")) {
                r->read_only = streq(value, "1");
                return 0;
        }
        return 0; /* a newer version may know more */
}

static int parse_text(Record *r, char *text)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *value = strchr(line, '=');
                int k;

                if (!value)
                        return -EBADMSG;
                *value++ = '\0';
                k = parse_line(r, line, value);
                if (k < 0)
                        return k;
        }
        return r->target && r->devnum != 0 ? 0 : -EBADMSG;
}

int record_load(const char *directory, const char *name, Record **ret)
{
        _cleanup_free_ char *path = text_format("%s/%s", directory, name);
        _cleanup_(record_freep) Record *record = calloc(1, sizeof(*record));
        char text[RECORD_SIZE_MAX];
        _cleanup_close_ int fd = -1;
        int r;

        if (!path || !record)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        r = read_small(fd, text, sizeof(text));
        if (r < 0)
                return r;
        r = parse_text(record, text);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(record);
        return 0;
}

/* Names begin with a letter or digit, so none is taken for this one. */
static char *temporary_of(const char *directory, const char *name)
{
        return text_format("%s/.%s", directory, name);
}

int record_save(const char *directory, const char *name, const Record *record)
{
        _cleanup_free_ char *path = text_format("%s/%s", directory, name);
        _cleanup_free_ char *temporary = temporary_of(directory, name);
        FILE *f;
        int fd, r;

        if (!path || !temporary)
                return -ENOMEM;
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        (void)fchmod(fd, 0644);
        f = fdopen(fd, "w");
        if (!f) {
                close_fd(fd);
                return -ENOMEM;
        }
        fprintf(f, "PHASE=%s\nTARGET=%s\nDEVICE=%u:%u\nDISKSEQ=%" PRIu64 "\n",
                phase_names[record->phase], record->target, major(record->devnum),
                minor(record->devnum), record->diskseq);
        fprintf(f, "MOUNT_ID=%d\nDIRECTORY_MADE=%d\nREAD_ONLY=%d\n", record->mount_id,
                record->directory_made, record->read_only);
        if (record->unique_id != 0)
                fprintf(f, "UNIQUE_ID=%" PRIu64 "\n", record->unique_id);
        if (record->mount_devnum != 0)
                fprintf(f, "MOUNT_DEVICE=%u:%u\n", major(record->mount_devnum),
                        minor(record->mount_devnum));
        if (record->source)
                fprintf(f, "SOURCE=%s\n", record->source);
        if (record->fsid)
                fprintf(f, "FSID=%s\n", record->fsid);
        if (record->asked)
                fprintf(f, "ASKED=%s\n", record->asked);
        /* What was lost on the way may be followed by what was not. */
        r = ferror(f) ? -EIO : 0;
        if (fclose(f) != 0)
                r = -errno;
        if (r >= 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}

int record_remove(const char *directory, const char *name)
{
        _cleanup_free_ char *path = text_format("%s/%s", directory, name);

        if (!path)
                return -ENOMEM;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

void record_tidy(const char *directory, const char *name)
{
        _cleanup_free_ char *temporary = temporary_of(directory, name);

        if (temporary)
                (void)unlink(temporary);
}

const char *record_name_of(const char *file)
{
        const char *name = file + (file[0] == '.');

        return volume_name_is_valid(name) ? name : NULL;
}
