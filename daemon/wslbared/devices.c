/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "devices.h"
#include "macro.h"
#include "text.h"

/* The end of a device, for events that come after it and are older. */
typedef struct Departure {
        dev_t devnum;
        uint64_t seqnum;
} Departure;

struct Devices {
        Seen **seen;
        size_t n;
        uint64_t generation;
        Departure *departures; /* the latest of each number */
        size_t n_departures;
};

static Seen *seen_free(Seen *s)
{
        if (!s)
                return NULL;
        mountd_call_free(s->probe);
        device_free(s->device);
        device_free(s->before);
        free(s);
        return NULL;
}

int devices_new(Devices **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

Devices *devices_free(Devices *d)
{
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++)
                seen_free(d->seen[i]);
        free(d->seen);
        free(d->departures);
        free(d);
        return NULL;
}

size_t devices_count(const Devices *d)
{
        return d->n;
}

Seen *devices_get(const Devices *d, size_t i)
{
        return d->seen[i];
}

Seen *devices_find(const Devices *d, dev_t devnum)
{
        for (size_t i = 0; i < d->n; i++)
                if (d->seen[i]->device->devnum == devnum)
                        return d->seen[i];
        return NULL;
}

Seen *devices_find_same(const Devices *d, dev_t devnum, uint64_t diskseq)
{
        Seen *s = devices_find(d, devnum);

        return s && s->device->diskseq == diskseq ? s : NULL;
}

const Device *seen_known(const Seen *s)
{
        return s->before ? s->before : s->device;
}

bool seen_is_known(const Seen *s)
{
        return s->before || s->knowledge == SEEN_SETTLED;
}

bool devices_have_outer(const Devices *d, const Device *device)
{
        return device->outer == 0 || devices_find_same(d, device->outer, device->outer_diskseq);
}

static int add(Devices *d, Seen **ret)
{
        Seen **grown = reallocarray(d->seen, d->n + 1, sizeof(*grown));
        Seen *s;

        if (!grown)
                return -ENOMEM;
        d->seen = grown;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        d->seen[d->n++] = s;
        *ret = s;
        return 0;
}

static Departure *find_departure(const Devices *d, dev_t devnum)
{
        for (size_t i = 0; i < d->n_departures; i++)
                if (d->departures[i].devnum == devnum)
                        return &d->departures[i];
        return NULL;
}

/* Without memory for it a late event is taken for a new one, and the next one sets that right. */
static void note_departure(Devices *d, dev_t devnum, uint64_t seqnum)
{
        Departure *known = find_departure(d, devnum), *grown;

        if (known) {
                known->seqnum = seqnum;
                return;
        }
        grown = reallocarray(d->departures, d->n_departures + 1, sizeof(*grown));
        if (!grown)
                return;
        d->departures = grown;
        d->departures[d->n_departures++] = (Departure){ devnum, seqnum };
}

/* Where several udevds tell of the same event, one may not know what the other does. */
static bool tells_more(const HotplugEvent *e, const Device *known)
{
        return e->settled && e->device && e->device->content != DEVICE_CONTENT_UNKNOWN &&
               known->content == DEVICE_CONTENT_UNKNOWN;
}

/* Whether E was overtaken by one that is known. */
static bool is_late(const Devices *d, const Seen *s, const HotplugEvent *e)
{
        const Departure *departure = s ? NULL : find_departure(d, e->devnum);
        uint64_t latest = s ? s->seqnum : departure ? departure->seqnum : 0;

        if (e->seqnum == latest && s && tells_more(e, s->device))
                return false;
        return e->seqnum != 0 && e->seqnum <= latest;
}

/* What was known of it is the caller's. */
static Device *take_known(Seen *s)
{
        return s->before ? TAKE_PTR(s->before) : TAKE_PTR(s->device);
}

static Device *remove_seen(Devices *d, Seen *s)
{
        Device *old = take_known(s);

        for (size_t i = 0; i < d->n; i++)
                if (d->seen[i] == s) {
                        d->seen[i] = d->seen[--d->n];
                        break;
                }
        seen_free(s);
        return old;
}

static uint64_t digest_content(const Device *d)
{
        if (d->content == DEVICE_CONTENT_UNKNOWN)
                return 0;
        return text_digest(text_digest(text_digest(d->content, d->uuid), d->uuid_sub), d->type);
}

/* Not known is not changed: the kernel's own events say nothing of the content. */
static bool note_content(Devices *d, Seen *s)
{
        uint64_t content = digest_content(s->device);

        if (content == 0 || content == s->content)
                return false;
        s->generation = ++d->generation;
        s->content = content;
        return true;
}

static SeenKnowledge knowledge_of(const HotplugEvent *e, SeenKnowledge unsettled_is)
{
        const Device *d = e->device;

        if (!e->settled)
                return unsettled_is;
        /* udev has looked and could not tell, not even which partition it is. */
        if (d->content == DEVICE_CONTENT_UNKNOWN && d->is_partition && !d->part_uuid)
                return SEEN_UNKNOWN;
        return SEEN_SETTLED;
}

/* Whether B, of which the content is not known, is what A was. */
static bool may_still_be(const Device *a, const Device *b)
{
        return device_same(a, b) && a->size == b->size && a->content != DEVICE_CONTENT_UNKNOWN;
}

int devices_apply(Devices *d, HotplugEvent *e, SeenKnowledge unsettled_is, uint64_t now_usec,
                  Device **ret_old)
{
        Seen *s = devices_find(d, e->devnum);
        Device *old = NULL;
        int r;

        if (s)
                s->missing = false;
        if (is_late(d, s, e))
                return DEVICES_NOTHING;
        if (e->gone) {
                if (!s)
                        return DEVICES_NOTHING;
                note_departure(d, e->devnum, e->seqnum > s->seqnum ? e->seqnum : s->seqnum);
                *ret_old = remove_seen(d, s);
                return DEVICES_GONE;
        }
        if (!s) {
                r = add(d, &s);
                if (r < 0)
                        return r;
        }
        old = take_known(s);
        s->knowledge = knowledge_of(e, unsettled_is);
        device_free(s->device);
        s->device = TAKE_PTR(e->device);
        if (e->seqnum != 0) /* what was enumerated has none */
                s->seqnum = e->seqnum;
        if (old && device_same(old, s->device))
                s->is_probe_outdated = true;
        else
                s->probe = mountd_call_free(s->probe);
        if (old && s->knowledge != SEEN_SETTLED && may_still_be(old, s->device)) {
                s->before = old;
                return DEVICES_CHANGED;
        }
        if (!old || !device_same(old, s->device)) {
                s->generation = ++d->generation;
                s->content = digest_content(s->device);
                s->event_usec = now_usec;
        } else if (note_content(d, s))
                s->event_usec = now_usec;
        *ret_old = old;
        return DEVICES_CHANGED;
}

void devices_begin_scan(Devices *d)
{
        for (size_t i = 0; i < d->n; i++)
                d->seen[i]->missing = true;
}

void devices_confirm(Devices *d, dev_t devnum)
{
        Seen *s = devices_find(d, devnum);

        if (s)
                s->missing = false;
}

/* An enumeration may pass over one, for want of memory or descriptors. */
static bool is_really_gone(dev_t devnum)
{
        dev_t disk;

        return device_whole_disk(devnum, &disk) == -ENODEV;
}

Device *devices_take_missing(Devices *d)
{
        for (size_t i = 0; i < d->n; i++)
                if (d->seen[i]->missing && is_really_gone(d->seen[i]->device->devnum)) {
                        note_departure(d, d->seen[i]->device->devnum, d->seen[i]->seqnum);
                        return remove_seen(d, d->seen[i]);
                }
        return NULL;
}

static int replace(char **field, const char *value)
{
        char *copy = value ? strdup(value) : NULL;

        if (value && !copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

int devices_set_content(Devices *devices, Seen *s, const MountdResult *r)
{
        Device *d = s->device;
        const struct {
                char **field;
                const char *value;
        } rows[] = {
                { &d->uuid, r->uuid },           { &d->uuid_sub, r->uuid_sub },
                { &d->label, r->label },         { &d->type, r->type },
                { &d->part_uuid, r->part_uuid }, { &d->part_label, r->part_label },
                { &d->disk_guid, r->disk_guid },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (replace(rows[i].field, rows[i].value) < 0)
                        return -ENOMEM;
        d->content = r->content <= DEVICE_CONTENT_AMBIVALENT ? (DeviceContent)r->content
                                                             : DEVICE_CONTENT_UNKNOWN;
        s->knowledge = SEEN_SETTLED;
        (void)note_content(devices, s);
        s->before = device_free(s->before);
        return 0;
}
