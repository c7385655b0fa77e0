/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "candidates.h"
#include "manager.h"

static bool is_there(const Device *d)
{
        return d->ready && d->size > 0;
}

static bool fits(const Volume *v, const Seen *s)
{
        return seen_is_known(s) && match_fits(&v->config->match, seen_known(s));
}

static bool has_sibling(const Device *const *devices, size_t n, const Device *d)
{
        for (size_t i = 0; i < n; i++)
                if (device_is_sibling(devices[i], d))
                        return true;
        return false;
}

void candidates_find(const Volume *v, const Device **room, PlanInput *in)
{
        const Devices *devices = manager_devices(v->manager);
        size_t n = 0, n_own;

        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);

                if (fits(v, s))
                        room[n++] = seen_known(s);
                else if (s->knowledge == SEEN_PROBING && is_there(s->device))
                        in->probing |= match_device_unseen(&v->config->match, s->device);
        }
        n_own = n;
        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);
                const Device *d = seen_known(s);

                if (has_sibling(room, n_own, d) && seen_is_known(s) && is_there(d) && !fits(v, s))
                        room[n++] = d;
        }
        in->fitting = room;
        in->n_fitting = n;
        in->n_siblings = n - n_own;
}

bool candidates_relate(const Volume *v, const Device *d)
{
        const Devices *devices = manager_devices(v->manager);

        for (size_t i = 0; d->uuid_sub && i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);

                if (device_is_sibling(seen_known(s), d) && fits(v, s))
                        return true;
        }
        return false;
}
