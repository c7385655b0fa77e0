/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdio.h>

#include "macro.h"
#include "text.h"

#define NEAREST_MAX 64U /* bytes; what is longer is no misspelling of anything we know */

static bool is_character(uint32_t c)
{
        if (c >= 0xd800 && c <= 0xdfff)
                return false;
        /* sd-bus refuses a whole message for one of Unicode's noncharacters. */
        if ((c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
                return false;
        return c <= 0x10ffff;
}

/* Bytes of the character at P that can be shown as it is; 0 when there is none. */
static size_t character_length(const uint8_t *p, size_t size)
{
        /* The least that needs so many bytes; for two, what lies above the C1 controls. */
        static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
        uint32_t c;
        size_t n;

        if (p[0] < 0x80)
                return p[0] >= 0x20 && p[0] != 0x7f;

        if ((p[0] & 0xe0) == 0xc0)
                n = 2;
        else if ((p[0] & 0xf0) == 0xe0)
                n = 3;
        else if ((p[0] & 0xf8) == 0xf0)
                n = 4;
        else
                return 0;
        if (n > size)
                return 0;

        c = p[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        return c >= least[n] && is_character(c) ? n : 0;
}

size_t text_valid_length(const void *data, size_t size)
{
        const uint8_t *p = data;
        size_t n = 0;

        while (n < size) {
                size_t length = character_length(p + n, size - n);

                if (length == 0)
                        break;
                n += length;
        }
        return n;
}

uint64_t text_digest(uint64_t digest, const char *text)
{
        for (; text && *text; text++)
                digest = digest * 31 + (unsigned char)*text;
        return digest * 31;
}

char *text_escape(const void *data, size_t size)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = data;
        char *text, *t;

        size = size > 0 ? strnlen(data, size) : 0;
        if (size > (SIZE_MAX - 1) / strlen("\\xNN"))
                return NULL;
        text = t = malloc(size * strlen("\\xNN") + 1);
        if (!text)
                return NULL;

        while (size > 0) {
                size_t n = text_valid_length(p, size);

                t = mempcpy(t, p, n);
                p += n;
                size -= n;
                if (size == 0)
                        break;
                *t++ = '\\';
                *t++ = 'x';
                *t++ = digits[*p >> 4];
                *t++ = digits[*p & 0xf];
                p++;
                size--;
        }
        *t = '\0';
        return text;
}

char *text_one_line(const void *data, size_t size)
{
        _cleanup_free_ char *line = malloc(size + 1);
        const char *p = data;
        size_t n = 0;

        if (!line)
                return NULL;
        for (size_t i = 0; i < size; i++) {
                bool blank = p[i] == '\0' || strchr(" \t\r\n", p[i]);

                if (!blank)
                        line[n++] = p[i];
                else if (n > 0 && line[n - 1] != ' ')
                        line[n++] = ' ';
        }
        while (n > 0 && line[n - 1] == ' ')
                n--;
        return text_escape(line, n);
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *text_from_udev(const char *encoded)
{
        _cleanup_free_ char *bytes = NULL;
        char *b;

        bytes = b = malloc(strlen(encoded) + 1);
        if (!bytes)
                return NULL;
        for (const char *p = encoded; *p;) {
                int high = startswith(p, "\\x") ? hex_value(p[2]) : -1;
                int low = high >= 0 ? hex_value(p[3]) : -1;

                if (low >= 0) {
                        *b++ = (char)(high << 4 | low);
                        p += strlen("\\xNN");
                } else
                        *b++ = *p++;
        }
        return text_escape(bytes, (size_t)(b - bytes));
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;

        return m < c ? m : c;
}

static bool same_letter(char a, char b)
{
        return text_lower(a) == text_lower(b);
}

/* Insertions, deletions, replacements and swaps of neighbours that make B of A. */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
        unsigned rows[3][NEAREST_MAX + 1];

        for (unsigned j = 0; j <= b_size; j++)
                rows[0][j] = j;
        for (unsigned i = 1; i <= a_size; i++) {
                unsigned *row = rows[i % 3];
                const unsigned *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

                row[0] = i;
                for (unsigned j = 1; j <= b_size; j++) {
                        row[j] = min3(above[j] + 1, row[j - 1] + 1,
                                      above[j - 1] + !same_letter(a[i - 1], b[j - 1]));
                        if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                            same_letter(a[i - 2], b[j - 1]) && above2[j - 2] + 1 < row[j])
                                row[j] = above2[j - 2] + 1;
                }
        }
        return rows[a_size % 3][b_size];
}

const char *text_nearest(const char *name, const char *const *candidates)
{
        size_t size = strlen(name);
        size_t limit = size / 3 > 1 ? size / 3 : 1;
        const char *nearest = NULL;

        if (size > NEAREST_MAX)
                return NULL;
        for (; *candidates; candidates++) {
                size_t candidate_size = strlen(*candidates);
                unsigned d;

                if (candidate_size > NEAREST_MAX)
                        continue;
                d = distance(name, size, *candidates, candidate_size);
                if (nearest ? d < limit : d <= limit) {
                        nearest = *candidates;
                        limit = d;
                }
        }
        return nearest;
}

char *text_format(const char *format, ...)
{
        va_list ap;
        char *s;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return n < 0 ? NULL : s;
}

size_t strv_length(char *const *l)
{
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

int strv_take(char ***l, char *s)
{
        size_t n = strv_length(*l);
        char **grown;

        if (!s)
                return -ENOMEM;
        grown = reallocarray(*l, n + 2, sizeof(*grown));
        if (!grown) {
                free(s);
                return -ENOMEM;
        }
        grown[n] = s;
        grown[n + 1] = NULL;
        *l = grown;
        return 0;
}

bool strv_contains(char *const *l, const char *s)
{
        for (; l && *l; l++)
                if (streq(*l, s))
                        return true;
        return false;
}

int strv_push(char ***l, const char *s)
{
        return strv_take(l, strdup(s));
}

char *strv_join(char *const *l, const char *separator)
{
        size_t size = 1;
        char *joined, *p;

        for (char *const *s = l; s && *s; s++)
                size += strlen(*s) + strlen(separator);
        joined = p = calloc(size, 1);
        for (char *const *s = l; joined && s && *s; s++) {
                if (s != l)
                        p = stpcpy(p, separator);
                p = stpcpy(p, *s);
        }
        return joined;
}

char **strv_free(char **l)
{
        for (char **s = l; s && *s; s++)
                free(*s);
        free(l);
        return NULL;
}

bool text_has_word(const char *list, const char *word, size_t length)
{
        for (const char *p = list; p; p = strchr(p, ',')) {
                if (*p == ',')
                        p++;
                if (strcspn(p, ",") == length && strncmp(p, word, length) == 0)
                        return true;
        }
        return false;
}
