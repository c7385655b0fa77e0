/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>

/* What libudev tells becomes a device in functions that are nobody else's. */
#include "../../lib/hotplug.c"

#include "fuzz.h"
#include "match.h"

/* The properties of a device as udevd broadcasts them, one KEY=VALUE a line: labels, names and
 * serial numbers are what disks say of themselves. */

#define PROPERTIES_MAX 64U

static const char *const fixed[] = {
        "ACTION=change", "DEVPATH=/devices/virtual/block/fuzz0", "SUBSYSTEM=block", "SEQNUM=7",
        "DEVTYPE=disk",
};

/* Version 252 of libudev itself dies of lists without a tag, which udevd never sends. */
static bool is_empty_list(const char *line)
{
        const char *equals = strchr(line, '=');

        return (startswith(line, "TAGS=") || startswith(line, "CURRENT_TAGS=")) &&
               equals[1 + strspn(equals + 1, ":")] == '\0';
}

/* libudev reads them from the environment. */
static struct udev_device *make_device(struct udev *udev, const uint8_t *data, size_t size)
{
        char *properties[ELEMENTSOF(fixed) + PROPERTIES_MAX + 1] = { 0 }, **saved = environ;
        struct udev_device *u;
        size_t n = 0;
        char *line;

        while (n < PROPERTIES_MAX && (line = fuzz_line(&data, &size)))
                if (is_empty_list(line))
                        free(line);
                else
                        properties[n++] = line;
        for (size_t i = 0; i < ELEMENTSOF(fixed); i++) {
                properties[n] = strdup(fixed[i]);
                CHECK(properties[n]);
                n++;
        }
        environ = properties;
        u = udev_device_new_from_environment(udev);
        environ = saved;
        for (size_t i = 0; i < n; i++)
                free(properties[i]);
        return u;
}

static void check_device(const Device *d)
{
        const char *const texts[] = { d->uuid,       d->label,     d->type,   d->part_uuid,
                                      d->part_label, d->disk_guid, d->serial, d->wwn };
        const char *const lower[] = { d->uuid, d->part_uuid, d->disk_guid };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i])
                        fuzz_check_text(texts[i]);
        for (size_t i = 0; i < ELEMENTSOF(lower); i++)
                for (const char *p = lower[i]; p && *p; p++)
                        CHECK(!isupper((unsigned char)*p));
}

/* A device fits what names it by its own values. */
static void check_match(const Device *d)
{
        const Match own = { .uuid = d->uuid,
                            .label = d->label,
                            .part_uuid = d->part_uuid,
                            .part_label = d->part_label,
                            .disk_guid = d->disk_guid,
                            .serial = d->serial,
                            .wwn = d->wwn };
        Match other = own;
        const char *key = NULL;
        char serial[] = "another";

        if (!own.uuid && !own.label && !match_is_by_hardware(&own))
                return;
        if (!match_device(&own, d, &key))
                CHECK(key);
        else if (d->content == DEVICE_CONTENT_UNKNOWN)
                CHECK(match_device_unseen(&own, d));
        other.serial = serial;
        CHECK(!match_device(&other, d, NULL) || streq_ptr(d->serial, serial));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(udev_unrefp) struct udev *udev = udev_new();
        _cleanup_(udev_device_unrefp) struct udev_device *u = make_device(udev, data, size);
        _cleanup_(device_freep) Device *d = NULL;
        HotplugEvent e = { 0 };

        CHECK(udev);
        if (!u)
                return 0;
        CHECK(device_new(udev_device_get_devnum(u), &d) == 0);
        d->is_partition = size > 0 && data[0] == 'P';
        (void)is_stale(d, u);
        CHECK(set_udev_record(d, u) == 0);
        check_device(d);
        check_match(d);
        /* No such device is there; or one that is, and then it is told by sysfs. */
        if (fill_event(u, true, &e) > 0 && e.device)
                check_device(e.device);
        hotplug_event_done(&e);
        return 0;
}
