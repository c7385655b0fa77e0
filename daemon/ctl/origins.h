/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "config-keys.h"
#include "config-problems.h"
#include "volume-config.h"

/* A configuration file with where in it everything stands. */

typedef struct Origin {
        unsigned line; /* 0: it is not there, or has no value: the default */
        char *value;   /* as it is written */
} Origin;

typedef struct Origins {
        Origin *items; /* one for each of config_keys() */
} Origins;

/* Loads the file at PATH, which is the user's own or root's, as the volume its name says; what is
 * wrong with it is added to PROBLEMS. 1; 0: it is a mask; -ENOENT; -EINVAL: it has errors, and
 * *RET_CONFIG is NULL; -ENOMEM. */
int origins_load(const char *path, ConfigProblems *problems, VolumeConfig **ret_config,
                 Origins *ret);
void origins_done(Origins *o);

/* Where KEY of SECTION, one of those that exist, is set. */
const Origin *origins_find(const Origins *o, const char *section, const char *key);
