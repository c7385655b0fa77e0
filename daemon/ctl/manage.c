/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "agent.h"
#include "client.h"
#include "ctl.h"
#include "macro.h"
#include "problems.h"

typedef struct Management {
        const char *verb, *method, *help;
} Management;

static const Management managements[] = {
        { "reload", "Reload",
          "Loads the configuration again, and says what is wrong with it. It is loaded anyway\n"
          "when a file was changed; this waits for it." },
        { "rescan", "Rescan",
          "Looks at all devices again, and gives volumes that failed their attempts back." },
};

static int manage(const Management *m)
{
        Client client = { 0 };
        pid_t agent;
        int r, status;

        if (client_open(&client) < 0)
                return CTL_FAILED;
        agent = agent_start(&client);
        r = client_call_manager(&client, m->verb, m->method);
        status = ctl_status_of(r);
        if (r >= 0 && streq(m->verb, "reload"))
                status = problems_tell(&client, 0);
        client_close(&client);
        agent_stop(agent);
        return status;
}

int ctl_manage(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const Management *m = managements;

        while (!streq(m->verb, argv[0]))
                m++;
        optind = 0; /* the verb's own arguments: getopt begins anew */
        switch (getopt_long(argc, argv, "h", options, NULL)) {
        case -1:
                break;
        case 'h':
                printf("wslbarectl %s\n\n%s\n\n  -h --help  Show this help\n", m->verb, m->help);
                return CTL_OK;
        default:
                return CTL_USAGE;
        }
        if (optind < argc) {
                fprintf(stderr, "wslbarectl: %s takes no arguments\n", m->verb);
                return CTL_USAGE;
        }
        return manage(m);
}
