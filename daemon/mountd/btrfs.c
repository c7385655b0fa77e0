/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "btrfs.h"
#include "macro.h"
#include "mount.h"
#include "pid1.h"

/* Numbers of devices that were removed are not given again, so there may be gaps. */
#define DEVICE_ID_MAX 4096U

static int open_control(void)
{
        int fd = open("/dev/btrfs-control", O_RDWR | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int btrfs_scan(const char *node)
{
        struct btrfs_ioctl_vol_args args = { 0 };
        _cleanup_close_ int fd = -1;
        int r;

        if (mount_type_known("btrfs") == 0)
                (void)pid1_load_filesystem("btrfs");
        fd = open_control();
        if (fd < 0)
                return fd;
        (void)snprintf(args.name, sizeof(args.name), "%s", node);
        r = ioctl(fd, BTRFS_IOC_DEVICES_READY, &args);
        return r < 0 ? -errno : r == 0;
}

int btrfs_read_uuid(int fd, char ret[static BTRFS_UUID_LENGTH + 1])
{
        struct btrfs_ioctl_fs_info_args info = { 0 };

        if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return -errno;
        for (size_t i = 0; i < sizeof(info.fsid); i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", info.fsid[i]);
        return 0;
}

static bool is_device(const struct btrfs_ioctl_dev_info_args *device, dev_t devnum)
{
        struct stat st;

        return device->path[0] && stat((const char *)device->path, &st) == 0 &&
               S_ISBLK(st.st_mode) && st.st_rdev == devnum;
}

bool btrfs_is_on_device(const char *target, dev_t devnum)
{
        struct btrfs_ioctl_fs_info_args info = { 0 };
        _cleanup_close_ int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0 || ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return false;
        for (__u64 id = 1; id <= info.max_id && id <= DEVICE_ID_MAX; id++) {
                struct btrfs_ioctl_dev_info_args device = { .devid = id };

                if (ioctl(fd, BTRFS_IOC_DEV_INFO, &device) >= 0 && is_device(&device, devnum))
                        return true;
        }
        return false;
}
