/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with the configuration, told to a person. */

typedef enum ProblemSeverity {
        PROBLEM_WARNING, /* said, and the file is loaded */
        PROBLEM_ERROR,   /* the file is not loaded */
} ProblemSeverity;

typedef struct ConfigProblem {
        char *file; /* as text_escape() shows it; a directory's path where the directory itself is
                       at fault */
        unsigned line; /* 0: the file as a whole */
        ProblemSeverity severity;
        char *text; /* what is wrong, and what would be right; valid UTF-8 */
} ConfigProblem;

typedef struct ConfigProblems {
        ConfigProblem *items;
        size_t n;
} ConfigProblems;

/* Adds one behind those of other files, and among those of FILE by its line. 0 or -ENOMEM. */
int config_problems_add(ConfigProblems *p, const char *file, unsigned line,
                        ProblemSeverity severity, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* The first error at or behind FROM; NULL when there is none. */
const ConfigProblem *config_problems_first_error(const ConfigProblems *p, size_t from);

/* `FILE:LINE: text`, or `FILE: text`. NULL when out of memory. */
char *config_problem_to_string(const ConfigProblem *problem);

void config_problems_done(ConfigProblems *p);
