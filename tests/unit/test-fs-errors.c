/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mountd's ear for errors of filesystems, on real ones. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "fs-errors.h"
#include "images.h"
#include "macro.h"
#include "served.h"
#include "test.h"
#include "text.h"

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t) /* and of xfs, which calls it GOINGDOWN */
#define SHUTDOWN_NOW 2

static Disk damaged = { .fd = -1 };

static void need_kernel(const char *dir)
{
        _cleanup_close_ int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);

        if (fd < 0 ||
            fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_FS_ERROR, AT_FDCWD, dir) < 0)
                test_skip("this kernel does not tell: %m");
}

static void begin(const char *image)
{
        served_begin_with_disks();
        served_attach(image, &damaged);
}

static void end(void)
{
        served_stop();
        damaged.fd = close_fd(damaged.fd);
}

static const char *ask_adopt(void)
{
        return ask("Adopt", "stt", "data", (uint64_t)damaged.devnum, damaged.diskseq);
}

/* Has the damage looked at. */
static void touch_damage(void)
{
        _cleanup_free_ char *path = text_format("%s/damaged", served.where);
        struct stat st;

        ASSERT(stat(path, &st) < 0);
        ASSERT_EQ(errno, EBADMSG);
}

static bool has_heard(const char *what)
{
        while (sd_bus_process(served.bus, NULL) > 0)
                ;
        return strstr(served.trouble, what);
}

/* A volume whose Mount is answered with what statfs(2) says; the same as a word of Trouble. */
static char *mount_damaged(const char *options)
{
        _cleanup_free_ char *line = NULL;
        struct statfs fs;
        uint64_t fsid;

        served_configure("data", served.where, options);
        ASSERT_CONTAINS(ask_mount("data", &damaged), "ReadOnly b false\nMadeReadOnly b false\n");
        need_kernel(served.where);
        ASSERT_OK(statfs(served.where, &fs));
        memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
        line = text_format("FilesystemId t %" PRIu64 "\n", fsid);
        ASSERT_CONTAINS(served.answer, line);
        ASSERT(!strstr(served.answer, "FilesystemError"));
        return text_format("%" PRIu64 ":%d", fsid, EBADMSG);
}

static void test_turned_read_only(void)
{
        _cleanup_free_ char *word = NULL;

        begin("ext4-damaged");
        served_start();
        word = mount_damaged("");
        ASSERT_STR(served.trouble, "");
        touch_damage();
        WAIT_FOR(has_heard(word));
        ASSERT_STR(served.trouble, word);
        ASSERT_CONTAINS(ask_adopt(), "ReadOnly b true\nMadeReadOnly b false\n");
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_CONTAINS(ask_mount("data", &damaged), "ReadOnly b false\n");
        end();
}

/* What goes on after an error tells of each; not as often as it happens. */
static void test_flood_of_errors(void)
{
        _cleanup_free_ char *word = NULL;
        uint64_t begin_usec, usec = 0;
        unsigned n = 0, n_told = 0;

        begin("ext4-damaged");
        served_start();
        word = mount_damaged("Options=errors=continue\n");
        begin_usec = now_usec();
        for (; n <= 100 || usec < 1500 * USEC_PER_MSEC; n++) {
                touch_damage();
                (void)has_heard(word);
                (void)usleep(1000);
                usec = now_usec() - begin_usec;
        }
        for (const char *p = served.trouble; (p = strstr(p, word)); p++)
                n_told++;
        printf("# of %u errors %u were told\n", n, n_told);
        ASSERT(n_told >= 1 && n_told <= 2 + usec / FS_ERRORS_QUIET_USEC);
        ASSERT_CONTAINS(ask_adopt(), "ReadOnly b false\n");
        end();
}

/* Another mountd hears nothing until the mount is adopted. */
static void test_another_mountd(void)
{
        _cleanup_free_ char *word = NULL;

        begin("ext4-damaged");
        served_start();
        word = mount_damaged("Options=errors=continue\n");
        served_stop();
        served_start();
        ASSERT_CONTAINS(ask_adopt(), "ReadOnly b false\nMadeReadOnly b false\n");
        touch_damage();
        WAIT_FOR(has_heard(word));
        end();
}

/* Of a filesystem that says so nowhere else, its root does. */
static void test_shut_down(void)
{
        static const struct {
                const char *image;
                const char *match;
                const char *says;
        } rows[] = {
                { "ext4", "UUID=" FS_UUID, ",shutdown" },
                { "xfs", "Label=ix-ef-es", "FilesystemError i 5\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_close_ int fd = -1;
                uint32_t how = SHUTDOWN_NOW;
                const char *a;

                test_row(rows[i].image);
                begin(rows[i].image);
                served_start();
                text = text_format("[Match]\n%s\n[Mount]\nWhere=%s\n", rows[i].match, served.where);
                test_write(served.config, "data.conf", text);
                a = ask_mount("data", &damaged);
                if (strstr(a, "NotSupported"))
                        test_skip("this kernel has no %s", rows[i].image);
                ASSERT_CONTAINS(a, "ReadOnly b false\n");
                fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                ASSERT(fd >= 0);
                ASSERT_OK(ioctl(fd, EXT4_IOC_SHUTDOWN, &how));
                fd = close_fd(fd);
                ASSERT_CONTAINS(ask_adopt(), rows[i].says);
                ASSERT_STR(ask("Unmount", "sb", "data", false), "");
                end();
        }
}

TEST_MAIN(TEST(turned_read_only), TEST(flood_of_errors), TEST(another_mountd), TEST(shut_down))
