/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "ctl.h"
#include "macro.h"
#include "problems.h"
#include "term.h"

static bool is_error(const ClientProblem *p)
{
        return streq(p->severity, "error");
}

size_t problems_count_errors(const ClientManager *m)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_problems; i++)
                n += is_error(&m->problems[i]);
        return n;
}

void problems_print(FILE *f, const ClientManager *m)
{
        for (size_t i = 0; i < m->n_problems; i++) {
                const ClientProblem *p = &m->problems[i];

                if (p->line > 0)
                        term_line(f, "%s:%" PRIu32 ": %s: %s", p->file, p->line, p->severity,
                                  p->text);
                else
                        term_line(f, "%s: %s: %s", p->file, p->severity, p->text);
        }
}

int problems_tell(Client *c, size_t n_known)
{
        ClientManager manager = { 0 };
        int r = client_get_manager(c, &manager);
        bool is_worse = problems_count_errors(&manager) > n_known;

        problems_print(stderr, &manager);
        client_manager_done(&manager);
        return r < 0 ? ctl_status_of(r) : is_worse ? CTL_FAILED : CTL_OK;
}
