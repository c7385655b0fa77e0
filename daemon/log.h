/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <syslog.h>

/* The journal, with the volume and device as fields, or standard error where that is not the
 * journal. */

/* What a message is about; NULL where it is about none. */
typedef struct LogContext {
        const char *volume; /* field WSLBARE_VOLUME= */
        const char *device; /* field WSLBARE_DEVICE= */
} LogContext;

/* Messages above LEVEL (LOG_ERR, …) are dropped from now on; LOG_INFO at first. */
void log_set_level(int level);
/* "debug", "info", "notice", "warning", "err", or 0 to 7: 0, -EINVAL. */
int log_level_from_string(const char *s, int *ret);

/* Returns -ERROR, for `return log_error(…)`; ERROR, positive or negative or 0, goes into the field
 * ERRNO=. */
int log_full(int level, int error, const LogContext *about, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#define log_debug(...) (void)log_full(LOG_DEBUG, 0, NULL, __VA_ARGS__)
#define log_info(...) (void)log_full(LOG_INFO, 0, NULL, __VA_ARGS__)
#define log_notice(...) (void)log_full(LOG_NOTICE, 0, NULL, __VA_ARGS__)
#define log_warning(...) (void)log_full(LOG_WARNING, 0, NULL, __VA_ARGS__)
#define log_error(error, ...) log_full(LOG_ERR, error, NULL, __VA_ARGS__)
#define log_oom() log_error(ENOMEM, "Out of memory")
