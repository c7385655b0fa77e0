/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "images.h"
#include "macro.h"
#include "mount.h"
#include "record.h"
#include "served-data.h"
#include "served.h"
#include "shared.h"
#include "test.h"
#include "text.h"

/* How a mount goes, what tells of it, and what is done at the next start about what a crash left.
 */

static void test_unmount(void)
{
        unsigned n_mounts;

        data_begin();
        n_mounts = count_mounts();
        data_mount();
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(served.where));
        data_assert_record(RECORD_UNMOUNTED, false, 0);
        /* Twice is no failure, and it can be mounted again. */
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        data_assert_record(RECORD_UNMOUNTED, false, 0);
        data_mount();
        ASSERT(mount_on(served.where) > 0);
        served_stop();
}

/* A directory that was there before is not ours to remove. */
static bool is_marked(void)
{
        return shared_is_marked(served.shared, served.disk.devnum, served.disk.diskseq);
}

/* What all distributions have mounted as one, none of the others is to mount again. */
static void test_unmount_marks_shared(void)
{
        _cleanup_free_ char *where = NULL, *marks = NULL;
        _cleanup_(record_freep) Record *r = NULL;
        int fd;

        data_begin();
        where = text_format("%s/data", served.shared);
        served_configure("data", where, "");
        data_mount();
        fd = open(where, O_RDONLY | O_CLOEXEC);
        ASSERT(fd >= 0);
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), "Error s Busy\n");
        ASSERT(!is_marked());
        close_fd(fd);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(is_marked());
        data_mount();
        ASSERT(!is_marked());

        /* What is mounted all the same is not unmounted by intent, … */
        ASSERT_OK(shared_mark(served.shared, served.disk.devnum, served.disk.diskseq));
        ASSERT_LINE(ask_mount("data", &served.disk), "MountId i %d", mount_on(where));
        ASSERT(!is_marked());
        r = record_of("data");
        r->phase = RECORD_UNMOUNTING;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_OK(shared_mark(served.shared, served.disk.devnum, served.disk.diskseq));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_LINE(ask("SetTarget", "sb", "nobody", true), "Error s NotMounted");
        ASSERT(!is_marked());

        /* … to tidy up after somebody else is no intent either, … */
        ASSERT_OK(umount2(where, 0));
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(!is_marked());

        /* … and what is mounted elsewhere is nobody else's business. */
        served_configure("data", served.where, "");
        data_mount();
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(!is_marked());

        /* A mark that cannot be set is said, and hinders nobody. */
        served_configure("data", where, "");
        data_mount();
        marks = text_format("%s/.wslbare", served.shared);
        ASSERT_OK(rmdir(marks));
        test_write(served.shared, ".wslbare", "in the way");
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), "Other distributions cannot be told");
        ASSERT_EQ(mount_on(where), 0);
        served_stop();
}

static void test_busy(void)
{
        _cleanup_free_ char *holder = NULL;
        _cleanup_close_ int fd = -1;
        const char *a;
        int id;

        data_begin();
        holder = text_format("[ %d ", (int)getpid());
        data_mount();
        id = mount_on(served.where);
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        a = ask("Unmount", "sb", "data", false);
        ASSERT_LINE(a, "Error s Busy");
        ASSERT_LINE(a, "Step s unmount");
        ASSERT_LINE(a, "Errno i %d", EBUSY);
        ASSERT_CONTAINS(a, "Holders a(us)");
        ASSERT_CONTAINS(a, holder);
        ASSERT_EQ(mount_on(served.where), id);
        data_assert_record(RECORD_MOUNTED, true, id);
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(mount_on(served.where), 0);
        fd = close_fd(fd);
        served_stop();
}

/* That it is meant to go is in the record before it goes, as it may take long. */
static void test_unmount_is_recorded_before(void)
{
        _cleanup_close_ int fd = -1, watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        data_begin();
        data_mount();
        id = mount_on(served.where);
        ASSERT(inotify_add_watch(watch_fd, served.records, IN_MOVED_FROM | IN_MOVED_TO) >= 0);
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT_LINE(ask("Unmount", "sb", "data", false), "Error s Busy");
        ASSERT_EQ(data_count_saved(watch_fd), 2); /* and back */
        data_assert_record(RECORD_MOUNTED, true, id);
        fd = close_fd(fd);
        r = record_of("data");
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(data_count_saved(watch_fd), 2);
        data_assert_record(RECORD_UNMOUNTED, false, 0);

        /* Left by one that was killed in between, or before. */
        r->phase = RECORD_UNMOUNTING;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_OK(mkdir(served.where, 0755));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_LINE(ask("SetTarget", "sb", "data", true), "Error s NotMounted");
        data_assert_record(RECORD_UNMOUNTED, false, 0);
        ASSERT(!is_there(served.where));
        data_mount();
        r = record_free(r);
        r = record_of("data");
        id = r->mount_id;
        r->phase = RECORD_UNMOUNTING;
        ASSERT_OK(record_save(served.records, "data", r));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_LINE(ask_mount("data", &served.disk), "MountId i %d", id);
        data_assert_record(RECORD_MOUNTED, true, id);
        served_stop();
}

/* The record speaks of a mount that is there no more; what is there now is somebody else's. */
static void test_unmount_foreign(void)
{
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        data_begin();
        data_mount();
        ASSERT_OK(umount2(served.where, 0));
        ASSERT_OK(mount("foreign", served.where, "tmpfs", 0, NULL));
        id = mount_on(served.where);
        /* The kernel gives a free mount ID to the next mount; whether it did is left to no chance.
         */
        r = record_of("data");
        ASSERT(r);
        r->mount_id = id;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(mount_on(served.where), id);
        data_assert_record(RECORD_UNMOUNTED, false, 0);
        served_stop();
}

static bool has_unique_ids(void)
{
        _cleanup_close_ int fd = open("/", O_PATH | O_CLOEXEC);
        uint64_t id;

        return mount_unique_id_of(fd, &id) >= 0;
}

/* Mounts and their IDs come again, and so do devices and their numbers: what somebody else mounted
 * since is not ours, wherever it is. */
static void test_unmount_successor(void)
{
        static const char *const rows[] = { "the same disk", "the next disk of its number" };
        _cleanup_free_ char *elsewhere = NULL;

        data_begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        ASSERT_OK(mkdir(elsewhere, 0755));
        for (size_t i = has_unique_ids() ? 0 : 1; i < ELEMENTSOF(rows); i++) {
                _cleanup_(record_freep) Record *r = NULL;
                int id;

                test_row(rows[i]);
                data_mount();
                ASSERT_OK(umount2(served.where, 0));
                ASSERT_OK(mount(served.disk.node, elsewhere, "ext4", 0, NULL));
                id = mount_on(elsewhere);
                r = record_of("data");
                r->mount_id = id;
                if (i == 1) {
                        r->unique_id = 0;
                        r->diskseq--;
                }
                ASSERT_OK(record_save(served.records, "data", r));
                ASSERT_STR(ask("Unmount", "sb", "data", true), "");
                ASSERT_EQ(mount_on(elsewhere), id);
                ASSERT_OK(umount2(elsewhere, 0));
        }
        served_stop();
}

/* A record whose mount ID is somebody else's somewhere else. */
static void test_unmount_forged(void)
{
        _cleanup_free_ char *elsewhere = NULL;
        _cleanup_(record_freep) Record *r = NULL;
        unsigned n_mounts;
        int id;

        data_begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        ASSERT_OK(mkdir(elsewhere, 0755));
        ASSERT_OK(mount("foreign", elsewhere, "tmpfs", 0, NULL));
        id = mount_on(elsewhere);
        data_mount();
        ASSERT_OK(umount2(served.where, 0));
        n_mounts = count_mounts();
        r = record_of("data");
        ASSERT(r);
        r->mount_id = id;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT_EQ(mount_on(elsewhere), id);
        served_stop();
}

/* Ours is out of reach below another one: it is not said to be gone. */
static void test_unmount_covered(void)
{
        int id, cover;
        const char *a;

        data_begin();
        data_mount();
        id = mount_on(served.where);
        ASSERT_OK(mount("cover", served.where, "tmpfs", 0, NULL));
        cover = mount_on(served.where);
        ASSERT(cover != id);
        a = ask("Unmount", "sb", "data", false);
        ASSERT_LINE(a, "Error s Busy");
        ASSERT_EQ(mount_on(served.where), cover);
        data_assert_record(RECORD_MOUNTED, true, id);
        ASSERT_OK(umount2(served.where, 0));
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(!is_there(served.where));
        served_stop();
}

static void test_unmount_spoilt_record(void)
{
        static const char *const texts[] = { "", "garbage", "PHASE=mounted\n",
                                             "PHASE=mounted\nTARGET=/\nDEVICE=x\n" };
        unsigned n_mounts;

        data_begin();
        data_mount();
        n_mounts = count_mounts();
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                test_row(texts[i]);
                test_write(served.records, "data", texts[i]);
                ASSERT_LINE(ask("Unmount", "sb", "data", true), "Error s NotMounted");
                ASSERT_EQ(count_mounts(), n_mounts);
        }
        served_stop();
}

/* What nobody is there to do after a crash is done at the next start. */
static void test_tidied_at_start(void)
{
        _cleanup_free_ char *full = NULL, *empty = NULL, *real = NULL, *torn = NULL;
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        data_begin();
        full = text_format("%s/full", served.base);
        empty = text_format("%s/empty", served.base);
        real = text_format("%s/real", served.base);
        torn = text_format("%s/.torn", served.records);
        data_mount();
        id = mount_on(served.where);
        ASSERT_OK(mkdir(full, 0755));
        test_write(full, "precious", "");
        ASSERT_OK(mkdir(empty, 0755));
        ASSERT_OK(mkdir(real, 0755));
        /* As a mountd leaves them that dies before the mount. */
        const struct {
                const char *name, *target;
                bool made;
        } rows[] = { { "full", full, true }, { "empty", empty, true }, { "real", real, false } };
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Record half = { .phase = RECORD_MOUNTING,
                                .target = (char *)(uintptr_t)rows[i].target,
                                .devnum = served.other.devnum,
                                .diskseq = served.other.diskseq,
                                .directory_made = rows[i].made };

                ASSERT_OK(record_save(served.records, rows[i].name, &half));
        }
        /* In the middle of writing it. */
        test_write(served.records, ".torn", "PHASE=mounting\nTARGET=/mnt/to");
        /* And one that dies after it. */
        r = record_of("data");
        ASSERT(r);
        r->phase = RECORD_MOUNTING;
        r->mount_id = 0;
        ASSERT_OK(record_save(served.records, "data", r));
        served_stop();

        served_listen();
        served_connect();
        ASSERT_CONTAINS(ask("Unmount", "sb", "full", false), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask("Unmount", "sb", "empty", false), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask("Unmount", "sb", "real", false), "Error s NotMounted\n");
        ASSERT(is_there(full));
        ASSERT(!is_there(empty));
        ASSERT(is_there(real));
        ASSERT(!is_there(torn));
        ASSERT_EQ(mount_on(served.where), id);
        ASSERT_LINE(data_ask_adopt(&served.disk), "MountId i %d", id);
        data_assert_record(RECORD_MOUNTED, true, id);
        served_stop();
}

static bool is_flagged(const char *flags, const char *name)
{
        _cleanup_free_ char *path = text_format("%s/%s", flags, name);

        return is_there(path);
}

/* Its file was removed while it was mounted, and then it went: nobody else asks for that. */
static void test_targets_of_what_went(void)
{
        _cleanup_(record_freep) Record *r = NULL;
        _cleanup_free_ char *flags = NULL;

        data_begin();
        flags = text_format("%s/mounted", served.run);
        data_mount();
        r = record_of("data");
        r->mount_id += 100000;
        ASSERT_OK(record_save(served.records, "gone", r));
        served_stop();
        test_write(flags, "data", "");
        test_write(flags, "gone", "");
        test_write(flags, "unrecorded", "");
        served_listen();
        served_connect();
        ASSERT_LINE(ask_mount("data", &served.disk), "Target s %s", served.where);
        ASSERT(is_flagged(flags, "data"));
        ASSERT(!is_flagged(flags, "gone"));
        ASSERT(is_flagged(flags, "unrecorded"));
        served_stop();
}

TEST_MAIN(TEST(unmount), TEST(unmount_marks_shared), TEST(busy), TEST(unmount_is_recorded_before),
          TEST(unmount_foreign), TEST(unmount_successor), TEST(unmount_forged),
          TEST(unmount_covered), TEST(unmount_spoilt_record), TEST(tidied_at_start),
          TEST(targets_of_what_went))
