/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>

#include "ctl.h"
#include "macro.h"

typedef struct Verb {
        const char *name;
        const char *arguments;
        const char *help;
        int (*run)(int argc, char *argv[]);
} Verb;

static const Verb verbs[] = {
        { "wait", "[NAME…]", "wait until volumes are mounted", ctl_wait },
};

static int print_help(FILE *f)
{
        fputs("wslbarectl [OPTIONS…] VERB …\n\nVerbs:\n", f);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                fprintf(f, "  %-8s %-22s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
        return fputs("\nOptions:\n"
                     "  -h --help     Show this help; after a verb, the verb's\n"
                     "     --version  Show the version\n\n"
                     "See wslbarectl(1).\n",
                     f) < 0
                       ? CTL_FAILED
                       : CTL_OK;
}

int ctl_status_of(int r)
{
        switch (r) {
        case -ESRCH:
                return CTL_NO_SERVICE;
        case -ENOENT:
                return CTL_NO_VOLUME;
        case -EACCES:
        case -EPERM:
                return CTL_DENIED;
        case -ETIMEDOUT:
                return CTL_TIMEOUT;
        default:
                return r < 0 ? CTL_FAILED : CTL_OK;
        }
}

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

        (void)setlocale(LC_ALL, ""); /* for what a terminal can show */
        /* + leaves what comes after the verb to the verb. */
        while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        return print_help(stdout);
                case 'V':
                        return puts("wslbare " WSLBARE_VERSION) < 0 ? CTL_FAILED : CTL_OK;
                default:
                        return CTL_USAGE;
                }
        if (optind >= argc) {
                (void)print_help(stderr);
                return CTL_USAGE;
        }
        return run_verb(argc - optind, argv + optind);
}
