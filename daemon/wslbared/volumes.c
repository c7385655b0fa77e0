/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "log.h"
#include "macro.h"
#include "record.h"
#include "text.h"
#include "volumes.h"

struct Volumes {
        Manager *manager;
        ConfigSource source;
        const char *records;
        const char *flags;
        VolumesGoing going;
        Config *config;
        Volume **volumes;
        size_t n;
};

int volumes_new(Manager *m, const ConfigSource *source, const char *records, const char *flags,
                VolumesGoing going, Volumes **ret)
{
        Volumes *vs = calloc(1, sizeof(*vs));

        if (!vs)
                return -ENOMEM;
        vs->manager = m;
        vs->source = *source;
        vs->records = records;
        vs->flags = flags;
        vs->going = going;
        *ret = vs;
        return 0;
}

Volumes *volumes_free(Volumes *vs)
{
        if (!vs)
                return NULL;
        for (size_t i = 0; i < vs->n; i++)
                volume_free(vs->volumes[i]);
        free(vs->volumes);
        config_free(vs->config);
        free(vs);
        return NULL;
}

size_t volumes_count(const Volumes *vs)
{
        return vs->n;
}

Volume *volumes_get(const Volumes *vs, size_t i)
{
        return vs->volumes[i];
}

Volume *volumes_find(const Volumes *vs, const char *name)
{
        for (size_t i = 0; i < vs->n; i++)
                if (streq(vs->volumes[i]->config->name, name))
                        return vs->volumes[i];
        return NULL;
}

const Config *volumes_config(const Volumes *vs)
{
        return vs->config;
}

static void log_problems(const Config *config)
{
        for (size_t i = 0; i < config->n_problems; i++) {
                const ConfigProblem *p = &config->problems[i];
                int level = p->severity == PROBLEM_ERROR ? LOG_ERR : LOG_WARNING;

                if (p->line > 0)
                        log_full(level, 0, NULL, "%s:%u: %s", p->file, p->line, p->text);
                else
                        log_full(level, 0, NULL, "%s: %s", p->file, p->text);
        }
}

/* What became of its target before we were started. */
static bool has_flag(const Volumes *vs, const char *prefix, const char *name)
{
        _cleanup_free_ char *path =
                vs->flags ? text_format("%s/%s%s", vs->flags, prefix, name) : NULL;

        return path && access(path, F_OK) == 0;
}

static void read_flags(const Volumes *vs, Volume *v)
{
        v->target_active = has_flag(vs, "", v->config->name);
        v->target_unsure = has_flag(vs, ".", v->config->name);
}

void volumes_read_flags(Volumes *vs)
{
        for (size_t i = 0; i < vs->n; i++)
                read_flags(vs, vs->volumes[i]);
}

static int add(Volumes *vs, VolumeConfig *config)
{
        _cleanup_(record_freep) Record *record = NULL;
        Volume **grown, *v;
        int r = record_load(vs->records, config->name, &record);

        if (r < 0 && r != -ENOENT)
                log_warning("The record of %s in %s cannot be read: %s", config->name, vs->records,
                            strerror(-r));
        grown = reallocarray(vs->volumes, vs->n + 1, sizeof(*grown));
        if (!grown) {
                volume_config_free(config);
                return -ENOMEM;
        }
        vs->volumes = grown;
        r = volume_new(vs->manager, config, record, &v);
        if (r < 0)
                return r;
        read_flags(vs, v);
        vs->volumes[vs->n++] = v;
        return 0;
}

static void remove_at(Volumes *vs, size_t i, const Config *config)
{
        vs->going(vs->volumes[i], config);
        volume_free(vs->volumes[i]);
        memmove(vs->volumes + i, vs->volumes + i + 1, (vs->n - i - 1) * sizeof(*vs->volumes));
        vs->n--;
}

/* Those whose file went, or is refused by now. */
static void drop_missing(Volumes *vs, const Config *config)
{
        for (size_t i = vs->n; i > 0; i--) {
                Volume *v = vs->volumes[i - 1];

                if (config_find(config, v->config->name))
                        continue;
                if (config_refuses(config, v->config))
                        v->config_is_bad = true;
                else
                        remove_at(vs, i - 1, config);
        }
}

static int compare(const void *a, const void *b)
{
        return strcmp((*(Volume *const *)a)->config->name, (*(Volume *const *)b)->config->name);
}

/* Takes the volumes out of CONFIG, whose problems remain. */
static int take(Volumes *vs, Config *config)
{
        int r = 0;

        for (size_t i = 0; i < config->n_volumes; i++) {
                VolumeConfig *c = TAKE_PTR(config->volumes[i]);
                Volume *v = volumes_find(vs, c->name);

                if (v)
                        volume_set_config(v, c);
                else if (r >= 0)
                        r = add(vs, c);
                else
                        volume_config_free(c);
        }
        config->n_volumes = 0;
        if (vs->n > 0)
                qsort(vs->volumes, vs->n, sizeof(*vs->volumes), compare);
        return r;
}

static bool same_problems(const Config *a, const Config *b)
{
        if (a->n_problems != b->n_problems)
                return false;
        for (size_t i = 0; i < a->n_problems; i++) {
                const ConfigProblem *p = &a->problems[i], *q = &b->problems[i];

                if (!streq(p->file, q->file) || p->line != q->line || p->severity != q->severity ||
                    !streq(p->text, q->text))
                        return false;
        }
        return true;
}

int volumes_load(Volumes *vs, bool *ret_other_problems)
{
        Config *config;
        int r = config_load(&vs->source, &config);

        if (r < 0)
                return r;
        log_problems(config);
        *ret_other_problems = !vs->config || !same_problems(vs->config, config);
        drop_missing(vs, config);
        r = take(vs, config);
        config_free(vs->config);
        vs->config = config;
        return r;
}
