/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "images.h"
#include "macro.h"
#include "mounter.h"
#include "mountinfo.h"
#include "record.h"
#include "served-data.h"
#include "served.h"
#include "shared.h"
#include "test.h"
#include "text.h"

/* What mountd does to mounts, directories and records when a client tells the truth, and what it
 * does not when the client lies or the world has changed. test-unmounter.c has the way back. */

/* Nothing was done for data, nor left behind. */
static void assert_untouched(unsigned n_mounts)
{
        _cleanup_(record_freep) Record *r = record_of("data");

        ASSERT(!r);
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(served.where));
}

static void test_mount(void)
{
        struct stat st;
        const char *a;
        int id;

        data_begin();
        a = ask_mount("data", &served.disk);
        id = mount_on(served.where);
        ASSERT(id > 0);
        ASSERT_LINE(a, "Node s %s", served.disk.node);
        ASSERT_LINE(a, "UUID s " FS_UUID);
        ASSERT_LINE(a, "Label s a\"b$c`d\\e&");
        ASSERT_LINE(a, "Type s ext4");
        ASSERT_LINE(a, "Target s %s", served.where);
        ASSERT_LINE(a, "DeviceNumber t %" PRIu64, (uint64_t)served.disk.devnum);
        ASSERT_LINE(a, "DiskSequence t %" PRIu64, served.disk.diskseq);
        ASSERT_LINE(a, "MountId i %d", id);
        ASSERT_LINE(a, "ReadOnly b false");
        ASSERT_CONTAINS(a, "\nOptions s ");
        ASSERT_CONTAINS(strstr(a, "\nOptions s "), "nosuid");
        ASSERT_CONTAINS(strstr(a, "\nOptions s "), "nodev");
        ASSERT(!strstr(a, "Error"));
        ASSERT(!strstr(a, "Warnings"));
        ASSERT_STR(served.progress, "data:probe data:target data:mount data:verify");
        data_assert_record(RECORD_MOUNTED, true, id);
        ASSERT_OK(stat(served.where, &st));
        ASSERT(st.st_dev == served.disk.devnum);
        served_stop();
        ASSERT_EQ(mount_on(served.where), id); /* mounts stay when it ends */
}

/* The same request again takes up what is there. */
static void test_again(void)
{
        unsigned n_mounts;
        const char *a;
        int id;

        data_begin();
        data_mount();
        id = mount_on(served.where);
        n_mounts = count_mounts();
        for (unsigned i = 0; i < 3; i++) {
                a = ask_mount("data", &served.disk);
                ASSERT_LINE(a, "MountId i %d", id);
                ASSERT_LINE(a, "UUID s " FS_UUID);
                ASSERT_EQ(count_mounts(), n_mounts);
                data_assert_record(RECORD_MOUNTED, true, id);
        }
        a = ask("Adopt", "stt", "data", (uint64_t)served.disk.devnum, served.disk.diskseq);
        ASSERT_LINE(a, "MountId i %d", id);
        ASSERT_EQ(count_mounts(), n_mounts);
        data_assert_record(RECORD_MOUNTED, true, id);
        served_stop();
}

static void test_directory_of_others(void)
{
        data_begin();
        ASSERT_OK(mkdir(served.where, 0700));
        data_mount();
        data_assert_record(RECORD_MOUNTED, false, mount_on(served.where));
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(is_there(served.where));
        test_write(served.where, "file", "");
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "Warnings as [ ");
        served_stop();
}

/* It is in the record before it is made, and as soon as it is there: what comes then asks the
 * filesystem, which may not answer any more. */
static void test_mount_is_recorded_before(void)
{
        _cleanup_close_ int watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

        data_begin();
        ASSERT_LINE(ask("SetTarget", "sb", "data", true), "Error s NotMounted");
        ASSERT(inotify_add_watch(watch_fd, served.records, IN_MOVED_FROM | IN_MOVED_TO) >= 0);
        data_mount();
        ASSERT_EQ(data_count_saved(watch_fd), 3);
        served_stop();
}

typedef struct WrongDevice {
        const char *name;
        const Disk *disk; /* what is said, … */
        bool is_number;
        dev_t number; /* … or this */
        int64_t sequence_off;
        const char *error;
} WrongDevice;

static const WrongDevice wrong_devices[] = {
        { "another filesystem", &served.other, false, 0, 0, "DeviceAbsent" },
        { "an earlier disk", &served.disk, false, 0, -1, "DeviceAbsent" },
        { "a later disk", &served.disk, false, 0, 1, "DeviceAbsent" },
        { "another's sequence", &served.disk, false, 0, INT64_MAX, "DeviceAbsent" },
        { "a character device", NULL, true, 0x103 /* 1:3 */, 0, "DeviceAbsent" },
        { "nothing", NULL, true, NOWHERE, 0, "DeviceAbsent" },
        { "zero", NULL, true, 0, 0, "DeviceAbsent" },
        { "a huge number", NULL, true, UINT64_MAX, 0, "DeviceAbsent" },
};

static const char *ask_wrong(const char *method, const WrongDevice *w)
{
        uint64_t devnum = w->is_number ? w->number : w->disk->devnum;
        uint64_t diskseq =
                w->is_number ? served.disk.diskseq : w->disk->diskseq + (uint64_t)w->sequence_off;

        if (streq(method, "Probe"))
                return ask("Probe", "tt", devnum, diskseq);
        if (streq(method, "Adopt"))
                return ask("Adopt", "stt", "data", devnum, diskseq);
        return ask("Mount", "stts", "data", devnum, diskseq, served_fingerprint("data"));
}

static void test_wrong_device(void)
{
        unsigned n_mounts;

        data_begin();
        n_mounts = count_mounts();
        for (size_t i = 0; i < ELEMENTSOF(wrong_devices); i++) {
                const WrongDevice *w = &wrong_devices[i];

                test_row(w->name);
                ASSERT_LINE(ask_wrong("Mount", w), "Error s %s", w->error);
                assert_untouched(n_mounts);
                ASSERT_CONTAINS(ask_wrong("Adopt", w), "Error s ");
                assert_untouched(n_mounts);
                if (w->disk == &served.other)
                        continue; /* which anybody may look at */
                ASSERT_LINE(ask_wrong("Probe", w), "Error s %s", w->error);
        }
        data_mount(); /* the right one still is */
        served_stop();
}

static void test_probe(void)
{
        const char *a;

        data_begin();
        a = ask("Probe", "tt", (uint64_t)served.disk.devnum, served.disk.diskseq);
        ASSERT_LINE(a, "Node s %s", served.disk.node);
        ASSERT_LINE(a, "UUID s " FS_UUID);
        ASSERT_LINE(a, "Type s ext4");
        ASSERT_LINE(a, "Usage s filesystem");
        ASSERT_LINE(a, "Size t %lld", 16 * MIB);
        ASSERT_LINE(a, "SectorSize u %u", SECTOR);
        ASSERT_LINE(a, "DiskSequence t %" PRIu64, served.disk.diskseq);
        ASSERT_LINE(a, "Clean b true");
        ASSERT_LINE(a, "Errors b false");
        ASSERT_LINE(a, "CheckDue b false");
        /* A label that is neither UTF-8 nor printable. */
        a = ask("Probe", "tt", (uint64_t)served.other.devnum, served.other.diskseq);
        ASSERT_LINE(a, "Label s a\\xe4b\\x01");
        served_stop();
}

/* Another disk, of the same UUID, while the first is mounted there. */
static void test_second_device(void)
{
        unsigned n_mounts;
        Disk twin = { .fd = -1 };
        const char *a;
        int id;

        data_begin();
        data_mount();
        id = mount_on(served.where);
        n_mounts = count_mounts();
        served_attach("ext4", &twin);
        a = ask_mount("data", &twin);
        close_fd(twin.fd);
        ASSERT_LINE(a, "Error s AlreadyMounted");
        ASSERT_LINE(a, "Step s target");
        ASSERT_CONTAINS(a, served.where);
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT_EQ(mount_on(served.where), id);
        data_assert_record(RECORD_MOUNTED, true, id);
        served_stop();
}

/* Targets that are not used: nothing is mounted, made or removed. */
static void test_targets(void)
{
        static const struct {
                const char *name;
                const char *where; /* below the base */
                const char *text;
        } rows[] = {
                { "symbolic link", "link", "/link is a symbolic link" },
                { "symbolic link in it", "link/made", "/link is a symbolic link" },
                { "dangling link", "dangling", "/dangling is a symbolic link" },
                { "file", "file", "/file is not a directory" },
                { "below a file", "file/made", "/file is not a directory" },
                { "foreign mount", "foreign", "foreign-thing (tmpfs) is mounted on" },
        };

        served_begin_with_disks();
        served_start();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *where = text_format("%s/%s", served.base, rows[i].where);
                unsigned n_mounts;
                const char *a;

                test_row(rows[i].name);
                if (i == 0) {
                        ASSERT_OK(chdir(served.base));
                        ASSERT_OK(mkdir("dir", 0755));
                        ASSERT_OK(symlink("dir", "link"));
                        ASSERT_OK(symlink("nowhere", "dangling"));
                        test_write(served.base, "file", "");
                        ASSERT_OK(mkdir("foreign", 0755));
                        ASSERT_OK(mount("foreign-thing", "foreign", "tmpfs", 0, NULL));
                        ASSERT_OK(chdir("/"));
                }
                served_configure("data", where, "");
                n_mounts = count_mounts();
                a = ask_mount("data", &served.disk);
                ASSERT_LINE(a, "Error s MountFailed");
                ASSERT_LINE(a, "Step s target");
                ASSERT_CONTAINS(a, rows[i].text);
                ASSERT_EQ(count_mounts(), n_mounts);
                ASSERT(!record_of("data"));
                if (!strstr(rows[i].where, "/made"))
                        ASSERT(is_there(where));
        }
        served_stop();
}

static void test_target_foreign_not_lost(void)
{
        data_begin();
        ASSERT_OK(mkdir(served.where, 0755));
        ASSERT_OK(mount("foreign", served.where, "tmpfs", 0, NULL));
        test_write(served.where, "precious", "");
        ASSERT_LINE(ask_mount("data", &served.disk), "Error s MountFailed");
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", true), "Error s NotMounted\n");
        ASSERT_CONTAINS(
                ask("Adopt", "stt", "data", (uint64_t)served.disk.devnum, served.disk.diskseq),
                "Error s NotMounted\n");
        ASSERT_OK(chdir(served.where));
        ASSERT(is_there("precious"));
        ASSERT_OK(chdir("/"));
        served_stop();
}

static void test_adopt(void)
{
        const char *a;
        int id;

        data_begin();
        ASSERT_LINE(data_ask_adopt(&served.disk), "Error s NotMounted");
        ASSERT(!record_of("data"));
        ASSERT_OK(mkdir(served.where, 0755));
        ASSERT_LINE(data_ask_adopt(&served.disk), "Error s NotMounted");
        /* Another disk is there. */
        ASSERT_OK(mount(served.other.node, served.where, "ext4", 0, NULL));
        ASSERT_LINE(data_ask_adopt(&served.disk), "Error s NotMounted");
        ASSERT_LINE(data_ask_adopt(&served.other),
                    "Error s DeviceAbsent"); /* the file means none such */
        ASSERT(!record_of("data"));
        ASSERT_OK(umount2(served.where, 0));
        /* Ours, mounted by somebody else. */
        ASSERT_OK(mount(served.disk.node, served.where, "ext4", MS_RDONLY, NULL));
        id = mount_on(served.where);
        ASSERT_LINE(data_ask_adopt(&served.other), "Error s DeviceAbsent");
        a = data_ask_adopt(&served.disk);
        ASSERT_LINE(a, "MountId i %d", id);
        ASSERT_LINE(a, "ReadOnly b true");
        ASSERT_LINE(a, "Target s %s", served.where);
        data_assert_record(RECORD_MOUNTED, false, id);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(is_there(served.where));
        served_stop();
}

static char *place_of(int id)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;

        ASSERT_OK(mountinfo_read_self(&m));
        e = mountinfo_find_id(m, id);
        return e ? strdup(e->target) : NULL;
}

static void mount_below(const char *parent, const char *where)
{
        ASSERT_OK(mkdir(parent, 0755));
        served_configure("data", where, "");
        data_mount();
}

static void assert_is_on(int id, const char *where)
{
        _cleanup_free_ char *place = place_of(id);

        ASSERT_STR(place, where);
}

/* By `mount --move`, or by who owns a directory above: it is the same mount, on another path. */
static void test_moved_by_somebody(void)
{
        static const char *const rows[] = { "renamed", "moved", "renamed, and made anew" };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *d = NULL, *e = NULL, *where = NULL, *place = NULL;
                _cleanup_close_ int fd = -1;
                const char *a;
                int id;

                test_row(rows[i]);
                data_begin();
                d = text_format("%s/d", served.base);
                e = text_format("%s/e", served.base);
                where = text_format("%s/data", d);
                place = text_format("%s/data", e);
                mount_below(d, where);
                id = mount_on(where);
                if (i == 1) {
                        ASSERT_OK(mkdir(e, 0755));
                        ASSERT_OK(mkdir(place, 0755));
                        /* Out of a shared mount the kernel moves none. */
                        ASSERT_OK(mount(NULL, served.base, NULL, MS_PRIVATE, NULL));
                        ASSERT_OK(mount(where, place, NULL, MS_MOVE, NULL));
                } else
                        ASSERT_OK(rename(d, e));
                if (i == 2) {
                        ASSERT_OK(mkdir(d, 0755));
                        ASSERT_OK(mkdir(where, 0755));
                }
                assert_is_on(id, place);

                /* It is neither mounted a second time, nor forgotten, … */
                a = ask_mount("data", &served.disk);
                ASSERT_LINE(a, "Error s AlreadyMounted");
                ASSERT_CONTAINS(a, place);
                a = data_ask_adopt(&served.disk);
                ASSERT_LINE(a, "MountId i %d", id);
                ASSERT_LINE(a, "Target s %s", where);
                /* … nor said to be unmounted while it is mounted. */
                fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                ASSERT(fd >= 0);
                a = ask("Unmount", "sb", "data", false);
                ASSERT_LINE(a, "Error s Busy");
                ASSERT_CONTAINS(a, place);
                assert_is_on(id, place);
                fd = close_fd(fd);
                ASSERT_STR(ask("Unmount", "sb", "data", false), "");
                assert_is_on(id, NULL);
                served_stop();
        }
}

/* Who owns the directory above is quick, between the mounting and the looking. */
static void snatch(FailureStep step, void *userdata)
{
        char *const *paths =
                userdata; /* the directory, what it becomes, and the mount point then */

        if (step != STEP_VERIFY)
                return;
        ASSERT_OK(rename(paths[0], paths[1]));
        ASSERT_OK(mount("cover", paths[2], "tmpfs", 0, NULL));
        ASSERT_OK(mount("another", paths[2], "tmpfs", 0, NULL));
}

static void ignore_percent(unsigned percent, void *userdata)
{
}

/* Without a service; the volume is data on WHERE. */
static Report *mount_here(const char *where, MounterProgress progress, void *userdata)
{
        _cleanup_(volume_config_freep) VolumeConfig *config = NULL;
        const char *const sbin[] = { served.sbin, NULL };
        const char *dirs[] = { served.config, NULL };
        const ConfigSource source = { .dirs = dirs, .owner = getuid() };
        const Mounter m = {
                .records = served.records,
                .staging = served.run,
                .flags = served.run,
                .shared = served.shared,
                .checks = served.checks,
                .sbin = sbin,
                .errors_fd = -1,
                .progress = progress,
                .percent = ignore_percent,
                .userdata = userdata,
        };
        Report *report = report_new();
        char *problem = NULL;

        ASSERT(report);
        ASSERT_OK(mkdir(served.records, 0755));
        served_configure("data", where, "Check=never\n");
        ASSERT_OK(config_load_volume(&source, "data", &config, &problem));
        (void)mounter_mount(&m, config, served.disk.devnum, served.disk.diskseq, report);
        return report;
}

static void test_undone_where_it_is(void)
{
        _cleanup_(report_freep) Report *report = NULL;
        _cleanup_free_ char *d = NULL, *e = NULL, *where = NULL, *place = NULL;
        unsigned n_mounts;

        served_begin_with_disks();
        d = text_format("%s/d", served.base);
        e = text_format("%s/e", served.base);
        where = text_format("%s/data", d);
        place = text_format("%s/data", e);
        ASSERT_OK(mkdir(d, 0755));
        char *paths[] = { d, e, place };
        n_mounts = count_mounts();
        report = mount_here(where, snatch, paths);
        ASSERT_STR(report_get(report, "Step"), "verify");
        ASSERT_CONTAINS(report_get(report, "Message"), "somewhere else");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!record_of("data"));
}

static void note_mark(FailureStep step, void *userdata)
{
        char *marks = userdata; /* "m" marked, "-" not, at each step */

        marks[strlen(marks)] =
                shared_is_marked(served.shared, served.disk.devnum, served.disk.diskseq) ? 'm'
                                                                                         : '-';
}

/* Whoever dies after the mount leaves no mark that it was unmounted by intent. */
static void test_unmarked_before_it_is_mounted(void)
{
        _cleanup_(report_freep) Report *report = NULL;
        _cleanup_free_ char *where = NULL;
        char marks[16] = "";

        served_begin_with_disks();
        where = text_format("%s/data", served.shared);
        ASSERT_OK(shared_mark(served.shared, served.disk.devnum, served.disk.diskseq));
        report = mount_here(where, note_mark, marks);
        ASSERT_STR(report_get(report, "Error"), NULL);
        ASSERT(mount_on(where) > 0);
        ASSERT_STR(marks, "mmm-"); /* probe, target, mount, verify */
}

/* Its file names another place by now: it is mounted once, and known to be where it is. */
static void test_moved(void)
{
        _cleanup_free_ char *elsewhere = NULL;
        unsigned n_mounts;
        int id;

        data_begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        data_mount();
        id = mount_on(served.where);
        n_mounts = count_mounts();
        served_configure("data", elsewhere, "");
        ASSERT_LINE(ask_mount("data", &served.disk), "Error s AlreadyMounted");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(elsewhere));
        ASSERT_LINE(data_ask_adopt(&served.disk), "Target s %s", served.where);
        data_assert_record(RECORD_MOUNTED, true, id);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
        data_mount();
        ASSERT(mount_on(elsewhere) > 0);
        served_stop();
}

/* What it has not as a service either. */
static void start_without_fsetid(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct all[2], some[2];

        ASSERT_OK(syscall(SYS_capget, &header, all));
        memcpy(some, all, sizeof(some));
        some[0].effective &= ~(1U << CAP_FSETID);
        ASSERT_OK(syscall(SYS_capset, &header, some));
        served_start();
        ASSERT_OK(syscall(SYS_capset, &header, all));
}

/* Below a directory that gives its group, to which we do not belong. */
static void test_directory_mode(void)
{
        static const struct {
                const char *mode;
                mode_t want;
                bool warns;
        } rows[] = {
                { "2775", 0775, true },
                { "0775", 0775, false },
                { "1700", 01700, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *parent = NULL, *where = NULL, *more = NULL;
                struct stat st;
                const char *a;

                test_row(rows[i].mode);
                served_begin_with_disks();
                parent = text_format("%s/parent", served.base);
                where = text_format("%s/data", parent);
                more = text_format("DirectoryMode=%s\n", rows[i].mode);
                ASSERT_OK(mkdir(parent, 0755));
                ASSERT_OK(chown(parent, 0, 54321));
                ASSERT_OK(chmod(parent, 02775));
                served_configure("data", where, more);
                start_without_fsetid();
                a = ask_mount("data", &served.disk);
                ASSERT_CONTAINS(a, "ReadOnly b false");
                ASSERT_EQ(strstr(a, "/parent/data has mode 0775, not 2775 as DirectoryMode= says; "
                                    "its group 54321, ") != NULL,
                          rows[i].warns);
                ASSERT_EQ(strstr(a, "Warnings") != NULL, rows[i].warns);
                ASSERT_OK(umount2(where, 0));
                ASSERT_OK(stat(where, &st));
                ASSERT_EQ(st.st_mode, S_IFDIR | rows[i].want);
                served_stop();
        }
}

TEST_MAIN(TEST(mount), TEST(again), TEST(directory_of_others), TEST(mount_is_recorded_before),
          TEST(wrong_device), TEST(probe), TEST(second_device), TEST(targets),
          TEST(target_foreign_not_lost), TEST(adopt), TEST(moved_by_somebody),
          TEST(undone_where_it_is), TEST(unmarked_before_it_is_mounted), TEST(moved),
          TEST(directory_mode))
