/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "advice.h"
#include "macro.h"
#include "test.h"

#define S(x) ((char *)(x))

static const struct {
        const char *type;
        DeviceContent content;
        VolumeState state;
        const char *says; /* NULL: nothing */
} rows[] = {
        { NULL, DEVICE_CONTENT_UNKNOWN, VOLUME_MOUNTED, NULL },
        { NULL, DEVICE_CONTENT_AMBIVALENT, VOLUME_MOUNTED, NULL },
        { NULL, DEVICE_CONTENT_NONE, VOLUME_UNSUPPORTED, "/dev/x holds no filesystem; make one" },
        { "ext4", DEVICE_CONTENT_NONE, VOLUME_FAILED, "superblock of ext4 whose checksum is" },
        { "ext4", DEVICE_CONTENT_FILESYSTEM, VOLUME_MOUNTED, NULL },
        { "ntfs", DEVICE_CONTENT_FILESYSTEM, VOLUME_MOUNTED, NULL },
        { "brandnewfs", DEVICE_CONTENT_FILESYSTEM, VOLUME_MOUNTED, NULL },
        { "swap", DEVICE_CONTENT_OTHER, VOLUME_UNSUPPORTED, "/dev/x holds swap space; " },
        { "jbd", DEVICE_CONTENT_OTHER, VOLUME_UNSUPPORTED, "journal of another ext4" },
        { "gizmo", DEVICE_CONTENT_OTHER, VOLUME_UNSUPPORTED, "/dev/x holds gizmo, which is not" },
        { NULL, DEVICE_CONTENT_OTHER, VOLUME_UNSUPPORTED, "/dev/x holds something" },
        { "crypto_LUKS", DEVICE_CONTENT_OTHER, VOLUME_LOCKED, "`cryptsetup open DEVICE NAME`" },
        { "BitLocker", DEVICE_CONTENT_OTHER, VOLUME_LOCKED, "--type bitlk" },
        { "LVM2_member", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "`vgchange -ay`" },
        { "linux_raid_member", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "`mdadm --assemble --scan`" },
        { "isw_raid_member", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "mdadm" },
        { "nvidia_raid_member", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "dmraid" },
        { "VMFS_volume_member", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "the program that made" },
        { "bcache", DEVICE_CONTENT_OTHER, VOLUME_MEMBER, "/sys/fs/bcache/register" },
        /* libblkid takes it for a filesystem. */
        { "zfs_member", DEVICE_CONTENT_FILESYSTEM, VOLUME_MEMBER, "`zpool import`" },
};

static void test_on_device(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Device d = { .node = S("/dev/x"),
                                   .type = S(rows[i].type),
                                   .content = rows[i].content };
                char *why;

                test_row(rows[i].type ? rows[i].type : "no type");
                ASSERT_EQ(advice_on_device(&d, &why), rows[i].state);
                if (rows[i].says)
                        ASSERT_CONTAINS(why, rows[i].says);
                else
                        ASSERT_STR(why, NULL);
                free(why);
        }
}

static void test_driver(void)
{
        ASSERT_STR(advice_driver("ntfs"), "ntfs3");
        ASSERT_STR(advice_driver("ext4"), "ext4");
        ASSERT_STR(advice_driver("crypto_LUKS"), "crypto_LUKS");
}

static void test_install(void)
{
        ASSERT_CONTAINS(advice_install("ntfs"), "ntfs-3g");
        ASSERT_CONTAINS(advice_install("exfat"), "exfat-fuse");
        ASSERT_CONTAINS(advice_install("apfs"), "apfs");
        ASSERT_CONTAINS(advice_install("ReFS"), "Windows");
        ASSERT_CONTAINS(advice_install("frobfs"), "set Type= in [Mount]");
        ASSERT_CONTAINS(advice_install("crypto_LUKS"), "set Type= in [Mount]");
}

TEST_MAIN(TEST(on_device), TEST(driver), TEST(install))
