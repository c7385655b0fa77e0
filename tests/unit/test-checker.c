/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "check-lock.h"
#include "macro.h"
#include "served.h"
#include "service.h"
#include "test.h"
#include "text.h"

/* The check before the mount, by programs that are scripts. */

#define DIRTY "ext4-dirty"
#define CLEAN "ext4"

/* Each notes that it ran, and with what. */
static void write_program(const char *name, const char *script)
{
        _cleanup_free_ char *text =
                text_format("#!/bin/sh\necho \"$*\" >%s/ran\n%s\n", served.sbin, script);
        _cleanup_free_ char *path = text_format("%s/%s", served.sbin, name);

        test_write(served.sbin, name, text);
        ASSERT_OK(chmod(path, 0755));
}

/* IMAGE on a disk, and SCRIPT, NULL none, as what checks it. */
static void prepare(const char *image, const char *more, const char *script)
{
        served_begin_with_disks();
        served.disk.fd = close_fd(served.disk.fd);
        served_attach(image, &served.disk);
        served_configure("data", served.where, more);
        if (script)
                write_program("fsck.ext4", script);
}

static void begin(const char *image, const char *more, const char *script)
{
        prepare(image, more, script);
        served_start();
}

/* The arguments with which it ran, until the next call; NULL: it did not. */
static const char *ran(void)
{
        _cleanup_free_ char *path = text_format("%s/ran", served.sbin);
        static char line[256];
        FILE *f = fopen(path, "re");

        if (!f)
                return NULL;
        ASSERT(fgets(line, sizeof(line), f));
        (void)fclose(f);
        line[strcspn(line, "\n")] = '\0';
        return line;
}

typedef enum Result {
        REFUSED,
        MOUNTED,
        READ_ONLY
} Result;

typedef struct Row {
        const char *name;
        const char *image;
        const char *more;
        const char *script; /* NULL: there is no program */
        bool runs;
        Result result;
        const char *says[3]; /* in the answer */
} Row;

static const Row rows[] = {
        { "clean", CLEAN, "", "exit 4", false, MOUNTED, { 0 } },
        { "not clean",
          DIRTY,
          "",
          "echo fine; exit 0",
          true,
          MOUNTED,
          { "Checked s /dev/",
            " was not cleanly unmounted; fsck.ext4: there are no errors: fine" } },
        { "mended",
          DIRTY,
          "",
          "echo fixed >&2; exit 1",
          true,
          MOUNTED,
          { "; fsck.ext4: what was wrong was mended: fixed" } },
        { "errors left",
          DIRTY,
          "",
          "printf 'bad\\377\\n'; exit 4",
          true,
          REFUSED,
          { "Error s CheckFailed\nStep s check\nErrno i 117\n",
            ": errors are left (exit status 4): bad\\xff; ", "mend it with `fsck.ext4 /dev/" } },
        { "errors left, read-only",
          DIRTY,
          "CheckFailure=read-only\n",
          "echo bad; exit 4",
          true,
          READ_ONLY,
          { "(exit status 4): bad; it is mounted read-only" } },
        { "errors left, ignored",
          DIRTY,
          "CheckFailure=ignore\n",
          "echo bad; exit 4",
          true,
          MOUNTED,
          { "(exit status 4): bad; it is mounted all the same" } },
        { "broken",
          DIRTY,
          "",
          "exit 8",
          true,
          REFUSED,
          { "Error s CheckFailed\nStep s check\n", "it could not do its work (exit status 8)" } },
        { "crashed",
          DIRTY,
          "",
          "kill -SEGV $$",
          true,
          REFUSED,
          { "Error s CheckFailed\nStep s check\n", "was killed by signal 11" } },
        { "crashed, ignored",
          DIRTY,
          "CheckFailure=ignore\n",
          "kill -SEGV $$",
          true,
          MOUNTED,
          { "was killed by signal 11; it is mounted" } },
        { "hangs",
          DIRTY,
          "MountTimeoutSec=1\n",
          "echo begun; sleep 1000",
          true,
          REFUSED,
          { "Error s TimedOut\nStep s check\n",
            "did not end within 1 s and was ended, at 0 %: begun; ", "raise MountTimeoutSec=" } },
        { "hangs, read-only",
          DIRTY,
          "MountTimeoutSec=1\nCheckFailure=read-only\n",
          "sleep 1000",
          true,
          READ_ONLY,
          { "did not end within 1 s" } },
        { "no program",
          DIRTY,
          "",
          NULL,
          false,
          REFUSED,
          { "Error s CheckFailed\nStep s check\nErrno i 2\n",
            " was not cleanly unmounted, and there is no fsck.ext4 to do it; install "
            "e2fsprogs; " } },
        { "no program, read-only",
          DIRTY,
          "CheckFailure=read-only\n",
          NULL,
          false,
          READ_ONLY,
          { "install e2fsprogs; it is mounted read-only" } },
        { "never", DIRTY, "Check=never\n", "exit 4", false, MOUNTED, { 0 } },
        { "always", CLEAN, "Check=always\n", "exit 4", true, REFUSED, { "Error s CheckFailed\n" } },
        { "always, no program",
          CLEAN,
          "Check=always\n",
          NULL,
          false,
          MOUNTED,
          { "Warnings as [ /dev/", "is to be checked always, and there is no fsck.ext4" } },
        { "to be read only",
          DIRTY,
          "ReadOnly=yes\n",
          "exit 4",
          false,
          READ_ONLY,
          { "was not cleanly unmounted, and is not checked, as it is mounted read-only" } },
        { "always, to be read only",
          CLEAN,
          "ReadOnly=yes\nCheck=always\n",
          "exit 4",
          false,
          READ_ONLY,
          { 0 } },
};

static void check_row(const Row *row)
{
        const char *a;
        unsigned n_mounts;

        begin(row->image, row->more, row->script);
        n_mounts = count_mounts();
        a = ask_mount("data", &served.disk);
        ASSERT_EQ(ran() != NULL, row->runs);
        for (size_t i = 0; i < ELEMENTSOF(row->says) && row->says[i]; i++)
                ASSERT_CONTAINS(a, row->says[i]);
        if (!row->says[0])
                ASSERT(!strstr(a, "Warnings") && !strstr(a, "Checked"));
        ASSERT_EQ(strstr(a, "Error s ") != NULL, row->result == REFUSED);
        ASSERT_EQ(count_mounts(), n_mounts + (row->result != REFUSED));
        if (row->result == REFUSED)
                ASSERT(!is_there(served.where));
        else
                ASSERT_CONTAINS(a, row->result == READ_ONLY ? "\nReadOnly b true\n"
                                                            : "\nReadOnly b false\n");
        ASSERT_CONTAINS(served.progress, row->runs ? "data:probe data:check" : "data:probe");
        served_stop();
}

static void test_rows(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                check_row(&rows[i]);
        }
}

static void test_steps(void)
{
        begin(DIRTY, "", "sleep 3; echo 1 1 10 x >&3; sleep 3; echo 5 1 1 x >&3; exit 1");
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false");
        ASSERT_STR(served.progress,
                   "data:probe data:check data:7% data:100% data:target data:mount "
                   "data:verify");
        served_stop();
}

static void test_arguments(void)
{
        _cleanup_free_ char *preen = NULL, *force = NULL;

        begin(DIRTY, "", "exit 0");
        preen = text_format("-p -C 3 %s", served.disk.node);
        (void)ask_mount("data", &served.disk);
        ASSERT_STR(ran(), preen);
        served_stop();
        begin(CLEAN, "Check=always\n", "exit 0");
        force = text_format("-p -f -C 3 %s", served.disk.node);
        (void)ask_mount("data", &served.disk);
        ASSERT_STR(ran(), force);
        served_stop();
}

/* What fsck.vfat calls mended may be where it broke off; the kernel need not have the filesystem.
 */
static void test_mended_is_proven(void)
{
        static const struct {
                const char *name, *script, *says;
                bool proves, refuses;
        } programs[] = {
                { "clean", "exit 0", "; fsck.vfat: there are no errors", false, false },
                { "mended", "[ $1 = -n ] || exit 1; exit 0",
                  "; fsck.vfat: what was wrong was mended", true, false },
                { "broke off", "echo Read 512 bytes at 0; exit 1",
                  "errors are left (exit status 4): Read 512 bytes at 0", true, true },
                { "dies then", "[ $1 = -n ] || exit 1; kill -SEGV $$", "was killed by signal 11",
                  true, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                const char *a;

                test_row(programs[i].name);
                prepare("vfat12", "", NULL);
                test_write(served.config, "data.conf",
                           "[Match]\nUUID=1234-ABCD\n[Mount]\nWhere=/mnt/data\nCheck=always\n");
                write_program("fsck.vfat", programs[i].script);
                served_start();
                a = ask_mount("data", &served.disk);
                ASSERT_CONTAINS(a, programs[i].says);
                ASSERT_EQ(strncmp(ran(), programs[i].proves ? "-n " : "-a ", 3), 0);
                ASSERT_EQ(strstr(a, "Error s CheckFailed") != NULL, programs[i].refuses);
                served_stop();
        }
}

/* What is mounted elsewhere looks as if it had not been unmounted. */
static void test_held(void)
{
        _cleanup_free_ char *elsewhere = NULL;
        const char *a;

        begin(DIRTY, "", "exit 4");
        elsewhere = text_format("%s/elsewhere", served.base);
        ASSERT_OK(mkdir(elsewhere, 0755));
        ASSERT_OK(mount(served.disk.node, elsewhere, "ext4", 0, "errors=remount-ro"));
        a = ask_mount("data", &served.disk);
        ASSERT_CONTAINS(a, "is not checked, as it is in use");
        ASSERT_CONTAINS(a, "ReadOnly b false");
        ASSERT_STR(ran(), NULL);
        served_stop();
}

/* Another volume on the same disk is being checked. */
static void test_one_after_the_other(void)
{
        _cleanup_close_ int fd = -1;

        begin(DIRTY, "", "exit 0");
        ASSERT_OK(check_lock_take(served.checks, served.disk.devnum, NOWHERE, &fd));
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "Error s InProgress\nStep s check\n");
        ASSERT_STR(ran(), NULL);
        fd = close_fd(fd);
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false");
        ASSERT(ran());
        served_stop();
}

/* What checks it may do so beside a mount. */
static void test_not_mounted_meanwhile(void)
{
        static const char *const more[] = { "", "Check=never\n", "ReadOnly=yes\n" };

        for (size_t i = 0; i < ELEMENTSOF(more); i++) {
                _cleanup_close_ int fd = -1;

                test_row(more[i]);
                begin(CLEAN, more[i], NULL);
                ASSERT_OK(check_lock_take(served.checks, NOWHERE, served.disk.devnum, &fd));
                ASSERT_CONTAINS(ask_mount("data", &served.disk),
                                "Error s InProgress\nStep s check\n");
                fd = close_fd(fd);
                ASSERT(!strstr(ask_mount("data", &served.disk), "Error s "));
                served_stop();
        }
}

static void send_mount(void)
{
        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                        "Mount", NULL, NULL, "stts", "data",
                                        (uint64_t)served.disk.devnum, served.disk.diskseq,
                                        served_fingerprint("data")) >= 0);
        ASSERT_OK(sd_bus_flush(served.bus));
}

/* Nor does a check begin while it is mounted. */
static void test_not_checked_meanwhile(void)
{
        static const char *const images[] = { CLEAN, DIRTY };

        for (size_t i = 0; i < ELEMENTSOF(images); i++) {
                _cleanup_close_ int fd = -1;
                char where[PATH_MAX];

                test_row(images[i]);
                prepare(images[i], "", "exit 0");
                (void)snprintf(where, sizeof(where), "%.2000s/where", served_freeze());
                served_configure("data", where, "");
                served_start();
                send_mount();
                WAIT_FOR(served_children_hang(1));
                ASSERT_EQ(ran() != NULL, i == 1);
                ASSERT_EQ(check_lock_take(served.checks, NOWHERE, served.disk.devnum, &fd),
                          -EAGAIN);
                ASSERT_OK(check_lock_take(served.checks, served.disk.devnum, NOWHERE, &fd));
                fd = close_fd(fd);
                served_thaw();
                WAIT_FOR(mount_on(where) != 0);
                WAIT_FOR(check_lock_take(served.checks, NOWHERE, served.disk.devnum, &fd) >= 0);
                served_stop();
        }
}

/* A check outlives the request that it is of: nobody takes it for somebody else's. */
static void test_outlived(void)
{
        prepare(DIRTY, "", "trap '' TERM; sleep 1000");
        served_listen();
        served_connect();
        send_mount();
        WAIT_FOR(ran());
        served_disconnect();
        write_program("fsck.ext4", "exit 0");
        WAIT_FOR(served_count_children() == 0);
        served_connect();
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "Error s InProgress\nStep s check\n");
        WAIT_FOR(!strstr(ask_mount("data", &served.disk), "Error s InProgress\n"));
        ASSERT_CONTAINS(served.answer, "Checked s ");
        served_stop();
}

/* What anybody can open, anybody can lock. */
static void test_nobody_stops_it(void)
{
        char path[64];
        _cleanup_close_ int fd = -1;

        begin(DIRTY, "", "exit 0");
        (void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(served.disk.devnum),
                       minor(served.disk.devnum));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT(fd >= 0);
        ASSERT_OK(flock(fd, LOCK_EX | LOCK_NB));
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false");
        ASSERT(ran());
        served_stop();
}

/* The real one, of which a damaged filesystem is left as it is. */
static void test_e2fsck(void)
{
        _cleanup_free_ char *path = NULL;
        char real[PATH_MAX];

        begin(DIRTY, "", NULL);
        path = text_format("%s/fsck.ext4", served.sbin);
        if (!realpath("/usr/sbin/fsck.ext4", real))
                test_skip("e2fsprogs is not installed");
        ASSERT_OK(symlink(real, path));
        ASSERT_CONTAINS(ask_mount("data", &served.disk),
                        "; fsck.ext4: what was wrong was mended: ");
        ASSERT_CONTAINS(ask("Probe", "tt", (uint64_t)served.disk.devnum, served.disk.diskseq),
                        "Clean b ");
        (void)ask("Unmount", "sb", "data", false);
        ASSERT_CONTAINS(ask("Probe", "tt", (uint64_t)served.disk.devnum, served.disk.diskseq),
                        "Clean b true");
        served_stop();
}

TEST_MAIN(TEST(rows), TEST(steps), TEST(arguments), TEST(mended_is_proven), TEST(held),
          TEST(one_after_the_other), TEST(nobody_stops_it), TEST(not_mounted_meanwhile),
          TEST(not_checked_meanwhile), TEST(outlived), TEST(e2fsck))
