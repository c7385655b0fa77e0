/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "detail.h"
#include "health.h"
#include "macro.h"
#include "term.h"
#include "text.h"
#include "volumes.h"

static void print_label(const char *label)
{
        printf("%10s: ", label);
}

void detail_print_text(const char *label, const char *value)
{
        if (!value || !*value)
                return;
        print_label(label);
        term_line(stdout, "%s", value);
}

static void print_headline(const ClientVolume *v)
{
        Health h = health_of(v);

        printf("%s%s%s ", term_color(health_color(h)), health_sign(h), term_color(TERM_PLAIN));
        if (streq(v->where, "none"))
                term_line(stdout, "%s", v->name);
        else
                term_line(stdout, "%s - %s", v->name, v->where);
}

void detail_print_state(const ClientVolume *v)
{
        uint64_t now = client_now();
        char when[VOLUMES_TIME_MAX], span[TERM_SPAN_MAX];

        print_label("State");
        fputs(term_color(health_color(health_of(v))), stdout);
        term_put(stdout, v->state);
        printf("%s%s", term_color(TERM_PLAIN), v->read_only ? ", read-only" : "");
        if (v->state_change_usec > 0)
                printf(" since %s", volumes_time(v->state_change_usec, when));
        if (v->state_change_monotonic_usec > 0 && v->state_change_monotonic_usec <= now)
                printf("; %s ago", term_span(now - v->state_change_monotonic_usec, span));
        putchar('\n');
}

static void print_failure(const ClientVolume *v)
{
        uint64_t now = client_now();
        char span[TERM_SPAN_MAX];

        if (!*v->failure_step)
                return;
        print_label("Failure");
        printf("%sat ", term_color(health_color(health_of(v))));
        term_put(stdout, v->failure_step);
        fputs(": ", stdout);
        term_put(stdout, v->failure_message);
        puts(term_color(TERM_PLAIN));
        if (v->attempts == 0)
                return;
        print_label("Attempts");
        printf("%" PRIu32, v->attempts);
        if (v->next_retry_usec > now)
                printf(", the next one in %s", term_span(v->next_retry_usec - now, span));
        else if (v->next_retry_usec == 0)
                fputs(", and no more", stdout);
        putchar('\n');
}

static void print_cure(const ClientVolume *v)
{
        _cleanup_free_ char *cure = health_cure(v);

        detail_print_text("Cure", cure);
}

static void print_list(const ClientVolume *v)
{
        for (char **c = v->candidates; strv_length(v->candidates) > 1 && *c; c++)
                detail_print_text(c == v->candidates ? "Candidates" : "", *c);
        for (size_t i = 0; i < v->n_holders; i++) {
                if (i == 0)
                        print_label("Holders");
                else
                        printf("%12s", "");
                term_line(stdout, "%" PRIu32 " %s", v->holders[i].pid, v->holders[i].command);
        }
}

static void print_device(const ClientVolume *v)
{
        uint64_t size = volumes_device_size(v);
        char shown[TERM_SIZE_MAX];

        if (!*v->device)
                return;
        print_label("Device");
        term_line(stdout, "%s%s%s%s%s", v->device, size > 0 ? ", " : "",
                  size > 0 ? term_size(size, shown) : "", *v->type ? ", " : "", v->type);
        detail_print_text("Label", v->label);
        detail_print_text("UUID", v->uuid);
}

static void print_space(const Space *s)
{
        char size[TERM_SIZE_MAX], used[TERM_SIZE_MAX], available[TERM_SIZE_MAX];

        if (!s->is_known)
                return;
        print_label("Space");
        printf("%s of %s used (%u%%), %s available\n", term_size(s->used, used),
               term_size(s->size, size), space_percent(s), term_size(s->available, available));
}

void detail_print(const ClientVolume *v, const Space *space)
{
        print_headline(v);
        detail_print_state(v);
        print_failure(v);
        print_cure(v);
        print_list(v);
        print_device(v);
        print_space(space);
        detail_print_text("Options", v->options);
        detail_print_text("In force", v->mounted_options);
        detail_print_text("File", v->config_path);
        if (v->stale)
                detail_print_text("Changed", "its file says something else by now");
        if (!v->automatic)
                detail_print_text("Auto", "no: mounted only when asked for");
}

void detail_print_trouble(const ClientVolume *v)
{
        _cleanup_free_ char *cure = health_cure(v);

        if (!*v->failure_step && !cure)
                return;
        print_headline(v);
        print_failure(v);
        detail_print_text("Cure", cure);
        print_list(v);
}
