/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config-keys.h"
#include "config-problems.h"
#include "volume-config.h"

/* Configuration: /etc/wslbare.d/NAME.conf and its kin, one volume a file. */

#define VOLUME_NAME_MAX 64

/* [A-Za-z0-9][A-Za-z0-9_.-]*, at most VOLUME_NAME_MAX bytes. */
bool volume_name_is_valid(const char *name);

/* The directories in order of precedence, first beats later, NULL-terminated. */
extern const char *const config_default_dirs[];

typedef struct Config {
        VolumeConfig **volumes; /* sorted by name */
        size_t n_volumes;
        ConfigProblem *problems; /* in the order of files and lines */
        size_t n_problems;
} Config;

/* Where configuration is looked for, and who may own it. */
typedef struct ConfigSource {
        const char *const *dirs; /* NULL-terminated, highest precedence first */
        uid_t owner;             /* 0, but for tests that do not run as root */
} ConfigSource;

/* Loads every volume. A directory that is not there is no problem; whatever else is wrong is in the
 * problems, and only -ENOMEM fails. A mount point that an earlier volume (by name) claims is an
 * error of the later one. */
int config_load(const ConfigSource *source, Config **ret);

/* Loads NAME alone, by the same precedence and masks. -ENOENT: no such file, or masked; -EINVAL: it
 * has errors, which are in *ret_problem as one string `FILE:LINE: text` (the first of them);
 * -ENOMEM. */
int config_load_volume(const ConfigSource *source, const char *name, VolumeConfig **ret,
                       char **ret_problem);

const VolumeConfig *config_find(const Config *c, const char *name);
/* The first problem of severity error that NAME's file has, so that it is there but was not loaded;
 * NULL: there is none. */
const ConfigProblem *config_find_error(const Config *c, const char *name);
/* Whether V, of an earlier load, is missing in C because its file has errors by now, or the
 * directory that it was in is not used. */
bool config_refuses(const Config *c, const VolumeConfig *v);

Config *config_free(Config *c);
static inline void config_freep(Config **c)
{
        config_free(*c);
}
