/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "config-reader.h"

/* The keys of a configuration file and the values that they take. */

typedef struct ConfigKey {
        const char *section;
        const char *key;
        /* Sets *target, or adds what is wrong with the value (never empty) to the problems, after
         * which *target may be either value. 0 or -ENOMEM. */
        int (*parse)(const ConfigAssignment *a, void *target);
        /* *TARGET as a file may have it, always in the same form; "": it has no value. NULL when
         * out of memory. */
        char *(*print)(const void *target);
        size_t offset;    /* of the target in VolumeConfig */
        const char *help; /* one line */
} ConfigKey;

/* All keys in the order of the man page; terminated by a row of NULLs. */
const ConfigKey *config_keys(void);

/* All sections, NULL-terminated. */
const char *const *config_key_sections(void);

/* The key that A sets; NULL, and then A's problem is added: there is none of that name in its
 * section. 0 or -ENOMEM. */
int config_key_find(const ConfigAssignment *a, const ConfigKey **ret);
