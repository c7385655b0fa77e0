/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fs-state.h"

/* Whether a filesystem is to be checked before it is mounted, how its program (fsck.TYPE) is run,
 * and what that says by its end. Pure. */

typedef enum CheckWhen {
        CHECK_AUTO, /* where it needs it */
        CHECK_NEVER,
        CHECK_ALWAYS,
} CheckWhen;

/* What a check that did not end well leads to. */
typedef enum CheckFailure {
        CHECK_FAILURE_REFUSE,
        CHECK_FAILURE_READ_ONLY,
        CHECK_FAILURE_IGNORE,
} CheckFailure;

typedef enum CheckNeed {
        CHECK_NEED_NONE,
        CHECK_NEED_ERRORS,
        CHECK_NEED_UNCLEAN,
        CHECK_NEED_DUE,
        CHECK_NEED_ASKED, /* Check=always */
} CheckNeed;

/* Why a filesystem that was left in STATE is to be checked now (CLOCK_REALTIME, seconds). */
CheckNeed check_need(CheckWhen when, const FsState *state, uint64_t now_sec);

/* "was not cleanly unmounted", and so on; "" for CHECK_NEED_NONE. */
const char *check_need_to_string(CheckNeed need);

/* Whether a filesystem in STATE must not be mounted for writing before a check. */
bool check_is_vital(const FsState *state);

/* Whether fsck.TYPE does anything: for some types it is only there for fsck(8) to find. */
bool check_is_useful(const char *type);

/* The package that fsck.TYPE comes with; NULL: not known. */
const char *check_package(const char *type);

/* What a person runs on a filesystem of TYPE, "" where that is not known: "fsck", or what does the
 * work where fsck.TYPE does nothing. */
const char *check_by_hand(const char *type);

/* How PROGRAM, which is fsck.TYPE, is run on NODE so that it mends what it can without asking. ARGV
 * is ended by NULL, its strings are the arguments themselves. FORCE: even if it finds it clean.
 * PROGRESS: the number, as text, of a descriptor that is open for what check_parse_progress()
 * reads. */
#define CHECK_ARGV_MAX 7
void check_arguments(const char *type, const char *program, const char *node, bool force,
                     const char *progress, const char *argv[CHECK_ARGV_MAX]);

/* Whether what fsck.TYPE calls mended is to be proven: it is where it then ends with 0, run with
 * ARGV, which lets it write nothing. */
bool check_proving_arguments(const char *type, const char *program, const char *node,
                             const char *argv[CHECK_ARGV_MAX]);

/* Takes a line of e2fsck's progress ("PASS CURRENT MAXIMUM DEVICE"): *ret becomes how much of the
 * whole that is, in percent. False: it is not of that form. */
bool check_parse_progress(const char *line, unsigned *ret);

#define CHECK_STATUS_ERRORS_LEFT 4
/* Of a program that could not do its work, as when the device is in use. */
#define CHECK_STATUS_OPERATIONAL 8

typedef enum CheckOutcome {
        CHECK_CLEAN,
        CHECK_MENDED,      /* even if it was only the mark that it was not unmounted */
        CHECK_ERRORS_LEFT, /* which it does not mend without asking */
        CHECK_BROKEN,      /* it could not do its work */
} CheckOutcome;

/* Of an exit status as fsck(8) says it. */
CheckOutcome check_outcome(int status);

/* What the worst bit of STATUS means; never NULL. */
const char *check_status_to_string(int status);
