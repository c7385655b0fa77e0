/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "report.h"

/* The mount point, held by descriptors so that nobody redirects it. */

typedef struct Target {
        int fd;           /* O_PATH, of the directory */
        int parent_fd;    /* O_PATH */
        const char *name; /* its last component; points into the path given */
        bool made;        /* just now, by us */
} Target;

/* Opens CONFIG's target, making it where it is missing, says in the report when it hides something,
 * and makes the mount that holds it shared. */
int target_open(const VolumeConfig *config, Target *ret, Report *report);

/* -ENOENT, -ELOOP, -ENOTDIR, … */
int target_open_existing(const char *path, Target *ret);

bool target_exists(const char *path);

/* Removes the directory where it is empty and nothing is mounted on it. */
void target_remove(const char *path);

/* Makes the mount that holds (or will hold) PATH shared, where it is private. REPORT, which may be
 * NULL, is told. */
void target_share(const char *path, Report *report);

void target_done(Target *t);
