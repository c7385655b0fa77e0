/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that comes from a disk or a person: labels, model names, kernel messages. */

/* For strspn() and its like: ASCII's, whatever the locale. */
#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* The small letter of one of ASCII's capitals; anything else is itself. In Turkish locales
 * tolower() has none of I. */
static inline char text_lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A copy of SIZE bytes at DATA in which every byte that is not part of valid UTF-8 and every
 * control character (below 0x20, 0x7f, and U+0080–U+009F) stands as \xNN, so that D-Bus, the
 * journal and a terminal can show it. A NUL byte ends the text. NULL when out of memory. */
char *text_escape(const void *data, size_t size);

/* The same in one line: blanks, tabs and line ends are one blank where they are between words, and
 * nothing where they are not. A NUL byte is a blank too. */
char *text_one_line(const void *data, size_t size);

/* How many bytes at DATA text_escape() leaves as they are, up to the first that it does not. */
size_t text_valid_length(const void *data, size_t size);

/* Decodes udev's encoding (ID_FS_LABEL_ENC and its like write `\x20` for the byte 0x20) and gives
 * what text_escape() makes of the bytes. NULL when out of memory. */
char *text_from_udev(const char *encoded);

/* A number that says whether a row of texts changed: begin with DIGEST 0, and give the result to
 * the next call. NULL is "". Not for who may choose the texts to deceive. */
uint64_t text_digest(uint64_t digest, const char *text);

/* The candidate (of a NULL-terminated list) nearest to NAME, at a Damerau-Levenshtein distance,
 * upper and lower case being equal, of at most a third of NAME's length and at least 1; else NULL.
 */
const char *text_nearest(const char *name, const char *const *candidates);

/* Whether WORD, of LENGTH bytes, is one of those in LIST, which commas separate. */
bool text_has_word(const char *list, const char *word, size_t length);

/* printf to a newly allocated string; NULL when out of memory. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* String lists: NULL-terminated arrays of owned strings, NULL being the empty list. */
size_t strv_length(char *const *l);
bool strv_contains(char *const *l, const char *s);
/* Adds a copy of S (strv_push) or S itself, which is freed on failure and may be NULL then: -ENOMEM
 * (strv_take). */
int strv_push(char ***l, const char *s);
int strv_take(char ***l, char *s);
/* One string, "" of the empty list; NULL when out of memory. */
char *strv_join(char *const *l, const char *separator);
char **strv_free(char **l);
static inline void strv_freep(char ***l)
{
        strv_free(*l);
}
