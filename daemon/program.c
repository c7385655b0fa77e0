/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "log.h"
#include "macro.h"
#include "program.h"
#include "text.h"

void program_arguments_done(ProgramArguments *a)
{
        a->config_dirs = strv_free(a->config_dirs);
}

static int set_log_level(const char *s)
{
        int level;

        if (log_level_from_string(s, &level) < 0)
                return log_error(EINVAL,
                                 "--log-level=%s is not a level; emerg, alert, crit, err, warning, "
                                 "notice, info, debug or 0 to 7 would be",
                                 s);
        log_set_level(level);
        return 1;
}

static int add_config_dir(ProgramArguments *a, const char *dir)
{
        if (dir[0] != '/')
                return log_error(EINVAL, "--config-dir=%s is not an absolute path", dir);
        return strv_push(&a->config_dirs, dir) < 0 ? log_oom() : 1;
}

int program_parse_arguments(int argc, char *argv[], const char *help, ProgramArguments *ret)
{
        enum {
                ARG_VERSION = 256,
                ARG_CONFIG_DIR,
                ARG_LOG_LEVEL
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "config-dir", required_argument, NULL, ARG_CONFIG_DIR },
                { "log-level", required_argument, NULL, ARG_LOG_LEVEL },
                { 0 },
        };
        int c, r = 1;

        while (r > 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        return fputs(help, stdout) < 0 ? -EIO : 0;
                case ARG_VERSION:
                        return puts("wslbare " WSLBARE_VERSION) < 0 ? -EIO : 0;
                case ARG_CONFIG_DIR:
                        r = add_config_dir(ret, optarg);
                        break;
                case ARG_LOG_LEVEL:
                        r = set_log_level(optarg);
                        break;
                default:
                        return -EINVAL; /* getopt has said it */
                }
        if (r > 0 && optind < argc)
                return log_error(EINVAL, "%s: no arguments are expected; see --help", argv[optind]);
        return r;
}

int program_new_event(const int *signals, sd_event **ret)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t mask;
        int r = sd_event_default(&event);

        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGTERM);
        (void)sigaddset(&mask, SIGINT);
        for (; *signals; signals++)
                (void)sigaddset(&mask, *signals);
        if (r >= 0 && sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r >= 0)
                *ret = TAKE_PTR(event);
        return r;
}
