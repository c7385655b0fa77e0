/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "macro.h"
#include "report.h"

/* A request at work: a child that does what may hang, a deadline, and one answer. A check has its
 * time to itself: the deadline begins anew with STEP_CHECK and after it. */

/* More time than others have for a check: at the deadline the child first ends its program. */
#define JOB_CHECK_GRACE_USEC (5 * USEC_PER_SEC)

typedef struct Job Job;

/* The descriptor that was to be kept, in the child. */
#define JOB_KEPT_FD 4

/* In the child: does the work and fills in REPORT. It holds no descriptor but its own and
 * JOB_KEPT_FD, and may call job_progress(). */
typedef void (*JobWork)(Report *report, void *args);

/* In mountd. Exactly once for each job; REPORT is NULL when the child died without a word, and
 * TIMED_OUT when its time was up: it then was killed, but may not be dead. */
typedef void (*JobDone)(Job *job, const Report *report, bool timed_out, void *userdata);
typedef void (*JobStep)(Job *job, FailureStep step, void *userdata);
typedef void (*JobPercent)(Job *job, unsigned percent, void *userdata);
/* The child is no more, after JobDone; the job is freed next. A child that sits in an
 * uninterruptible sleep may keep this from ever happening. */
typedef void (*JobGone)(Job *job, void *userdata);

typedef struct JobCallbacks {
        JobDone done;
        JobStep step;       /* may be NULL */
        JobPercent percent; /* of the step; may be NULL */
        JobGone gone;
        void *userdata;
} JobCallbacks;

/* SIGCHLD must be blocked. KEEP_FD: what the child has as JOB_KEPT_FD, -1 none. 0, -errno. */
int job_start(sd_event *event, uint64_t timeout_usec, JobWork work, void *args, int keep_fd,
              const JobCallbacks *callbacks, Job **ret);

/* Kills the child; if it was not done yet, it is now (without a report). */
void job_kill(Job *job);

/* The step that the child said it is at. */
FailureStep job_step(const Job *job);
pid_t job_pid(const Job *job);

/* Frees a job whatever it is at, killing the child; nothing is called. */
Job *job_free(Job *job);

/* In the child. */
void job_progress(FailureStep step, void *userdata);
void job_percent(unsigned percent, void *userdata);
