/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The file that is read and written in a directory. It has no name, so nothing of it is left,
 * whatever ends the program. */

typedef struct BenchFile {
        const char *path; /* the directory */
        int fd;           /* reading and writing, O_DIRECT; -1 none */
        /* The largest request that the disk is sent, and could be sent, in KiB; 0 unknown. */
        unsigned request_kib, request_limit_kib;
} BenchFile;

/* What stays free beside it. */
#define BENCH_FILE_SPARE (UINT64_C(64) << 20)

/* Makes one of SIZE bytes, a multiple of 1 MiB, below PATH, and writes all of it. -errno, said on
 * standard error: -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -EOPNOTSUPP no direct I/O, … */
int bench_file_open(const char *path, uint64_t size, BenchFile *ret);
void bench_file_close(BenchFile *f);
