/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/inotify.h>

#include "dir-watch.h"
#include "log.h"
#include "macro.h"

#define DIRECTORY_CHANGES                                                                   \
        (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_CHANGES \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)

struct DirWatch {
        sd_event *event;
        const char *dir;
        DirWatchChanged changed;
        void *userdata;
        sd_event_source *itself;
        sd_event_source *above;
        char *next; /* the name to come, or to go, in the directory above that is watched */
};

static void look(DirWatch *w);

static int on_itself(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        DirWatch *w = userdata;

        w->changed(e->len > 0 ? e->name : NULL, w->userdata);
        if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
                look(w);
        return 0;
}

static int on_above(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        DirWatch *w = userdata;

        if (e->len > 0 && !streq(e->name, w->next))
                return 0; /* a neighbour */
        look(w);
        w->changed(NULL, w->userdata);
        return 0;
}

/* The lowest directory above ->dir that is there, with the name that is looked for in it. */
static int watch_above(DirWatch *w)
{
        _cleanup_free_ char *path = strdup(w->dir);

        if (!path)
                return -ENOMEM;
        for (;;) {
                char *slash = strrchr(path, '/');
                int r;

                if (!slash)
                        return -ENOENT;
                free(w->next);
                w->next = strdup(slash + 1);
                if (!w->next)
                        return -ENOMEM;
                *slash = '\0';
                r = sd_event_add_inotify(w->event, &w->above, path[0] ? path : "/", PARENT_CHANGES,
                                         on_above, w);
                if (r != -ENOENT)
                        return r;
        }
}

/* What was watched may have been replaced, so all is set up anew: first above, then itself, so that
 * what comes between is not missed. */
static void look(DirWatch *w)
{
        int r;

        w->above = sd_event_source_disable_unref(w->above);
        w->itself = sd_event_source_disable_unref(w->itself);
        r = watch_above(w);
        if (r >= 0)
                r = sd_event_add_inotify(w->event, &w->itself, w->dir, DIRECTORY_CHANGES, on_itself,
                                         w);
        if (r < 0 && r != -ENOENT)
                (void)log_error(r, "Cannot watch %s: %s; what changes there is not noticed", w->dir,
                                strerror(-r));
}

int dir_watch_new(sd_event *event, const char *dir, DirWatchChanged changed, void *userdata,
                  DirWatch **ret)
{
        DirWatch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->dir = dir;
        w->changed = changed;
        w->userdata = userdata;
        look(w);
        *ret = w;
        return 0;
}

DirWatch *dir_watch_free(DirWatch *w)
{
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->itself);
        sd_event_source_disable_unref(w->above);
        sd_event_unref(w->event);
        free(w->next);
        free(w);
        return NULL;
}
