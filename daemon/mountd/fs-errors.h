/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "report.h"

/* Errors that the kernel finds in mounted filesystems, as it tells of them by fanotify
 * (FAN_FS_ERROR, Linux 5.16, and only some filesystems). */

/* Of one filesystem at least this long nothing more is told; the kernel counts meanwhile. */
#define FS_ERRORS_QUIET_USEC (1000 * USEC_PER_MSEC)

typedef struct FsErrors FsErrors;

/* FSID: what statfs(2) says, as one number. ERRNUM: of the first error since the latest call. */
typedef void (*FsErrorsHeard)(uint64_t fsid, int errnum, void *userdata);

/* -errno, where fanotify is not there or not allowed. */
int fs_errors_new(sd_event *event, FsErrorsHeard heard, void *userdata, FsErrors **ret);
FsErrors *fs_errors_free(FsErrors *e);
/* What fs_errors_look() needs in a child. */
int fs_errors_fd(const FsErrors *e);

/* In a child, as it may block: looks at the root of the mount ID, which is PATH in the directory
 * DIR_FD. Its errors are told from now on through GROUP_FD (-1: there is none), where the kernel
 * can do that. Adds to the report the filesystem's ID, and the error when it is broken already. */
void fs_errors_look(int group_fd, int dir_fd, const char *path, int id, Report *report);
