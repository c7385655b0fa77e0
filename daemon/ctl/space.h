/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How full filesystems are. */

typedef struct Space {
        const char *path; /* where it is mounted; NULL: is not asked */
        bool is_known;
        uint64_t size, used, available; /* bytes; available to users that are not root */
} Space;

/* Asks all of them, in a child: one that does not answer in time is left unknown, and holds nobody
 * up. */
void space_measure(Space *spaces, size_t n);

/* 0 to 100, as df(1) has it. */
unsigned space_percent(const Space *s);
