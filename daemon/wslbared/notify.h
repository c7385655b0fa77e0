/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What systemd is told, sd_notify(3). */

/* Each with the status line of this moment. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *status);
/* Before a failing exit. ERROR: an errno of either sign. */
void notify_error(int error);
