/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "origins.h"

/* What is allowed in a configuration file, and would hurt all the same. */

typedef struct Lint Lint; /* the system that the volumes would be mounted on */

/* ROOT is "" but in tests. 0, -ENOMEM. */
int lint_new(const char *root, Lint **ret);
Lint *lint_free(Lint *l);
static inline void lint_freep(Lint **l)
{
        lint_free(*l);
}

/* Adds what is to be said about C, of which O says where everything stands, beside the volumes
 * OTHERS, C itself among them. 0, -ENOMEM. */
int lint_volume(const Lint *l, const VolumeConfig *c, const Origins *o,
                const VolumeConfig *const *others, size_t n_others, ConfigProblems *problems);
