/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "macro.h"
#include "notify.h"

void notify_status(const char *status)
{
        (void)sd_notifyf(false, "STATUS=%s", status);
}

void notify_ready(const char *status)
{
        /* In a message of its own: it is not to go under with a status that is too long. */
        (void)sd_notify(false, "READY=1");
        notify_status(status);
}

void notify_reloading(void)
{
        struct timespec now;

        /* systemd tells by the time whether an answer is to this reload, and hangs without. */
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading",
                         (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000);
}

void notify_stopping(void)
{
        (void)sd_notify(false, "STOPPING=1\nSTATUS=Stopping; mounts stay");
}

void notify_error(int error)
{
        (void)sd_notifyf(false, "ERRNO=%d", error < 0 ? -error : error);
}
