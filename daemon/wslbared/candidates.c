/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "candidates.h"
#include "manager.h"

static bool is_there(const Volume *v, const Device *d)
{
        return d->ready && d->size > 0 && devices_have_outer(manager_devices(v->manager), d);
}

static bool fits(const Volume *v, const Seen *s)
{
        const Device *d = seen_known(s);

        return seen_is_known(s) && is_there(v, d) && match_fits(&v->config->match, d);
}

static bool has_sibling(const Device *const *devices, size_t n, const Device *d)
{
        for (size_t i = 0; i < n; i++)
                if (device_is_sibling(devices[i], d))
                        return true;
        return false;
}

/* Whether S is encrypted, and its content, unlocked, fits. */
static bool is_unlocked(const Volume *v, const Seen *s)
{
        const Devices *devices = manager_devices(v->manager);
        const Device *d = seen_known(s);

        for (size_t i = 0; d->content == DEVICE_CONTENT_OTHER && i < devices_count(devices); i++) {
                const Seen *t = devices_get(devices, i);

                if (seen_known(t)->outer == d->devnum && fits(v, t))
                        return true;
        }
        return false;
}

void candidates_find(const Volume *v, const Device **room, PlanInput *in)
{
        const Devices *devices = manager_devices(v->manager);
        size_t n = 0, n_own;

        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);

                if (fits(v, s) && !is_unlocked(v, s))
                        room[n++] = seen_known(s);
                else if (s->knowledge == SEEN_PROBING && is_there(v, s->device))
                        in->probing |= match_device_unseen(&v->config->match, s->device);
        }
        n_own = n;
        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);
                const Device *d = seen_known(s);

                if (has_sibling(room, n_own, d) && seen_is_known(s) && is_there(v, d) &&
                    !fits(v, s))
                        room[n++] = d;
        }
        in->fitting = room;
        in->n_fitting = n;
        in->n_siblings = n - n_own;
}

bool candidates_relate(const Volume *v, const Device *d)
{
        const Devices *devices = manager_devices(v->manager);

        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);
                const Device *known = seen_known(s);

                if (known->outer == d->devnum && match_device(&v->config->match, known, NULL))
                        return true;
                if (d->uuid_sub && device_is_sibling(known, d) && fits(v, s))
                        return true;
        }
        return false;
}
