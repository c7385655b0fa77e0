/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "device.h"
#include "macro.h"
#include "record.h"
#include "served.h"
#include "test.h"
#include "text.h"

/* Ejecting what is mounted: what mountd does to mount, record and disk. Disks of the same UUID are
 * attached by other tests too, so what is not mounted is left to the system tests. */

static void begin(bool has_directory)
{
        const char *a;

        served_begin_with_disks();
        if (has_directory)
                ASSERT_OK(mkdir(served.where, 0755));
        served_configure("data", served.where, "");
        served_start();
        a = ask_mount("data", &served.disk);
        if (mount_on(served.where) == 0)
                test_fail(__FILE__, __LINE__, "%s", a);
        served.progress[0] = '\0';
}

static RecordPhase phase(void)
{
        _cleanup_(record_freep) Record *r = NULL;

        ASSERT_OK(record_load(served.records, "data", &r));
        return r->phase;
}

/* Whether the image is still on the loop device; another may be by now. */
static bool is_attached(void)
{
        _cleanup_free_ char *path =
                text_format("/sys/block/%s/loop/backing_file", served.disk.node + strlen("/dev/"));
        _cleanup_(device_freep) Device *d = NULL;

        ASSERT_OK(device_new(served.disk.devnum, &d));
        ASSERT_OK(device_read_sysfs(d));
        return d->diskseq == served.disk.diskseq && is_there(path);
}

/* A udevd in a distribution of the system tests may look at the disk just then. */
static const char *eject(void)
{
        WAIT_FOR(!strstr(ask("Eject", "s", "data"), "InProgress"));
        return served.answer;
}

static void assert_mounted(const char *answer, const char *error)
{
        ASSERT_CONTAINS(answer, error);
        ASSERT_CONTAINS(answer, "Step s unmount\n");
        ASSERT(mount_on(served.where) > 0);
        ASSERT_EQ(phase(), RECORD_MOUNTED);
        ASSERT(is_attached());
}

static void test_eject(void)
{
        begin(false);
        /* The file is no matter for what is mounted. */
        test_write(served.config, "data.conf", "rubbish");
        ASSERT_STR(eject(), "Removed b true\n");
        ASSERT_CONTAINS(served.progress, "data:probe data:unmount data:unmount data:eject");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(!is_there(served.where));
        ASSERT_EQ(phase(), RECORD_UNMOUNTED);
        served_stop();
        /* It goes with the last one who has it open. */
        served.disk.fd = close_fd(served.disk.fd);
        WAIT_FOR(!is_attached());
}

static void test_busy(void)
{
        _cleanup_free_ char *holder = NULL;
        int fd;

        begin(false);
        holder = text_format("[ %d ", (int)getpid());
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT(fd >= 0);
        assert_mounted(eject(), "Error s Busy\n");
        ASSERT_CONTAINS(served.answer, holder);
        close_fd(fd);
        served_stop();
}

/* Mounted a second time, by somebody else. */
static void test_used_by_more(void)
{
        _cleanup_free_ char *other = NULL;

        begin(false);
        other = text_format("%s/other", served.base);
        ASSERT_OK(mkdir(other, 0755));
        ASSERT_OK(mount(served.disk.node, other, "ext4", 0, NULL));
        assert_mounted(eject(), "Error s Busy\n");
        ASSERT_CONTAINS(served.answer, other);
        ASSERT_OK(umount2(other, 0));
        ASSERT_STR(eject(), "Removed b true\n");
        served_stop();
}

/* A program that partitions or formats. */
static void test_locked(void)
{
        begin(false);
        ASSERT_OK(flock(served.disk.fd, LOCK_SH));
        ASSERT_CONTAINS(ask("Eject", "s", "data"), "Error s InProgress\n");
        ASSERT(mount_on(served.where) > 0);
        ASSERT_OK(flock(served.disk.fd, LOCK_UN));
        ASSERT_STR(eject(), "Removed b true\n");
        served_stop();
}

/* Somebody else has it mounted where we do not see it. */
static void test_held_elsewhere(void)
{
        _cleanup_free_ char *holder = NULL;
        int ready[2];
        pid_t pid;
        char c;

        begin(true); /* to remove one takes all mounts off it, everywhere */
        ASSERT_OK(pipe2(ready, O_CLOEXEC));
        pid = fork();
        ASSERT(pid >= 0);
        if (pid == 0) {
                bool is_apart = unshare(CLONE_NEWNS) == 0 &&
                                mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;

                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                (void)!write(ready[1], "x", is_apart);
                (void)pause();
                _exit(EXIT_SUCCESS);
        }
        close_fd(ready[1]);
        ASSERT_EQ(read(ready[0], &c, 1), 1);
        close_fd(ready[0]);
        holder = text_format("[ %d ", (int)pid);
        ASSERT_CONTAINS(eject(), "Error s Busy\n");
        ASSERT_CONTAINS(served.answer, "Step s eject\n");
        ASSERT_CONTAINS(served.answer, holder);
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT_EQ(phase(), RECORD_UNMOUNTED);
        ASSERT(is_attached());
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        served_stop();
}

/* Who writes to a disk need not claim it. */
static void test_written_to(void)
{
        _cleanup_free_ char *holder = NULL;
        int fd;

        begin(true);
        holder = text_format("[ %d ", (int)getpid());
        fd = open(served.disk.node, O_WRONLY | O_CLOEXEC);
        ASSERT(fd >= 0);
        ASSERT_CONTAINS(eject(), "Error s Busy\nStep s eject\n");
        ASSERT_CONTAINS(served.answer, holder);
        ASSERT_CONTAINS(served.answer, "write to");
        ASSERT(is_attached());
        close_fd(fd);
        served_stop();
}

/* Its disk is another one by now. */
static void test_of_another_incarnation(void)
{
        _cleanup_(record_freep) Record *r = NULL;

        begin(false);
        ASSERT_OK(record_load(served.records, "data", &r));
        r->diskseq++;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_CONTAINS(eject(), "Error s DeviceAbsent\n");
        ASSERT(mount_on(served.where) > 0);
        ASSERT(is_attached());
        served_stop();
}

TEST_MAIN(TEST(eject), TEST(busy), TEST(used_by_more), TEST(locked), TEST(held_elsewhere),
          TEST(written_to), TEST(of_another_incarnation))
