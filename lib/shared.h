/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The directory that all distributions of WSL share: what is mounted below it is mounted in all of
 * them, and unmounted in all of them when one shuts down (microsoft/WSL#41084). */

#define SHARED_WSL_CONF "/etc/wsl.conf"

/* "/mnt/wsl", or where [automount] root= of CONF (SHARED_WSL_CONF but in tests) puts it. A file
 * that is not there or says nothing of use leaves it at that. 0, -ENOMEM. */
int shared_find(const char *conf, char **ret);

/* What one distribution unmounted by intent below the directory, the wslbareds of the others shall
 * not mount again: a mark that is of one incarnation of one device. Marks are root's files in a
 * directory of root's below SHARED; what others put there is none. */

/* Sets it, and removes those whose disks are gone. 0, -EPERM: somebody else has put something
 * there; -errno. */
int shared_mark(const char *shared, dev_t devnum, uint64_t diskseq);
/* Removes it, where WHERE, on which the device is mounted, is below SHARED. */
void shared_unmark(const char *shared, const char *where, dev_t devnum, uint64_t diskseq);
bool shared_is_marked(const char *shared, dev_t devnum, uint64_t diskseq);
