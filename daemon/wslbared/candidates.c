/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "candidates.h"
#include "fitting.h"
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

/* Whether what is on it is going to be known: soon, or, of what was there before us, once udev has
 * looked at it. */
static bool is_expected(const Seen *s, const PlanInput *in)
{
        return s->knowledge == SEEN_PROBING || (in->starting && s->knowledge == SEEN_UNSETTLED);
}

void candidates_find(const Volume *v, const Device **room, PlanInput *in)
{
        const Devices *devices = manager_devices(v->manager);
        size_t n = 0;

        for (size_t i = 0; i < devices_count(devices); i++) {
                const Seen *s = devices_get(devices, i);

                if (seen_is_known(s) && is_there(v, seen_known(s)))
                        room[n++] = seen_known(s);
                if (is_expected(s, in) && is_there(v, s->device) && !fits(v, s))
                        in->probing |= match_device_unseen(&v->config->match, s->device);
        }
        fitting_choose(&v->config->match, room, n, in);
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
