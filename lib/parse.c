/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <limits.h>
#include <strings.h>

#include "macro.h"
#include "parse.h"
#include "text.h"

#define IDENTIFIER_MAX 64U
#define UNIT_NAME_MAX 255U /* bytes of a unit's name that systemd takes, suffix included */
#define BLANKS " \t"

int parse_boolean(const char *s, bool *ret)
{
        static const char *const words[][2] = {
                { "0", "1" },        { "no", "yes" }, { "n", "y" },
                { "false", "true" }, { "f", "t" },    { "off", "on" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                for (unsigned value = 0; value < 2; value++)
                        if (strcasecmp(s, words[i][value]) == 0) {
                                *ret = value;
                                return 0;
                        }
        return -EINVAL;
}

/* Decimal digits at S; *ret_end is what follows them. */
static int parse_digits(const char *s, uint64_t *ret, const char **ret_end)
{
        uint64_t n = 0;

        for (; *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(n, 10U, &n) ||
                    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
                        return -ERANGE;
        *ret = n;
        *ret_end = s;
        return 0;
}

int parse_unsigned(const char *s, unsigned min, unsigned max, unsigned *ret)
{
        const char *end;
        uint64_t n;
        int r;

        if (!*s || s[strspn(s, DIGITS)])
                return -EINVAL;
        r = parse_digits(s, &n, &end);
        if (r < 0)
                return r;
        if (n < min || n > max)
                return -ERANGE;
        *ret = (unsigned)n;
        return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
        static const char units[] = "KMGT";
        const char *end, *unit;
        uint64_t n;
        int r;

        if (*s < '0' || *s > '9')
                return -EINVAL;
        r = parse_digits(s, &n, &end);
        if (r < 0)
                return r;
        unit = *end ? strchr(units, *end) : NULL;
        if (*end && (!unit || end[1]))
                return -EINVAL;
        if (unit && __builtin_mul_overflow(n, UINT64_C(1) << (10 * (unit - units + 1)), &n))
                return -ERANGE;
        *ret = n;
        return 0;
}

/* The unit of SIZE bytes at S in microseconds, 0 when there is none of that name. */
static uint64_t unit_usec(const char *s, size_t size)
{
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "us", 1 },
                { "usec", 1 },
                { "\xc2\xb5s", 1 }, /* U+00B5 MICRO SIGN */
                { "\xce\xbcs", 1 }, /* U+03BC GREEK SMALL LETTER MU */
                { "ms", USEC_PER_MSEC },
                { "msec", USEC_PER_MSEC },
                { "", USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "sec", USEC_PER_SEC },
                { "second", USEC_PER_SEC },
                { "seconds", USEC_PER_SEC },
                { "m", 60 * USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },
                { "minute", 60 * USEC_PER_SEC },
                { "minutes", 60 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
                { "hr", 3600 * USEC_PER_SEC },
                { "hour", 3600 * USEC_PER_SEC },
                { "hours", 3600 * USEC_PER_SEC },
                { "d", 86400 * USEC_PER_SEC },
                { "day", 86400 * USEC_PER_SEC },
                { "days", 86400 * USEC_PER_SEC },
                { "w", 7 * 86400 * USEC_PER_SEC },
                { "week", 7 * 86400 * USEC_PER_SEC },
                { "weeks", 7 * 86400 * USEC_PER_SEC },
                { "M", 2629800 * USEC_PER_SEC }, /* a twelfth of a year, as in systemd */
                { "month", 2629800 * USEC_PER_SEC },
                { "months", 2629800 * USEC_PER_SEC },
                { "y", 31557600 * USEC_PER_SEC }, /* of 365.25 days */
                { "year", 31557600 * USEC_PER_SEC },
                { "years", 31557600 * USEC_PER_SEC },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == size && memcmp(units[i].name, s, size) == 0)
                        return units[i].usec;
        return 0;
}

/* One number with its unit, such as "1.5min"; *s moves behind it. */
static int parse_span_part(const char **s, uint64_t *ret)
{
        const char *number = *s, *fraction, *end, *unit;
        uint64_t n, usec;
        size_t unit_size;
        int r;

        r = parse_digits(number, &n, &fraction);
        if (r < 0)
                return r;
        end = *fraction == '.' ? fraction + 1 + strspn(fraction + 1, DIGITS) : fraction;
        if (end == number || end == fraction + 1)
                return -EINVAL;

        unit = end + strspn(end, BLANKS);
        unit_size = strcspn(unit, BLANKS DIGITS ".");
        if (unit_size == 0 && unit == end && *end)
                return -EINVAL; /* 1.2.3 */
        usec = unit_usec(unit, unit_size);
        if (usec == 0)
                return -EINVAL;

        if (__builtin_mul_overflow(n, usec, &n))
                return -ERANGE;
        if (*fraction == '.')
                for (const char *p = fraction + 1; p < end; p++) {
                        usec /= 10;
                        if (__builtin_add_overflow(n, (uint64_t)(*p - '0') * usec, &n))
                                return -ERANGE;
                }
        *s = unit + unit_size;
        *ret = n;
        return 0;
}

int parse_timespan(const char *s, uint64_t *ret_usec)
{
        uint64_t sum = 0;

        s += strspn(s, BLANKS);
        if (startswith(s, "infinity") &&
            !s[strlen("infinity") + strspn(s + strlen("infinity"), BLANKS)]) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }
        if (!*s)
                return -EINVAL;

        for (; *s; s += strspn(s, BLANKS)) {
                uint64_t part;
                int r;

                r = parse_span_part(&s, &part);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, part, &sum) || sum == USEC_INFINITY)
                        return -ERANGE;
        }
        *ret_usec = sum;
        return 0;
}

char *timespan_to_string(uint64_t usec)
{
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },  { "s", USEC_PER_SEC },
                { "ms", USEC_PER_MSEC },       { "us", 1 },
        };
        _cleanup_(strv_freep) char **parts = NULL;

        if (usec == USEC_INFINITY)
                return strdup("infinity");
        if (usec == 0)
                return strdup("0");
        for (size_t i = 0; i < ELEMENTSOF(units); usec %= units[i++].usec)
                if (usec >= units[i].usec &&
                    strv_take(&parts, text_format("%" PRIu64 "%s", usec / units[i].usec,
                                                  units[i].name)) < 0)
                        return NULL;
        return strv_join(parts, " ");
}

int parse_mode(const char *s, mode_t *ret)
{
        mode_t mode = 0;

        if (!*s || s[strspn(s, "01234567")])
                return -EINVAL;
        for (; *s; s++) {
                mode = mode << 3 | (mode_t)(*s - '0');
                if (mode > 07777)
                        return -ERANGE;
        }
        *ret = mode;
        return 0;
}

int parse_identifier(const char *s, char **ret)
{
        size_t size = strlen(s);
        char *identifier;

        if (size >= 2 && s[0] == '{' && s[size - 1] == '}') {
                s++;
                size -= 2;
        }
        if (size < 1 || size > IDENTIFIER_MAX)
                return -EINVAL;
        if (strspn(s, LETTERS DIGITS "-") < size)
                return -EINVAL;

        identifier = strndup(s, size);
        if (!identifier)
                return -ENOMEM;
        for (char *p = identifier; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p |= 0x20;
        *ret = identifier;
        return 0;
}

/* Bytes of the name that systemd-escape -p makes of the path S, "/" excepted. */
static size_t unit_name_length(const char *s)
{
        size_t n = 0;

        for (const char *p = s + 1; *p; p++) {
                bool kept = strchr(LETTERS DIGITS ":_/", *p) || (*p == '.' && p != s + 1);

                n += kept ? 1 : strlen("\\xNN");
        }
        return n;
}

/* Whether the SIZE bytes at S are what may stand between two slashes. */
static bool component_is_normalized(const char *s, size_t size)
{
        if (size == 0 || (size == 1 && s[0] == '.') || (size == 2 && s[0] == '.' && s[1] == '.'))
                return false;
        for (size_t i = 0; i < size; i++)
                if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
                        return false;
        return true;
}

bool path_is_normalized(const char *s)
{
        if (s[0] != '/' || strlen(s) >= PATH_MAX)
                return false;
        if (!s[1])
                return true;
        for (const char *p = s; *p; p += 1 + strcspn(p + 1, "/"))
                if (!component_is_normalized(p + 1, strcspn(p + 1, "/")))
                        return false;
        return unit_name_length(s) + strlen(".mount") <= UNIT_NAME_MAX;
}

bool path_is_below(const char *path, const char *dir)
{
        size_t size = strlen(dir);

        if (streq(dir, "/"))
                return path[0] == '/';
        return startswith(path, dir) && (path[size] == '\0' || path[size] == '/');
}
