/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "images.h"
#include "macro.h"
#include "test.h"
#include "text.h"

const Image images[] = {
        { "ext2", "mkfs.ext2", "mkfs.ext2 -q -F -L two $IMAGE", 8 * MIB },
        { "ext3", "mkfs.ext3", "mkfs.ext3 -q -F -L 'th ree' $IMAGE", 16 * MIB },
        { "ext4", "mkfs.ext4", "mkfs.ext4 -q -F -L 'a\"b$c`d\\e&' -U " FS_UUID " $IMAGE",
          16 * MIB },
        { "ext4-odd", "mkfs.ext4", "mkfs.ext4 -q -F -L \"$(printf 'a\\344b\\001')\" $IMAGE",
          16 * MIB },
        { "ext4-dirty", "mkfs.ext4",
          "mkfs.ext4 -q -F -O ^has_journal -U " FS_UUID " $IMAGE &&"
          " debugfs -w -R 'ssv state 0' $IMAGE 2>/dev/null",
          16 * MIB },
        { "ext4-damaged", "debugfs",
          "mkdir $IMAGE.d && touch $IMAGE.d/damaged &&"
          "mkfs.ext4 -q -F -b 1024 -U " FS_UUID " -d $IMAGE.d $IMAGE &&"
          "set -- $(debugfs -R 'imap damaged' $IMAGE 2>/dev/null |"
          " sed -n 's/.*at block \\([0-9]*\\), offset \\(0x[0-9a-f]*\\)/\\1 \\2/p') &&"
          "printf garbage |"
          "dd of=$IMAGE bs=1 seek=$(($1 * 1024 + $2 + 64)) conv=notrunc status=none",
          16 * MIB },
        { "ext4-journal", "mkfs.ext4", "mkfs.ext4 -q -F -O journal_dev $IMAGE >/dev/null",
          16 * MIB },
        { "xfs", "mkfs.xfs", "mkfs.xfs -q -f -L ix-ef-es $IMAGE", 320 * MIB },
        { "btrfs", "mkfs.btrfs", "mkfs.btrfs -q -f -L 'bu tter' $IMAGE >/dev/null 2>&1",
          128 * MIB },
        { "btrfs-two", "mkfs.btrfs",
          "truncate -s 128M $IMAGE-2 && mkfs.btrfs -q -f -L 'on two' $IMAGE $IMAGE-2 "
          ">/dev/null 2>&1",
          128 * MIB },
        { "btrfs-two-2", "mkfs.btrfs", "false", 0 }, /* made with the one before */
        { "ntfs", "mkntfs", "mkntfs -q -F -Q -L 'Neue Platte' $IMAGE >/dev/null 2>&1", 16 * MIB },
        { "vfat12", "mkfs.vfat", "mkfs.vfat -F 12 -n TWELVE -i 1234ABCD $IMAGE >/dev/null", MIB },
        { "vfat16", "mkfs.vfat", "mkfs.vfat -F 16 $IMAGE >/dev/null", 32 * MIB },
        { "vfat32", "mkfs.vfat", "mkfs.vfat -F 32 -n 'THIRTY TWO' $IMAGE >/dev/null", 64 * MIB },
        { "exfat", "mkfs.exfat", "mkfs.exfat -L ex $IMAGE >/dev/null", 32 * MIB },
        { "minix", "mkfs.minix", "mkfs.minix $IMAGE >/dev/null", MIB },
        { "swap", "mkswap", "mkswap -L swapped $IMAGE >/dev/null 2>&1", 8 * MIB },
        { "squashfs", "mksquashfs", "mksquashfs /etc/default $IMAGE -noappend >/dev/null", 0 },
        { "gpt", "sfdisk",
          "printf 'label: gpt\nlabel-id: " DISK_UUID "\nstart=2048, size=32768, name=\"first\"\n"
          "size=20480, uuid=" PART_UUID ", name=\"Da ta \303\244\"\n' | sfdisk -q $IMAGE",
          64 * MIB },
        { "dos", "sfdisk",
          "printf 'label: dos\nlabel-id: 0x12345678\nsize=20480\ntype=E\nsize=8192\n' | "
          "sfdisk -q $IMAGE",
          64 * MIB },
};
const size_t n_images = ELEMENTSOF(images);

static const char *image_directory(void)
{
        static char dir[PATH_MAX];

        if (!dir[0])
                snprintf(dir, sizeof(dir), "%s", test_directory());
        return dir;
}

char *image_path(const char *name)
{
        char *path = text_format("%s/%s", image_directory(), name);

        ASSERT(path);
        return path;
}

int image_create(const char *path, long long size)
{
        int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

        ASSERT(fd >= 0);
        ASSERT_OK(ftruncate(fd, size));
        return fd;
}

bool has_tool(const char *tool)
{
        _cleanup_free_ char *command = text_format("command -v %s >/dev/null", tool);

        return system(command) == 0;
}

int image_open(const Image *image)
{
        _cleanup_free_ char *path = image_path(image->name);

        if (access(path, F_OK) < 0) {
                if (!has_tool(image->tool))
                        return -1;
                if (image->size > 0)
                        close_fd(image_create(path, image->size));
                ASSERT_OK(setenv("IMAGE", path, 1));
                ASSERT_OK(system(image->command));
        }
        return open(path, O_RDWR | O_CLOEXEC);
}

int image_open_named(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(images); i++)
                if (streq(images[i].name, name)) {
                        int fd = image_open(&images[i]);

                        if (fd < 0)
                                test_skip("no %s image", name);
                        return fd;
                }
        test_skip("no image %s in the table", name);
}

int image_copy(const char *name, const char *copy_name, char **ret_path)
{
        _cleanup_free_ char *path = image_path(name), *copy = image_path(copy_name);
        _cleanup_free_ char *command = text_format("cp --sparse=always %s %s", path, copy);

        close_fd(image_open_named(name));
        ASSERT_OK(system(command));
        *ret_path = TAKE_PTR(copy);
        return open(*ret_path, O_RDWR | O_CLOEXEC);
}

/* What `blkid -p` finds under KEY, "" when nothing; its exit status. */
static int ask_blkid(const char *path, const char *key, char value[PROBE_VALUE_MAX])
{
        _cleanup_free_ char *command =
                text_format("blkid -p -s %s -o value %s 2>/dev/null", key, path);
        FILE *f = popen(command, "re");
        size_t n;

        ASSERT(f);
        n = fread(value, 1, PROBE_VALUE_MAX - 1, f);
        if (n > 0 && value[n - 1] == '\n')
                n--;
        value[n] = '\0';
        return WEXITSTATUS(pclose(f));
}

static void compare_value(const char *path, const char *key, const char *is)
{
        char want[PROBE_VALUE_MAX];

        (void)ask_blkid(path, key, want);
        if (!streq(is, want))
                test_fail(__FILE__, __LINE__, "%s is \"%s\", blkid says \"%s\"", key, is, want);
}

void image_compare(const char *path, const ProbeResult *r)
{
        enum {
                BLKID_AMBIVALENT = 8
        };
        char type[PROBE_VALUE_MAX];
        int status;

        ASSERT(probe_result_is_valid(r));
        status = ask_blkid(path, "TYPE", type);
        if (status == BLKID_AMBIVALENT) {
                ASSERT_EQ(r->verdict, PROBE_AMBIVALENT);
                return;
        }
        ASSERT_EQ(r->verdict, type[0] ? PROBE_FOUND : PROBE_NOTHING);
        if (r->verdict == PROBE_FOUND)
                ASSERT_STR(r->type, type);
        compare_value(path, "USAGE", r->usage);
        compare_value(path, "UUID", r->uuid);
        compare_value(path, "UUID_SUB", r->uuid_sub);
        compare_value(path, "LABEL", r->label);
        compare_value(path, "VERSION", r->version);
        compare_value(path, "PTUUID", r->table_uuid);
}

int loop_attach(int file_fd, unsigned flags, char node[static 32])
{
        _cleanup_close_ int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        struct loop_config config = {
                .fd = (uint32_t)file_fd,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR | flags,
        };

        int mode = flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR;

        for (unsigned attempt = 0; control_fd >= 0 && attempt < 16; attempt++) {
                int n = ioctl(control_fd, LOOP_CTL_GET_FREE), fd;

                if (n < 0)
                        break;
                snprintf(node, 32, "/dev/loop%d", n);
                fd = open(node, mode | O_CLOEXEC);
                if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) >= 0) {
                        int read_fd = open(node, O_RDONLY | O_CLOEXEC);

                        close_fd(fd);
                        return read_fd;
                }
                close_fd(fd); /* somebody else was faster */
        }
        return -1;
}
