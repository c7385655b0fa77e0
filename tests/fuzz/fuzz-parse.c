/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <limits.h>
#include <sys/stat.h>

#include "check.h"
#include "config.h"
#include "fuzz.h"
#include "macro.h"
#include "parse.h"
#include "record.h"
#include "text.h"

/* Small values: every parser and every escape on the same text. */

static void check_result(int r)
{
        CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
}

static void check_numbers(const char *s)
{
        _cleanup_free_ char *printed = NULL;
        uint64_t usec, seconds;
        unsigned n = 77;
        mode_t mode;
        bool yes;
        int r;

        check_result(parse_boolean(s, &yes));
        r = parse_unsigned(s, 3, 300, &n);
        check_result(r);
        CHECK(r == 0 ? n >= 3 && n <= 300 : n == 77);
        if (r == 0) {
                printed = text_format("%u", n);
                CHECK(printed);
                CHECK(streq(s + strspn(s, "0"), printed));
                CHECK(parse_timespan(s, &seconds) == 0);
                CHECK(seconds == n * USEC_PER_SEC);
        }
        check_result(parse_timespan(s, &usec));
        r = parse_mode(s, &mode);
        check_result(r);
        CHECK(r < 0 || (mode & ~07777U) == 0);
}

static void check_identifier(const char *s)
{
        _cleanup_free_ char *once = NULL, *twice = NULL;
        int r = parse_identifier(s, &once);

        check_result(r);
        if (r < 0)
                return;
        CHECK(strlen(once) >= 1 && strlen(once) <= 64);
        CHECK(strspn(once, "0123456789abcdefghijklmnopqrstuvwxyz-") == strlen(once));
        CHECK(parse_identifier(once, &twice) == 0);
        CHECK(streq(once, twice));
}

static void check_path(const char *s)
{
        if (path_is_normalized(s)) {
                CHECK(s[0] == '/' && strlen(s) < PATH_MAX);
                CHECK(!strstr(s, "//") && !strstr(s, "/./") && !strstr(s, "/../"));
                CHECK(!s[1] || s[strlen(s) - 1] != '/');
        }
        CHECK(path_is_below(s, s) || s[0] == '\0');
}

static void check_name(const char *s)
{
        const char *name = record_name_of(s);

        CHECK(!volume_name_is_valid(s) || (!strchr(s, '/') && s[0] != '.' && strlen(s) <= 64));
        CHECK(!name || volume_name_is_valid(name));
}

static void check_text(const uint8_t *data, size_t size, const char *s)
{
        static const char *const words[] = { "Match", "Mount", "Options", "Where", "", NULL };
        _cleanup_free_ char *once = text_escape(data, size), *twice = NULL,
                            *decoded = text_from_udev(s);

        fuzz_check_text(once);
        fuzz_check_text(decoded);
        twice = text_escape(once, strlen(once));
        CHECK(twice && streq(once, twice));
        CHECK(text_valid_length(data, size) <= size);
        (void)text_nearest(s, words);
        for (const char *const *word = words; **word; word++)
                CHECK(text_nearest(*word, words) == *word);
        CHECK(strchr(s, ',') || text_has_word(s, s, strlen(s)));
}

/* What a check program, which reads a hostile disk, says of how far it is. */
static void check_progress(const char *s)
{
        unsigned percent;

        CHECK(!check_parse_progress(s, &percent) || percent <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *s = fuzz_string(data, size);

        check_numbers(s);
        check_identifier(s);
        check_path(s);
        check_name(s);
        check_progress(s);
        check_text(data, size, s);
        return 0;
}
