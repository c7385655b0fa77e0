/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* wslbarectl: one file a verb. Each takes its own arguments, argv[0] being the verb, and returns
 * the exit status. */

enum {
        CTL_OK = 0,
        CTL_FAILED = 1, /* said on standard error */
        CTL_USAGE = 2,
        CTL_TIMEOUT = 3, /* of wait */
};

int ctl_wait(int argc, char *argv[]);
