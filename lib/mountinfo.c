/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "mountinfo.h"
#include "parse.h"
#include "text.h"

#define READ_CHUNK 4096U /* bytes; the kernel gives at most a page at a time */

/* Cuts the next field off *P, at SEPARATOR; the last one reaches to the end. NULL: there is none.
 */
static char *next_field(char **p, char separator)
{
        char *field = *p, *end;

        if (!field)
                return NULL;
        end = strchr(field, separator);
        if (end)
                *end++ = '\0';
        *p = end;
        return field;
}

static bool is_octal(char c)
{
        return c >= '0' && c <= '7';
}

/* Decodes \ooo in place. What would be a NUL byte, or is no such escape, stays as it is. */
static char *unescape(char *s)
{
        char *out = s;

        for (const char *in = s; *in;) {
                unsigned c = 0;

                if (in[0] == '\\' && is_octal(in[1]) && is_octal(in[2]) && is_octal(in[3]))
                        c = (unsigned)(in[1] - '0') * 64 + (unsigned)(in[2] - '0') * 8 +
                            (unsigned)(in[3] - '0');
                if (c > 0 && c <= UCHAR_MAX) {
                        *out++ = (char)c;
                        in += 4;
                } else
                        *out++ = *in++;
        }
        *out = '\0';
        return s;
}

static bool read_number(const char *s, unsigned max, unsigned *ret)
{
        return s && parse_unsigned(s, 0, max, ret) == 0;
}

static bool read_id(const char *s, int *ret)
{
        unsigned n;

        if (!read_number(s, INT_MAX, &n))
                return false;
        *ret = (int)n;
        return true;
}

static bool read_devnum(char *s, dev_t *ret)
{
        unsigned maj, min;

        if (!read_number(next_field(&s, ':'), UINT_MAX, &maj) || !read_number(s, UINT_MAX, &min))
                return false;
        *ret = makedev(maj, min);
        return true;
}

/* Everything up to the lone hyphen; tags that nobody knows yet are passed over. */
static bool read_optional_fields(char **line, MountEntry *e)
{
        const char *field;

        while ((field = next_field(line, ' '))) {
                if (streq(field, "-"))
                        return true;
                if (startswith(field, "shared:"))
                        e->shared = true;
                else if (startswith(field, "master:"))
                        e->slave = true;
                else if (streq(field, "unbindable"))
                        e->unbindable = true;
        }
        return false;
}

static bool read_paths(char **line, MountEntry *e)
{
        char *root = next_field(line, ' '), *target = next_field(line, ' ');

        e->options = next_field(line, ' ');
        if (!e->options || root[0] == '\0' || target[0] != '/' || e->options[0] == '\0')
                return false;
        e->root = unescape(root);
        e->target = unescape(target);
        return true;
}

static bool read_filesystem(char *line, MountEntry *e)
{
        char *source;

        e->type = next_field(&line, ' ');
        source = next_field(&line, ' '); /* may be empty: mount("", …) */
        if (!source || e->type[0] == '\0' || !line || line[0] == '\0')
                return false;
        e->source = unescape(source);
        e->super_options = line;
        return true;
}

static bool read_line(char *line, MountEntry *ret)
{
        MountEntry e = { 0 };

        if (!read_id(next_field(&line, ' '), &e.id) ||
            !read_id(next_field(&line, ' '), &e.parent_id) ||
            !read_devnum(next_field(&line, ' '), &e.devnum) || !read_paths(&line, &e) ||
            !read_optional_fields(&line, &e) || !read_filesystem(line, &e))
                return false;
        *ret = e;
        return true;
}

static size_t count_lines(const char *text)
{
        size_t n = 1;

        while ((text = strchr(text, '\n'))) {
                text++;
                n++;
        }
        return n;
}

int mountinfo_parse(char *text, Mountinfo **ret)
{
        _cleanup_free_ char *owned = text;
        _cleanup_(mountinfo_freep) Mountinfo *m = calloc(1, sizeof(*m));
        char *line;

        if (!m)
                return -ENOMEM;
        m->entries = calloc(count_lines(text), sizeof(*m->entries));
        if (!m->entries)
                return -ENOMEM;
        m->text = TAKE_PTR(owned);

        while ((line = next_field(&text, '\n')))
                if (read_line(line, &m->entries[m->n_entries]))
                        m->n_entries++;
        *ret = TAKE_PTR(m);
        return 0;
}

static int grow(char **text, size_t *size)
{
        size_t wanted = *size > 0 ? *size * 2 : READ_CHUNK;
        char *bigger;

        if (wanted <= *size)
                return -ENOMEM;
        bigger = realloc(*text, wanted);
        if (!bigger)
                return -ENOMEM;
        *text = bigger;
        *size = wanted;
        return 0;
}

/* A seq file says how long it is by ending, and may give less than was asked for before that. */
static int read_all(int fd, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0, length = 0;
        ssize_t n;

        do {
                if (size - length < READ_CHUNK && grow(&text, &size) < 0)
                        return -ENOMEM;
                n = read(fd, text + length, size - length - 1);
                if (n > 0)
                        length += (size_t)n;
                else if (n < 0 && errno != EINTR)
                        return -errno;
        } while (n != 0);

        text[length] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

int mountinfo_read(int fd, Mountinfo **ret)
{
        char *text = NULL;
        int r;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        r = read_all(fd, &text);
        if (r < 0)
                return r;
        return mountinfo_parse(text, ret);
}

int mountinfo_read_self(Mountinfo **ret)
{
        _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : mountinfo_read(fd, ret);
}

const MountEntry *mountinfo_find_id(const Mountinfo *m, int id)
{
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i].id == id)
                        return &m->entries[i];
        return NULL;
}

/* Whether E is mounted on PARENT; with NULL, on something that is not in M: the root, or what is
 * below a root that is no mount point itself (chroot). */
static bool is_child(const Mountinfo *m, const MountEntry *e, const MountEntry *parent)
{
        if (parent)
                return e != parent && e->parent_id == parent->id;
        return e->parent_id == e->id || !mountinfo_find_id(m, e->parent_id);
}

/* The mount that a lookup of TARGET, being in PARENT, crosses into next: the nearest to the root.
 */
static const MountEntry *next_mount(const Mountinfo *m, const MountEntry *parent,
                                    const char *target)
{
        const MountEntry *next = NULL;

        for (size_t i = 0; i < m->n_entries; i++) {
                const MountEntry *e = &m->entries[i];

                if (path_is_below(target, e->target) && is_child(m, e, parent) &&
                    (!next || strlen(e->target) <= strlen(next->target)))
                        next = e;
        }
        return next;
}

const MountEntry *mountinfo_find_target(const Mountinfo *m, const char *target)
{
        const MountEntry *at = NULL;

        /* Walks down the tree, as mounts below something mounted later are still listed. Bounded,
         * as parents that form a ring would not end. */
        for (size_t i = 0; i < m->n_entries; i++) {
                const MountEntry *next = next_mount(m, at, target);

                if (!next)
                        break;
                at = next;
        }
        return at && streq(at->target, target) ? at : NULL;
}

bool mount_entry_is_device(const MountEntry *e, const Device *d)
{
        if (major(e->devnum) == 0)
                return d->node && streq(e->source, d->node);
        return e->devnum == d->devnum;
}

static bool has_word(const char *list, const char *word)
{
        return text_has_word(list, word, strlen(word));
}

/* Since Linux 6.15 ext4 keeps "rw" after an error, and says more. */
static bool filesystem_is_read_only(const MountEntry *e)
{
        return has_word(e->super_options, "ro") || has_word(e->super_options, "emergency_ro");
}

bool mount_entry_is_read_only(const MountEntry *e)
{
        return has_word(e->options, "ro") || filesystem_is_read_only(e);
}

bool mount_entry_is_turned_read_only(const MountEntry *e)
{
        return filesystem_is_read_only(e) && !has_word(e->options, "ro");
}

bool mount_entry_is_shut_down(const MountEntry *e)
{
        return has_word(e->super_options, "shutdown");
}

/* Adds ",WORD" for every word of LIST that is neither in BUT nor rw or ro. */
static char *append_words(char *out, const char *list, const char *but)
{
        while (*list) {
                size_t n = strcspn(list, ",");

                if (n > 0 && !text_has_word("rw,ro", list, n) && !text_has_word(but, list, n)) {
                        *out++ = ',';
                        out = mempcpy(out, list, n);
                }
                list += n;
                list += *list == ',';
        }
        return out;
}

char *mount_entry_options(const MountEntry *e)
{
        char *options = malloc(strlen("rw,") + strlen(e->options) + strlen(",") +
                               strlen(e->super_options) + 1),
             *end;

        if (!options)
                return NULL;
        end = stpcpy(options, mount_entry_is_read_only(e) ? "ro" : "rw");
        end = append_words(end, e->options, "");
        end = append_words(end, e->super_options, e->options);
        *end = '\0';
        return options;
}

Mountinfo *mountinfo_free(Mountinfo *m)
{
        if (!m)
                return NULL;
        free(m->entries);
        free(m->text);
        free(m);
        return NULL;
}
