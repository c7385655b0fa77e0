/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "findings.h"
#include "mountinfo.h"

/* The system that volumes are to be mounted on, as its files show it. */

typedef struct Environment {
        const char *root;   /* "" but in tests: put before each path */
        const char *kernel; /* its release */
        const Mountinfo *mountinfo;
        const Config *config;
} Environment;

/* Whether this is WSL, by the kernel's release: 1 or 2; 0 is none. */
unsigned environment_wsl(const Environment *e);

/* Adds what is found: systemd, kernel, udev, interop, shared directory, guard, propagation, fstab,
 * clock. 0, -ENOMEM. */
int environment_examine(const Environment *e, Findings *f);
