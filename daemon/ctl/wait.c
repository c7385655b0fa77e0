/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "client-objects.h"
#include "client.h"
#include "ctl.h"
#include "macro.h"
#include "parse.h"
#include "syntax.h"
#include "term.h"
#include "text.h"

typedef struct Wait {
        Client client;
        char **names; /* none: all that are configured */
        int n_names;
        bool any; /* is enough */
        bool quiet;
        uint64_t until_usec;
        char *told; /* what is waited for, as it was said */
} Wait;

/* How it stands with all that is waited for. */
typedef struct Standing {
        unsigned n_mounted, n_waiting;
        unsigned n_given_up;        /* of those waiting: only somebody's doing would mount them */
        const ClientVolume *failed; /* the first of these */
        char *missing;              /* names of those that are waited for, NULL: none */
} Standing;

static bool is_given_up(const ClientVolume *v)
{
        return streq(v->state, "unsupported") ||
               (streq(v->state, "failed") && v->next_retry_usec == 0);
}

static int count(Standing *s, const ClientVolume *v)
{
        char *longer;

        if (streq(v->state, "mounted")) {
                s->n_mounted++;
                return 0;
        }
        if (is_given_up(v) && s->n_given_up++ == 0)
                s->failed = v;
        s->n_waiting++;
        longer = text_format("%s%s%s (%s)", s->missing ? s->missing : "", s->missing ? ", " : "",
                             v->name, v->state);
        free(s->missing);
        s->missing = longer;
        return longer ? 0 : -ENOMEM;
}

static int look(const Wait *w, const ClientState *state, Standing *s)
{
        int r = 0;

        for (int i = 0; r >= 0 && i < w->n_names; i++) {
                const ClientVolume *v;

                r = client_find(state, w->names[i], &v);
                if (r >= 0)
                        r = count(s, v);
        }
        for (size_t i = 0; r >= 0 && w->n_names == 0 && i < state->n_volumes; i++)
                r = count(s, &state->volumes[i]);
        return r;
}

static void tell(Wait *w, const char *missing)
{
        if (w->quiet || streq_ptr(w->told, missing))
                return;
        term_line(stderr, "waiting for %s", missing);
        free(w->told);
        w->told = strdup(missing);
}

/* 1 it is over, with *RET_STATUS; 0 not yet; -errno. */
static int judge(Wait *w, const Standing *s, int *ret_status)
{
        bool enough = w->any ? s->n_mounted > 0 : s->n_waiting == 0;

        if (enough || s->n_mounted + s->n_waiting == 0) {
                *ret_status = CTL_OK;
                return 1;
        }
        if (s->failed && (!w->any || s->n_given_up == s->n_waiting)) {
                term_line(stderr, "wslbarectl: '%s' is %s: %s", s->failed->name, s->failed->state,
                          s->failed->failure_message);
                *ret_status = CTL_VOLUME;
                return 1;
        }
        tell(w, s->missing);
        return 0;
}

static int look_once(Wait *w, int *ret_status)
{
        ClientState state = { 0 };
        Standing s = { 0 };
        int r = client_try_state(&w->client, &state);

        /* Not started yet, or starting again: that is a reason to wait. */
        if (r == -ESRCH) {
                tell(w, "wslbared");
                return 0;
        }
        if (r >= 0)
                r = look(w, &state, &s);
        if (r >= 0)
                r = judge(w, &s, ret_status);
        free(s.missing);
        client_state_done(&state);
        return r;
}

static int wait_for_all(Wait *w)
{
        int status, r = client_watch(&w->client);

        while (r >= 0) {
                r = look_once(w, &status);
                if (r > 0)
                        return status;
                if (r >= 0)
                        r = client_wait(&w->client, w->until_usec);
                if (r == 0) {
                        term_line(stderr, "wslbarectl: the time is up; not mounted: %s",
                                  w->told ? w->told : "all of them");
                        return CTL_TIMEOUT;
                }
        }
        return ctl_status_of(r);
}

static bool take_timeout(const char *argument, void *target)
{
        uint64_t timeout;

        if (parse_timespan(argument, &timeout) < 0) {
                fprintf(stderr,
                        "wslbarectl: --timeout=%s is not a time span; 30, 2min or infinity would "
                        "be\n",
                        argument);
                return false;
        }
        *(uint64_t *)target = timeout == USEC_INFINITY ? timeout : client_now() + timeout;
        return true;
}

int ctl_wait(int argc, char *argv[])
{
        static const SyntaxOption options[] = {
                { "timeout", 0, "TIME", take_timeout, offsetof(Wait, until_usec),
                  "Give up after TIME: 30, 2min, … (infinity)" },
                { "any", 0, NULL, syntax_take_true, offsetof(Wait, any), "One of them is enough" },
                { "quiet", 'q', NULL, syntax_take_true, offsetof(Wait, quiet),
                  "Do not say what is waited for" },
                { 0 },
        };
        static const Syntax syntax = {
                .verb = "wait",
                .words = "[NAME…]",
                .are_names = true,
                .help = "Waits until the volumes, or all that are configured, are mounted.",
                .end = "Ends with 0 when they are mounted, 3 when the time is up, 4 when one of "
                       "them failed for good,\n"
                       "5 when there is no such volume.",
                .options = options,
        };
        Wait w = { .until_usec = USEC_INFINITY };
        int r, status, first = syntax_parse(&syntax, argc, argv, &w, &status);

        if (first <= 0)
                return status;
        w.names = argv + first;
        w.n_names = argc - first;
        r = client_open(&w.client);
        status = r < 0 ? ctl_status_of(r) : wait_for_all(&w);
        client_close(&w.client);
        free(w.told);
        return status;
}
