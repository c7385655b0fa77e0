/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/statvfs.h>

#include "child.h"
#include "space.h"

static void ask(void *item)
{
        struct statvfs v;
        Space *s = item;

        if (!s->path || statvfs(s->path, &v) < 0)
                return;
        s->size = (uint64_t)v.f_blocks * v.f_frsize;
        if (v.f_bfree <= v.f_blocks) /* nobody vouches for a superblock */
                s->used = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize;
        s->available = (uint64_t)v.f_bavail * v.f_frsize;
        s->is_known = true;
}

void space_measure(Space *spaces, size_t n)
{
        child_ask_each(spaces, n, sizeof(*spaces), ask);
}

unsigned space_percent(const Space *s)
{
        double all = (double)s->used + (double)s->available;
        double percent = all > 0 ? 100 * (double)s->used / all : 0;

        return (unsigned)percent + (percent > (unsigned)percent);
}
