/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "macro.h"
#include "term.h"
#include "text.h"

void term_use_locale(void)
{
        (void)setlocale(LC_CTYPE, "");
        (void)setlocale(LC_TIME, "");
}

bool term_has_colors(void)
{
        static int has = -1;
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        if (has < 0)
                has = isatty(STDOUT_FILENO) && !(no && *no) && term && !streq(term, "dumb");
        return has;
}

const char *term_color(TermColor color)
{
        static const char *const sequences[_TERM_COLOR_MAX] = {
                [TERM_PLAIN] = "\x1b[0m",     [TERM_BOLD] = "\x1b[1m",
                [TERM_GREY] = "\x1b[0;90m",   [TERM_GREEN] = "\x1b[0;32m",
                [TERM_YELLOW] = "\x1b[0;33m", [TERM_RED] = "\x1b[0;31m",
        };

        return term_has_colors() ? sequences[color] : "";
}

bool term_is_utf8(void)
{
        return streq(nl_langinfo(CODESET), "UTF-8");
}

void term_put(FILE *f, const char *s)
{
        _cleanup_free_ char *shown = text_escape(s, strlen(s));

        fputs(shown ? shown : "?", f);
}

void term_line(FILE *f, const char *format, ...)
{
        _cleanup_free_ char *line = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&line, format, ap) < 0)
                line = NULL;
        va_end(ap);
        term_put(f, line ? line : "?");
        fputc('\n', f);
}

unsigned term_width(void)
{
        struct winsize size;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size.ws_col;
}

const char *term_size(uint64_t bytes, char buffer[TERM_SIZE_MAX])
{
        static const char units[] = "BKMGTPE";
        double n = (double)bytes;
        unsigned unit = 0;

        /* 1023.95 would be shown as 1024.0 */
        for (; n >= (unit == 0 ? 1024 : 1023.95) && units[unit + 1]; unit++)
                n /= 1024;
        if (n == (double)(uint64_t)n)
                (void)snprintf(buffer, TERM_SIZE_MAX, "%.0f%c", n, units[unit]);
        else
                (void)snprintf(buffer, TERM_SIZE_MAX, "%.1f%c", n, units[unit]);
        return buffer;
}

const char *term_rate(double bytes_per_sec, char buffer[TERM_RATE_MAX])
{
        static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s" };
        double n = bytes_per_sec;
        unsigned unit = 0;

        /* 999.5 would be shown as 1000 */
        for (; n >= 999.5 && unit + 1 < ELEMENTSOF(units); unit++)
                n /= 1000;
        (void)snprintf(buffer, TERM_RATE_MAX, "%.*f %s",
                       n < 9.995   ? 2
                       : n < 99.95 ? 1
                                   : 0,
                       n, units[unit]);
        return buffer;
}

const char *term_span(uint64_t usec, char buffer[TERM_SPAN_MAX])
{
        uint64_t seconds = usec / USEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60,
                 days = hours / 24;

        if (days >= 2)
                (void)snprintf(buffer, TERM_SPAN_MAX, "%" PRIu64 " days", days);
        else if (hours >= 1)
                (void)snprintf(buffer, TERM_SPAN_MAX, "%" PRIu64 "h %" PRIu64 "min", hours,
                               minutes % 60);
        else if (minutes >= 1)
                (void)snprintf(buffer, TERM_SPAN_MAX, "%" PRIu64 "min %" PRIu64 "s", minutes,
                               seconds % 60);
        else
                (void)snprintf(buffer, TERM_SPAN_MAX, "%" PRIu64 "s", seconds);
        return buffer;
}
