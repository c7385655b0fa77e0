/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fs-state.h"
#include "macro.h"

static int read_at(int fd, uint64_t offset, void *buffer, size_t size)
{
        ssize_t n = pread(fd, buffer, size, (off_t)offset);

        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -ENODATA;
}

static uint32_t le16(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
        return le16(p) | le16(p + 2) << 16;
}

/* The ext superblock, of which the kernel's Documentation/filesystems/ext4/super.rst tells. */
enum {
        EXT_AT = 1024,
        EXT_SIZE = 1024,
        EXT_MOUNT_COUNT = 0x34,
        EXT_MOUNT_COUNT_MAX = 0x36, /* signed; 0 and below: none */
        EXT_STATE = 0x3a,
        EXT_LAST_CHECK = 0x40,
        EXT_CHECK_INTERVAL = 0x44, /* 0: none */
        EXT_COMPAT = 0x5c,
        EXT_LAST_CHECK_HIGH = 0x277, /* a byte */
        EXT_STATE_VALID = 1,
        EXT_STATE_ERRORS = 2,
        EXT_COMPAT_HAS_JOURNAL = 4,
};

static int read_ext(int fd, FsState *s)
{
        uint8_t sb[EXT_SIZE];
        uint32_t interval, max;
        int r = read_at(fd, EXT_AT, sb, sizeof(sb));

        if (r < 0)
                return r;
        max = le16(sb + EXT_MOUNT_COUNT_MAX);
        interval = le32(sb + EXT_CHECK_INTERVAL);
        if (le16(sb + EXT_STATE) & EXT_STATE_VALID)
                s->flags |= FS_CLEAN;
        if (le16(sb + EXT_STATE) & EXT_STATE_ERRORS)
                s->flags |= FS_ERRORS;
        if (!(le32(sb + EXT_COMPAT) & EXT_COMPAT_HAS_JOURNAL))
                s->flags |= FS_FRAGILE;
        if (max > 0 && max <= INT16_MAX && le16(sb + EXT_MOUNT_COUNT) >= max)
                s->flags |= FS_DUE;
        if (interval > 0)
                s->due_sec = ((uint64_t)sb[EXT_LAST_CHECK_HIGH] << 32) + le32(sb + EXT_LAST_CHECK) +
                             interval;
        return 0;
}

/* FAT has two places: a byte of the boot sector, which Linux sets, and bits that are cleared in the
 * second entry of the table, which Windows does. FAT12 has no room for the latter. */
enum {
        FAT_SECTOR_SIZE = 0x0b,
        FAT_RESERVED_SECTORS = 0x0e,
        FAT_SIZE_16 = 0x16, /* in sectors; 0: it is FAT32 */
        FAT_STATE_16 = 0x25,
        FAT_STATE_32 = 0x41,
        FAT_TYPE_16 = 0x36, /* "FAT16   ", or "FAT12   " */
        FAT_STATE_DIRTY = 1,
        FAT_STATE_ERRORS = 2,
};

static int read_fat_table(int fd, const uint8_t *boot, bool is_32, FsState *s)
{
        const uint32_t clean = is_32 ? UINT32_C(1) << 27 : UINT32_C(1) << 15;
        const uint32_t no_errors = clean >> 1;
        uint8_t table[8];
        uint64_t at = (uint64_t)le16(boot + FAT_SECTOR_SIZE) * le16(boot + FAT_RESERVED_SECTORS);
        int r = read_at(fd, at, table, sizeof(table));
        uint32_t entry;

        if (r < 0)
                return r;
        entry = is_32 ? le32(table + 4) : le16(table + 2);
        if (!(entry & clean))
                s->flags &= ~(uint64_t)FS_CLEAN;
        if (!(entry & no_errors))
                s->flags |= FS_ERRORS;
        return 0;
}

static int read_fat(int fd, FsState *s)
{
        uint8_t boot[512], state;
        int r = read_at(fd, 0, boot, sizeof(boot));
        bool is_32;

        if (r < 0)
                return r;
        is_32 = le16(boot + FAT_SIZE_16) == 0;
        state = boot[is_32 ? FAT_STATE_32 : FAT_STATE_16];
        s->flags |= (state & FAT_STATE_DIRTY ? 0 : FS_CLEAN) |
                    (state & FAT_STATE_ERRORS ? FS_ERRORS : 0);
        if (is_32 || memcmp(boot + FAT_TYPE_16, "FAT16", 5) == 0)
                return read_fat_table(fd, boot, is_32, s);
        return 0;
}

enum {
        EXFAT_FLAGS = 0x6a,
        EXFAT_FLAG_DIRTY = 2,
        EXFAT_FLAG_FAILED = 4,
};

static int read_exfat(int fd, FsState *s)
{
        uint8_t boot[512];
        int r = read_at(fd, 0, boot, sizeof(boot));

        if (r < 0)
                return r;
        s->flags |= (boot[EXFAT_FLAGS] & EXFAT_FLAG_DIRTY ? 0 : FS_CLEAN) |
                    (boot[EXFAT_FLAGS] & EXFAT_FLAG_FAILED ? FS_ERRORS : 0);
        return 0;
}

int fs_state_read(int fd, const char *type, FsState *ret)
{
        static const struct {
                const char *type;
                int (*read)(int fd, FsState *s);
        } rows[] = {
                { "ext2", read_ext }, { "ext3", read_ext },    { "ext4", read_ext },
                { "vfat", read_fat }, { "exfat", read_exfat },
        };
        FsState s = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (streq(rows[i].type, type)) {
                        int r = rows[i].read(fd, &s);

                        if (r < 0 && r != -ENODATA)
                                return r;
                        s.flags |= FS_KNOWN;
                        *ret = r < 0 ? (FsState){ 0 } : s;
                        return 0;
                }
        *ret = (FsState){ 0 };
        return 0;
}

bool fs_state_is_due(const FsState *s, uint64_t now_sec)
{
        return s->flags & FS_DUE || (s->due_sec > 0 && now_sec >= s->due_sec);
}

bool fs_state_is_valid(const FsState *s)
{
        return (s->flags & ~(uint64_t)_FS_FLAGS_ALL) == 0 &&
               (s->flags & FS_KNOWN || (s->flags == 0 && s->due_sec == 0));
}
