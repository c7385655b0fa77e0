/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fnmatch.h>

#include "advice.h"
#include "macro.h"
#include "text.h"

typedef struct Advice {
        const char *type;   /* pattern of fnmatch(3); the first that fits counts */
        VolumeState state;  /* VOLUME_MOUNTED: a filesystem */
        const char *driver; /* of a filesystem, the kernel's name where it differs */
        const char *what;   /* of anything else, what the device is */
        const char *to_do;  /* and what to do; of a filesystem, where nothing mounts it */
} Advice;

#define NAME_WHAT_IT_HOLDS ", and name a filesystem in it in [Match]"

static const Advice table[] = {
        { "crypto_LUKS", VOLUME_LOCKED, NULL, "is encrypted with LUKS",
          "unlock it with `cryptsetup open DEVICE NAME`, or at boot by a line in /etc/crypttab" },
        { "BitLocker", VOLUME_LOCKED, NULL, "is encrypted with BitLocker",
          "unlock it with `cryptsetup open --type bitlk DEVICE NAME`, or at boot by a line in "
          "/etc/crypttab" },

        { "LVM?_member", VOLUME_MEMBER, NULL, "belongs to a volume group of LVM",
          "activate that with `vgchange -ay`" NAME_WHAT_IT_HOLDS },
        { "@(linux|ddf|isw)_raid_member", VOLUME_MEMBER, NULL, "belongs to a RAID array",
          "assemble that with `mdadm --assemble --scan`" NAME_WHAT_IT_HOLDS },
        { "*_raid_member", VOLUME_MEMBER, NULL, "belongs to a RAID array",
          "assemble that with `dmraid -ay`" NAME_WHAT_IT_HOLDS },
        { "zfs_member", VOLUME_MEMBER, NULL, "belongs to a pool of ZFS",
          "import that with `zpool import` (of zfsutils-linux), which mounts it too" },
        { "mpath_member", VOLUME_MEMBER, NULL, "is one path to a disk",
          "let multipathd make the disk" NAME_WHAT_IT_HOLDS },
        { "bcache", VOLUME_MEMBER, NULL, "belongs to bcache",
          "register it in /sys/fs/bcache/register" NAME_WHAT_IT_HOLDS },
        { "drbd", VOLUME_MEMBER, NULL, "belongs to DRBD",
          "start that with `drbdadm up all`" NAME_WHAT_IT_HOLDS },
        { "stratis", VOLUME_MEMBER, NULL, "belongs to a pool of Stratis",
          "start that with `stratis pool start --all`" NAME_WHAT_IT_HOLDS },
        { "*_member", VOLUME_MEMBER, NULL, "belongs to several disks that are used as one",
          "put them together by the program that made them" NAME_WHAT_IT_HOLDS },

        { "swap", VOLUME_UNSUPPORTED, NULL, "holds swap space",
          "swapon(8) is for that; name another device in [Match]" },
        { "swsuspend", VOLUME_UNSUPPORTED, NULL, "holds a system that hibernates",
          "leave it alone; name another device in [Match]" },
        { "jbd", VOLUME_UNSUPPORTED, NULL, "holds the journal of another ext4",
          "name that in [Match]" },
        { "xfs_external_log", VOLUME_UNSUPPORTED, NULL, "holds the log of another xfs",
          "name that in [Match], and this one by logdev= in Options=" },

        { "ntfs", VOLUME_MOUNTED, "ntfs3", NULL, "install ntfs-3g, or a kernel with ntfs3" },
        { "exfat", VOLUME_MOUNTED, NULL, NULL, "install exfat-fuse, or a kernel with exfat" },
        { "apfs", VOLUME_MOUNTED, NULL, NULL, "install apfs-dkms or apfs-fuse" },
        { "ReFS", VOLUME_MOUNTED, NULL, NULL, "only Windows can, so attach it there" },
        { "btrfs", VOLUME_MOUNTED, NULL, NULL, "install a kernel with btrfs" },
        { "f2fs", VOLUME_MOUNTED, NULL, NULL, "install a kernel with f2fs" },
        { "hfs", VOLUME_MOUNTED, NULL, NULL, "install a kernel with hfs" },
        { "hfsplus", VOLUME_MOUNTED, NULL, NULL, "install a kernel with hfsplus" },
        { "vfat", VOLUME_MOUNTED, NULL, NULL, "install a kernel with vfat" },
        { "xfs", VOLUME_MOUNTED, NULL, NULL, "install a kernel with xfs" },
};

static const Advice *find(const char *type)
{
        for (size_t i = 0; type && i < ELEMENTSOF(table); i++)
                if (fnmatch(table[i].type, type, FNM_EXTMATCH) == 0)
                        return &table[i];
        return NULL;
}

static VolumeState on_nothing(const Device *d, char **ret)
{
        if (!d->type) {
                *ret = text_format("%s holds no filesystem; make one (mkfs), or name another "
                                   "device in [Match]",
                                   d->node);
                return VOLUME_UNSUPPORTED;
        }
        *ret = text_format("%s has a superblock of %s whose checksum is wrong; look at it with "
                           "fsck.%s",
                           d->node, d->type, d->type);
        return VOLUME_FAILED;
}

VolumeState advice_on_device(const Device *d, char **ret)
{
        const Advice *a;

        *ret = NULL;
        if (d->content == DEVICE_CONTENT_UNKNOWN || d->content == DEVICE_CONTENT_AMBIVALENT)
                return VOLUME_MOUNTED; /* the attempt tells */
        if (d->content == DEVICE_CONTENT_NONE)
                return on_nothing(d, ret);
        a = find(d->type);
        if (a && a->state != VOLUME_MOUNTED) {
                *ret = text_format("%s %s; %s", d->node, a->what, a->to_do);
                return a->state;
        }
        if (d->content == DEVICE_CONTENT_FILESYSTEM)
                return VOLUME_MOUNTED;
        *ret = text_format("%s holds %s, which is not a filesystem and cannot be mounted; name "
                           "another device in [Match]",
                           d->node, d->type ? d->type : "something");
        return VOLUME_UNSUPPORTED;
}

const char *advice_driver(const char *type)
{
        const Advice *a = find(type);

        return a && a->driver ? a->driver : type;
}

const char *advice_install(const char *type)
{
        const Advice *a = find(type);

        return a && a->state == VOLUME_MOUNTED
                       ? a->to_do
                       : "install a kernel module or a mount helper for it, or set Type= in "
                         "[Mount] to a driver that is there";
}
