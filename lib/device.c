/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "device.h"
#include "macro.h"
#include "text.h"

#define ATTRIBUTE_MAX 4096U /* bytes; sysfs gives at most a page */
#define SYSFS_SECTOR 512U   /* bytes, whatever the disk's own sectors have */
#define VPD_UNIT_SERIAL 0x80U
#define VPD_HEADER 4U /* bytes: device type, page code, and the length in two (SPC-4, 7.8) */

static const char *const content_names[] = {
        [DEVICE_CONTENT_UNKNOWN] = "unknown",       [DEVICE_CONTENT_NONE] = "none",
        [DEVICE_CONTENT_FILESYSTEM] = "filesystem", [DEVICE_CONTENT_OTHER] = "other",
        [DEVICE_CONTENT_AMBIVALENT] = "ambivalent",
};

const char *device_content_to_string(DeviceContent c)
{
        return content_names[c];
}

DeviceContent device_content_from_string(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(content_names); i++)
                if (streq(content_names[i], name))
                        return (DeviceContent)i;
        return DEVICE_CONTENT_UNKNOWN;
}

int device_new(dev_t devnum, Device **ret)
{
        Device *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->devnum = devnum;
        d->ready = true;
        *ret = d;
        return 0;
}

Device *device_free(Device *d)
{
        if (!d)
                return NULL;
        free(d->node);
        free(d->uuid);
        free(d->uuid_sub);
        free(d->label);
        free(d->type);
        free(d->part_uuid);
        free(d->part_label);
        free(d->disk_guid);
        free(d->serial);
        free(d->wwn);
        strv_free(d->by_id);
        free(d);
        return NULL;
}

bool device_same(const Device *a, const Device *b)
{
        return a->devnum == b->devnum && a->diskseq == b->diskseq;
}

bool device_is_sibling(const Device *a, const Device *b)
{
        return a->uuid && a->uuid_sub && b->uuid_sub && streq_ptr(a->type, b->type) &&
               streq_ptr(a->uuid, b->uuid) && !streq(a->uuid_sub, b->uuid_sub);
}

int device_inherit(Device *d, const Device *outer)
{
        const struct {
                char **field;
                const char *value;
        } rows[] = {
                { &d->part_uuid, outer->part_uuid },
                { &d->part_label, outer->part_label },
                { &d->disk_guid, outer->disk_guid },
                { &d->serial, outer->serial },
                { &d->wwn, outer->wwn },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (!*rows[i].field && rows[i].value && !(*rows[i].field = strdup(rows[i].value)))
                        return -ENOMEM;
        for (char **name = outer->by_id; name && *name; name++)
                if (strv_push(&d->by_id, *name) < 0)
                        return -ENOMEM;
        return 0;
}

/* The bytes of the attribute NAME with a NUL after them: how many, 0 also where there is none. */
static size_t read_attribute(int dir_fd, const char *name, char buffer[ATTRIBUTE_MAX + 1])
{
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buffer, ATTRIBUTE_MAX);

        if (n < 0)
                n = 0;
        buffer[n] = '\0';
        return (size_t)n;
}

static uint64_t read_number(int dir_fd, const char *name)
{
        char buffer[ATTRIBUTE_MAX + 1], *end;
        unsigned long long n;

        if (read_attribute(dir_fd, name, buffer) == 0 || !isdigit((unsigned char)buffer[0]))
                return 0;
        errno = 0;
        n = strtoull(buffer, &end, 10);
        return errno == 0 && (*end == '\n' || *end == '\0') ? n : 0;
}

/* Removes the white space around S and puts one '_' for what is within, as udev does in
 * ID_SERIAL_SHORT. */
static void tidy(char *s)
{
        char *out = s;

        for (const char *in = s; *in; in++)
                if (!isspace((unsigned char)*in))
                        *out++ = *in;
                else if (out > s && in[1] && !isspace((unsigned char)in[1]))
                        *out++ = '_';
        *out = '\0';
}

/* Whether the attribute NAME is there and not blank. */
static bool read_text(int dir_fd, const char *name, char buffer[ATTRIBUTE_MAX + 1])
{
        (void)read_attribute(dir_fd, name, buffer);
        tidy(buffer);
        return buffer[0] != '\0';
}

/* The unit serial number page, as the kernel kept it from when it found the disk. */
static bool read_vpd_serial(int disk_fd, char buffer[ATTRIBUTE_MAX + 1])
{
        size_t n = read_attribute(disk_fd, "device/vpd_pg80", buffer), length;

        if (n <= VPD_HEADER || (unsigned char)buffer[1] != VPD_UNIT_SERIAL)
                return false;
        length = (size_t)(unsigned char)buffer[2] << 8 | (unsigned char)buffer[3];
        if (length > n - VPD_HEADER)
                length = n - VPD_HEADER;
        memmove(buffer, buffer + VPD_HEADER, length);
        buffer[length] = '\0';
        tidy(buffer);
        return buffer[0] != '\0';
}

/* udev's short serial of a SCSI disk are the digits of its registered name, and the serial number
 * only on ATA disks and those without such a name. */
static bool read_scsi_serial(int disk_fd, char buffer[ATTRIBUTE_MAX + 1])
{
        bool is_ata = read_text(disk_fd, "device/vendor", buffer) && streq(buffer, "ATA");

        if (!is_ata && read_text(disk_fd, "device/wwid", buffer) &&
            (startswith(buffer, "naa.") || startswith(buffer, "eui."))) {
                memmove(buffer, buffer + 4, strlen(buffer + 4) + 1);
                return true;
        }
        return read_vpd_serial(disk_fd, buffer);
}

/* Not a disk's own "serial", which virtio has: each time it is read, the disk is asked. */
static int read_serial(int disk_fd, char **serial)
{
        char buffer[ATTRIBUTE_MAX + 1];

        if (*serial || (!read_text(disk_fd, "device/serial", buffer) && /* NVMe, MMC */
                        !read_scsi_serial(disk_fd, buffer)))
                return 0;
        *serial = text_escape(buffer, strlen(buffer));
        return *serial ? 0 : -ENOMEM;
}

/* In the form of udev's ID_WWN_WITH_EXTENSION, which lsblk shows: 0x… for SCSI's NAA names, NVMe's
 * as they are. SCSI's "t10." ones are vendor and serial number, no world wide name. */
static int read_wwn(int disk_fd, char **wwn)
{
        char buffer[ATTRIBUTE_MAX + 1];

        if (*wwn || (!read_text(disk_fd, "wwid", buffer) && /* NVMe */
                     !read_text(disk_fd, "device/wwid", buffer)))
                return 0;
        if (startswith(buffer, "t10."))
                return 0;
        if (startswith(buffer, "naa.")) {
                memcpy(buffer, "0x", 2);
                memmove(buffer + 2, buffer + 4, strlen(buffer + 4) + 1);
        }
        *wwn = text_escape(buffer, strlen(buffer));
        return *wwn ? 0 : -ENOMEM;
}

static int read_node(int dir_fd, char **node)
{
        char buffer[ATTRIBUTE_MAX + 1], *name, *copy;

        (void)read_attribute(dir_fd, "uevent", buffer);
        name = startswith(buffer, "DEVNAME=") ? buffer : strstr(buffer, "\nDEVNAME=");
        if (!name)
                return -ENODEV;
        name = strchr(name, '=') + 1;
        name[strcspn(name, "\n")] = '\0';
        copy = text_format("/dev/%s", name);
        if (!copy)
                return -ENOMEM;
        free(*node);
        *node = copy;
        return 0;
}

static int open_device(const char *sysfs, dev_t devnum)
{
        _cleanup_free_ char *path =
                text_format("%s/dev/block/%u:%u", sysfs, major(devnum), minor(devnum));
        int fd;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ENODEV : -errno;
        return fd;
}

static bool is_partition(int dir_fd)
{
        return faccessat(dir_fd, "partition", F_OK, 0) == 0;
}

/* The directory of a partition lies in that of its disk. */
static int open_disk(int dir_fd)
{
        int fd =
                openat(dir_fd, is_partition(dir_fd) ? ".." : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? -ENODEV : -errno;
        return fd;
}

static bool parse_devnum(const char *s, dev_t *ret)
{
        unsigned maj, min;
        char end;

        if (sscanf(s, "%u:%u%c", &maj, &min, &end) != 3 || end != '\n')
                return false;
        *ret = makedev(maj, min);
        return true;
}

/* The directory of the only device that this one is made of; -ENOENT: that is gone, and its link
 * leads nowhere; -ENODEV: there is none, or more; another -errno. */
static int open_slave(int dir_fd)
{
        int fd = openat(dir_fd, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC), slave_fd = -1;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        unsigned n = 0;

        if (!d) {
                close_fd(fd);
                return -ENODEV;
        }
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                n++;
                close_fd(slave_fd);
                slave_fd = openat(fd, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (slave_fd < 0)
                        slave_fd = -errno;
        }
        (void)closedir(d);
        if (n == 1)
                return slave_fd;
        close_fd(slave_fd);
        return -ENODEV;
}

/* Only of what cryptsetup unlocked: a logical volume, say, is not what its disk is. */
static void read_outer(int dir_fd, Device *d)
{
        _cleanup_close_ int slave_fd = -1, disk_fd = -1;
        char buffer[ATTRIBUTE_MAX + 1];

        if (!read_text(dir_fd, "dm/uuid", buffer) || !startswith(buffer, "CRYPT-"))
                return;
        slave_fd = open_slave(dir_fd);
        /* Its disk was pulled out, and the mapping stays: as a drive without a medium. */
        if (slave_fd == -ENOENT)
                d->size = 0;
        disk_fd = slave_fd < 0 ? -1 : open_disk(slave_fd);
        if (disk_fd < 0 || read_attribute(slave_fd, "dev", buffer) == 0 ||
            !parse_devnum(buffer, &d->outer))
                return;
        d->outer_diskseq = read_number(disk_fd, "diskseq");
}

int device_read_sysfs_at(const char *sysfs, Device *d)
{
        _cleanup_close_ int dir_fd = open_device(sysfs, d->devnum), disk_fd = -1;
        uint64_t diskseq;
        int r;

        if (dir_fd < 0)
                return dir_fd;
        disk_fd = open_disk(dir_fd);
        if (disk_fd < 0)
                return disk_fd;
        r = read_node(dir_fd, &d->node);
        if (r < 0)
                return r;
        diskseq = read_number(disk_fd, "diskseq");
        if (diskseq > 0) /* since Linux 5.15 */
                d->diskseq = diskseq;
        d->size = read_number(dir_fd, "size") * SYSFS_SECTOR;
        d->read_only = read_number(dir_fd, "ro") != 0;
        d->is_partition = is_partition(dir_fd);
        read_outer(dir_fd, d);
        return 0;
}

int device_read_sysfs(Device *d)
{
        return device_read_sysfs_at("/sys", d);
}

int device_read_names_at(const char *sysfs, Device *d)
{
        _cleanup_close_ int dir_fd = -1, disk_fd = -1;
        int r;

        if (d->serial && d->wwn)
                return 0;
        dir_fd = open_device(sysfs, d->devnum);
        if (dir_fd < 0)
                return dir_fd;
        disk_fd = open_disk(dir_fd);
        if (disk_fd < 0)
                return disk_fd;
        r = read_serial(disk_fd, &d->serial);
        return r < 0 ? r : read_wwn(disk_fd, &d->wwn);
}

int device_read_names(Device *d)
{
        return device_read_names_at("/sys", d);
}

int device_whole_disk_at(const char *sysfs, dev_t devnum, dev_t *ret)
{
        _cleanup_close_ int dir_fd = open_device(sysfs, devnum), disk_fd = -1;
        char buffer[ATTRIBUTE_MAX + 1];

        if (dir_fd < 0)
                return dir_fd;
        disk_fd = open_disk(dir_fd);
        if (disk_fd < 0)
                return disk_fd;
        if (read_attribute(disk_fd, "dev", buffer) == 0 || !parse_devnum(buffer, ret))
                return -ENODEV;
        return 0;
}

int device_whole_disk(dev_t devnum, dev_t *ret)
{
        return device_whole_disk_at("/sys", devnum, ret);
}
