/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "device.h"

/* What block devices are used for at this moment, as far as anybody can see: so that nobody formats
 * one that is. */

typedef struct Usage Usage;

/* ROOT is "" but in tests. -ENOMEM; another -errno, which was said. */
int usage_new(const char *root, Usage **ret);
Usage *usage_free(Usage *u);
static inline void usage_freep(Usage **u)
{
        usage_free(*u);
}

typedef enum UsageKind {
        USAGE_NONE,
        USAGE_HERE,
        USAGE_ELSEWHERE, /* mounted where nobody sees it from here: the root of another
                            distribution, or a disk that a person mounted there */
        USAGE_WSL,       /* of what this distribution itself lives on */
} UsageKind;

/* "mounted on /", …; NULL: nobody uses D. 0, -ENOMEM. */
int usage_describe(const Usage *u, const Device *d, char **ret, UsageKind *ret_kind);
