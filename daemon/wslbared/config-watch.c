/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/inotify.h>
#include <time.h>

#include "config-watch.h"
#include "log.h"
#include "macro.h"
#include "text.h"

#define SUFFIX ".conf"
#define DIRECTORY_CHANGES                                                                   \
        (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_CHANGES \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)

/* A configuration directory, and what is above it: it may come, go, or be a link that is turned (as
 * on NixOS). */
typedef struct Watched {
        ConfigWatch *watch;
        const char *dir;
        sd_event_source *itself;
        sd_event_source *above;
        char *next; /* the name to come, or to go, in the directory above that is watched */
} Watched;

struct ConfigWatch {
        sd_event *event;
        ConfigWatchChanged changed;
        void *userdata;
        sd_event_source *quiet;
        Watched *dirs;
        size_t n_dirs;
};

static int on_quiet(sd_event_source *s, uint64_t usec, void *userdata)
{
        ConfigWatch *w = userdata;

        w->changed(w->userdata);
        return 0;
}

static void note_change(ConfigWatch *w)
{
        (void)sd_event_source_set_time_relative(w->quiet, CONFIG_WATCH_QUIET_USEC);
        (void)sd_event_source_set_enabled(w->quiet, SD_EVENT_ONESHOT);
}

static void look(Watched *d);

/* What editors leave beside a file is none. */
static bool is_about_a_file(const struct inotify_event *e)
{
        size_t length = e->len > 0 ? strlen(e->name) : 0;

        return length > strlen(SUFFIX) && streq(e->name + length - strlen(SUFFIX), SUFFIX);
}

static int on_itself(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        Watched *d = userdata;

        if (e->len > 0 && !is_about_a_file(e))
                return 0;
        note_change(d->watch);
        if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
                look(d);
        return 0;
}

static int on_above(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        Watched *d = userdata;

        if (e->len > 0 && !streq(e->name, d->next))
                return 0; /* a neighbour */
        note_change(d->watch);
        look(d);
        return 0;
}

/* The lowest directory above ->dir that is there, with the name that is looked for in it. */
static int watch_above(Watched *d)
{
        _cleanup_free_ char *path = strdup(d->dir);

        if (!path)
                return -ENOMEM;
        for (;;) {
                char *slash = strrchr(path, '/');
                int r;

                if (!slash)
                        return -ENOENT;
                free(d->next);
                d->next = strdup(slash + 1);
                if (!d->next)
                        return -ENOMEM;
                *slash = '\0';
                r = sd_event_add_inotify(d->watch->event, &d->above, path[0] ? path : "/",
                                         PARENT_CHANGES, on_above, d);
                if (r != -ENOENT)
                        return r;
        }
}

/* What was watched may have been replaced, so all is set up anew: first above, then itself, so that
 * what comes between is not missed. */
static void look(Watched *d)
{
        int r;

        d->above = sd_event_source_disable_unref(d->above);
        d->itself = sd_event_source_disable_unref(d->itself);
        r = watch_above(d);
        if (r >= 0)
                r = sd_event_add_inotify(d->watch->event, &d->itself, d->dir, DIRECTORY_CHANGES,
                                         on_itself, d);
        if (r < 0 && r != -ENOENT)
                (void)log_error(r, "Cannot watch %s: %s; reload after changing it", d->dir,
                                strerror(-r));
}

int config_watch_new(sd_event *event, const char *const *dirs, ConfigWatchChanged changed,
                     void *userdata, ConfigWatch **ret)
{
        ConfigWatch *w = calloc(1, sizeof(*w));
        size_t n = 0;
        int r;

        if (!w)
                return -ENOMEM;
        while (dirs[n])
                n++;
        w->event = sd_event_ref(event);
        w->changed = changed;
        w->userdata = userdata;
        w->dirs = calloc(n + 1, sizeof(*w->dirs));
        r = w->dirs ? sd_event_add_time_relative(event, &w->quiet, CLOCK_MONOTONIC, 0, 0, on_quiet,
                                                 w)
                    : -ENOMEM;
        if (r >= 0)
                r = sd_event_source_set_enabled(w->quiet, SD_EVENT_OFF);
        if (r < 0) {
                config_watch_free(w);
                return r;
        }
        for (w->n_dirs = 0; w->n_dirs < n; w->n_dirs++) {
                w->dirs[w->n_dirs] = (Watched){ .watch = w, .dir = dirs[w->n_dirs] };
                look(&w->dirs[w->n_dirs]);
        }
        *ret = w;
        return 0;
}

void config_watch_forget(ConfigWatch *w)
{
        (void)sd_event_source_set_enabled(w->quiet, SD_EVENT_OFF);
}

ConfigWatch *config_watch_free(ConfigWatch *w)
{
        if (!w)
                return NULL;
        for (size_t i = 0; i < w->n_dirs; i++) {
                sd_event_source_disable_unref(w->dirs[i].itself);
                sd_event_source_disable_unref(w->dirs[i].above);
                free(w->dirs[i].next);
        }
        free(w->dirs);
        sd_event_source_disable_unref(w->quiet);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}
