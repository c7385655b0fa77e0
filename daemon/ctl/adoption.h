/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"
#include "device.h"

/* A configuration file for a device that is there. */

/* What a volume on D may be called, from its label, else its type and identity. To be freed; NULL
 * when out of memory. */
char *adoption_name(const Device *d);

/* The file's text, for a D with a filesystem that has a UUID or lies on a partition that has one;
 * what else tells the disk from others stands there as comments. To be freed; NULL when out of
 * memory. */
char *adoption_text(const Device *d, const char *where);

/* Whether TEXT would be in force as PATH, the file of volume NAME, and all of CONFIG beside it. 0;
 * -EINVAL: it has errors; -EEXIST: another volume has its mount point; both with *RET_PROBLEM,
 * `FILE:LINE: text`; -ENOMEM. */
int adoption_check(const char *path, const char *name, const char *text, const Config *config,
                   char **ret_problem);

/* Writes TEXT to DIRECTORY/NAME.conf, whole or not at all. 0; -EEXIST there is one; -errno. */
int adoption_write(const char *directory, const char *name, const char *text);
