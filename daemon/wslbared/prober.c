/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "log.h"
#include "macro.h"
#include "prober.h"

/* Until a disk that did not answer, or that somebody partitions, is looked at again. */
#define PROBE_AGAIN_USEC (5 * USEC_PER_SEC)

static bool is_wanted(const Volumes *volumes, const Device *d)
{
        for (size_t i = 0; i < volumes_count(volumes); i++)
                if (match_device_unseen(&volumes_get(volumes, i)->config->match, d))
                        return true;
        return false;
}

/* Errors that say nothing of the device: it is busy, or mountd is, or short of something, or its
 * child died. */
static bool is_passing(const MountdResult *r)
{
        static const char *const names[] = { "InProgress", "TimedOut", "Hanging" };
        static const int errors[] = { ENOMEM, EMFILE, ENFILE, EAGAIN, EOWNERDEAD };

        if (!r->error || r->lost)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(r->error, names[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (r->errnum == errors[i])
                        return true;
        return strchr(r->error, '.'); /* the bus's own */
}

static void on_probed(MountdResult *r, void *userdata)
{
        Seen *s = userdata;
        Manager *m = s->manager;
        const LogContext about = { NULL, s->device->node };
        bool later = is_passing(r), first = s->probe_usec == 0;

        manager_mark_for(m, s->device); /* also who hoped that it would be theirs */
        s->probe = mountd_call_free(s->probe);
        s->probe_usec = later ? manager_now(m) + PROBE_AGAIN_USEC : 0;
        if (s->knowledge != SEEN_PROBING)
                return; /* udev told meanwhile, or will */
        s->knowledge = r->lost || later || s->is_probe_outdated ? SEEN_UNKNOWN : SEEN_SETTLED;
        if (r->error && !r->lost && first)
                log_full(LOG_INFO, r->errnum, &about, "Cannot look at %s: %s", s->device->node,
                         r->message);
        if (s->knowledge != SEEN_SETTLED)
                return;
        if (!r->error && devices_set_content(manager_devices(m), s, r) < 0)
                log_oom();
        manager_mark_for(m, s->device);
}

/* One probe of a device at a time: it may hang. */
static int begin_probe(Manager *m, Seen *s)
{
        if (s->probe)
                return 0;
        s->manager = m;
        s->is_probe_outdated = false;
        return mountd_client_probe(manager_mountd(m), s->device->devnum, s->device->diskseq,
                                   on_probed, s, &s->probe);
}

void prober_look(Manager *m)
{
        const Devices *devices = manager_devices(m);

        for (size_t i = 0; i < devices_count(devices); i++) {
                Seen *s = devices_get(devices, i);
                const Device *d = s->device;

                if (s->knowledge != SEEN_UNKNOWN || d->size == 0 ||
                    !is_wanted(manager_volumes(m), d))
                        continue;
                if (s->probe_usec > manager_now(m)) {
                        manager_look_later(m, s->probe_usec - manager_now(m));
                        continue;
                }
                if (begin_probe(m, s) >= 0)
                        s->knowledge = SEEN_PROBING;
        }
}
