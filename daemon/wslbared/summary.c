/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "summary.h"
#include "macro.h"
#include "text.h"

/* Beyond that many bytes volumes are counted only, so that the whole fits into one message to
 * systemd: that takes 4096, and drops what is longer. */
#define NAMES_MAX 3000

unsigned summary_count(const Volumes *volumes, VolumeState state)
{
        unsigned n = 0;

        for (size_t i = 0; i < volumes_count(volumes); i++)
                n += volumes_get(volumes, i)->state == state;
        return n;
}

/* The name, and how far it is. */
static char *describe_volume(const Volume *v)
{
        if (v->state == VOLUME_CHECKING && v->percent > 0)
                return text_format("%s (%u %%)", v->config->name, v->percent);
        return strdup(v->config->name);
}

/* LONGER, which may be NULL, takes the place of SO_FAR. */
static char *replace(char *so_far, char *longer)
{
        free(so_far);
        return longer;
}

static char *list_state(const Volumes *volumes, VolumeState state, char *so_far)
{
        unsigned n = summary_count(volumes, state), named = 0;

        if (n == 0 || !so_far)
                return so_far;
        so_far = replace(so_far, text_format("%s, %s:", so_far, volume_state_to_string(state)));
        for (size_t i = 0; so_far && named < n && strlen(so_far) < NAMES_MAX; i++) {
                _cleanup_free_ char *volume = NULL;

                if (volumes_get(volumes, i)->state != state)
                        continue;
                volume = describe_volume(volumes_get(volumes, i));
                so_far = replace(so_far, volume ? text_format("%s %s", so_far, volume) : NULL);
                named++;
        }
        if (so_far && named < n)
                so_far = replace(so_far, text_format("%s%s %u%s", so_far, named > 0 ? " and" : "",
                                                     n - named, named > 0 ? " more" : ""));
        return so_far;
}

/* Files that have errors; their problems follow each other. */
static size_t count_bad_files(const Volumes *volumes)
{
        const Config *config = volumes_config(volumes);
        const char *last = NULL;
        size_t n = 0;

        for (size_t i = 0; config && i < config->n_problems; i++) {
                const ConfigProblem *p = &config->problems[i];

                if (p->severity != PROBLEM_ERROR || streq_ptr(p->file, last))
                        continue;
                last = p->file;
                n++;
        }
        return n;
}

static char *list_bad_files(const Volumes *volumes, char *so_far)
{
        size_t n = count_bad_files(volumes);

        if (!so_far || n == 0)
                return so_far;
        return replace(so_far,
                       text_format("%s, errors in %zu file%s", so_far, n, n == 1 ? "" : "s"));
}

char *summary_describe(const Volumes *volumes)
{
        char *text;

        if (volumes_count(volumes) == 0)
                return list_bad_files(volumes, strdup("No volumes are configured"));
        text = text_format("%u of %zu mounted", summary_count(volumes, VOLUME_MOUNTED),
                           volumes_count(volumes));
        for (VolumeState s = VOLUME_ABSENT; s <= VOLUME_FAILED; s++)
                if (s != VOLUME_MOUNTED)
                        text = list_state(volumes, s, text);
        return list_bad_files(volumes, text);
}

bool summary_is_degraded(const Volumes *volumes)
{
        for (size_t i = 0; i < volumes_count(volumes); i++) {
                if (volumes_get(volumes, i)->failure_step == STEP_RUN)
                        return true;
                switch (volumes_get(volumes, i)->state) {
                case VOLUME_AMBIGUOUS:
                case VOLUME_UNSUPPORTED:
                case VOLUME_LOST:
                case VOLUME_FAILED:
                        return true;
                case VOLUME_ABSENT:
                case VOLUME_PROBING:
                case VOLUME_CHECKING:
                case VOLUME_MOUNTING:
                case VOLUME_UNMOUNTING:
                case VOLUME_MOUNTED:
                case VOLUME_UNMOUNTED:
                case VOLUME_INCOMPLETE:
                case VOLUME_LOCKED:
                case VOLUME_MEMBER:
                        break;
                }
        }
        return count_bad_files(volumes) > 0;
}
