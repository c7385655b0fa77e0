/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdio.h>

#include "config-problems.h"
#include "macro.h"
#include "text.h"

static void problem_done(ConfigProblem *problem)
{
        free(problem->file);
        free(problem->text);
        *problem = (ConfigProblem){};
}

/* Takes what PROBLEM owns. */
static int insert(ConfigProblems *p, const ConfigProblem *problem)
{
        size_t at = p->n;

        if ((p->n & (p->n - 1)) == 0) { /* full: the room is always a power of two */
                ConfigProblem *grown =
                        reallocarray(p->items, p->n > 0 ? 2 * p->n : 1, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                p->items = grown;
        }
        while (at > 0 && p->items[at - 1].line > problem->line &&
               streq(p->items[at - 1].file, problem->file)) {
                p->items[at] = p->items[at - 1];
                at--;
        }
        p->items[at] = *problem;
        p->n++;
        return 0;
}

int config_problems_add(ConfigProblems *p, const char *file, unsigned line,
                        ProblemSeverity severity, const char *format, ...)
{
        _cleanup_(problem_done) ConfigProblem problem = { .line = line, .severity = severity };
        _cleanup_free_ char *raw = NULL;
        va_list ap;
        int r, n;

        va_start(ap, format);
        n = vasprintf(&raw, format, ap);
        va_end(ap);
        if (n < 0) {
                raw = NULL; /* undefined after a failure */
                return -ENOMEM;
        }

        problem.file = text_escape(file, strlen(file));
        problem.text = text_escape(raw, (size_t)n);
        if (!problem.file || !problem.text)
                return -ENOMEM;
        r = insert(p, &problem);
        if (r < 0)
                return r;
        problem = (ConfigProblem){};
        return 0;
}

const ConfigProblem *config_problems_first_error(const ConfigProblems *p, size_t from)
{
        for (size_t i = from; i < p->n; i++)
                if (p->items[i].severity == PROBLEM_ERROR)
                        return &p->items[i];
        return NULL;
}

char *config_problem_to_string(const ConfigProblem *problem)
{
        if (problem->line == 0)
                return text_format("%s: %s", problem->file, problem->text);
        return text_format("%s:%u: %s", problem->file, problem->line, problem->text);
}

void config_problems_done(ConfigProblems *p)
{
        for (size_t i = 0; i < p->n; i++)
                problem_done(&p->items[i]);
        free(p->items);
        *p = (ConfigProblems){};
}
