/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "test.h"
#include "usage.h"

#define S(x) ((char *)(x))
#define BTRFS S("0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11")

static const char mounts[] = "20 1 8:32 / / rw - ext4 /dev/sdc rw\n"
                             "21 20 8:48 / /mnt/wslg/distro ro - ext4 /dev/sdd ro\n"
                             "22 20 8:64 /sub /srv/long rw - ext4 /dev/sde rw\n"
                             "23 20 8:64 / /srv rw - ext4 /dev/sde rw\n"
                             "24 20 0:40 / /btrfs rw - btrfs /dev/sdf1 rw\n";

static const char *make_root(const char *container)
{
        static const char *const superblocks[] = { "ext4/sdg", "xfs/sdh1", "ext4/dm-0",
                                                   "ext4/features" };
        const char *root = test_directory();

        test_write(root, "proc/self/mountinfo", mounts);
        test_write(root, "proc/swaps",
                   "Filename Type Size Used Priority\n"
                   "/dev/sdb                 partition 1 0 -2\n"
                   "/sdx partition 1 0 -3\n/swap\\040file file 1 0 -2\n");
        test_write(root, "proc/sys/kernel/osrelease", "6.6.87.2-generic\n");
        test_write(root, "run/systemd/container", container);
        for (size_t i = 0; i < ELEMENTSOF(superblocks); i++) {
                char name[64];

                (void)snprintf(name, sizeof(name), "sys/fs/%s/errors", superblocks[i]);
                test_write(root, name, "0\n");
        }
        test_write(root, "sys/fs/btrfs/0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11/devices/sdi/size",
                   "1\n");
        test_write(root, "sys/class/block/sdj/holders/dm-0/dev", "253:0\n");
        test_write(root, "sys/class/block/cciss!c0d0/holders/md0/dev", "9:0\n");
        return root;
}

static const struct {
        const char *node;
        unsigned maj, min;
        bool is_partition;
        const char *use; /* NULL: nobody's */
        UsageKind kind;  /* where that is WSL */
} rows[] = {
        { "/dev/sdc", 8, 32, false, "mounted on /", USAGE_WSL },
        { "/dev/sdd", 8, 48, false, "mounted on /mnt/wslg/distro", USAGE_WSL },
        { "/dev/sde", 8, 64, false, "mounted on /srv", USAGE_HERE },
        { "/dev/sdf1", 8, 81, true, "mounted on /btrfs", USAGE_HERE },
        { "/dev/sdb", 8, 16, false, "swap", USAGE_WSL },
        { "/dev/sdx", 65, 112, false, "swap", USAGE_WSL },
        { "/dev/sdg", 8, 96, false, "mounted ", USAGE_ELSEWHERE },
        { "/dev/sdh1", 8, 113, true, "mounted ", USAGE_ELSEWHERE },
        { "/dev/sdi", 8, 128, false, "mounted ", USAGE_ELSEWHERE },
        { "/dev/sdj", 8, 144, false, "part of dm-0", USAGE_HERE },
        { "/dev/cciss/c0d0", 104, 0, false, "part of md0", USAGE_HERE },
        { "/dev/sdk", 8, 160, false, NULL, USAGE_NONE },
};

static void check(const char *container, bool wsl)
{
        _cleanup_(usage_freep) Usage *u = NULL;

        ASSERT_OK(usage_new(make_root(container), &u));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Device d = { .node = S(rows[i].node),
                             .devnum = makedev(rows[i].maj, rows[i].min),
                             .is_partition = rows[i].is_partition,
                             .uuid = BTRFS };
                _cleanup_free_ char *use = NULL;
                UsageKind kind;

                test_row(rows[i].node);
                ASSERT_OK(usage_describe(u, &d, &use, &kind));
                if (rows[i].use)
                        ASSERT_CONTAINS(use, rows[i].use);
                else
                        ASSERT_STR(use, NULL);
                ASSERT_EQ(kind, !wsl && rows[i].kind == USAGE_WSL ? USAGE_HERE : rows[i].kind);
        }
        test_row(NULL);
}

static void test_wsl(void)
{
        check("wsl\n", true);
}

static void test_elsewhere(void)
{
        check("lxc\n", false);
}

static void test_nothing_there(void)
{
        Usage *u = NULL;

        ASSERT_EQ(usage_new("/nowhere", &u), -ENOENT);
        ASSERT(!usage_free(NULL));
}

TEST_MAIN(TEST(wsl), TEST(elsewhere), TEST(nothing_there))
