/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "config-problems.h"

/* The lines of a configuration file: [SECTION], KEY=VALUE, comments that begin with # or ;. No
 * quoting, no continuation lines, no comments behind a value. */

/* One KEY=VALUE line. */
typedef struct ConfigAssignment {
        const char *file;
        unsigned line;
        const char *section; /* one of those that exist */
        const char *key;
        const char *value; /* without the blanks around it; valid UTF-8, no control character but
                              tabs */
        ConfigProblems *problems;
} ConfigAssignment;

/* 0 goes on; -errno ends the reading. */
typedef int (*config_reader_handler_t)(const ConfigAssignment *a, void *userdata);

/* Gives HANDLER what stands in the SIZE bytes at TEXT, section by section of SECTIONS
 * (NULL-terminated); whatever is not of that form is added to PROBLEMS as FILE's. 0, -EINVAL
 * (it is no text at all, which was added), -ENOMEM, or what the handler returned. */
int config_reader_run(const char *file, const char *text, size_t size, const char *const *sections,
                      config_reader_handler_t handler, void *userdata, ConfigProblems *problems);
