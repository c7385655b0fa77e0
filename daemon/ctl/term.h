/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How things are shown to a person. */

typedef enum TermColor {
        TERM_PLAIN,
        TERM_BOLD,
        TERM_GREY,
        TERM_GREEN,
        TERM_YELLOW,
        TERM_RED,
        _TERM_COLOR_MAX,
} TermColor;

/* What a terminal can show and how days are called is the locale's from now on. Numbers stay as
 * JSON has them. */
void term_use_locale(void);

/* Whether standard output is a terminal that has colours, and nobody set NO_COLOR (no-color.org).
 */
bool term_has_colors(void);
/* The escape sequence, "" where there are no colours; TERM_PLAIN ends what another one began. */
const char *term_color(TermColor color);

/* Whether the locale has UTF-8. */
bool term_is_utf8(void);

/* Everything that is from elsewhere goes through one of these, or into a table: text_escape()
 * leaves no control character that a terminal would obey. */
void term_put(FILE *f, const char *s);
/* A line, without its end, which is escaped whole. */
void term_line(FILE *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The columns of the terminal; 80 where that is none. */
unsigned term_width(void);

/* "1.5G": powers of 1024, at most one digit behind the point. */
#define TERM_SIZE_MAX 16
const char *term_size(uint64_t bytes, char buffer[TERM_SIZE_MAX]);

/* "74.7 MB/s": powers of 1000, three digits that count. */
#define TERM_RATE_MAX 24
const char *term_rate(double bytes_per_sec, char buffer[TERM_RATE_MAX]);

/* "5s", "2min 3s", "4h 12min", "3 days": the two largest units that count. */
#define TERM_SPAN_MAX 32
const char *term_span(uint64_t usec, char buffer[TERM_SPAN_MAX]);
