/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs-state.h"
#include "images.h"
#include "macro.h"
#include "test.h"
#include "text.h"

/* Of filesystems that their own tools made, and brought into that state. */

#define ALWAYS (FS_KNOWN | FS_CLEAN)

typedef struct Row {
        const char *name;
        const char *image;
        const char *type;
        const char *command; /* NULL none; of the file $IMAGE */
        uint64_t flags;
        bool due; /* there is a time */
} Row;

/* Of a byte, in what `sh` takes; TO is octal. */
#define POKE(to, offset) \
        "printf '\\" to "' | dd of=$IMAGE bs=1 conv=notrunc status=none seek=" offset
#define DEBUGFS(command) "debugfs -w -R '" command "' $IMAGE 2>/dev/null"

static const Row rows[] = {
        { "ext4", "ext4", "ext4", NULL, ALWAYS, false },
        { "ext3", "ext3", "ext3", NULL, ALWAYS, false },
        { "ext2 has no journal", "ext2", "ext2", NULL, ALWAYS | FS_FRAGILE, false },
        { "ext2, as ext4 has it", "ext2", "ext4", NULL, ALWAYS | FS_FRAGILE, false },
        { "not unmounted", "ext2", "ext2", DEBUGFS("ssv state 0"), FS_KNOWN | FS_FRAGILE, false },
        { "errors", "ext4", "ext4", DEBUGFS("ssv state 3"), ALWAYS | FS_ERRORS, false },
        { "errors, not unmounted", "ext4", "ext4", DEBUGFS("ssv state 2"), FS_KNOWN | FS_ERRORS,
          false },
        { "a journal to be replayed", "ext4", "ext4",
          DEBUGFS("feature needs_recovery") " >/dev/null", ALWAYS, false },
        { "no journal any more", "ext4", "ext4", "tune2fs -O ^has_journal $IMAGE >/dev/null",
          ALWAYS | FS_FRAGILE, false },
        { "mounted often", "ext4", "ext4", "tune2fs -c 20 -C 20 $IMAGE >/dev/null", ALWAYS | FS_DUE,
          false },
        { "mounted once less", "ext4", "ext4", "tune2fs -c 20 -C 19 $IMAGE >/dev/null", ALWAYS,
          false },
        { "mounted often, no limit", "ext4", "ext4", "tune2fs -c -1 -C 10000 $IMAGE >/dev/null",
          ALWAYS, false },
        { "an interval", "ext4", "ext4", "tune2fs -i 10d -T 20200101 $IMAGE >/dev/null", ALWAYS,
          true },
        { "FAT12", "vfat12", "vfat", NULL, ALWAYS, false },
        { "FAT16", "vfat16", "vfat", NULL, ALWAYS, false },
        { "FAT32", "vfat32", "vfat", NULL, ALWAYS, false },
        { "FAT12 dirty", "vfat12", "vfat", POKE("001", "37"), FS_KNOWN, false },
        { "FAT16 dirty", "vfat16", "vfat", POKE("001", "37"), FS_KNOWN, false },
        { "FAT32 dirty", "vfat32", "vfat", POKE("001", "65"), FS_KNOWN, false },
        { "FAT32, errors", "vfat32", "vfat", POKE("002", "65"), ALWAYS | FS_ERRORS, false },
        /* mkfs.vfat reserves 4 sectors of 512 bytes on FAT16, and 32 on FAT32. */
        { "FAT16, dirty for Windows", "vfat16", "vfat", POKE("177", "2051"), FS_KNOWN, false },
        { "FAT32, dirty for Windows", "vfat32", "vfat", POKE("007", "16391"), FS_KNOWN, false },
        { "FAT32, errors for Windows", "vfat32", "vfat", POKE("013", "16391"), ALWAYS | FS_ERRORS,
          false },
        { "FAT16, the table beyond the end", "vfat16", "vfat",
          POKE("000\\020\\004\\377\\377", "11"), 0, false },
        { "exFAT", "exfat", "exfat", NULL, ALWAYS, false },
        { "exFAT dirty", "exfat", "exfat", POKE("002", "106"), FS_KNOWN, false },
        { "exFAT, errors", "exfat", "exfat", POKE("004", "106"), ALWAYS | FS_ERRORS, false },
        { "xfs", "xfs", "xfs", NULL, 0, false },
        { "btrfs", "btrfs", "btrfs", NULL, 0, false },
        { "nothing known", "ext4", "", NULL, 0, false },
};

static const Image *find_image(const char *name)
{
        for (size_t i = 0; i < n_images; i++)
                if (streq(images[i].name, name))
                        return &images[i];
        test_fail(__FILE__, __LINE__, "no image %s", name);
}

static void check_row(const Row *row)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = image_copy(row->image, "changed", &path);
        FsState s;

        ASSERT(fd >= 0);
        ASSERT_OK(setenv("IMAGE", path, 1));
        if (row->command)
                ASSERT_OK(system(row->command));
        ASSERT_OK(fs_state_read(fd, row->type, &s));
        ASSERT(fs_state_is_valid(&s));
        ASSERT_EQ(s.flags, row->flags);
        /* tune2fs takes the date as local time. */
        if (row->due)
                ASSERT(s.due_sec > 1577836800 + 9 * 86400 && s.due_sec < 1577836800 + 11 * 86400);
        else
                ASSERT_EQ(s.due_sec, 0);
}

static void test_images(void)
{
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_close_ int fd = image_open(find_image(rows[i].image));

                test_row(rows[i].name);
                if (fd < 0) {
                        printf("# no image %s\n", rows[i].image);
                        continue;
                }
                check_row(&rows[i]);
                n++;
        }
        if (n == 0)
                test_skip("no image could be made");
}

/* Times beyond 2106. */
static void test_late(void)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = image_copy("ext4", "late", &path);
        static const uint8_t check[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
        static const uint8_t high = 0xff;
        FsState s;

        ASSERT_EQ(pwrite(fd, check, sizeof(check), 1024 + 0x40), sizeof(check));
        ASSERT_EQ(pwrite(fd, &high, 1, 1024 + 0x277), 1);
        ASSERT_OK(fs_state_read(fd, "ext4", &s));
        ASSERT(s.due_sec == UINT64_C(0xffffffffff) + UINT32_MAX);
}

/* Shorter than its superblock. */
static void test_short(void)
{
        static const char *const types[] = { "ext2", "ext4", "vfat", "exfat" };
        _cleanup_free_ char *path = image_path("short");
        _cleanup_close_ int fd = image_create(path, 511);

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                FsState s = { 1, 1 };

                test_row(types[i]);
                ASSERT_OK(fs_state_read(fd, types[i], &s));
                ASSERT_EQ(s.flags, 0);
                ASSERT_EQ(s.due_sec, 0);
        }
        ASSERT_EQ(fs_state_read(-1, "ext4", &(FsState){ 0 }), -EBADF);
}

static void test_valid(void)
{
        static const struct {
                const char *name;
                FsState state;
                bool valid;
        } states[] = {
                { "nothing", { 0, 0 }, true },
                { "all", { _FS_FLAGS_ALL, UINT64_MAX }, true },
                { "another bit", { FS_KNOWN | (_FS_FLAGS_ALL + 1), 0 }, false },
                { "a high bit", { FS_KNOWN | UINT64_C(1) << 63, 0 }, false },
                { "not known, but clean", { FS_CLEAN, 0 }, false },
                { "not known, but due", { 0, 1 }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                test_row(states[i].name);
                ASSERT_EQ(fs_state_is_valid(&states[i].state), states[i].valid);
        }
}

TEST_MAIN(TEST(images), TEST(late), TEST(short), TEST(valid))
