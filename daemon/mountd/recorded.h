/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "record.h"

/* The mount that a record speaks of, and whether it is there. In a child: it may have to ask the
 * filesystem. */

/* Whether the mount that RECORD speaks of is there, wherever it was moved: 1, then *ret_target,
 * which is the caller's, is its mount point by now; 0; -errno. */
int recorded_find(const Record *record, char **ret_target);

/* Same, where it does not matter where. */
int recorded_is_mounted(const Record *record);

/* Takes down what the mount ID, of which FD (O_PATH is enough; -1 none) is the root, is to be known
 * by, as far as the kernel tells that without asking the filesystem. 0, -errno. */
int recorded_note(Record *record, int fd, int id);

/* Same of the mount whose root is PATH in the directory DIR_FD, and what only its filesystem can
 * tell. */
int recorded_identify(Record *record, int dir_fd, const char *path, int id);
