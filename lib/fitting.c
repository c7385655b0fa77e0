/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fitting.h"
#include "macro.h"

static bool has_sibling(const Device *const *devices, size_t n, const Device *d)
{
        for (size_t i = 0; i < n; i++)
                if (device_is_sibling(devices[i], d))
                        return true;
        return false;
}

static bool is_unlocked(const Match *m, const Device *const *devices, size_t n, const Device *d)
{
        for (size_t i = 0; d->content == DEVICE_CONTENT_OTHER && i < n; i++)
                if (devices[i]->outer == d->devnum && match_fits(m, devices[i]))
                        return true;
        return false;
}

/* What is between the two moves up by one. */
static void move(const Device **devices, size_t from, size_t to)
{
        const Device *d = devices[from];

        memmove(devices + to + 1, devices + to, (from - to) * sizeof(const Device *));
        devices[to] = d;
}

void fitting_choose(const Match *m, const Device **devices, size_t n, PlanInput *in)
{
        size_t n_own = 0, n_all;

        for (size_t i = 0; i < n; i++)
                if (match_fits(m, devices[i]) && !is_unlocked(m, devices, n, devices[i]))
                        move(devices, i, n_own++);
        n_all = n_own;
        for (size_t i = n_own; n_own > 0 && i < n; i++)
                if (has_sibling(devices, n_own, devices[i]) && !match_fits(m, devices[i]))
                        move(devices, i, n_all++);
        in->fitting = devices;
        in->n_fitting = n_all;
        in->n_siblings = n_all - n_own;
}
