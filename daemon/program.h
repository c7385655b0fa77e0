/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

/* What the main() of both daemons has in common. */

typedef struct ProgramArguments {
        char **config_dirs; /* --config-dir=, NULL when not given */
} ProgramArguments;

/* Takes the options that both know, printing --help (HELP) and --version itself. 1: go on; 0: that
 * was all; -errno, said. */
int program_parse_arguments(int argc, char *argv[], const char *help, ProgramArguments *ret);
void program_arguments_done(ProgramArguments *a);

/* A loop that ends on SIGTERM and SIGINT and keeps the watchdog quiet. SIGNALS, ended by 0, are
 * blocked as well. */
int program_new_event(const int *signals, sd_event **ret);
