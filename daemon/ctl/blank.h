/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "device.h"

/* Whether a disk is empty: zeros where anything that a filesystem, a partition table or a RAID
 * writes begins or ends. */

typedef struct Blank {
        const char *node;
        bool is_known; /* false: it could not be read, or not soon, or not by this user */
        bool is_blank;
} Blank;

/* Whether what udev knows of D would be the same if nothing were on it: looking is of use. */
bool blank_is_possible(const Device *d);

void blank_look(Blank *blanks, size_t n);
