/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <libudev.h>
#include <unistd.h>

#include "hotplug.h"
#include "macro.h"
#include "text.h"

struct Hotplug {
        struct udev *udev;
        struct udev_monitor *monitor;
        HotplugSource source;
};

DEFINE_CLEANUP(struct udev *, udev_unref)
DEFINE_CLEANUP(struct udev_device *, udev_device_unref)
DEFINE_CLEANUP(struct udev_enumerate *, udev_enumerate_unref)

/* A burst of 200 attached disks is some 2 MB of messages; the default buffer holds 212 kB. */
#define RECEIVE_BUFFER_SIZE (16 * 1024 * 1024)

const char *hotplug_source_to_string(HotplugSource s)
{
        static const char *const names[] = {
                [HOTPLUG_UDEV] = "udev",
                [HOTPLUG_KERNEL] = "kernel",
        };

        return names[s];
}

bool hotplug_udev_is_running(void)
{
        return access(HOTPLUG_UDEV_DIRECTORY "/" HOTPLUG_UDEV_CONTROL, F_OK) == 0;
}

bool hotplug_udev_is_idle(void)
{
        return access(HOTPLUG_UDEV_DIRECTORY "/queue", F_OK) < 0;
}

void hotplug_event_done(HotplugEvent *e)
{
        e->device = device_free(e->device);
}

static int set_text(char **field, const char *encoded, bool lower)
{
        char *s;

        if (!encoded)
                return 0;
        s = text_from_udev(encoded);
        if (!s)
                return -ENOMEM;
        for (char *p = s; lower && *p; p++)
                *p = (char)tolower((unsigned char)*p);
        free(*field);
        *field = s;
        return 0;
}

static const char *first_property(struct udev_device *u, const char *a, const char *b)
{
        const char *v = udev_device_get_property_value(u, a);

        return v ? v : udev_device_get_property_value(u, b);
}

static bool property_is(struct udev_device *u, const char *key, const char *value)
{
        return streq_ptr(udev_device_get_property_value(u, key), value);
}

/* Where the signatures contradict each other, systemd's udevd finds nothing at all, not even the
 * partition's entry: then it is not known what is there. */
static bool has_looked(const Device *d, struct udev_device *u)
{
        const char *key = d->is_partition ? "ID_PART_ENTRY_SCHEME" : "ID_PART_TABLE_TYPE";

        return udev_device_get_property_value(u, key);
}

static DeviceContent content_of(const Device *d, struct udev_device *u)
{
        const char *usage = udev_device_get_property_value(u, "ID_FS_USAGE");

        if (udev_device_get_property_value(u, "ID_FS_AMBIVALENT"))
                return DEVICE_CONTENT_AMBIVALENT;
        if (usage)
                return streq(usage, "filesystem") ? DEVICE_CONTENT_FILESYSTEM
                                                  : DEVICE_CONTENT_OTHER;
        if (udev_device_get_property_value(u, "ID_FS_TYPE"))
                return DEVICE_CONTENT_OTHER;
        return has_looked(d, u) ? DEVICE_CONTENT_NONE : DEVICE_CONTENT_UNKNOWN;
}

static int set_by_id(Device *d, struct udev_device *u)
{
        static const char prefix[] = "/dev/disk/by-id/";
        struct udev_list_entry *e;

        udev_list_entry_foreach(e, udev_device_get_devlinks_list_entry(u))
        {
                const char *link = udev_list_entry_get_name(e);

                if (!startswith(link, prefix))
                        continue;
                link += sizeof(prefix) - 1;
                if (strv_take(&d->by_id, text_escape(link, strlen(link))) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* What udev found out; of the content only where it has looked. */
static int set_udev_record(Device *d, struct udev_device *u)
{
        const struct {
                char **field;
                const char *value;
                bool lower;
        } rows[] = {
                { &d->uuid, first_property(u, "ID_FS_UUID_ENC", "ID_FS_UUID"), true },
                { &d->uuid_sub, first_property(u, "ID_FS_UUID_SUB_ENC", "ID_FS_UUID_SUB"), true },
                { &d->label, first_property(u, "ID_FS_LABEL_ENC", "ID_FS_LABEL"), false },
                { &d->type, udev_device_get_property_value(u, "ID_FS_TYPE"), false },
                { &d->part_uuid, udev_device_get_property_value(u, "ID_PART_ENTRY_UUID"), true },
                { &d->part_label, udev_device_get_property_value(u, "ID_PART_ENTRY_NAME"), false },
                { &d->disk_guid, udev_device_get_property_value(u, "ID_PART_TABLE_UUID"), true },
                { &d->serial, first_property(u, "ID_SERIAL_SHORT", "ID_SERIAL"), false },
                { &d->wwn, first_property(u, "ID_WWN_WITH_EXTENSION", "ID_WWN"), false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (set_text(rows[i].field, rows[i].value, rows[i].lower) < 0)
                        return -ENOMEM;
        d->content = content_of(d, u);
        /* Where devices of a filesystem are missing, the mount tells. */
        d->ready =
                (!property_is(u, "SYSTEMD_READY", "0") || property_is(u, "ID_BTRFS_READY", "0")) &&
                !property_is(u, "DM_UDEV_DISABLE_OTHER_RULES_FLAG", "1");
        return set_by_id(d, u);
}

/* The event is of an earlier disk under this number. What it says of content is of no use any more;
 * that the disk is gone may be said by nothing else (the kernel takes the next sequence number
 * right after it has announced that a loop device is empty). A successor's own event is on the way;
 * but not that of an array, which is counted anew after its only event: there udev says (from 252
 * on) that the number means nothing. */
static bool is_event_stale(const Device *d, struct udev_device *u)
{
        const char *s = udev_device_get_property_value(u, "DISKSEQ");

        return s && !property_is(u, "ID_IGNORE_DISKSEQ", "1") && d->diskseq &&
               strtoull(s, NULL, 10) != d->diskseq;
}

/* Among the names that udevd gave to a disk (from 250 on) is one made of the sequence number. */
static bool has_other_diskseq(struct udev_device *disk, uint64_t diskseq)
{
        static const char prefix[] = "/dev/disk/by-diskseq/";
        struct udev_list_entry *e;

        udev_list_entry_foreach(e, udev_device_get_devlinks_list_entry(disk))
        {
                const char *link = udev_list_entry_get_name(e);

                if (startswith(link, prefix))
                        return strtoull(link + sizeof(prefix) - 1, NULL, 10) != diskseq;
        }
        return false;
}

/* The same of udev's record: the disk came when no udevd ran, or when it was about to die. Of a
 * partition that of its disk tells; but an event of it may come before the disk's record, from
 * another distribution's udevd. */
static bool is_record_stale(const Device *d, struct udev_device *u)
{
        struct udev_device *disk = u;

        if (d->is_partition)
                disk = udev_device_get_seqnum(u) == 0
                               ? udev_device_get_parent_with_subsystem_devtype(u, "block", "disk")
                               : NULL;
        return disk && d->diskseq && has_other_diskseq(disk, d->diskseq);
}

static bool is_stale(const Device *d, struct udev_device *u)
{
        return is_event_stale(d, u) || is_record_stale(d, u);
}

/* Mapped, udev knows of a partition only what is in it. */
static int inherit(Device *d, struct udev *udev)
{
        _cleanup_(udev_device_unrefp) struct udev_device *u = NULL;
        _cleanup_(device_freep) Device *outer = NULL;
        int r;

        if (d->outer == 0)
                return 0;
        r = device_new(d->outer, &outer);
        if (r < 0)
                return r;
        if (device_read_sysfs(outer) < 0)
                return 0; /* it is gone, or about to */
        u = udev_device_new_from_devnum(udev, 'b', d->outer);
        if (u && udev_device_get_is_initialized(u) > 0 && !is_stale(outer, u))
                r = set_udev_record(outer, u);
        if (r >= 0)
                r = device_read_names(outer);
        if (r == -ENODEV)
                return 0;
        return r < 0 ? r : device_inherit(d, outer);
}

static int fill_event(struct udev_device *u, bool settled, HotplugEvent *ret)
{
        HotplugEvent e = {
                .devnum = udev_device_get_devnum(u),
                .seqnum = udev_device_get_seqnum(u),
                .gone = streq_ptr(udev_device_get_action(u), "remove"),
                .settled = settled,
        };
        _cleanup_(device_freep) Device *d = NULL;
        int r;

        if (major(e.devnum) == 0)
                return 0;
        r = device_new(e.devnum, &d);
        if (r < 0)
                return r;
        r = device_read_sysfs(d);
        if (e.gone) {
                /* Anybody who is root can write "remove" to a device's uevent: it is still there.
                 */
                if (r != -ENODEV)
                        return r < 0 ? r : 0;
                d = device_free(d);
        } else {
                if (r == -ENODEV)
                        return 0; /* gone already: so will say the next event */
                if (r < 0)
                        return r;
                d->ready = true;
                if (is_stale(d, u))
                        e.settled = d->size == 0;
                else if (settled)
                        r = set_udev_record(d, u);
                if (r >= 0)
                        r = device_read_names(d);
                if (r == -ENODEV)
                        return 0;
                if (r >= 0)
                        r = inherit(d, udev_device_get_udev(u));
                if (r < 0)
                        return r;
        }
        e.device = TAKE_PTR(d);
        *ret = e;
        return 1;
}

int hotplug_new(HotplugSource source, Hotplug **ret)
{
        _cleanup_(hotplug_freep) Hotplug *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->source = source;
        h->udev = udev_new();
        if (!h->udev)
                return -ENOMEM;
        h->monitor = udev_monitor_new_from_netlink(h->udev, hotplug_source_to_string(source));
        if (!h->monitor)
                return errno > 0 ? -errno : -EIO;
        /* Fails without CAP_NET_ADMIN, then by SO_RCVBUF as much as is allowed to anybody. */
        (void)udev_monitor_set_receive_buffer_size(h->monitor, RECEIVE_BUFFER_SIZE);
        r = udev_monitor_filter_add_match_subsystem_devtype(h->monitor, "block", NULL);
        if (r < 0)
                return r;
        r = udev_monitor_enable_receiving(h->monitor);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

Hotplug *hotplug_free(Hotplug *h)
{
        if (!h)
                return NULL;
        udev_monitor_unref(h->monitor);
        udev_unref(h->udev);
        free(h);
        return NULL;
}

int hotplug_fd(Hotplug *h)
{
        return udev_monitor_get_fd(h->monitor);
}

int hotplug_next(Hotplug *h, HotplugEvent *ret)
{
        for (;;) {
                _cleanup_(udev_device_unrefp) struct udev_device *u = NULL;
                int r;

                errno = 0;
                u = udev_monitor_receive_device(h->monitor);
                if (!u)
                        return errno == ENOBUFS ? -ENOBUFS : 0;
                r = fill_event(u, h->source == HOTPLUG_UDEV, ret);
                if (r != 0)
                        return r;
        }
}

int hotplug_enumerate(bool records, HotplugFound found, void *userdata)
{
        _cleanup_(udev_unrefp) struct udev *udev = udev_new();
        _cleanup_(udev_enumerate_unrefp) struct udev_enumerate *scan = NULL;
        struct udev_list_entry *e;
        int r;

        if (udev)
                scan = udev_enumerate_new(udev);
        if (!scan)
                return -ENOMEM;
        r = udev_enumerate_add_match_subsystem(scan, "block");
        if (r < 0)
                return r;
        r = udev_enumerate_scan_devices(scan);
        if (r < 0)
                return r;
        udev_list_entry_foreach(e, udev_enumerate_get_list_entry(scan))
        {
                _cleanup_(udev_device_unrefp) struct udev_device *u = NULL;
                _cleanup_(hotplug_event_done) HotplugEvent event = { 0 };

                u = udev_device_new_from_syspath(udev, udev_list_entry_get_name(e));
                if (!u)
                        continue;
                r = fill_event(u, records && udev_device_get_is_initialized(u) > 0, &event);
                if (r > 0)
                        r = found(&event, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}

int hotplug_lookup(dev_t devnum, HotplugEvent *ret)
{
        _cleanup_(udev_unrefp) struct udev *udev = udev_new();
        _cleanup_(udev_device_unrefp) struct udev_device *u = NULL;
        int r;

        if (!udev)
                return -ENOMEM;
        u = udev_device_new_from_devnum(udev, 'b', devnum);
        if (!u)
                return -ENODEV;
        r = fill_event(u, udev_device_get_is_initialized(u) > 0, ret);
        return r > 0 ? 0 : r < 0 ? r : -ENODEV;
}
