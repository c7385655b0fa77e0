/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "config.h"
#include "hint.h"
#include "macro.h"
#include "term.h"
#include "text.h"
#include "usage.h"

#define HINTS_MAX 5U /* devices; who has more of them should look at `devices` */

typedef struct Hint {
        char **absent; /* names of volumes */
        Config *config;
        Usage *usage;
        ClientDevice *devices;
        size_t n_devices;
} Hint;

static void hint_done(Hint *h)
{
        strv_free(h->absent);
        config_free(h->config);
        usage_free(h->usage);
        client_devices_free(h->devices, h->n_devices);
}

static bool is_stray(const Hint *h, const ClientDevice *d)
{
        _cleanup_free_ char *use = NULL;
        UsageKind kind;

        return d->device.content == DEVICE_CONTENT_FILESYSTEM && strv_length(d->volumes) == 0 &&
               usage_describe(h->usage, &d->device, &use, &kind) >= 0 && !use;
}

static char *describe(const Device *d)
{
        return text_format("%s (%s%s%s%s%s) fits no volume", d->node, d->type ? d->type : "unknown",
                           d->label ? ", label " : "", d->label ? d->label : "",
                           d->uuid ? ", UUID " : "", d->uuid ? d->uuid : "");
}

/* Volumes that it is near to. Whether there are any. */
static bool print_near(const Hint *h, const Device *d, const char *what)
{
        bool found = false;

        for (char **name = h->absent; *name; name++) {
                const VolumeConfig *c = config_find(h->config, *name);
                _cleanup_free_ char *why = NULL;

                if (!c || !match_is_near(&c->match, d))
                        continue;
                why = match_explain(&c->match, d);
                term_line(stdout, "%s is absent, while %s: %s; if it is meant, mend %s", *name,
                          what, why ? why : "", c->path);
                found = true;
        }
        return found;
}

static void print_hints(const Hint *h)
{
        _cleanup_free_ char *names = strv_join(h->absent, ", ");
        unsigned n = 0;

        for (size_t i = 0; names && i < h->n_devices && n < HINTS_MAX; i++) {
                const Device *d = &h->devices[i].device;
                _cleanup_free_ char *what = NULL;

                if (!is_stray(h, &h->devices[i]))
                        continue;
                n++;
                what = describe(d);
                if (!what || print_near(h, d, what))
                        continue;
                term_line(stdout, "%s, while absent: %s; `wslbarectl devices %s` says why", what,
                          names, d->node);
        }
}

int hint_print(Client *client, const ClientVolume *const *volumes, size_t n)
{
        const ConfigSource source = { config_default_dirs, 0 };
        _cleanup_(hint_done) Hint h = { 0 };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (streq(volumes[i]->state, "absent"))
                        r = strv_push(&h.absent, volumes[i]->name);
        if (r < 0 || !h.absent)
                return r;
        r = client_list_devices(client, &h.devices, &h.n_devices);
        if (r >= 0)
                r = config_load(&source, &h.config);
        if (r >= 0)
                r = usage_new("", &h.usage);
        if (r >= 0)
                print_hints(&h);
        return r;
}
