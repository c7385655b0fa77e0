/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.h"
#include "record.h"
#include "report.h"

/* The mount that a record speaks of, and whether it is there. In a child: it may have to ask the
 * filesystem. */

/* One of a mount of D on TARGET that is not made yet, *ret being the caller's. 0, -ENOMEM. */
int recorded_new(const char *target, const Device *d, bool directory_made, Record **ret);

/* Saves it as the one of NAME in DIR, with its phase and mount ID as they are by now. 0, -errno,
 * with the failure in the report. */
int recorded_save(const char *dir, const char *name, Record *record, RecordPhase phase,
                  int mount_id, Report *report);

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
