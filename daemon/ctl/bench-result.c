/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <math.h>
#include <stdio.h>

#include "bench-result.h"
#include "macro.h"
#include "text.h"

const uint64_t bench_blocks[BENCH_BLOCKS] = { 4 << 10, 64 << 10, 1 << 20, 16 << 20 };

double bench_gap(double base, double rate)
{
        return (rate / base - 1) * 100;
}

/* The geometric mean of the gaps of blocks FROM to TO, reading and writing. */
static double mean_gap(const BenchResult *base, const BenchResult *r, unsigned from, unsigned to)
{
        double sum = 0;
        unsigned n = 0;

        for (unsigned operation = 0; operation < _BENCH_OPERATION_MAX; operation++)
                for (unsigned i = from; i < to; i++, n++)
                        sum += log(r->rates[operation][i] / base->rates[operation][i]);
        return bench_gap(1, exp(sum / n));
}

static char *compare(double gap, const char *base)
{
        if (fabs(gap) < BENCH_NOISE)
                return text_format("about as fast as %s", base);
        return text_format("%.0f%% %s than %s", fabs(gap), gap < 0 ? "slower" : "faster", base);
}

/* What large blocks may be slow for, and what helps. */
static char *advise_large(const BenchResult *r)
{
        if (r->request_kib > 0 && r->request_kib < r->request_limit_kib)
                return text_format(
                        "Its disk is sent at most %u KiB at once, and would take %u: set "
                        "queue/max_sectors_kb by a udev rule, as the example "
                        "60-wslbare-queue.rules does with other settings.",
                        r->request_kib, r->request_limit_kib);
        return strdup("That is what copying large files feels; builds, databases and git live of "
                      "small blocks. See BENCHMARK in wslbarectl(1).");
}

char *bench_advise(const BenchResult *base, const BenchResult *r)
{
        double small = mean_gap(base, r, 0, BENCH_BLOCKS / 2);
        double large = mean_gap(base, r, BENCH_BLOCKS / 2, BENCH_BLOCKS);
        _cleanup_free_ char *in_small = compare(small, base->path);
        _cleanup_free_ char *in_large = compare(large, base->path);
        _cleanup_free_ char *more = large <= -BENCH_NOISE ? advise_large(r) : strdup("");

        if (!in_small || !in_large || !more)
                return NULL;
        if (streq(in_small, in_large))
                return text_format("%s is %s.%s%s", r->path, in_small, *more ? " " : "", more);
        return text_format("%s is %s in small blocks, and %s in large ones.%s%s", r->path, in_small,
                           in_large, *more ? " " : "", more);
}
