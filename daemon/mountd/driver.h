/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "report.h"

/* What mounts a filesystem type on this system: the kernel, or a mount helper (/sbin/mount.TYPE),
 * as mount(8) has it: a helper wins. */

typedef struct Driver {
        char *type;   /* the kernel's name of it */
        char *helper; /* path; NULL: the kernel itself */
} Driver;

/* Finds the driver for TYPE, loading the kernel's module for it when it is not there yet. On
 * failure the report says NotSupported and what to install. */
int driver_find(const char *type, Driver *ret, Report *report);
void driver_done(Driver *d);
