/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "record.h"
#include "report.h"

/* The mount that a record speaks of, and whether it is there. In a child: it may have to ask the
 * filesystem. */

/* Whether the mount that RECORD speaks of is there, wherever it was moved: 1, then *ret_target,
 * which is the caller's, is its mount point by now; 0; -errno. */
int recorded_find(const Record *record, char **ret_target);

/* Same, where it does not matter where. */
int recorded_is_mounted(const Record *record);

/* Takes down what the mount ID, which REPORT describes and whose root is PATH in the directory
 * DIR_FD, is to be known by. 0, -ENOMEM. */
int recorded_identify(Record *record, int dir_fd, const char *path, int id, const Report *report);
