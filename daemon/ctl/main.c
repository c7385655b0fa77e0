/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "ctl.h"
#include "macro.h"
#include "term.h"

typedef struct Verb {
        const char *name;
        const char *arguments;
        const char *help;
        int (*run)(int argc, char *argv[]);
} Verb;

static const Verb verbs[] = {
        { "status", "[NAME…]", "show volumes, or all about some of them (default)", ctl_status },
        { "list", "[NAME…]", "list volumes, for programs", ctl_list },
        { "devices", "[NODE…]", "show block devices, and why none of the volumes fits",
          ctl_devices },
        { "mount", "NAME…", "mount volumes", ctl_act },
        { "unmount", "NAME…", "unmount them; also umount", ctl_act },
        { "umount", NULL, NULL, ctl_act },
        { "eject", "NAME…", "unmount them, and let go of their disks", ctl_act },
        { "reload", "", "load the configuration again", ctl_manage },
        { "rescan", "", "look at all devices again", ctl_manage },
        { "adopt", "DEVICE", "write a configuration file for what is on a device", ctl_adopt },
        { "show", "NAME", "show the configuration of a volume, and what would be done now",
          ctl_show },
        { "verify", "[FILE…]", "say what is wrong with configuration files", ctl_verify },
        { "doctor", "", "examine the system, and say what must be mended", ctl_doctor },
        { "bench", "[PATH…]", "measure volumes beside the root filesystem", ctl_bench },
        { "wait", "[NAME…]", "wait until volumes are mounted", ctl_wait },
};

/* For printf(), which counts bytes: WIDTH columns, as many as S has letters at least. */
static int bytes_for(const char *s, int width)
{
        for (; *s; s++)
                width += (*s & 0xc0) == 0x80;
        return width;
}

static int print_help(void)
{
        fputs("wslbarectl [VERB] [OPTIONS…] …\n\nVerbs:\n", stdout);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (verbs[i].help)
                        printf("  %-8s %-*s %s\n", verbs[i].name, bytes_for(verbs[i].arguments, 8),
                               verbs[i].arguments, verbs[i].help);
        return fputs("\nOptions:\n"
                     "  -h --help     Show this help; after a verb, the verb's\n"
                     "     --version  Show the version\n\n"
                     "See wslbarectl(1).\n",
                     stdout) < 0
                       ? CTL_FAILED
                       : CTL_OK;
}

static int run_verb(int argc, char *argv[])
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, argv[0]))
                        return verbs[i].run(argc, argv);
        term_line(stderr, "wslbarectl: there is no verb '%s'; see --help", argv[0]);
        return CTL_USAGE;
}

int main(int argc, char *argv[])
{
        const char *first = argc > 1 ? argv[1] : "";

        term_use_locale();
        if (streq(first, "-h") || streq(first, "--help"))
                return print_help();
        if (streq(first, "--version"))
                return puts("wslbare " WSLBARE_VERSION) < 0 ? CTL_FAILED : CTL_OK;
        /* Options without a verb are those of the first one. */
        if (argc < 2 || *first == '-')
                return verbs[0].run(argc, argv);
        return run_verb(argc - 1, argv + 1);
}
