/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <stdlib.h>

#include "log.h"
#include "macro.h"
#include "manager.h"
#include "notify.h"
#include "program.h"
#include "shared.h"

static const char help[] =
        "wslbared [OPTIONS…]\n\n"
        "Mounts the block devices that the files in /etc/wslbare.d describe when they appear.\n\n"
        "  -h --help              Show this help\n"
        "     --version           Show the version\n"
        "     --config-dir=DIR    Read volumes from DIR instead; may be given again, the first "
        "wins\n"
        "     --log-level=LEVEL   debug, info (the default), notice, warning, err, …\n\n"
        "See wslbared(8) and wslbare.d(5).\n";

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        manager_reload(userdata);
        return 0;
}

static int run(const ProgramArguments *arguments)
{
        _cleanup_free_ char *shared = NULL;
        ManagerOptions options = {
                .config.dirs = arguments->config_dirs ? (const char *const *)arguments->config_dirs
                                                      : config_default_dirs,
                .records = RECORD_DIRECTORY,
                .flags = RECORD_FLAG_DIRECTORY,
        };
        static const int signals[] = { SIGHUP, 0 };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        int r = program_new_event(signals, &event);

        if (r >= 0)
                r = shared_find(SHARED_WSL_CONF, &shared);
        options.shared = shared;
        if (r >= 0)
                r = manager_new(event, &options, &m);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, m);
        if (r >= 0)
                r = manager_start(m);
        if (r < 0)
                return log_error(r, "Cannot start: %s", strerror(-r));
        r = sd_event_loop(event);
        manager_stop(m);
        return r < 0 ? log_error(r, "The event loop failed: %s", strerror(-r)) : 0;
}

int main(int argc, char *argv[])
{
        ProgramArguments arguments = { 0 };
        int r = program_parse_arguments(argc, argv, help, &arguments);

        if (r > 0)
                r = run(&arguments);
        if (r < 0)
                notify_error(r);
        program_arguments_done(&arguments);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
