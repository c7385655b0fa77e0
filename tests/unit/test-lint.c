/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "lint.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define UUID "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11"

/* A system in which all that is to be warned of can be found. */
static const char *make_system(void)
{
        static const char *const programs[] = { "usr/sbin/mount.ntfs", "usr/sbin/fsck.ext4" };
        const char *root = test_directory();
        struct utsname name;
        char path[256];

        ASSERT_OK(uname(&name));
        test_write(root, "proc/filesystems", "nodev\ttmpfs\n\text4\n\tvfat\n");
        test_write(root, "proc/self/mountinfo",
                   "20 1 8:1 / / rw - ext4 /dev/sda rw\n"
                   "21 20 0:40 / /mnt/c rw - 9p C:\\134 rw\n"
                   "22 21 8:2 / /mnt/c/linux rw - ext4 /dev/sdb rw\n");
        test_write(root, "etc/fstab",
                   "# a comment\n"
                   "UUID=0B5E2A6C-3A57-4C0E-9A3E-5D7A3F0E9C11 /old ext4 defaults 0 2\n"
                   "LABEL=twice /old2 ext4 defaults 0 2\n"
                   "/dev/sdz1 /mnt/taken ext4 defaults 0 2\n");
        test_write(root, "etc/systemd/system/timers.target.wants/fstrim.timer", "");
        test_write(root, "usr/sbin/mount.ntfs", "");
        test_write(root, "usr/sbin/fsck.ext4", "");
        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                (void)snprintf(path, sizeof(path), "%s/%s", root, programs[i]);
                ASSERT_OK(chmod(path, 0755));
        }
        (void)snprintf(path, sizeof(path), "lib/modules/%s/modules.dep", name.release);
        test_write(root, path, "kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/raid6.ko\n");
        (void)snprintf(path, sizeof(path), "lib/modules/%s/modules.alias", name.release);
        test_write(root, path, "alias fs-iso9660 isofs\nalias fs-udf2 jfs\n");
        (void)snprintf(path, sizeof(path), "lib/modules/%s/modules.builtin", name.release);
        test_write(root, path, "kernel/fs/xfs/xfs.ko\n");
        return root;
}

typedef struct Loaded {
        VolumeConfig *config;
        Origins origins;
} Loaded;

static void load(const char *name, const char *text, Loaded *ret)
{
        static char file[64];
        const char *dir = test_directory();
        _cleanup_free_ char *path = NULL;
        ConfigProblems problems = { 0 };

        (void)snprintf(file, sizeof(file), "%s.conf", name);
        path = text_format("%s/%s", dir, file);
        test_write(dir, file, text);
        ASSERT_EQ(origins_load(path, &problems, &ret->config, &ret->origins), 1);
        ASSERT_EQ(problems.n, 0);
}

static void unload(Loaded *l)
{
        volume_config_free(l->config);
        origins_done(&l->origins);
}

static void test_rows(void)
{
        static const struct {
                const char *row;
                const char *text; /* of volume "this" */
                unsigned line;    /* of the one warning; 0: there is none */
                const char *warning;
        } rows[] = {
                { "fine", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/x\nOptions=noatime,commit=30\n", 0,
                  NULL },
                { "in fstab", "[Match]\n\nUUID=" UUID "\n[Mount]\nWhere=/mnt/x\n", 3,
                  "/etc/fstab mounts it too, on /old" },
                { "in fstab by label", "[Match]\nLabel=twice\n[Mount]\nWhere=/mnt/x\n", 2,
                  "on /old2" },
                { "its mount point in fstab", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/taken\n", 4,
                  "/etc/fstab mounts /dev/sdz1 there" },
                { "on a Windows drive", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/c/x\n", 4,
                  "is on the Windows drive at /mnt/c" },
                { "beside it", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/cx\n", 0, NULL },
                { "on something on it", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/c/linux/x\n", 0,
                  NULL },
                { "below another", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/other/x\n", 4,
                  "is below /mnt/other of volume other" },
                { "the other's", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/other\n", 4,
                  "is the mount point of volume other too" },
                { "no driver", "[Match]\nLabel=x\nType=jfs\n[Mount]\nWhere=/mnt/x\n", 3,
                  "nothing that mounts jfs" },
                { "no driver, said for mounting",
                  "[Match]\nLabel=x\nType=ext4\n[Mount]\nWhere=/mnt/x\nType=jfs\n", 6,
                  "mounts jfs" },
                { "a module", "[Match]\nLabel=x\nType=btrfs\n[Mount]\nWhere=/mnt/x\n", 0, NULL },
                { "a module of another name",
                  "[Match]\nLabel=x\nType=iso9660\n[Mount]\nWhere=/mnt/x\n", 0, NULL },
                { "a part of its alias", "[Match]\nLabel=x\nType=udf\n[Mount]\nWhere=/mnt/x\n", 3,
                  "nothing that mounts udf" },
                { "built in", "[Match]\nLabel=x\nType=xfs\n[Mount]\nWhere=/mnt/x\n", 0, NULL },
                { "a helper", "[Match]\nLabel=x\nType=ntfs\n[Mount]\nWhere=/mnt/x\n", 0, NULL },
                { "no check program", "[Match]\nLabel=x\nType=vfat\n[Mount]\nWhere=/mnt/x\n", 3,
                  "no fsck.vfat; install dosfstools" },
                { "one is not wanted",
                  "[Match]\nLabel=x\nType=vfat\n[Mount]\nWhere=/mnt/x\nCheck=never\n", 0, NULL },
                { "one that does nothing",
                  "[Match]\nLabel=x\nType=xfs\n[Mount]\nWhere=/mnt/x\nCheck=always\n", 0, NULL },
                { "gone", "[Match]\nLabel=x\nType=xfs\n[Mount]\nWhere=/mnt/x\nOptions=nobarrier\n",
                  6, "'nobarrier' is gone from xfs" },
                { "dangerous",
                  "[Match]\nLabel=x\nType=ext4\n[Mount]\nWhere=/mnt/x\nOptions=nobarrier\n", 6,
                  "'nobarrier' loses" },
                { "dangerous whatever it is",
                  "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/x\nOptions=barrier=0\n", 5,
                  "'barrier=0' loses" },
                { "well meant", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/x\nOptions=barrier=1\n", 0,
                  NULL },
                { "panic",
                  "[Match]\nLabel=x\nType=ext4\n[Mount]\nWhere=/mnt/x\nOptions=errors=panic\n", 6,
                  "halts all of WSL" },
                { "of another type",
                  "[Match]\nLabel=x\nType=xfs\n[Mount]\nWhere=/mnt/x\nOptions=data=writeback\n", 0,
                  NULL },
                { "discard", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/x\nOptions=discard\n", 5,
                  "fstrim.timer" },
        };
        _cleanup_(lint_freep) Lint *lint = NULL;
        Loaded other;

        ASSERT_OK(lint_new(make_system(), &lint));
        load("other", "[Match]\nLabel=other\n[Mount]\nWhere=/mnt/other\n", &other);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ConfigProblems problems = { 0 };
                Loaded this;

                test_row(rows[i].row);
                load("this", rows[i].text, &this);
                const VolumeConfig *all[] = { other.config, this.config };
                ASSERT_OK(lint_volume(lint, this.config, &this.origins, all, 2, &problems));
                ASSERT_EQ(problems.n, rows[i].warning ? 1 : 0);
                if (rows[i].warning) {
                        ASSERT_CONTAINS(problems.items[0].text, rows[i].warning);
                        ASSERT_EQ(problems.items[0].line, rows[i].line);
                        ASSERT_STR(problems.items[0].file, this.config->path);
                }
                config_problems_done(&problems);
                unload(&this);
        }
        unload(&other);
}

static void test_bare_system(void)
{
        _cleanup_(lint_freep) Lint *lint = NULL;
        ConfigProblems problems = { 0 };
        Loaded this;

        ASSERT_OK(lint_new("/nowhere", &lint));
        load("this", "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/c/x\nOptions=discard\n", &this);
        ASSERT_OK(lint_volume(lint, this.config, &this.origins, NULL, 0, &problems));
        ASSERT_EQ(problems.n, 0);
        unload(&this);
}

static void test_two_options(void)
{
        _cleanup_(lint_freep) Lint *lint = NULL;
        ConfigProblems problems = { 0 };
        Loaded this;

        ASSERT_OK(lint_new(make_system(), &lint));
        load("this",
             "[Match]\nLabel=x\nType=ext4\n[Mount]\nWhere=/mnt/x\n"
             "Options=data=writeback,errors=panic\n",
             &this);
        ASSERT_OK(lint_volume(lint, this.config, &this.origins, NULL, 0, &problems));
        ASSERT_EQ(problems.n, 2);
        ASSERT_CONTAINS(problems.items[0].text, "shows old data");
        ASSERT_CONTAINS(problems.items[1].text, "halts all of WSL");
        config_problems_done(&problems);
        unload(&this);
}

TEST_MAIN(TEST(rows), TEST(two_options), TEST(bare_system))
