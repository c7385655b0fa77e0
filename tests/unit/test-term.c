/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <locale.h>

#include "macro.h"
#include "term.h"
#include "test.h"

static void test_sizes(void)
{
        static const struct {
                const char *want;
                uint64_t bytes;
        } rows[] = {
                { "0B", 0 },
                { "1023B", 1023 },
                { "1K", 1024 },
                { "1.5K", 1536 },
                { "1.0M", 1048525 }, /* not 1024.0K */
                { "32M", 32 << 20 },
                { "64G", UINT64_C(64) << 30 },
                { "1.8T", UINT64_C(2000398934016) },
                { "16E", UINT64_MAX },
        };
        char buffer[TERM_SIZE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].want);
                ASSERT_STR(term_size(rows[i].bytes, buffer), rows[i].want);
        }
}

static void test_rates(void)
{
        static const struct {
                const char *want;
                double rate;
        } rows[] = {
                { "0.00 B/s", 0 },       { "999 B/s", 999.4 },     { "1.00 kB/s", 999.6 },
                { "74.7 MB/s", 74.7e6 }, { "720 MB/s", 0.72e9 },   { "1.00 GB/s", 999.9e6 },
                { "4.10 GB/s", 4.1e9 },  { "10.0 MB/s", 9.999e6 }, { "1234 GB/s", 1234e9 },
        };
        char buffer[TERM_RATE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].want);
                ASSERT_STR(term_rate(rows[i].rate, buffer), rows[i].want);
        }
}

static void test_spans(void)
{
        static const struct {
                const char *want;
                uint64_t seconds;
        } rows[] = {
                { "0s", 0 },          { "59s", 59 },
                { "1min 0s", 60 },    { "59min 59s", 3599 },
                { "1h 0min", 3600 },  { "47h 59min", 172799 },
                { "2 days", 172800 }, { "400 days", 34560000 },
        };
        char buffer[TERM_SPAN_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].want);
                ASSERT_STR(term_span(rows[i].seconds * USEC_PER_SEC, buffer), rows[i].want);
        }
}

/* Whatever the user's locale is, JSON has a point in its numbers. */
static void test_locale(void)
{
        ASSERT_OK(setenv("LC_ALL", "C.UTF-8", 1));
        term_use_locale();
        ASSERT(term_is_utf8());
        ASSERT_STR(setlocale(LC_TIME, NULL), "C.UTF-8");
        ASSERT_STR(setlocale(LC_NUMERIC, NULL), "C");
}

TEST_MAIN(TEST(sizes), TEST(rates), TEST(spans), TEST(locale))
