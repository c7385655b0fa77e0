/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <getopt.h>
#include <stdio.h>

#include "ctl.h"
#include "macro.h"

typedef struct Verb {
        const char *name;
        int (*run)(int argc, char *argv[]);
} Verb;

static const Verb verbs[] = {
        { "wait", ctl_wait },
};

static const char help[] = "wslbarectl [OPTIONS…] VERB …\n\n"
                           "Verbs:\n"
                           "  wait [--timeout=TIME] NAME…   Wait until the volumes are mounted\n\n"
                           "Options:\n"
                           "  -h --help     Show this help\n"
                           "     --version  Show the version\n\n"
                           "See wslbarectl(1).\n";

static int run_verb(int argc, char *argv[])
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, argv[0]))
                        return verbs[i].run(argc, argv);
        fprintf(stderr, "wslbarectl: there is no verb '%s'; see --help\n", argv[0]);
        return CTL_USAGE;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { 0 },
        };
        int c;

        /* + leaves what comes after the verb to the verb. */
        while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        return fputs(help, stdout) < 0 ? CTL_FAILED : CTL_OK;
                case 'V':
                        return puts("wslbare " WSLBARE_VERSION) < 0 ? CTL_FAILED : CTL_OK;
                default:
                        return CTL_USAGE;
                }
        if (optind >= argc) {
                fputs(help, stderr);
                return CTL_USAGE;
        }
        return run_verb(argc - optind, argv + optind);
}
