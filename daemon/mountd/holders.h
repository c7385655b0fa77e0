/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "report.h"

/* Who keeps a filesystem busy. */

#define HOLDERS_MAX 32 /* the rest is not worth reading */

/* Adds the processes of our PID namespace that have a file of the filesystem DEVNUM (as stat(2) has
 * it) open or mapped, or a working or root directory there. Looking may hang with a hanging
 * filesystem: in a child only. */
void holders_report(dev_t devnum, Report *report);
