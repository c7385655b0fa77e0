/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Measuring, which fio(1) does: the one home of json-c. */

typedef struct FioJob {
        int fd;        /* of a file that is open for reading and writing, and has all its blocks */
        uint64_t size; /* of the file, bytes */
        uint64_t block;
        bool is_write;
        unsigned seconds;
} FioJob;

/* One block after the other, past the page cache, one at a time, from the beginning again at the
 * end. 0 with bytes a second; -errno, said on standard error: -ENOENT fio is not installed. */
int fio_measure(const FioJob *job, double *ret_rate);

/* That of what fio printed as JSON: 0 with bytes a second; -EBADMSG; or the -errno that fio met. */
int fio_parse(const char *text, bool is_write, double *ret_rate);
