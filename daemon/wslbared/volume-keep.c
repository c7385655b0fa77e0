/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-keep.h"
#include "log.h"
#include "macro.h"
#include "manager.h"
#include "parse.h"
#include "shared.h"

#define KEEP_SPAN_USEC (60 * USEC_PER_SEC)

static bool is_below_shared(const Volume *v, const char *where)
{
        const char *shared = manager_shared(v->manager);

        return where && shared && path_is_below(where, shared);
}

bool volume_is_marked(const Volume *v, const Device *d)
{
        return is_below_shared(v, v->config->where) &&
               shared_is_marked(manager_shared(v->manager), d->devnum, d->diskseq);
}

static bool is_wanted(const Volume *v)
{
        switch (v->config->keep_mounted) {
        case KEEP_MOUNTED_YES:
                return true;
        case KEEP_MOUNTED_NO:
                return false;
        case KEEP_MOUNTED_AUTO:
                return is_below_shared(v, v->config->where);
        }
        return false;
}

/* The oldest of the latest ones is the next to be overwritten. */
static bool is_too_often(const Volume *v)
{
        uint64_t oldest = v->kept_usec[v->n_kept % VOLUME_KEEP_MAX];

        return oldest != 0 && manager_now(v->manager) - oldest < KEEP_SPAN_USEC;
}

bool volume_keep(Volume *v)
{
        if (!is_wanted(v) || is_too_often(v))
                return false;
        v->kept_usec[v->n_kept++ % VOLUME_KEEP_MAX] = manager_now(v->manager);
        return true;
}

void volume_log_foreign_unmount(const Volume *v, bool marked, bool keeps)
{
        const LogContext about = { v->config->name, v->device };
        const char *by = marked ? "another distribution's wslbared, by intent"
                         : is_below_shared(v, v->mount->target)
                                 ? "somebody else (a distribution that shuts down unmounts what "
                                   "all share, microsoft/WSL#41084)"
                                 : "somebody else";

        if (v->mount->unmounting) {
                log_full(LOG_NOTICE, 0, &about, "%s is unmounted from %s by now, as was asked for",
                         v->config->name, v->mount->target);
                return;
        }
        log_full(LOG_NOTICE, 0, &about, "%s was unmounted from %s by %s; it %s%s", v->config->name,
                 v->mount->target, by,
                 keeps ? "is mounted again" : "stays so until its device is attached again",
                 !keeps && !marked && is_wanted(v) && is_too_often(v)
                         ? ", as that happened too often within a minute"
                         : "");
}
