/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <termios.h>

#include "agent.h"
#include "call.h"
#include "client-objects.h"
#include "ctl.h"
#include "macro.h"
#include "no-volume.h"
#include "syntax.h"
#include "term.h"
#include "text.h"

#define PROGRESS_AFTER_USEC (300 * USEC_PER_MSEC)

typedef struct Act {
        const char *verb, *method;
        const char *is_so; /* the error that says that nothing is to be done */
        const SyntaxOption *options;
        const char *help;
} Act;

typedef struct Doing {
        const Act *act;
        CallOptions options;
        Client client;
        char **names;
        int n_names;
        Call *calls;
        bool shows_progress;
        bool is_shown;
} Doing;

static const SyntaxOption with_lazy[] = {
        { "lazy", 'l', NULL, syntax_take_true, offsetof(Doing, options.lazy),
          "Take it from the mount point although somebody uses it" },
        { "no-block", 0, NULL, syntax_take_true, offsetof(Doing, options.no_block),
          "Do not wait until it is done" },
        { 0 },
};
#define USUAL &with_lazy[1]

static const Act acts[] = {
        { "mount", "Mount", "AlreadyMounted", USUAL, "Mounts volumes, if they are not." },
        { "unmount", "Unmount", "NotMounted", with_lazy,
          "Stops what needs volumes, and unmounts them, if they are mounted." },
        { "umount", "Unmount", "NotMounted", with_lazy, "The same as unmount." },
        { "eject", "Eject", NULL, USUAL,
          "Unmounts volumes and takes their disks from the kernel, so that Windows may have them "
          "back." },
};

/* Progress, on a terminal. */

static void clear_progress(Doing *d)
{
        if (d->is_shown)
                fputs("\r\x1b[K", stderr);
        d->is_shown = false;
}

static char *list_pending(const Doing *d, const ClientState *state)
{
        _cleanup_(strv_freep) char **words = NULL;

        for (int i = 0; i < d->n_names; i++) {
                const ClientVolume *v = client_try_find(state, d->names[i]);

                if (d->calls[i].is_done)
                        continue;
                if (strv_take(&words,
                              text_format("%s (%s)", d->names[i], v ? v->state : "waiting")) < 0)
                        return NULL;
        }
        return strv_join(words, ", ");
}

/* Somebody is asked for a password: the line is not ours. */
static bool is_asking(void)
{
        struct termios t;

        return tcgetattr(STDERR_FILENO, &t) == 0 && !(t.c_lflag & ECHO);
}

static void show_progress(Doing *d, uint64_t elapsed_usec)
{
        _cleanup_free_ char *pending = NULL, *shown = NULL;
        ClientState state = { 0 };
        char span[TERM_SPAN_MAX];
        int room = (int)term_width() - TERM_SPAN_MAX;

        if (is_asking())
                return;
        if (client_try_state(&d->client, &state) >= 0)
                pending = list_pending(d, &state);
        client_state_done(&state);
        clear_progress(d);
        shown = pending ? text_escape(pending, strlen(pending)) : NULL;
        if (!shown)
                return;
        fprintf(stderr, "%s %.*s", term_span(elapsed_usec, span), room > 0 ? room : 1, shown);
        d->is_shown = true;
}

/* What became of it. */

static void print_holders(Doing *d, const char *name)
{
        ClientState state = { 0 };
        const ClientVolume *v =
                client_get_state(&d->client, &state) < 0 ? NULL : client_try_find(&state, name);

        for (size_t i = 0; v && i < v->n_holders; i++)
                term_line(stderr, "%8" PRIu32 " %s", v->holders[i].pid, v->holders[i].command);
        if (v && v->n_holders > 0 && d->act->options == with_lazy)
                fputs("End these, or use --lazy: then it goes when they have ended.\n", stderr);
        client_state_done(&state);
}

static int status_of_error(const sd_bus_error *error)
{
        static const struct {
                const char *name;
                int status;
        } rows[] = {
                { "org.wslbare1.Error.NoSuchVolume", CTL_NO_VOLUME },
                { "org.wslbare1.Error.TimedOut", CTL_TIMEOUT },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, CTL_NO_VOLUME },
                { SD_BUS_ERROR_ACCESS_DENIED, CTL_DENIED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_DENIED },
        };

        if (client_is_absence(error))
                return CTL_NO_SERVICE;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (sd_bus_error_has_name(error, rows[i].name))
                        return rows[i].status;
        return client_error_name(error) ? CTL_VOLUME : CTL_FAILED;
}

static int judge(Doing *d, const Call *call)
{
        const char *name = client_error_name(&call->error);
        _cleanup_free_ char *what = NULL;
        int status;

        if (!sd_bus_error_is_set(&call->error) || streq_ptr(name, d->act->is_so))
                return CTL_OK;
        status = status_of_error(&call->error);
        if (status == CTL_NO_VOLUME)
                return ctl_status_of(no_volume_say(call->name));
        what = text_format("%s '%s'", d->act->verb, call->name);
        (void)client_explain(what ? what : d->act->verb, -EIO, &call->error);
        if (streq_ptr(name, "Busy"))
                print_holders(d, call->name);
        return status;
}

static bool is_pending(const Doing *d)
{
        for (int i = 0; i < d->n_names; i++)
                if (!d->calls[i].is_done)
                        return true;
        return false;
}

static int await_all(Doing *d)
{
        uint64_t start = client_now(), wake = start + PROGRESS_AFTER_USEC;
        int r = d->shows_progress ? client_watch(&d->client) : 0;

        while (r >= 0 && is_pending(d)) {
                r = client_wait(&d->client, d->shows_progress ? wake : USEC_INFINITY);
                if (r < 0 || !d->shows_progress || client_now() < start + PROGRESS_AFTER_USEC)
                        continue;
                show_progress(d, client_now() - start);
                wake = client_now() + USEC_PER_SEC;
        }
        clear_progress(d);
        return r;
}

/* Of several that fail, the first one is the exit status. */
static int do_all(Doing *d)
{
        int r = 0, status = CTL_OK;

        d->calls = calloc((size_t)d->n_names, sizeof(*d->calls));
        if (!d->calls)
                return ctl_status_of(-ENOMEM);
        for (int i = 0; r >= 0 && i < d->n_names; i++)
                r = call_start(&d->calls[i], &d->client, d->names[i], d->act->method, &d->options);
        if (r >= 0)
                r = await_all(d);
        for (int i = 0; r >= 0 && i < d->n_names; i++) {
                int one = judge(d, &d->calls[i]);

                if (status == CTL_OK)
                        status = one;
                if (one == CTL_NO_SERVICE)
                        break; /* said once is enough */
        }
        for (int i = 0; i < d->n_names; i++)
                call_end(&d->calls[i]);
        free(d->calls);
        return r < 0 ? ctl_status_of(r) : status;
}

int ctl_act(int argc, char *argv[])
{
        Doing d = { .act = acts, .shows_progress = isatty(STDERR_FILENO) };
        Syntax syntax = {
                .words = "NAME…",
                .min_words = 1,
                .are_names = true,
                .end = "Ends with 3 when it took too long, 4 when it failed or somebody uses the "
                       "volume,\n"
                       "5 when there is no such volume, 6 when wslbared does not run, 7 when "
                       "others only\n"
                       "may do it.",
        };
        pid_t agent;
        int r, status, first;

        while (!streq(d.act->verb, argv[0]))
                d.act++;
        syntax.verb = d.act->verb;
        syntax.help = d.act->help;
        syntax.options = d.act->options;
        first = syntax_parse(&syntax, argc, argv, &d, &status);
        if (first <= 0)
                return status;
        d.names = argv + first;
        d.n_names = argc - first;
        r = client_open(&d.client);
        if (r < 0)
                return ctl_status_of(r);
        agent = agent_start(&d.client);
        status = do_all(&d);
        client_close(&d.client);
        agent_stop(agent);
        return status;
}
