/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

/* What is printed until capture_end() in place of FD. */
typedef struct Capture {
        FILE *stream;
        int fd, saved, file;
} Capture;

Capture capture_begin(FILE *stream, int fd);
/* The text, which lives until the next call. */
const char *capture_end(Capture *c);
