/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A check program at work: a process that may write to the device, and has no other power, no
 * descriptor of ours but its lock, no input, and a time. */

/* The descriptor in it, as text, that it may write its progress to; see check_parse_progress(). */
#define FSCK_PROGRESS "3"

/* How it ended. */
typedef struct FsckEnd {
        int status; /* exit status; meaningless after a signal or TIMED_OUT */
        int signal; /* that killed it, 0: none */
        bool timed_out;
        unsigned percent;   /* the last that it told */
        uint64_t left_usec; /* of its time */
        char *words;        /* its last ones, in one line; "": it said nothing */
} FsckEnd;

void fsck_end_done(FsckEnd *e);

/* Called when the percentage changed, and not more often than once a second. */
typedef void (*FsckPercent)(unsigned percent, void *userdata);

/* Runs ARGV, of which the first is a path, and waits until it ends. After TIMEOUT_USEC it is told
 * to (SIGTERM: e2fsck leaves the filesystem as it should be), and when it does not, killed; a
 * process that sits in an uninterruptible sleep is waited for all the same. When we die, it is
 * ended in the same way. It inherits LOCK_FD, -1 none, so that what is locked is so until it is no
 * more, whatever becomes of us. 0, or -errno: it could not be started. */
int fsck_run(const char *const *argv, int lock_fd, uint64_t timeout_usec, FsckPercent percent,
             void *userdata, FsckEnd *ret);
