/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

/* Dropping a file is enough: watches the configuration directories, and says so once half a second
 * after the last change. Directories that are not there yet are waited for. */

#define CONFIG_WATCH_QUIET_USEC (500 * USEC_PER_MSEC)

typedef struct ConfigWatch ConfigWatch;
typedef void (*ConfigWatchChanged)(void *userdata);

/* DIRS ends with NULL and must live as long. What cannot be watched is not, which is said. */
int config_watch_new(sd_event *event, const char *const *dirs, ConfigWatchChanged changed,
                     void *userdata, ConfigWatch **ret);
/* All changes so far are in force: whoever waited for them to end need not be told. */
void config_watch_forget(ConfigWatch *w);
ConfigWatch *config_watch_free(ConfigWatch *w);
