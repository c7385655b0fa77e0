/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <math.h>

#include "bench-result.h"
#include "fio.h"
#include "macro.h"
#include "test.h"

static void test_parse(void)
{
        static const struct {
                const char *text;
                bool is_write;
                int r;
                double rate;
        } rows[] = {
                { "{\"jobs\":[{\"error\":0,\"read\":{\"bw_bytes\":74700000}}]}", false, 0, 747e5 },
                { "{\"jobs\":[{\"error\":0,\"write\":{\"bw_bytes\":5},\"read\":{\"bw_bytes\":7}}]}",
                  true, 0, 5 },
                { "fio: a remark\n{\"jobs\":[{\"error\":0,\"read\":{\"bw_bytes\":1}}]}\n", false, 0,
                  1 },
                { "{\"jobs\":[{\"error\":22,\"read\":{\"bw_bytes\":0}}]}", false, -EINVAL, -1 },
                { "{\"jobs\":[{\"error\":0,\"read\":{\"bw_bytes\":0}}]}", false, -EBADMSG, -1 },
                { "{\"jobs\":[{\"error\":0,\"read\":{}}]}", false, -EBADMSG, -1 },
                { "{\"jobs\":[{\"error\":0,\"read\":3}]}", false, -EBADMSG, -1 },
                { "{\"jobs\":[]}", false, -EBADMSG, -1 },
                { "{\"jobs\":{}}", false, -EBADMSG, -1 },
                { "{\"jobs\":[1]}", false, -EBADMSG, -1 },
                { "{\"jobs\":[{\"error\":0,", false, -EBADMSG, -1 },
                { "[]", false, -EBADMSG, -1 },
                { "", false, -EBADMSG, -1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                double rate = -1;

                test_row(rows[i].text);
                ASSERT_EQ(fio_parse(rows[i].text, rows[i].is_write, &rate), rows[i].r);
                ASSERT(fabs(rate - rows[i].rate) < 0.5);
        }
}

static void test_gap(void)
{
        ASSERT(fabs(bench_gap(200, 100) + 50) < 0.001);
        ASSERT(fabs(bench_gap(100, 200) - 100) < 0.001);
        ASSERT(fabs(bench_gap(74.7, 76.0) - 1.74) < 0.01);
}

static BenchResult result(const char *path, double small, double large)
{
        BenchResult r = { .path = path };

        for (unsigned i = 0; i < BENCH_BLOCKS; i++)
                for (unsigned operation = 0; operation < _BENCH_OPERATION_MAX; operation++)
                        r.rates[operation][i] = i < BENCH_BLOCKS / 2 ? small : large;
        return r;
}

static void test_advice(void)
{
        static const char hint[] = "That is what copying large files feels; builds, databases and "
                                   "git live of small blocks. See BENCHMARK in wslbarectl(1).";
        static const struct {
                double small, large;
                const char *want; /* but for the hint */
                bool has_hint;
        } rows[] = {
                { 1, 1, "/a is about as fast as /.", false },
                { 1.1, 0.9, "/a is about as fast as /.", false },
                { 2, 2, "/a is 100% faster than /.", false },
                { 0.5, 0.5, "/a is 50% slower than /. ", true },
                { 1, 0.25,
                  "/a is about as fast as / in small blocks, and 75% slower than / in large ones. ",
                  true },
                { 0.8, 1,
                  "/a is 20% slower than / in small blocks, and about as fast as / in large ones.",
                  false },
                { 0.8, 3,
                  "/a is 20% slower than / in small blocks, and 200% faster than / in large ones.",
                  false },
        };
        BenchResult base = result("/", 1e6, 1e9);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                BenchResult r = result("/a", rows[i].small * 1e6, rows[i].large * 1e9);
                _cleanup_free_ char *text = bench_advise(&base, &r);

                test_row(rows[i].want);
                ASSERT(text);
                ASSERT(startswith(text, rows[i].want));
                ASSERT_STR(text + strlen(rows[i].want), rows[i].has_hint ? hint : "");
        }
}

/* What the disk itself says of it is of more use. */
static void test_advice_on_requests(void)
{
        BenchResult base = result("/", 1, 1), r = result("/a", 1, 0.5);
        char *text;

        r.request_kib = 512;
        r.request_limit_kib = 4096;
        text = bench_advise(&base, &r);
        ASSERT(text);
        ASSERT_CONTAINS(text, "at most 512 KiB at once, and would take 4096: ");
        free(text);
        r.request_kib = 4096;
        text = bench_advise(&base, &r);
        ASSERT(text);
        ASSERT(!strstr(text, "KiB"));
        free(text);
}

TEST_MAIN(TEST(parse), TEST(gap), TEST(advice), TEST(advice_on_requests))
