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

/* "mounted on /", …; NULL: nobody uses D. *RET_IS_WSL: the disk belongs to WSL itself, or to one of
 * its distributions. 0, -ENOMEM. */
int usage_describe(const Usage *u, const Device *d, char **ret, bool *ret_is_wsl);
