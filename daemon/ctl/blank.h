/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether a disk is empty: zeros where anything that a filesystem, a partition table or a RAID
 * writes begins or ends. */

typedef struct Blank {
        const char *node;
        bool is_known; /* false: it could not be read, or not soon, or not by this user */
        bool is_blank;
} Blank;

void blank_look(Blank *blanks, size_t n);
