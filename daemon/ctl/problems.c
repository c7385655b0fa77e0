/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "macro.h"
#include "problems.h"
#include "term.h"

size_t problems_print(FILE *f, const ClientManager *m)
{
        size_t n_errors = 0;

        for (size_t i = 0; i < m->n_problems; i++) {
                const ClientProblem *p = &m->problems[i];
                bool is_error = streq(p->severity, "error");

                n_errors += is_error;
                fputs(p->file, f);
                if (p->line > 0)
                        fprintf(f, ":%" PRIu32, p->line);
                fprintf(f, ": %s: %s\n", p->severity, p->text);
        }
        return n_errors;
}
