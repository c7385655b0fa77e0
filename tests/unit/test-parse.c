/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "parse.h"
#include "test.h"

static void test_boolean(void)
{
        static const struct {
                const char *s;
                int r;
                bool value;
        } rows[] = {
                { "1", 0, true },          { "yes", 0, true },        { "Y", 0, true },
                { "True", 0, true },       { "t", 0, true },          { "ON", 0, true },
                { "0", 0, false },         { "no", 0, false },        { "N", 0, false },
                { "FALSE", 0, false },     { "f", 0, false },         { "off", 0, false },
                { "", -EINVAL, true },     { "2", -EINVAL, true },    { "ye", -EINVAL, true },
                { "yes ", -EINVAL, true }, { "auto", -EINVAL, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                bool value = rows[i].r < 0 ? rows[i].value : !rows[i].value;

                test_row(rows[i].s);
                ASSERT_EQ(parse_boolean(rows[i].s, &value), rows[i].r);
                ASSERT_EQ(value, rows[i].value);
        }
}

static void test_unsigned(void)
{
        static const struct {
                const char *s;
                unsigned min, max;
                int r;
                unsigned value;
        } rows[] = {
                { "0", 0, 10, 0, 0 },
                { "10", 0, 10, 0, 10 },
                { "007", 0, 10, 0, 7 },
                { "4294967295", 0, UINT_MAX, 0, UINT_MAX },
                { "11", 0, 10, -ERANGE, 77 },
                { "1", 2, 10, -ERANGE, 77 },
                { "4294967296", 0, UINT_MAX, -ERANGE, 77 },
                { "18446744073709551616", 0, UINT_MAX, -ERANGE, 77 },
                { "99999999999999999999999999", 0, UINT_MAX, -ERANGE, 77 },
                { "", 0, 10, -EINVAL, 77 },
                { "-1", 0, 10, -EINVAL, 77 },
                { "+1", 0, 10, -EINVAL, 77 },
                { " 1", 0, 10, -EINVAL, 77 },
                { "1 ", 0, 10, -EINVAL, 77 },
                { "0x1", 0, 10, -EINVAL, 77 },
                { "1e1", 0, 10, -EINVAL, 77 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned value = 77;

                test_row(rows[i].s);
                ASSERT_EQ(parse_unsigned(rows[i].s, rows[i].min, rows[i].max, &value), rows[i].r);
                ASSERT_EQ(value, rows[i].value);
        }
}

/* As `systemd-analyze timespan` answers, but for a sign and for more than 63 bits. */
static void test_timespan(void)
{
        static const struct {
                const char *s;
                int r;
                uint64_t usec;
        } rows[] = {
                { "90", 0, 90000000 },
                { "0", 0, 0 },
                { "1.5s", 0, 1500000 },
                { ".5", 0, 500000 },
                { "1.", -EINVAL, 1 },
                { ".", -EINVAL, 1 },
                { "1.s", -EINVAL, 1 },
                { "100ms", 0, 100000 },
                { "7us", 0, 7 },
                { "7\xc2\xb5s", 0, 7 },
                { "7\xce\xbcs", 0, 7 },
                { "1.9us", 0, 1 },
                { "2min 30s", 0, 150000000 },
                { "2min30s", 0, 150000000 },
                { "  2 min\t30 s ", 0, 150000000 },
                { "1 2", 0, 3000000 },
                { "5s.5", 0, 5500000 },
                { "1h", 0, 3600000000 },
                { "1 hour 1 minute 1 second", 0, 3661000000 },
                { "1d", 0, 86400000000 },
                { "1week", 0, 604800000000 },
                { "1M", 0, 2629800000000 },
                { "1y", 0, 31557600000000 },
                { "1m", 0, 60000000 },
                { "infinity", 0, USEC_INFINITY },
                { " infinity ", 0, USEC_INFINITY },
                { "584542y", 0, 18446742619200000000U },
                { "584543y", -ERANGE, 1 },
                { "18446744073709551615us", -ERANGE, 1 },
                { "18446744073709551614us", 0, UINT64_MAX - 1 },
                { "18446744073709551614us 1us", -ERANGE, 1 },
                { "18446744073709551616", -ERANGE, 1 },
                { "", -EINVAL, 1 },
                { "  ", -EINVAL, 1 },
                { "s", -EINVAL, 1 },
                { "-1", -EINVAL, 1 },
                { "+1", -EINVAL, 1 },
                { "1 -2", -EINVAL, 1 },
                { "1.2.3", -EINVAL, 1 },
                { "1x", -EINVAL, 1 },
                { "1ss", -EINVAL, 1 },
                { "1 s s", -EINVAL, 1 },
                { "1S", -EINVAL, 1 },
                { "1,5s", -EINVAL, 1 },
                { "infinity 1", -EINVAL, 1 },
                { "Infinity", -EINVAL, 1 },
                { "0x10", -EINVAL, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t usec = 1;

                test_row(rows[i].s);
                ASSERT_EQ(parse_timespan(rows[i].s, &usec), rows[i].r);
                ASSERT_EQ(usec, rows[i].usec);
        }
}

static void test_timespan_to_string(void)
{
        static const struct {
                uint64_t usec;
                const char *text;
        } rows[] = {
                { 0, "0" },
                { 1, "1us" },
                { 100 * USEC_PER_MSEC, "100ms" },
                { 90 * USEC_PER_SEC, "1min 30s" },
                { 86400 * USEC_PER_SEC, "1d" },
                { 93784005006, "1d 2h 3min 4s 5ms 6us" },
                { USEC_INFINITY - 1, "213503982d 8h 1min 49s 551ms 614us" },
                { USEC_INFINITY, "infinity" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text = timespan_to_string(rows[i].usec);
                uint64_t usec;

                test_row(rows[i].text);
                ASSERT_STR(text, rows[i].text);
                ASSERT_OK(parse_timespan(text, &usec));
                ASSERT_EQ(usec, rows[i].usec);
        }
        test_row(NULL);
}

static void test_size(void)
{
        static const struct {
                const char *s;
                int r;
                uint64_t value;
        } rows[] = {
                { "0", 0, 0 },
                { "512", 0, 512 },
                { "4K", 0, 4096 },
                { "256M", 0, UINT64_C(256) << 20 },
                { "3G", 0, UINT64_C(3) << 30 },
                { "16777215T", 0, UINT64_C(16777215) << 40 },
                { "16777216T", -ERANGE, 77 },
                { "18446744073709551616", -ERANGE, 77 },
                { "", -EINVAL, 77 },
                { "M", -EINVAL, 77 },
                { "-1", -EINVAL, 77 },
                { "1k", -EINVAL, 77 },
                { "1MB", -EINVAL, 77 },
                { "1 M", -EINVAL, 77 },
                { "1.5G", -EINVAL, 77 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t value = 77;

                test_row(rows[i].s);
                ASSERT_EQ(parse_size(rows[i].s, &value), rows[i].r);
                ASSERT_EQ(value, rows[i].value);
        }
}

static void test_mode(void)
{
        static const struct {
                const char *s;
                int r;
                mode_t mode;
        } rows[] = {
                { "0755", 0, 0755 },
                { "755", 0, 0755 },
                { "0", 0, 0 },
                { "7777", 0, 07777 },
                { "00000000001777", 0, 01777 },
                { "10000", -ERANGE, 1 },
                { "777777777777777777777777", -ERANGE, 1 },
                { "", -EINVAL, 1 },
                { "0o755", -EINVAL, 1 },
                { "8", -EINVAL, 1 },
                { "-7", -EINVAL, 1 },
                { "755 ", -EINVAL, 1 },
                { "u=rwx", -EINVAL, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                mode_t mode = 1;

                test_row(rows[i].s);
                ASSERT_EQ(parse_mode(rows[i].s, &mode), rows[i].r);
                ASSERT_EQ(mode, rows[i].mode);
        }
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static void test_identifier(void)
{
        static const char *const rows[][2] = {
                { "0B5E2A6C-3A57-4C0E-9A3E-5D7A3F0E9C11", "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11" },
                { "{0B5E2A6C-3A57-4C0E-9A3E-5D7A3F0E9C11}",
                  "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11" },
                { "1234-ABCD", "1234-abcd" },
                { "01D5A7C3E2B4F698", "01d5a7c3e2b4f698" },
                { "dfe5b1e4-02", "dfe5b1e4-02" },
                { "Z", "z" },
                { HEX64, HEX64 },
                { "{" HEX64 "}", HEX64 },
                { HEX64 "0", NULL },
                { "", NULL },
                { "{}", NULL },
                { "{a", NULL },
                { "a}", NULL },
                { "{{a}}", NULL },
                { "\"a\"", NULL },
                { "a b", NULL },
                { "a_b", NULL },
                { "a\n", NULL },
                { "\xe4", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *s = NULL;

                test_row(rows[i][0]);
                ASSERT_EQ(parse_identifier(rows[i][0], &s), rows[i][1] ? 0 : -EINVAL);
                ASSERT_STR(s, rows[i][1]);
        }
}

static void test_path_is_normalized(void)
{
        static const struct {
                const char *path;
                bool normalized;
        } rows[] = {
                { "/", true },          { "/mnt/data", true },   { "/mnt/...", true },
                { "/mnt/.a", true },    { "/mnt/a..", true },    { "/mnt/My Disk", true },
                { "/mnt/D\xe4", true }, { "/a", true },          { "", false },
                { "mnt", false },       { "./mnt", false },      { "//", false },
                { "/mnt/", false },     { "/mnt//data", false }, { "//mnt", false },
                { "/.", false },        { "/mnt/./a", false },   { "/mnt/.", false },
                { "/..", false },       { "/mnt/../a", false },  { "/mnt/..", false },
                { "/mnt/a\tb", false }, { "/mnt/a\n", false },   { "/mnt/\x7f", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].path);
                ASSERT_EQ(path_is_normalized(rows[i].path), rows[i].normalized);
        }
}

/* N times C below /. */
static bool long_path_is_normalized(size_t n, char c)
{
        _cleanup_free_ char *path = malloc(n + 2);

        path[0] = '/';
        memset(path + 1, c, n);
        path[n + 1] = '\0';
        return path_is_normalized(path);
}

static void test_path_of_a_unit(void)
{
        ASSERT(long_path_is_normalized(249, 'a'));
        ASSERT(!long_path_is_normalized(250, 'a'));
        ASSERT(long_path_is_normalized(62, ' ')); /* \x20 each */
        ASSERT(!long_path_is_normalized(63, ' '));
        ASSERT(long_path_is_normalized(249, '_'));
        ASSERT(long_path_is_normalized(62, '-'));
        ASSERT(!long_path_is_normalized(63, '-'));
        ASSERT(long_path_is_normalized(246, '.')); /* only the first is escaped */
        ASSERT(!long_path_is_normalized(247, '.'));
        ASSERT(!long_path_is_normalized(1000000, 'a'));
}

static void test_path_is_below(void)
{
        static const struct {
                const char *path, *dir;
                bool below;
        } rows[] = {
                { "/proc", "/proc", true },      { "/proc/1", "/proc", true },
                { "/process", "/proc", false },  { "/", "/proc", false },
                { "/pro", "/proc", false },      { "/", "/", true },
                { "/mnt", "/", true },           { "mnt", "/", false },
                { "/mnt/a", "/mnt/a/b", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].path);
                ASSERT_EQ(path_is_below(rows[i].path, rows[i].dir), rows[i].below);
        }
}

TEST_MAIN(TEST(boolean), TEST(unsigned), TEST(timespan), TEST(timespan_to_string), TEST(size),
          TEST(mode), TEST(identifier), TEST(path_is_normalized), TEST(path_of_a_unit),
          TEST(path_is_below))
