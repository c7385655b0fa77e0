/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "client-objects.h"
#include "ctl.h"
#include "detail.h"
#include "health.h"
#include "hint.h"
#include "journal.h"
#include "macro.h"
#include "parse.h"
#include "problems.h"
#include "syntax.h"
#include "volumes.h"

#define LINES_MAX 1000U

typedef struct Status {
        TableOptions table;
        Client client;
        unsigned n_lines; /* of the journal */
        bool watch;
        char **names;
        int n_names;
        ClientManager manager;
        ClientState state;
        const ClientVolume **volumes; /* those that are asked for */
        size_t n_volumes;
} Status;

/* What a table has no room for. */
static int print_notes(Status *s)
{
        const ClientManager *m = &s->manager;

        if (s->n_volumes == 0)
                puts("No volumes are configured; a file /etc/wslbare.d/NAME.conf makes one, see "
                     "wslbare.d(5).");
        for (size_t i = 0; i < s->n_volumes; i++)
                detail_print_trouble(s->volumes[i]);
        problems_print(stdout, m);
        if (streq(m->state, "starting") || streq(m->state, "stopping"))
                printf("wslbared is %s.\n", m->state);
        return hint_print(&s->client, s->volumes, s->n_volumes);
}

static int print_overview(Status *s)
{
        int r = volumes_print(s->volumes, s->n_volumes, &s->table);

        if (r >= 0 && !s->table.json && !s->table.no_legend)
                r = print_notes(s);
        return r;
}

static int print_details(const Status *s)
{
        _cleanup_free_ Space *spaces = volumes_measure(s->volumes, s->n_volumes);

        for (size_t i = 0; spaces && i < s->n_volumes; i++) {
                if (i > 0)
                        putchar('\n');
                detail_print(s->volumes[i], &spaces[i]);
                if (s->n_lines > 0)
                        putchar('\n');
                journal_print(s->volumes[i]->name, s->n_lines);
        }
        return spaces ? 0 : -ENOMEM;
}

/* A table is what was asked for where there are no names, and by an option that only tables have.
 */
static int print(Status *s)
{
        bool is_table = s->n_names == 0 || s->table.json || s->table.no_legend || s->table.output;

        return is_table ? print_overview(s) : print_details(s);
}

/* Of volumes that were named, one that needs somebody's help is told by the exit status. */
static int judge(const Status *s)
{
        for (size_t i = 0; s->n_names > 0 && i < s->n_volumes; i++)
                if (health_of(s->volumes[i]) >= HEALTH_ODD)
                        return CTL_VOLUME;
        return CTL_OK;
}

static int show(Status *s)
{
        int r = client_get_state(&s->client, &s->state), status;

        if (r >= 0)
                r = client_get_manager(&s->client, &s->manager);
        if (r >= 0)
                r = client_select(&s->state, s->names, s->n_names, &s->volumes, &s->n_volumes);
        if (r >= 0)
                r = print(s);
        status = r < 0 ? (r == -EINVAL ? CTL_USAGE : ctl_status_of(r)) : judge(s);
        free(TAKE_PTR(s->volumes));
        client_state_done(&s->state);
        client_manager_done(&s->manager);
        return status;
}

/* Whether there is a point in waiting for what comes: wslbared may be back, and a volume configured
 * again, or its file mended. */
static bool goes_on(int status, bool is_first)
{
        if (status == CTL_NO_SERVICE || status == CTL_NO_VOLUME || status == CTL_FAILED)
                return !is_first;
        return status == CTL_OK || status == CTL_VOLUME;
}

/* Ends only by a signal, or when it cannot be shown any more. A terminal shows how it is now, and
 * how long it has been so; elsewhere each change is printed behind the last one. */
static int watch(Status *s)
{
        bool is_terminal = isatty(STDOUT_FILENO), is_first = true;
        int r = client_watch(&s->client);

        (void)setvbuf(stdout, NULL, _IOFBF, BUFSIZ); /* all at once, so that it does not flicker */
        for (; r >= 0; is_first = false) {
                int status;

                if (is_terminal)
                        fputs("\x1b[H\x1b[2J", stdout);
                status = show(s);
                if (fflush(stdout) != 0 || !goes_on(status, is_first))
                        return status;
                r = client_wait(&s->client,
                                is_terminal ? client_now() + USEC_PER_SEC : USEC_INFINITY);
        }
        return ctl_status_of(r);
}

static int run(Status *s)
{
        int r = client_open(&s->client), status;

        if (r < 0)
                return ctl_status_of(r);
        status = s->watch ? watch(s) : show(s);
        client_close(&s->client);
        return status;
}

static bool take_lines(const char *argument, void *target)
{
        if (parse_unsigned(argument, 0, LINES_MAX, target) >= 0)
                return true;
        fprintf(stderr, "wslbarectl: --lines=%s is not a number from 0 to %u\n", argument,
                LINES_MAX);
        return false;
}

int ctl_status(int argc, char *argv[])
{
        static const SyntaxOption options[] = {
                { "watch", 'w', NULL, syntax_take_true, offsetof(Status, watch),
                  "Show it again whenever something changes" },
                { "lines", 'n', "N", take_lines, offsetof(Status, n_lines),
                  "Lines of the journal behind a volume that is named (10)" },
                { 0 },
        };
        static const Syntax syntax = {
                .verb = "[status]",
                .words = "[NAME…]",
                .are_names = true,
                .help = "Shows the volumes that are configured, or all about some of them.",
                .end = "Ends with 4 when a volume that is named needs somebody's help, 5 when "
                       "there is no such volume.",
                .options = options,
                .columns = volumes_columns,
                .table = offsetof(Status, table),
        };
        Status s = { .n_lines = 10 };
        int status, first = syntax_parse(&syntax, argc, argv, &s, &status);

        if (first <= 0)
                return status;
        s.names = argv + first;
        s.n_names = argc - first;
        return run(&s);
}
