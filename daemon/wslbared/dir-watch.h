/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

/* Watches a directory that may come, go, or be a link that is turned (as on NixOS): while it is not
 * there, the lowest directory above it that is. */

typedef struct DirWatch DirWatch;

/* NAME: the entry that came, went or was changed; NULL: the directory itself did. What one of a
 * crowd of changes says is not all that happened: look. */
typedef void (*DirWatchChanged)(const char *name, void *userdata);

/* DIR, an absolute path, must live as long. Where watching is refused, that is said, and it is not
 * watched. 0, -ENOMEM. */
int dir_watch_new(sd_event *event, const char *dir, DirWatchChanged changed, void *userdata,
                  DirWatch **ret);
DirWatch *dir_watch_free(DirWatch *w);
