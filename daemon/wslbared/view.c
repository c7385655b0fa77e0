/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "macro.h"
#include "manager.h"
#include "text.h"
#include "view.h"
#include "volume.h"

typedef enum ViewType {
        VIEW_STRING,
        VIEW_STRV,
        VIEW_INT,
        VIEW_U32,
        VIEW_U64,
        VIEW_HOLDERS
} ViewType;

typedef struct ViewField {
        const char *
                property; /* several fields may make one property, in rows that follow each other */
        ViewType type;
        size_t offset;
} ViewField;

static const ViewField fields[] = {
        { "Name", VIEW_STRING, offsetof(VolumeView, name) },
        { "ConfigPath", VIEW_STRING, offsetof(VolumeView, config_path) },
        { "State", VIEW_STRING, offsetof(VolumeView, state) },
        { "Auto", VIEW_INT, offsetof(VolumeView, automatic) },
        { "Device", VIEW_STRING, offsetof(VolumeView, device) },
        { "DiskSequence", VIEW_U64, offsetof(VolumeView, diskseq) },
        { "UUID", VIEW_STRING, offsetof(VolumeView, uuid) },
        { "Label", VIEW_STRING, offsetof(VolumeView, label) },
        { "Type", VIEW_STRING, offsetof(VolumeView, type) },
        { "Where", VIEW_STRING, offsetof(VolumeView, where) },
        { "Options", VIEW_STRING, offsetof(VolumeView, options) },
        { "MountedOptions", VIEW_STRING, offsetof(VolumeView, mounted_options) },
        { "ReadOnly", VIEW_INT, offsetof(VolumeView, read_only) },
        { "Stale", VIEW_INT, offsetof(VolumeView, stale) },
        { "Candidates", VIEW_STRV, offsetof(VolumeView, candidates) },
        { "Attempts", VIEW_U32, offsetof(VolumeView, attempts) },
        { "NextRetryTimestampMonotonic", VIEW_U64, offsetof(VolumeView, next_retry_usec) },
        { "StateChangeTimestamp", VIEW_U64, offsetof(VolumeView, state_change_usec) },
        { "StateChangeTimestampMonotonic", VIEW_U64,
          offsetof(VolumeView, state_change_monotonic_usec) },
        { "LatencyUSec", VIEW_U64, offsetof(VolumeView, latency_usec) },
        { "Failure", VIEW_STRING, offsetof(VolumeView, failure_step) },
        { "Failure", VIEW_INT, offsetof(VolumeView, failure_errno) },
        { "Failure", VIEW_STRING, offsetof(VolumeView, failure_message) },
        { "Holders", VIEW_HOLDERS, offsetof(VolumeView, holders) },
};

void view_done(VolumeView *w)
{
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                void *field = (char *)w + fields[i].offset;

                if (fields[i].type == VIEW_STRING)
                        free(*(char **)field);
                if (fields[i].type == VIEW_STRV)
                        strv_free(*(char ***)field);
        }
        mountd_holders_free(w->holders, w->n_holders);
        *w = (VolumeView){ 0 };
}

static bool same_strv(char *const *a, char *const *b)
{
        for (; a && b && *a && *b; a++, b++)
                if (!streq(*a, *b))
                        return false;
        return strv_length(a) == strv_length(b);
}

static bool same_holders(const VolumeView *a, const VolumeView *b)
{
        if (a->n_holders != b->n_holders)
                return false;
        for (size_t i = 0; i < a->n_holders; i++)
                if (a->holders[i].pid != b->holders[i].pid ||
                    !streq_ptr(a->holders[i].command, b->holders[i].command))
                        return false;
        return true;
}

static bool same_field(const ViewField *f, const VolumeView *a, const VolumeView *b)
{
        const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;

        switch (f->type) {
        case VIEW_STRING:
                return streq_ptr(*(char *const *)x, *(char *const *)y);
        case VIEW_STRV:
                return same_strv(*(char **const *)x, *(char **const *)y);
        case VIEW_INT:
                return *(const int *)x == *(const int *)y;
        case VIEW_U32:
                return *(const uint32_t *)x == *(const uint32_t *)y;
        case VIEW_U64:
                return *(const uint64_t *)x == *(const uint64_t *)y;
        case VIEW_HOLDERS:
                return same_holders(a, b);
        }
        return false;
}

unsigned view_compare(const VolumeView *a, const VolumeView *b, char *names[VIEW_PROPERTIES_MAX])
{
        unsigned n = 0;

        _Static_assert(ELEMENTSOF(fields) < VIEW_PROPERTIES_MAX, "no room for all names");
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                char *name = (char *)fields[i].property;

                if (same_field(&fields[i], a, b) || (n > 0 && streq(names[n - 1], name)))
                        continue;
                names[n++] = name;
        }
        names[n] = NULL;
        return n;
}

static int copy_text(char **field, const char *s)
{
        if (!s)
                return 0;
        *field = text_escape(s, strlen(s));
        return *field ? 0 : -ENOMEM;
}

static int copy_candidates(VolumeView *w, char *const *candidates)
{
        for (; candidates && *candidates; candidates++)
                if (strv_push(&w->candidates, *candidates) < 0)
                        return -ENOMEM;
        return 0;
}

static int copy_holders(VolumeView *w, const Volume *v)
{
        if (v->n_holders == 0)
                return 0;
        w->holders = calloc(v->n_holders, sizeof(*w->holders));
        if (!w->holders)
                return -ENOMEM;
        for (w->n_holders = 0; w->n_holders < v->n_holders; w->n_holders++) {
                MountdHolder *h = &w->holders[w->n_holders];

                h->pid = v->holders[w->n_holders].pid;
                if (copy_text(&h->command, v->holders[w->n_holders].command) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_all(const Volume *v, const Device *d, VolumeView *w)
{
        const VolumeConfig *c = v->config;
        const struct {
                char **field;
                const char *value;
        } rows[] = {
                { &w->name, c->name },
                { &w->config_path, c->path },
                { &w->state, volume_state_to_string(v->state) },
                { &w->device, v->device },
                { &w->uuid, d ? d->uuid : NULL },
                { &w->label, d ? d->label : NULL },
                { &w->type, d ? d->type : NULL },
                { &w->where, c->where ? c->where : "none" },
                { &w->options, c->options_text },
                { &w->mounted_options, v->mount ? v->mount->options : NULL },
                { &w->failure_step, failure_step_to_string(v->failure_step) },
                { &w->failure_message, v->failure_message },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (copy_text(rows[i].field, rows[i].value) < 0)
                        return -ENOMEM;
        if (copy_candidates(w, v->candidates) < 0)
                return -ENOMEM;
        return copy_holders(w, v);
}

int view_build(const Volume *v, VolumeView *ret)
{
        const Device *d = volume_current_device(v);
        VolumeView w = {
                .automatic = v->config->automatic,
                .diskseq = v->mount ? v->mount->diskseq
                           : d      ? d->diskseq
                                    : 0,
                .read_only = v->mount && v->mount->read_only,
                .stale = v->mount && v->mount->stale,
                .attempts = v->past.attempts,
                .next_retry_usec = v->past.retry_usec,
                .state_change_usec = v->state_change_usec,
                .state_change_monotonic_usec = v->state_change_monotonic_usec,
                .latency_usec = v->latency_usec,
                .failure_errno = v->failure_errno,
        };

        if (copy_all(v, d, &w) < 0) {
                view_done(&w);
                return -ENOMEM;
        }
        *ret = w;
        return 0;
}
