/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* What was measured of a path, and what follows from it. */

typedef enum BenchOperation {
        BENCH_READ,
        BENCH_WRITE,
        _BENCH_OPERATION_MAX,
} BenchOperation;

/* Bytes: 4 KiB is a page; 16 MiB is more than any disk takes at once. The first half of them is
 * what is called small here. */
#define BENCH_BLOCKS 4U
extern const uint64_t bench_blocks[BENCH_BLOCKS];

typedef struct BenchResult {
        const char *path;
        double rates[_BENCH_OPERATION_MAX][BENCH_BLOCKS]; /* bytes a second, all above 0 */
        unsigned request_kib, request_limit_kib;          /* see BenchFile */
} BenchResult;

/* Measured again, the same path may well differ by so many percent. */
#define BENCH_NOISE 15.0

/* By how many percent RATE is above (or, negative, below) BASE. */
double bench_gap(double base, double rate);

/* A sentence or three on R beside BASE. NULL when out of memory. */
char *bench_advise(const BenchResult *base, const BenchResult *r);
