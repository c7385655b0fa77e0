/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Values as systemd writes them. All return 0, or -EINVAL (not of that form), -ERANGE (of that
 * form, but out of range), -ENOMEM; *ret is untouched on failure. */

/* 1 yes y true t on, 0 no n false f off, in any case. */
int parse_boolean(const char *s, bool *ret);

/* Decimal digits only. */
int parse_unsigned(const char *s, unsigned min, unsigned max, unsigned *ret);

/* systemd.time(7) time spans: "90", "1.5s", "2min 30s", "100ms", "infinity"; a bare number is
 * seconds. */
int parse_timespan(const char *s, uint64_t *ret_usec);
/* The other way, without loss: "1min 30s", "0". NULL when out of memory. */
char *timespan_to_string(uint64_t usec);

/* Bytes, or with K, M, G or T powers of 1024 of them: "512", "256M". */
int parse_size(const char *s, uint64_t *ret);

/* Octal file mode, at most 07777. */
int parse_mode(const char *s, mode_t *ret);

/* An identifier that may be compared as a UUID: lower-cased, braces removed. Filesystems have
 * identifiers of other forms too (vfat: 1234-ABCD, NTFS: 16 hex digits), so: 1 to 64 of
 * [0-9A-Za-z-]. */
int parse_identifier(const char *s, char **ret);

/* Whether S is an absolute path with neither empty, "." or ".." components nor a slash at its end
 * ("/" itself is one), with every byte printable or above 0x7f, of less than PATH_MAX bytes, and
 * whose escaped unit name (systemd-escape -p) fits into 255 bytes with ".mount". */
bool path_is_normalized(const char *s);

/* Whether PATH is DIR itself or lies below it. */
bool path_is_below(const char *path, const char *dir);
