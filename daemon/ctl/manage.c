/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "agent.h"
#include "client.h"
#include "ctl.h"
#include "macro.h"
#include "problems.h"
#include "syntax.h"

typedef struct Management {
        Syntax syntax;
        const char *method;
} Management;

static const Management managements[] = {
        { { .verb = "reload",
            .help = "Loads the configuration again, and says what is wrong with it. It is loaded "
                    "anyway\n"
                    "when a file was changed; this waits for it." },
          "Reload" },
        { { .verb = "rescan",
            .help = "Looks at all devices again, and gives volumes that failed their attempts "
                    "back." },
          "Rescan" },
};

static int manage(const Management *m)
{
        Client client = { 0 };
        pid_t agent;
        int r = client_open(&client), status;

        if (r < 0)
                return ctl_status_of(r);
        agent = agent_start(&client);
        r = client_call_manager(&client, m->syntax.verb, m->method);
        status = ctl_status_of(r);
        if (r >= 0 && streq(m->syntax.verb, "reload"))
                status = problems_tell(&client, 0);
        client_close(&client);
        agent_stop(agent);
        return status;
}

int ctl_manage(int argc, char *argv[])
{
        const Management *m = managements;
        int status;

        while (!streq(m->syntax.verb, argv[0]))
                m++;
        return syntax_parse(&m->syntax, argc, argv, NULL, &status) > 0 ? manage(m) : status;
}
