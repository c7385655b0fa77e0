/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "ctl.h"

int ctl_status_of(int r)
{
        switch (r) {
        case -ESRCH:
        case -ENOTCONN:
        case -ECONNRESET:
                return CTL_NO_SERVICE;
        case -ENOENT:
                return CTL_NO_VOLUME;
        case -EACCES:
        case -EPERM:
                return CTL_DENIED;
        case -ETIMEDOUT:
                return CTL_TIMEOUT;
        case -ENOMEM:
                fputs("wslbarectl: out of memory\n", stderr);
                return CTL_FAILED;
        default:
                return r < 0 ? CTL_FAILED : CTL_OK;
        }
}
