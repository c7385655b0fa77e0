/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "images.h"
#include "macro.h"
#include "served.h"
#include "test.h"
#include "text.h"

/* A btrfs on two disks is ejected. */

/* As it is when wslbared wants to know what is on it: the kernel, too, then knows of it. */
static void know(const Disk *disk)
{
        ASSERT_CONTAINS(ask("Probe", "tt", (uint64_t)disk->devnum, disk->diskseq), "UUIDSub s ");
}

/* The filesystem is a new one each time, so that no other test has one like it. */
static void begin(Disk *a, Disk *b)
{
        _cleanup_free_ char *image = NULL;

        served_begin_with_disks();
        image = image_path("btrfs-two");
        (void)unlink(image);
        served_start();
        served_attach("btrfs-two", a);
        served_attach("btrfs-two-2", b);
        know(a);
        know(b);
}

static void mount_data(const Disk *disk)
{
        _cleanup_free_ char *text = text_format(
                "[Match]\nLabel=on two\n[Mount]\nWhere=%s\nOptions=degraded\n", served.where);

        test_write(served.config, "data.conf", text);
        ASSERT_CONTAINS(ask_mount("data", disk), "Target s ");
}

static bool is_attached(const Disk *disk)
{
        _cleanup_free_ char *path =
                text_format("/sys/block/%s/loop/backing_file", disk->node + strlen("/dev/"));

        return is_there(path);
}

static const char *eject(void)
{
        WAIT_FOR(!strstr(ask("Eject", "s", "data"), "InProgress"));
        return served.answer;
}

/* What is on both goes from both, by whichever of them it was mounted. */
static void test_all_go(void)
{
        for (unsigned i = 0; i < 2; i++) {
                Disk a, b;

                begin(&a, &b);
                mount_data(i == 0 ? &a : &b);
                ASSERT_STR(eject(), "Removed b true\n");
                ASSERT_EQ(mount_on(served.where), 0);
                served_stop();
                a.fd = close_fd(a.fd);
                b.fd = close_fd(b.fd);
                WAIT_FOR(!is_attached(&a) && !is_attached(&b));
        }
}

/* What is said of one holds for all. */
static void test_none_goes(void)
{
        Disk a, b;

        begin(&a, &b);
        mount_data(&a);
        ASSERT_OK(flock(b.fd, LOCK_SH));
        /* A udevd may have another one locked, for a moment. */
        WAIT_FOR(strstr(ask("Eject", "s", "data"), b.node));
        ASSERT_CONTAINS(served.answer, "Error s InProgress\n");
        ASSERT(mount_on(served.where) > 0);
        ASSERT(is_attached(&a) && is_attached(&b));
        ASSERT_OK(flock(b.fd, LOCK_UN));
        ASSERT_STR(eject(), "Removed b true\n");
        served_stop();
        a.fd = close_fd(a.fd);
        b.fd = close_fd(b.fd);
        WAIT_FOR(!is_attached(&a) && !is_attached(&b));
}

TEST_MAIN(TEST(all_go), TEST(none_goes))
