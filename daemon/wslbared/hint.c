/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "hint.h"
#include "log.h"
#include "macro.h"

static bool is_mounted(const Manager *m, const Device *d)
{
        const Mountinfo *mounts = manager_mounts(m);

        for (size_t i = 0; i < mounts->n_entries; i++)
                if (mount_entry_is_device(&mounts->entries[i], d))
                        return true;
        return false;
}

static bool fits_nobody(const Manager *m, const Seen *s)
{
        const Volumes *volumes = manager_volumes(m);
        const Device *d = s->device;

        if (s->knowledge != SEEN_SETTLED || d->content != DEVICE_CONTENT_FILESYSTEM || d->size == 0)
                return false;
        for (size_t i = 0; i < volumes_count(volumes); i++)
                if (match_device(&volumes_get(volumes, i)->config->match, d, NULL))
                        return false;
        return !is_mounted(m, d);
}

static void say(const Volume *v, const Device *d)
{
        const LogContext about = { v->config->name, d->node };
        const char *key = match_confused_key(&v->config->match, d);

        if (key)
                log_full(LOG_WARNING, 0, &about,
                         "%s is absent, while %s fits no volume: what %s gives is its %s, so write "
                         "%s= there",
                         v->config->name, d->node, v->config->path, key, key);
        else
                log_full(
                        LOG_INFO, 0, &about,
                        "%s is absent, while %s (%s, UUID %s) fits no volume; if it is meant, mend "
                        "[Match] in %s",
                        v->config->name, d->node, d->type ? d->type : "unknown",
                        d->uuid ? d->uuid : "none", v->config->path);
}

/* The device to speak of: one that a value in the file names under another key, else the first. */
static const Device *find_device(const Manager *m, const Volume *v)
{
        const Devices *devices = manager_devices(m);
        const Device *first = NULL;

        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);

                if (!fits_nobody(m, s))
                        continue;
                if (match_confused_key(&v->config->match, s->device))
                        return s->device;
                if (!first)
                        first = s->device;
        }
        return first;
}

void hint_about_absent(Manager *m)
{
        const Volumes *volumes = manager_volumes(m);

        for (size_t i = 0; i < volumes_count(volumes); i++) {
                Volume *v = volumes_get(volumes, i);
                const Device *d;

                if (v->state != VOLUME_ABSENT && v->state != VOLUME_PROBING)
                        v->is_hinted = false;
                if (v->state != VOLUME_ABSENT || v->is_hinted)
                        continue;
                d = find_device(m, v);
                if (d)
                        say(v, d);
                v->is_hinted = d != NULL;
        }
}
