/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* wslbarectl: one file a verb. Each takes its own arguments, argv[0] being the verb, and returns
 * the exit status. What is not CTL_OK was said: on standard error why it could not be done, and on
 * standard output what was found where that is what was asked for: by status (CTL_VOLUME), verify
 * and doctor (CTL_FAILED), and by adopt of a blank disk (CTL_FAILED). */

enum {
        CTL_OK = 0,
        CTL_FAILED = 1,     /* for a reason that has no number of its own */
        CTL_USAGE = 2,      /* the arguments make no sense */
        CTL_TIMEOUT = 3,    /* the time that was given is up */
        CTL_VOLUME = 4,     /* a volume is, or became, not as wanted: failed, busy, taken, … */
        CTL_NO_VOLUME = 5,  /* there is no volume of that name */
        CTL_NO_SERVICE = 6, /* wslbared does not run, or cannot be reached */
        CTL_DENIED = 7,     /* only others may do that */
};

/* The exit status that says as much as the -errno of a client function, which said the rest;
 * -ENOMEM is said here. */
int ctl_status_of(int r);

int ctl_act(int argc, char *argv[]);
int ctl_adopt(int argc, char *argv[]);
int ctl_bench(int argc, char *argv[]);
int ctl_devices(int argc, char *argv[]);
int ctl_doctor(int argc, char *argv[]);
int ctl_list(int argc, char *argv[]);
int ctl_manage(int argc, char *argv[]);
int ctl_show(int argc, char *argv[]);
int ctl_status(int argc, char *argv[]);
int ctl_verify(int argc, char *argv[]);
int ctl_wait(int argc, char *argv[]);
