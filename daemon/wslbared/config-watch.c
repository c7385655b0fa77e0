/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <time.h>

#include "config-watch.h"
#include "dir-watch.h"
#include "macro.h"

#define SUFFIX ".conf"

struct ConfigWatch {
        ConfigWatchChanged changed;
        void *userdata;
        sd_event_source *quiet;
        DirWatch **dirs;
        size_t n_dirs;
};

static int on_quiet(sd_event_source *s, uint64_t usec, void *userdata)
{
        ConfigWatch *w = userdata;

        w->changed(w->userdata);
        return 0;
}

/* What editors leave beside a file is none. */
static bool is_about_a_file(const char *name)
{
        size_t length = strlen(name);

        return length > strlen(SUFFIX) && streq(name + length - strlen(SUFFIX), SUFFIX);
}

static void on_changed(const char *name, void *userdata)
{
        ConfigWatch *w = userdata;

        if (name && !is_about_a_file(name))
                return;
        (void)sd_event_source_set_time_relative(w->quiet, CONFIG_WATCH_QUIET_USEC);
        (void)sd_event_source_set_enabled(w->quiet, SD_EVENT_ONESHOT);
}

static int watch_dirs(ConfigWatch *w, sd_event *event, const char *const *dirs)
{
        size_t n = 0;
        int r = 0;

        while (dirs[n])
                n++;
        w->dirs = calloc(n + 1, sizeof(*w->dirs));
        if (!w->dirs)
                return -ENOMEM;
        while (r >= 0 && w->n_dirs < n) {
                r = dir_watch_new(event, dirs[w->n_dirs], on_changed, w, &w->dirs[w->n_dirs]);
                w->n_dirs += r >= 0;
        }
        return r;
}

int config_watch_new(sd_event *event, const char *const *dirs, ConfigWatchChanged changed,
                     void *userdata, ConfigWatch **ret)
{
        ConfigWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->changed = changed;
        w->userdata = userdata;
        r = sd_event_add_time_relative(event, &w->quiet, CLOCK_MONOTONIC, 0, 0, on_quiet, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->quiet, SD_EVENT_OFF);
        if (r >= 0)
                r = watch_dirs(w, event, dirs);
        if (r < 0) {
                config_watch_free(w);
                return r;
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
        for (size_t i = 0; i < w->n_dirs; i++)
                dir_watch_free(w->dirs[i]);
        free(w->dirs);
        sd_event_source_disable_unref(w->quiet);
        free(w);
        return NULL;
}
