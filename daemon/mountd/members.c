/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "hotplug.h"
#include "match.h"
#include "members.h"

void members_done(Members *m)
{
        for (size_t i = 0; i < m->n; i++)
                blockdev_done(&m->devices[i]);
        free(m->devices);
        *m = (Members){ 0 };
}

/* Candidates. */

typedef struct Search {
        const Match *match;    /* what fits it; NULL: */
        const Device *sibling; /* those that have the same filesystem */
        Device **found;
        size_t n;
} Search;

static void search_done(Search *s)
{
        for (size_t i = 0; i < s->n; i++)
                device_free(s->found[i]);
        free(s->found);
}

/* One of which udev does not tell the content; NULL where nobody can. */
static Device *look_at(const Device *d)
{
        _cleanup_(report_freep) Report *unread = report_new();
        _cleanup_(blockdev_done) BlockDevice b = { .fd = -1, .disk_fd = -1 };

        if (!unread || blockdev_open(d->devnum, d->diskseq, &b, unread) < 0 ||
            blockdev_probe(&b, unread) < 0)
                return NULL;
        return TAKE_PTR(b.device);
}

static bool is_possible(const Search *s, const Device *d)
{
        return d->ready && d->size > 0 && (!s->match || match_device_unseen(s->match, d));
}

static bool is_wanted(const Search *s, const Device *d)
{
        return s->match ? match_fits(s->match, d)
                        : d->ready && d->size > 0 && device_is_sibling(d, s->sibling);
}

static int on_device(HotplugEvent *e, void *userdata)
{
        Search *s = userdata;
        _cleanup_(device_freep) Device *d = NULL;
        Device **grown;

        if (e->settled)
                d = TAKE_PTR(e->device);
        else if (is_possible(s, e->device))
                d = look_at(e->device);
        if (!d || !is_wanted(s, d))
                return 0;
        grown = reallocarray(s->found, s->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        s->found = grown;
        s->found[s->n++] = TAKE_PTR(d);
        return 0;
}

static bool is_unlocked(const Search *s, const Device *d)
{
        for (size_t i = 0; d->content == DEVICE_CONTENT_OTHER && i < s->n; i++)
                if (s->found[i]->outer == d->devnum)
                        return true;
        return false;
}

/* Keys of the partition or the disk fit what is in an encrypted device as they fit that. */
static void drop_unlocked(Search *s)
{
        for (size_t i = 0; i < s->n;) {
                if (!is_unlocked(s, s->found[i])) {
                        i++;
                        continue;
                }
                device_free(s->found[i]);
                s->found[i] = s->found[--s->n];
        }
}

static bool is_of_one_filesystem(const Device *a, const Device *b)
{
        return a->content == DEVICE_CONTENT_FILESYSTEM && device_is_sibling(a, b);
}

static int find(Search *s, Report *report)
{
        int r = hotplug_enumerate(hotplug_udev_is_running(), on_device, s);

        if (r < 0)
                return report_fail(report, "MountFailed", STEP_PROBE, r,
                                   "Cannot list the devices: %s", strerror(-r));
        drop_unlocked(s);
        /* Two that are not devices of one filesystem: which is meant, nobody can tell. */
        for (size_t i = 0; i < s->n; i++)
                for (size_t k = 0; k < i; k++)
                        if (!is_of_one_filesystem(s->found[i], s->found[k]))
                                return report_fail(report, "Ambiguous", STEP_PROBE, EEXIST,
                                                   "%zu devices fit, %s and %s among them, and "
                                                   "these are not of one filesystem",
                                                   s->n, s->found[k]->node, s->found[i]->node);
        return 0;
}

/* Opening them. */

static BlockDevice *add(Members *m)
{
        BlockDevice *grown = reallocarray(m->devices, m->n + 1, sizeof(*grown));

        if (!grown)
                return NULL;
        m->devices = grown;
        grown[m->n] = (BlockDevice){ .fd = -1, .disk_fd = -1 };
        return &grown[m->n++];
}

static int open_next(Members *m, const Device *d, BlockDevice **ret, Report *report)
{
        BlockDevice *b = add(m);
        int r;

        if (!b)
                return report_fail(report, "MountFailed", STEP_PROBE, ENOMEM, "Out of memory");
        r = blockdev_open(d->devnum, d->diskseq, b, report);
        if (r >= 0)
                *ret = b;
        return r;
}

/* A lock of a disk is one descriptor's, and keeps others of our own from it too. */
static void share_disk(Members *m)
{
        BlockDevice *last = &m->devices[m->n - 1];
        dev_t disk, other;

        if (device_whole_disk(last->device->devnum, &disk) < 0)
                return;
        for (size_t i = 0; i + 1 < m->n; i++)
                if (device_whole_disk(m->devices[i].device->devnum, &other) >= 0 && other == disk) {
                        last->fd = close_fd(last->fd);
                        last->disk_fd = close_fd(last->disk_fd);
                        return;
                }
}

static int open_sibling(Members *m, const Device *d, Report *report)
{
        BlockDevice *b;
        int r = open_next(m, d, &b, report);

        if (r >= 0)
                r = blockdev_probe(b, report);
        if (r >= 0 && !device_is_sibling(b->device, m->devices[0].device))
                r = report_fail(report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                "%s is not what it was taken for, a device of the filesystem on %s",
                                d->node, m->devices[0].device->node);
        if (r >= 0)
                share_disk(m);
        return r;
}

static int open_siblings(Members *m, Report *report)
{
        const Device *first = m->devices[0].device;
        _cleanup_(search_done) Search s = { .sibling = first };
        int r;

        if (first->content != DEVICE_CONTENT_FILESYSTEM || !first->uuid_sub)
                return 0;
        r = find(&s, report);
        for (size_t i = 0; r >= 0 && i < s.n; i++)
                r = open_sibling(m, s.found[i], report);
        return r;
}

/* The one that wslbared takes for the volume's too. */
static const Device *lowest(const Search *s)
{
        const Device *d = s->found[0];

        for (size_t i = 1; i < s->n; i++)
                if (s->found[i]->devnum < d->devnum)
                        d = s->found[i];
        return d;
}

int members_open_meant(const VolumeConfig *config, Members *ret, Report *report)
{
        _cleanup_(search_done) Search s = { .match = &config->match };
        BlockDevice *b;
        int r = find(&s, report);

        if (r >= 0 && s.n == 0)
                r = report_fail(report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                "No device is here that %s means", config->path);
        if (r >= 0)
                r = open_next(ret, lowest(&s), &b, report);
        if (r >= 0)
                r = blockdev_probe(b, report);
        if (r >= 0 && !match_fits(s.match, b->device))
                r = report_fail(report, "DeviceAbsent", STEP_PROBE, ENODEV,
                                "%s is not what %s means", b->device->node, config->path);
        return r < 0 ? r : open_siblings(ret, report);
}

/* It is mounted, so what it holds need not be proven; but its siblings are known by that. */
static void know_content(BlockDevice *b)
{
        _cleanup_(report_freep) Report *unread = report_new();

        if (unread && b->device->content == DEVICE_CONTENT_UNKNOWN)
                (void)blockdev_probe(b, unread);
}

int members_open(dev_t devnum, uint64_t diskseq, Members *ret, Report *report)
{
        const Device d = { .devnum = devnum, .diskseq = diskseq };
        BlockDevice *b;
        int r = open_next(ret, &d, &b, report);

        if (r < 0)
                return r;
        know_content(b);
        return open_siblings(ret, report);
}
