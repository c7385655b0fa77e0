/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "images.h"
#include "macro.h"
#include "probe.h"
#include "test.h"
#include "text.h"

#define HEAD_SIZE ((size_t)128 * 1024) /* of an image: where nearly all superblocks are */
#define MUTATION_MSEC 250              /* an image */

static void compare(int fd, const char *path)
{
        ProbeResult r;

        ASSERT_OK(probe_fd(fd, -1, 0, &r));
        image_compare(path, &r);
}

static void test_images(void)
{
        unsigned n = 0;

        if (!has_tool("blkid"))
                test_skip("blkid is missing");
        for (size_t i = 0; i < n_images; i++) {
                _cleanup_free_ char *path = image_path(images[i].name);
                _cleanup_close_ int fd = image_open(&images[i]);

                test_row(images[i].name);
                if (fd < 0) {
                        printf("# %s is missing: no %s image\n", images[i].tool, images[i].name);
                        continue;
                }
                compare(fd, path);
                n++;
        }
        if (n == 0)
                test_skip("no image could be made");
}

static void test_ext4_values(void)
{
        _cleanup_close_ int fd = image_open_named("ext4");
        ProbeResult r;

        ASSERT_OK(probe_fd(fd, -1, 0, &r));
        ASSERT_EQ(r.verdict, PROBE_FOUND);
        ASSERT_EQ(r.size, 16 * MIB);
        ASSERT_EQ(r.sector_size, SECTOR);
        ASSERT_STR(r.usage, "filesystem");
        ASSERT_STR(r.type, "ext4");
        ASSERT_STR(r.version, "1.0");
        ASSERT_STR(r.uuid, FS_UUID);
        ASSERT_STR(r.label, "a\"b$c`d\\e&");
        ASSERT_STR(r.table_uuid, "");
        ASSERT_EQ(r.state.flags, FS_KNOWN | FS_CLEAN);
        ASSERT_EQ(r.state.due_sec, 0);
}

static void test_partitions(void)
{
        static const struct {
                const char *disk;
                unsigned number;
                const char *part_uuid; /* NULL: any */
                const char *part_label;
                const char *table_uuid;
        } rows[] = {
                { "gpt", 0, "", "", DISK_UUID },
                { "gpt", 1, NULL, "first", DISK_UUID },
                { "gpt", 2, PART_UUID, "Da ta \303\244", DISK_UUID },
                { "gpt", 3, "", "", DISK_UUID },
                { "gpt", UINT_MAX, "", "", DISK_UUID },
                { "dos", 1, "12345678-01", "", "12345678" },
                { "dos", 5, "12345678-05", "", "12345678" },
                { "dos", 6, "", "", "12345678" },
                { "ext4", 1, "", "", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_close_ int fd = image_open_named("ext3");
                _cleanup_close_ int disk_fd = image_open_named(rows[i].disk);
                ProbeResult r;

                test_row(rows[i].part_label);
                ASSERT_OK(probe_fd(fd, disk_fd, rows[i].number, &r));
                ASSERT(probe_result_is_valid(&r));
                ASSERT_EQ(r.verdict, PROBE_FOUND);
                ASSERT_STR(r.type, "ext3");
                ASSERT_EQ(r.size, 16 * MIB);
                if (rows[i].part_uuid)
                        ASSERT_STR(r.part_uuid, rows[i].part_uuid);
                else
                        ASSERT_EQ(strlen(r.part_uuid), strlen(PART_UUID));
                ASSERT_STR(r.part_label, rows[i].part_label);
                ASSERT_STR(r.table_uuid, rows[i].table_uuid);
        }
}

/* The partition table itself is no content. */
static void test_whole_disk(void)
{
        _cleanup_close_ int fd = image_open_named("gpt");
        ProbeResult r;

        ASSERT_OK(probe_fd(fd, -1, 0, &r));
        ASSERT_EQ(r.verdict, PROBE_NOTHING);
        ASSERT_STR(r.type, "");
        ASSERT_STR(r.table_uuid, DISK_UUID);
        ASSERT_STR(r.part_uuid, "");
}

static void put(int fd, off_t offset, const void *data, size_t size)
{
        ASSERT_EQ(pwrite(fd, data, size, offset), size);
}

static void get(int fd, off_t offset, void *data, size_t size)
{
        ASSERT_EQ(pread(fd, data, size, offset), size);
}

static void test_ambivalent(void)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1, xfs_fd = image_open_named("xfs");
        _cleanup_close_ int disk_fd = image_open_named("gpt");
        uint8_t sector[SECTOR];
        ProbeResult r;

        /* ext4 leaves the first kilobyte alone. */
        fd = image_copy("ext4", "ambivalent", &path);
        get(xfs_fd, 0, sector, sizeof(sector));
        put(fd, 0, sector, sizeof(sector));
        if (has_tool("blkid"))
                compare(fd, path);
        ASSERT_OK(probe_fd(fd, disk_fd, 2, &r));
        ASSERT(probe_result_is_valid(&r));
        ASSERT_EQ(r.verdict, PROBE_AMBIVALENT);
        ASSERT_STR(r.type, "");
        ASSERT_STR(r.uuid, "");
        ASSERT_STR(r.part_uuid, PART_UUID); /* by which it may be configured */
}

/* An LVM2 physical volume's label: the checksum is over all that follows it in the sector. */
static void make_lvm_label(uint8_t label[SECTOR], uint32_t spoil)
{
        enum {
                CHECKSUM_AT = 16,
                CHECKED_FROM = 20,
                UUID_AT = 32,
        };
        uint32_t crc = 0xf597a6cf;

        memset(label, 0, SECTOR);
        memcpy(label, "LABELONE\1", 9); /* in sector 1 */
        label[CHECKED_FROM] = UUID_AT;
        memcpy(label + 24, "LVM2 001", 8);
        memcpy(label + UUID_AT, "abcdefghijklmnopqrstuvwxyz012345", 32);
        for (size_t i = CHECKED_FROM; i < SECTOR; i++) {
                crc ^= label[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
        crc ^= spoil;
        for (unsigned i = 0; i < 4; i++)
                label[CHECKSUM_AT + i] = (uint8_t)(crc >> 8 * i);
}

static void test_checksum(void)
{
        static const struct {
                const char *name;
                const char *image; /* NULL: blank */
                uint32_t spoil;
                ProbeVerdict verdict;
                const char *type, *usage;
        } rows[] = {
                { "good", NULL, 0, PROBE_FOUND, "LVM2_member", "raid" },
                { "bad", NULL, 1, PROBE_NOTHING, "LVM2_member", "" },
                { "bad, as remains below ext4", "ext4", 1, PROBE_FOUND, "ext4", "filesystem" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int fd = -1;
                uint8_t label[SECTOR];
                ProbeResult r;

                test_row(rows[i].name);
                if (rows[i].image)
                        fd = image_copy(rows[i].image, "checksum", &path);
                else {
                        path = image_path("checksum");
                        fd = image_create(path, 8 * MIB);
                }
                make_lvm_label(label, rows[i].spoil);
                put(fd, SECTOR, label, sizeof(label));
                if (has_tool("blkid"))
                        compare(fd, path);
                ASSERT_OK(probe_fd(fd, -1, 0, &r));
                ASSERT(probe_result_is_valid(&r));
                ASSERT_EQ(r.verdict, rows[i].verdict);
                ASSERT_STR(r.type, rows[i].type);
                ASSERT_STR(r.usage, rows[i].usage);
                if (r.verdict == PROBE_NOTHING)
                        ASSERT_STR(r.uuid, ""); /* nothing that could match a volume */
        }
}

static void test_luks(void)
{
        static const char uuid[] = FS_UUID;
        _cleanup_free_ char *path = image_path("luks");
        _cleanup_close_ int fd = image_create(path, 8 * MIB);
        ProbeResult r;

        put(fd, 0, "LUKS\xba\xbe\0\1", 8);
        put(fd, 168, uuid, sizeof(uuid));
        if (has_tool("blkid"))
                compare(fd, path);
        ASSERT_OK(probe_fd(fd, -1, 0, &r));
        ASSERT_STR(r.usage, "crypto");
        ASSERT_STR(r.type, "crypto_LUKS");
        ASSERT_STR(r.uuid, FS_UUID);
}

static Device *describe(int fd)
{
        ProbeResult r;
        Device *d;

        ASSERT_OK(device_new(0, &d));
        ASSERT_OK(probe_fd(fd, -1, 0, &r));
        ASSERT_OK(probe_result_describe(&r, d));
        return d;
}

static void test_two_devices(void)
{
        _cleanup_close_ int fd = image_open_named("btrfs-two");
        _cleanup_close_ int second_fd = image_open_named("btrfs-two-2");
        _cleanup_(device_freep) Device *a = describe(fd), *b = describe(second_fd);
        _cleanup_(device_freep) Device *again = describe(fd);

        ASSERT(a->uuid_sub && b->uuid_sub);
        ASSERT_STR(a->uuid, b->uuid);
        ASSERT(device_is_sibling(a, b));
        ASSERT(!device_is_sibling(a, again));
}

static bool is_readable(int fd, ProbeResult *ret)
{
        int r = probe_fd(fd, -1, 0, ret);

        ASSERT(r == 0 || (r < 0 && r > -4096));
        ASSERT(r < 0 || probe_result_is_valid(ret));
        return r == 0;
}

static void test_truncated(void)
{
        static const long long sizes[] = { 0,     1,     510,   511,   512,     513,          1023,
                                           1024,  1025,  2048,  4095,  4096,    8191,         32768,
                                           33792, 65535, 65536, 66560, MIB - 1, 8 * MIB - 512 };

        for (size_t i = 0; i < n_images; i++) {
                _cleanup_close_ int fd = image_open(&images[i]), short_fd = -1;
                _cleanup_free_ char *path = image_path("truncated");
                uint8_t head[HEAD_SIZE] = { 0 };

                test_row(images[i].name);
                if (fd < 0)
                        continue;
                ASSERT(pread(fd, head, sizeof(head), 0) > 0);
                for (size_t j = 0; j < ELEMENTSOF(sizes); j++) {
                        ProbeResult r;

                        short_fd = close_fd(short_fd);
                        short_fd = image_create(path, 0);
                        put(short_fd, 0, head, sizeof(head));
                        ASSERT_OK(ftruncate(short_fd, sizes[j]));
                        if (is_readable(short_fd, &r))
                                ASSERT_EQ(r.size, sizes[j]);
                }
        }
}

static void test_blank(void)
{
        static const struct {
                const char *name;
                long long size;
        } rows[] = { { "empty", 0 },
                     { "one byte", 1 },
                     { "floppy", 1440 * 1024 },
                     { "8 TiB", 8 * MIB * MIB } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *path = image_path("blank");
                _cleanup_close_ int fd = image_create(path, rows[i].size);
                ProbeResult r;

                test_row(rows[i].name);
                memset(&r, 'x', sizeof(r));
                ASSERT_OK(probe_fd(fd, -1, 0, &r));
                ASSERT(probe_result_is_valid(&r));
                ASSERT_EQ(r.verdict, PROBE_NOTHING);
                ASSERT_EQ(r.size, rows[i].size);
                ASSERT_STR(r.type, "");
                ASSERT_STR(r.label, "");
                ASSERT_STR(r.table_uuid, "");
        }
}

static void test_errors(void)
{
        _cleanup_free_ char *path = image_path("unreadable");
        _cleanup_close_ int dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
        _cleanup_close_ int good_fd = image_open_named("ext4");
        ProbeResult r, untouched;

        memset(&r, 'x', sizeof(r));
        memset(&untouched, 'x', sizeof(untouched));
        close_fd(image_create(path, 8 * MIB));
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ASSERT(fd >= 0);
        ASSERT(probe_fd(-1, -1, 0, &r) < 0);
        ASSERT(probe_fd(dir_fd, -1, 0, &r) < 0);
        ASSERT(probe_fd(fd, -1, 0, &r) < 0); /* every read fails */
        ASSERT(probe_fd(good_fd, fd, 1, &r) < 0);
        ASSERT(memcmp(&r, &untouched, sizeof(r)) == 0);
}

static uint32_t next_random(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

static void test_random(void)
{
        _cleanup_close_ int fd = memfd_create("random", MFD_CLOEXEC);
        static uint32_t words[HEAD_SIZE / sizeof(uint32_t)];
        uint32_t state = 88172645;

        ASSERT(fd >= 0);
        ASSERT_OK(ftruncate(fd, MIB));
        for (unsigned round = 0; round < 50; round++) {
                ProbeResult r;

                for (size_t i = 0; i < ELEMENTSOF(words); i++)
                        words[i] = next_random(&state);
                put(fd, 0, words, sizeof(words));
                (void)is_readable(fd, &r);
        }
}

static uint64_t now_msec(void)
{
        struct timespec t;

        ASSERT_OK(clock_gettime(CLOCK_MONOTONIC, &t));
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Where there is something in HEAD: bytes that are not zero, so that what is changed matters. */
static size_t find_used(const uint8_t head[HEAD_SIZE], uint32_t *state)
{
        size_t at = next_random(state) % HEAD_SIZE;

        for (size_t i = 0; i < HEAD_SIZE; i++, at = (at + 1) % HEAD_SIZE)
                if (head[at])
                        break;
        return (at + next_random(state) % 8) % HEAD_SIZE;
}

static void mutate(int fd, int disk_fd, uint8_t head[HEAD_SIZE])
{
        static const uint8_t extremes[] = { 0, 1, 0x7f, 0x80, 0xff };
        uint64_t end = now_msec() + MUTATION_MSEC;
        uint32_t state = 2463534242;

        for (unsigned round = 0; round < 400 && now_msec() < end; round++) {
                uint8_t mutated[HEAD_SIZE];
                ProbeResult r;

                memcpy(mutated, head, HEAD_SIZE);
                for (unsigned n = next_random(&state) % 16 + 1; n > 0; n--) {
                        size_t at = find_used(head, &state);

                        mutated[at] = n % 2 ? extremes[next_random(&state) % sizeof(extremes)]
                                            : (uint8_t)next_random(&state);
                }
                put(fd, 0, mutated, HEAD_SIZE);
                (void)is_readable(fd, &r);
                if (probe_fd(disk_fd, fd, next_random(&state) % 6, &r) == 0)
                        ASSERT(probe_result_is_valid(&r));
        }
}

static void test_mutations(void)
{
        _cleanup_close_ int small_fd = image_open_named("ext2");

        for (size_t i = 0; i < n_images; i++) {
                _cleanup_close_ int fd = image_open(&images[i]), copy_fd = -1;
                uint8_t head[HEAD_SIZE] = { 0 };

                test_row(images[i].name);
                if (fd < 0)
                        continue;
                ASSERT(pread(fd, head, sizeof(head), 0) > 0);
                copy_fd = memfd_create("mutated", MFD_CLOEXEC);
                ASSERT(copy_fd >= 0);
                ASSERT_OK(ftruncate(copy_fd, lseek(fd, 0, SEEK_END)));
                mutate(copy_fd, small_fd, head);
        }
}

static unsigned count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        ASSERT(dir);
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

/* Probes where not one more descriptor can be had: nothing but FD and DISK_FD is looked at. */
static int probe_confined(int fd, int disk_fd, unsigned part_number, ProbeResult *ret)
{
        struct rlimit saved, none;
        int r, spare;

        ASSERT_OK(getrlimit(RLIMIT_NOFILE, &saved));
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = saved.rlim_max };
        ASSERT_OK(setrlimit(RLIMIT_NOFILE, &none));
        spare = open("/", O_PATH | O_CLOEXEC);
        r = probe_fd(fd, disk_fd, part_number, ret);
        ASSERT_OK(setrlimit(RLIMIT_NOFILE, &saved));
        ASSERT_EQ(spare, -1);
        return r;
}

static void test_confined(void)
{
        _cleanup_close_ int disk_fd = image_open_named("gpt");
        unsigned before = count_descriptors();

        for (size_t i = 0; i < n_images; i++) {
                _cleanup_close_ int fd = image_open(&images[i]);
                ProbeResult free_result, confined_result;

                test_row(images[i].name);
                if (fd < 0)
                        continue;
                ASSERT_OK(probe_fd(fd, disk_fd, 2, &free_result));
                ASSERT_OK(probe_confined(fd, disk_fd, 2, &confined_result));
                ASSERT(memcmp(&free_result, &confined_result, sizeof(free_result)) == 0);
        }
        ASSERT_EQ(count_descriptors(), before);
}

/* Partition NUMBER of the loop device NODE, also where the kernel reads no such tables. */
static int open_partition(int disk_fd, const char *node, int number, long long start,
                          long long size)
{
        _cleanup_free_ char *path = text_format("%sp%d", node, number);
        struct blkpg_partition partition = { .start = start, .length = size, .pno = number };
        struct blkpg_ioctl_arg add = { .op = BLKPG_ADD_PARTITION,
                                       .datalen = sizeof(partition),
                                       .data = &partition };

        if (ioctl(disk_fd, BLKPG, &add) < 0 && errno != EBUSY)
                return -1;
        return open(path, O_RDONLY | O_CLOEXEC);
}

/* Real block devices, about which libblkid would ask sysfs if it could. */
static void test_block_devices(void)
{
        _cleanup_close_ int ext4_fd = image_open_named("ext4"), file_fd = -1, disk_fd = -1, fd = -1;
        _cleanup_free_ char *path = NULL;
        static uint8_t head[2 * HEAD_SIZE];
        char node[32];
        ProbeResult r;

        file_fd = image_copy("gpt", "disk", &path);
        get(ext4_fd, 0, head, sizeof(head));
        put(file_fd, MIB, head, sizeof(head));
        disk_fd = loop_attach(file_fd, LO_FLAGS_READ_ONLY | LO_FLAGS_PARTSCAN, node);
        if (disk_fd < 0)
                test_skip("no loop device: %m");
        fd = open_partition(disk_fd, node, 1, MIB, 16 * MIB);
        if (fd < 0)
                test_skip("no partition of a loop device: %m");

        ASSERT_OK(probe_confined(fd, disk_fd, 1, &r));
        ASSERT_EQ(r.verdict, PROBE_FOUND);
        ASSERT_EQ(r.size, 16 * MIB);
        ASSERT_EQ(r.sector_size, SECTOR);
        ASSERT_STR(r.type, "ext4");
        ASSERT_STR(r.uuid, FS_UUID);
        ASSERT_STR(r.part_label, "first");
        ASSERT_STR(r.table_uuid, DISK_UUID);

        ASSERT_OK(probe_confined(disk_fd, -1, 0, &r));
        ASSERT_EQ(r.verdict, PROBE_NOTHING);
        ASSERT_STR(r.table_uuid, DISK_UUID);
}

static void test_is_valid(void)
{
        static const struct {
                const char *name;
                size_t offset; /* of a string that is not terminated */
        } rows[] = {
                { "usage", offsetof(ProbeResult, usage) },
                { "version", offsetof(ProbeResult, version) },
                { "uuid", offsetof(ProbeResult, uuid) },
                { "uuid_sub", offsetof(ProbeResult, uuid_sub) },
                { "label", offsetof(ProbeResult, label) },
                { "part_uuid", offsetof(ProbeResult, part_uuid) },
                { "part_label", offsetof(ProbeResult, part_label) },
                { "table_uuid", offsetof(ProbeResult, table_uuid) },
        };
        static const uint32_t verdicts[] = { _PROBE_VERDICT_MAX, INT_MAX, UINT32_MAX };
        ProbeResult r = { 0 };

        ASSERT(probe_result_is_valid(&r));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *value = (char *)&r + rows[i].offset;

                test_row(rows[i].name);
                memset(value, 'x', PROBE_VALUE_MAX);
                ASSERT(!probe_result_is_valid(&r));
                value[PROBE_VALUE_MAX - 1] = '\0';
                ASSERT(probe_result_is_valid(&r));
        }
        for (size_t i = 0; i < ELEMENTSOF(verdicts); i++) {
                r.verdict = verdicts[i];
                ASSERT(!probe_result_is_valid(&r));
        }
        r.verdict = PROBE_AMBIVALENT;
        ASSERT(probe_result_is_valid(&r));
        r.state.flags = UINT64_MAX;
        ASSERT(!probe_result_is_valid(&r));
}

/* Nothing else than what a superblock can say chooses a module, or a program. */
static void test_is_valid_type(void)
{
        static const struct {
                const char *type;
                bool valid;
        } rows[] = {
                { "ext4", true },          { "vfat", true },      { "ntfs", true },
                { "crypto_LUKS", true },   { "BitLocker", true }, { "LVM2_member", true },
                { "zfs_member", true },    { "swap", true },      { "iso9660", true },
                { "nfs", false },          { "fuse", false },     { "fuse.x", false },
                { "ext4/../fuse", false }, { "-r", false },       { "pcspkr", false },
                { "EXT4", false },         { "ext4 ", false },    { "\xff", false },
        };
        static const ProbeVerdict verdicts[] = { PROBE_NOTHING, PROBE_FOUND };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (size_t k = 0; k < ELEMENTSOF(verdicts); k++) {
                        ProbeResult r = { .verdict = verdicts[k], .usage = "filesystem" };

                        test_row(rows[i].type);
                        snprintf(r.type, sizeof(r.type), "%s", rows[i].type);
                        ASSERT_EQ(probe_result_is_valid(&r), rows[i].valid);
                        r.type[0] = '\0';
                        ASSERT_EQ(probe_result_is_valid(&r), verdicts[k] == PROBE_NOTHING);
                        memset(r.type, 'x', sizeof(r.type));
                        ASSERT(!probe_result_is_valid(&r));
                }
}

TEST_MAIN(TEST(images), TEST(ext4_values), TEST(partitions), TEST(whole_disk), TEST(ambivalent),
          TEST(checksum), TEST(luks), TEST(two_devices), TEST(truncated), TEST(blank), TEST(errors),
          TEST(random), TEST(mutations), TEST(confined), TEST(block_devices), TEST(is_valid),
          TEST(is_valid_type))
