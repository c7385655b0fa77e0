/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A block device as seen: identity, and what is known of its content. A value; nothing here opens a
 * device. */

typedef enum DeviceContent {
        DEVICE_CONTENT_UNKNOWN,    /* nobody looked yet, or it could not be read */
        DEVICE_CONTENT_NONE,       /* looked at: nothing that libblkid knows */
        DEVICE_CONTENT_FILESYSTEM, /* a filesystem; uuid, label, type speak of it */
        DEVICE_CONTENT_OTHER,      /* swap, LUKS, LVM or RAID member, …: type says what */
        DEVICE_CONTENT_AMBIVALENT, /* two signatures that contradict each other */
} DeviceContent;

const char *device_content_to_string(DeviceContent c);
/* DEVICE_CONTENT_UNKNOWN where NAME is none. */
DeviceContent device_content_from_string(const char *name);

typedef struct Device {
        dev_t devnum;
        uint64_t diskseq; /* of its whole disk; with devnum, the identity: numbers are used again,
                             sequences are not. 0 unknown */
        char *node;       /* /dev/sdb1 */
        bool ready;       /* udev does not say that it must not be used (SYSTEMD_READY=0,
                             DM_UDEV_DISABLE_OTHER_RULES_FLAG) */
        bool read_only;
        bool is_partition;
        dev_t outer; /* the encrypted device of which this is the content, unlocked; 0 none */
        uint64_t outer_diskseq;
        DeviceContent content;
        /* All NULL where unknown; UUIDs in lower case; strings from the disk as text_escape() shows
         * them. */
        char *uuid;
        char *uuid_sub; /* of this one of the devices that a filesystem or an array is on, which all
                           have its uuid */
        char *label;
        char *type;
        char *part_uuid;
        char *part_label;
        char *disk_guid;
        char *serial;
        char *wwn;
        char **by_id;  /* names below /dev/disk/by-id, without the directory */
        uint64_t size; /* bytes, 0 unknown */
} Device;

/* `ready` is true, content unknown, all else empty. */
int device_new(dev_t devnum, Device **ret);
Device *device_free(Device *d);
static inline void device_freep(Device **d)
{
        device_free(*d);
}

/* Fills in what sysfs knows of devnum: node, diskseq, read_only, is_partition, outer and size. 0,
 * -ENODEV (no such block device), -ENOMEM or another -errno of opening; what was filled in by then
 * stays. What was unlocked of a device that is gone by now has size 0. Reads
 * SYSFS/dev/block/MAJOR:MINOR only, and nothing for which the kernel asks the disk; SYSFS is "/sys"
 * but in tests. */
int device_read_sysfs(Device *d);
int device_read_sysfs_at(const char *sysfs, Device *d);

/* Same for serial and WWN, where they are NULL, in the forms of udev's ID_SERIAL_SHORT and
 * ID_WWN_WITH_EXTENSION (of a partition, those of its disk). Does not ask the disk either, so a
 * virtio disk has no serial but by udev. */
int device_read_names(Device *d);
int device_read_names_at(const char *sysfs, Device *d);

/* The device number of the whole disk (devnum itself when it is one). 0, -ENODEV, or as above. */
int device_whole_disk(dev_t devnum, dev_t *ret);
int device_whole_disk_at(const char *sysfs, dev_t devnum, dev_t *ret);

/* Gives D the identity of its outer device where it has none of its own: partition, disk GUID,
 * serial, WWN and names by ID. Whoever names a partition means what is in it. 0 or -ENOMEM. */
int device_inherit(Device *d, const Device *outer);

/* Whether A and B are the same device in the same incarnation. */
bool device_same(const Device *a, const Device *b);

/* Whether A and B are different devices of one filesystem or array; a copy is none. */
bool device_is_sibling(const Device *a, const Device *b);
