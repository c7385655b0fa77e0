/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "images.h"
#include "macro.h"
#include "mount.h"
#include "mounter.h"
#include "mountinfo.h"
#include "record.h"
#include "served.h"
#include "shared.h"
#include "test.h"
#include "text.h"

/* What mountd does to mounts, directories and records when a client tells the truth, and what it
 * does not when the client lies or the world has changed. */

static void begin(void)
{
        served_begin_with_disks();
        served_configure("data", served.where, "");
        served_start();
}

static Record *load(const char *name)
{
        Record *r = NULL;

        (void)record_load(served.records, name, &r);
        return r;
}

static void assert_record(RecordPhase phase, bool directory_made, int mount_id)
{
        _cleanup_(record_freep) Record *r = load("data");

        ASSERT(r);
        ASSERT_EQ(r->phase, phase);
        ASSERT_STR(r->target, served.where);
        ASSERT(r->devnum == served.disk.devnum);
        ASSERT(r->diskseq == served.disk.diskseq);
        ASSERT_EQ(r->mount_id, mount_id);
        ASSERT_EQ(r->directory_made, directory_made);
}

/* Nothing was done for data, nor left behind. */
static void assert_untouched(unsigned n_mounts)
{
        _cleanup_(record_freep) Record *r = load("data");

        ASSERT(!r);
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(served.where));
}

static bool contains_line(const char *text, const char *line)
{
        const char *p = strstr(text, line);

        return p && (p == text || p[-1] == '\n') && p[strlen(line)] == '\n';
}

#define ASSERT_LINE(text, ...)                                                                   \
        do {                                                                                     \
                _cleanup_free_ char *_line = text_format(__VA_ARGS__);                           \
                if (!contains_line(text, _line))                                                 \
                        test_fail(__FILE__, __LINE__, "\"%s\" has no line \"%s\"", text, _line); \
        } while (0)

static void mount_data(void)
{
        const char *answer = ask_mount("data", &served.disk);

        if (!contains_line(answer, "ReadOnly b false"))
                test_fail(__FILE__, __LINE__, "%s", answer);
}

static void test_mount(void)
{
        struct stat st;
        const char *a;
        int id;

        begin();
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
        assert_record(RECORD_MOUNTED, true, id);
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

        begin();
        mount_data();
        id = mount_on(served.where);
        n_mounts = count_mounts();
        for (unsigned i = 0; i < 3; i++) {
                a = ask_mount("data", &served.disk);
                ASSERT_LINE(a, "MountId i %d", id);
                ASSERT_LINE(a, "UUID s " FS_UUID);
                ASSERT_EQ(count_mounts(), n_mounts);
                assert_record(RECORD_MOUNTED, true, id);
        }
        a = ask("Adopt", "stt", "data", (uint64_t)served.disk.devnum, served.disk.diskseq);
        ASSERT_LINE(a, "MountId i %d", id);
        ASSERT_EQ(count_mounts(), n_mounts);
        assert_record(RECORD_MOUNTED, true, id);
        served_stop();
}

static void test_unmount(void)
{
        unsigned n_mounts;

        begin();
        n_mounts = count_mounts();
        mount_data();
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(served.where));
        assert_record(RECORD_UNMOUNTED, false, 0);
        /* Twice is no failure, and it can be mounted again. */
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        assert_record(RECORD_UNMOUNTED, false, 0);
        mount_data();
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

        begin();
        where = text_format("%s/data", served.shared);
        served_configure("data", where, "");
        mount_data();
        fd = open(where, O_RDONLY | O_CLOEXEC);
        ASSERT(fd >= 0);
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), "Error s Busy\n");
        ASSERT(!is_marked());
        close_fd(fd);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(is_marked());
        mount_data();
        ASSERT(!is_marked());

        /* What is mounted all the same is not unmounted by intent, … */
        ASSERT_OK(shared_mark(served.shared, served.disk.devnum, served.disk.diskseq));
        ASSERT_LINE(ask_mount("data", &served.disk), "MountId i %d", mount_on(where));
        ASSERT(!is_marked());
        r = load("data");
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
        mount_data();
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(!is_marked());

        /* A mark that cannot be set is said, and hinders nobody. */
        served_configure("data", where, "");
        mount_data();
        marks = text_format("%s/.wslbare", served.shared);
        ASSERT_OK(rmdir(marks));
        test_write(served.shared, ".wslbare", "in the way");
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), "Other distributions cannot be told");
        ASSERT_EQ(mount_on(where), 0);
        served_stop();
}

static void test_directory_of_others(void)
{
        begin();
        ASSERT_OK(mkdir(served.where, 0700));
        mount_data();
        assert_record(RECORD_MOUNTED, false, mount_on(served.where));
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT(is_there(served.where));
        test_write(served.where, "file", "");
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "Warnings as [ ");
        served_stop();
}

static void test_busy(void)
{
        _cleanup_free_ char *holder = NULL;
        _cleanup_close_ int fd = -1;
        const char *a;
        int id;

        begin();
        holder = text_format("[ %d ", (int)getpid());
        mount_data();
        id = mount_on(served.where);
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        a = ask("Unmount", "sb", "data", false);
        ASSERT_LINE(a, "Error s Busy");
        ASSERT_LINE(a, "Step s unmount");
        ASSERT_LINE(a, "Errno i %d", EBUSY);
        ASSERT_CONTAINS(a, "Holders a(us)");
        ASSERT_CONTAINS(a, holder);
        ASSERT_EQ(mount_on(served.where), id);
        assert_record(RECORD_MOUNTED, true, id);
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(mount_on(served.where), 0);
        fd = close_fd(fd);
        served_stop();
}

/* Equal events are one, so those of the file that is renamed to it are needed in between. */
static unsigned count_saved(int watch_fd)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(watch_fd, buffer, sizeof(buffer));
        unsigned count = 0;

        for (const char *p = buffer; n > 0 && p < buffer + n;) {
                const struct inotify_event *e = (const void *)p;

                count += (e->mask & IN_MOVED_TO) && streq(e->name, "data");
                p += sizeof(*e) + e->len;
        }
        return count;
}

/* It is in the record before it is made, and as soon as it is there: what comes then asks the
 * filesystem, which may not answer any more. */
static void test_mount_is_recorded_before(void)
{
        _cleanup_close_ int watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

        begin();
        ASSERT_LINE(ask("SetTarget", "sb", "data", true), "Error s NotMounted");
        ASSERT(inotify_add_watch(watch_fd, served.records, IN_MOVED_FROM | IN_MOVED_TO) >= 0);
        mount_data();
        ASSERT_EQ(count_saved(watch_fd), 3);
        served_stop();
}

/* That it is meant to go is in the record before it goes, as it may take long. */
static void test_unmount_is_recorded_before(void)
{
        _cleanup_close_ int fd = -1, watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        begin();
        mount_data();
        id = mount_on(served.where);
        ASSERT(inotify_add_watch(watch_fd, served.records, IN_MOVED_FROM | IN_MOVED_TO) >= 0);
        fd = open(served.where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT_LINE(ask("Unmount", "sb", "data", false), "Error s Busy");
        ASSERT_EQ(count_saved(watch_fd), 2); /* and back */
        assert_record(RECORD_MOUNTED, true, id);
        fd = close_fd(fd);
        r = load("data");
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(count_saved(watch_fd), 2);
        assert_record(RECORD_UNMOUNTED, false, 0);

        /* Left by one that was killed in between, or before. */
        r->phase = RECORD_UNMOUNTING;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_OK(mkdir(served.where, 0755));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_LINE(ask("SetTarget", "sb", "data", true), "Error s NotMounted");
        assert_record(RECORD_UNMOUNTED, false, 0);
        ASSERT(!is_there(served.where));
        mount_data();
        r = record_free(r);
        r = load("data");
        id = r->mount_id;
        r->phase = RECORD_UNMOUNTING;
        ASSERT_OK(record_save(served.records, "data", r));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_LINE(ask_mount("data", &served.disk), "MountId i %d", id);
        assert_record(RECORD_MOUNTED, true, id);
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

        begin();
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
        mount_data(); /* the right one still is */
        served_stop();
}

static void test_probe(void)
{
        const char *a;

        begin();
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

        begin();
        mount_data();
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
        assert_record(RECORD_MOUNTED, true, id);
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
                ASSERT(!load("data"));
                if (!strstr(rows[i].where, "/made"))
                        ASSERT(is_there(where));
        }
        served_stop();
}

static void test_target_foreign_not_lost(void)
{
        begin();
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

/* The record speaks of a mount that is there no more; what is there now is somebody else's. */
static void test_unmount_foreign(void)
{
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        begin();
        mount_data();
        ASSERT_OK(umount2(served.where, 0));
        ASSERT_OK(mount("foreign", served.where, "tmpfs", 0, NULL));
        id = mount_on(served.where);
        /* The kernel gives a free mount ID to the next mount; whether it did is left to no chance.
         */
        r = load("data");
        ASSERT(r);
        r->mount_id = id;
        ASSERT_OK(record_save(served.records, "data", r));
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(mount_on(served.where), id);
        assert_record(RECORD_UNMOUNTED, false, 0);
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

        begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        ASSERT_OK(mkdir(elsewhere, 0755));
        for (size_t i = has_unique_ids() ? 0 : 1; i < ELEMENTSOF(rows); i++) {
                _cleanup_(record_freep) Record *r = NULL;
                int id;

                test_row(rows[i]);
                mount_data();
                ASSERT_OK(umount2(served.where, 0));
                ASSERT_OK(mount(served.disk.node, elsewhere, "ext4", 0, NULL));
                id = mount_on(elsewhere);
                r = load("data");
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

        begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        ASSERT_OK(mkdir(elsewhere, 0755));
        ASSERT_OK(mount("foreign", elsewhere, "tmpfs", 0, NULL));
        id = mount_on(elsewhere);
        mount_data();
        ASSERT_OK(umount2(served.where, 0));
        n_mounts = count_mounts();
        r = load("data");
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

        begin();
        mount_data();
        id = mount_on(served.where);
        ASSERT_OK(mount("cover", served.where, "tmpfs", 0, NULL));
        cover = mount_on(served.where);
        ASSERT(cover != id);
        a = ask("Unmount", "sb", "data", false);
        ASSERT_LINE(a, "Error s Busy");
        ASSERT_EQ(mount_on(served.where), cover);
        assert_record(RECORD_MOUNTED, true, id);
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

        begin();
        mount_data();
        n_mounts = count_mounts();
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                test_row(texts[i]);
                test_write(served.records, "data", texts[i]);
                ASSERT_LINE(ask("Unmount", "sb", "data", true), "Error s NotMounted");
                ASSERT_EQ(count_mounts(), n_mounts);
        }
        served_stop();
}

static const char *ask_adopt(const Disk *disk)
{
        return ask("Adopt", "stt", "data", (uint64_t)disk->devnum, disk->diskseq);
}

static void test_adopt(void)
{
        const char *a;
        int id;

        begin();
        ASSERT_LINE(ask_adopt(&served.disk), "Error s NotMounted");
        ASSERT(!load("data"));
        ASSERT_OK(mkdir(served.where, 0755));
        ASSERT_LINE(ask_adopt(&served.disk), "Error s NotMounted");
        /* Another disk is there. */
        ASSERT_OK(mount(served.other.node, served.where, "ext4", 0, NULL));
        ASSERT_LINE(ask_adopt(&served.disk), "Error s NotMounted");
        ASSERT_LINE(ask_adopt(&served.other),
                    "Error s DeviceAbsent"); /* the file means none such */
        ASSERT(!load("data"));
        ASSERT_OK(umount2(served.where, 0));
        /* Ours, mounted by somebody else. */
        ASSERT_OK(mount(served.disk.node, served.where, "ext4", MS_RDONLY, NULL));
        id = mount_on(served.where);
        ASSERT_LINE(ask_adopt(&served.other), "Error s DeviceAbsent");
        a = ask_adopt(&served.disk);
        ASSERT_LINE(a, "MountId i %d", id);
        ASSERT_LINE(a, "ReadOnly b true");
        ASSERT_LINE(a, "Target s %s", served.where);
        assert_record(RECORD_MOUNTED, false, id);
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
        mount_data();
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
                begin();
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
                a = ask_adopt(&served.disk);
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

static void test_undone_where_it_is(void)
{
        _cleanup_(volume_config_freep) VolumeConfig *config = NULL;
        _cleanup_(report_freep) Report *report = NULL;
        _cleanup_free_ char *d = NULL, *e = NULL, *where = NULL, *place = NULL, *problem = NULL;
        const char *dirs[] = { served.config, NULL };
        const ConfigSource source = { .dirs = dirs, .owner = getuid() };
        unsigned n_mounts;

        served_begin_with_disks();
        report = report_new();
        ASSERT(report);
        d = text_format("%s/d", served.base);
        e = text_format("%s/e", served.base);
        where = text_format("%s/data", d);
        place = text_format("%s/data", e);
        ASSERT_OK(mkdir(served.records, 0755));
        ASSERT_OK(mkdir(d, 0755));
        served_configure("data", where, "Check=never\n");
        ASSERT_OK(config_load_volume(&source, "data", &config, &problem));
        const char *const sbin[] = { served.sbin, NULL };
        char *paths[] = { d, e, place };
        const Mounter m = {
                .records = served.records,
                .staging = served.run,
                .flags = served.run,
                .shared = served.shared,
                .checks = served.checks,
                .sbin = sbin,
                .errors_fd = -1,
                .progress = snatch,
                .percent = ignore_percent,
                .userdata = paths,
        };
        n_mounts = count_mounts();
        ASSERT(mounter_mount(&m, config, served.disk.devnum, served.disk.diskseq, report) < 0);
        ASSERT_STR(report_get(report, "Step"), "verify");
        ASSERT_CONTAINS(report_get(report, "Message"), "somewhere else");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!load("data"));
}

/* Its file names another place by now: it is mounted once, and known to be where it is. */
static void test_moved(void)
{
        _cleanup_free_ char *elsewhere = NULL;
        unsigned n_mounts;
        int id;

        begin();
        elsewhere = text_format("%s/elsewhere", served.base);
        mount_data();
        id = mount_on(served.where);
        n_mounts = count_mounts();
        served_configure("data", elsewhere, "");
        ASSERT_LINE(ask_mount("data", &served.disk), "Error s AlreadyMounted");
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(elsewhere));
        ASSERT_LINE(ask_adopt(&served.disk), "Target s %s", served.where);
        assert_record(RECORD_MOUNTED, true, id);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_EQ(mount_on(served.where), 0);
        mount_data();
        ASSERT(mount_on(elsewhere) > 0);
        served_stop();
}

/* What nobody is there to do after a crash is done at the next start. */
static void test_tidied_at_start(void)
{
        _cleanup_free_ char *full = NULL, *empty = NULL, *real = NULL, *torn = NULL;
        _cleanup_(record_freep) Record *r = NULL;
        int id;

        begin();
        full = text_format("%s/full", served.base);
        empty = text_format("%s/empty", served.base);
        real = text_format("%s/real", served.base);
        torn = text_format("%s/.torn", served.records);
        mount_data();
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
        r = load("data");
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
        ASSERT_LINE(ask_adopt(&served.disk), "MountId i %d", id);
        assert_record(RECORD_MOUNTED, true, id);
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

        begin();
        flags = text_format("%s/mounted", served.run);
        mount_data();
        r = load("data");
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

TEST_MAIN(TEST(mount), TEST(again), TEST(unmount), TEST(unmount_marks_shared),
          TEST(directory_of_others), TEST(busy), TEST(mount_is_recorded_before),
          TEST(unmount_is_recorded_before), TEST(wrong_device), TEST(probe), TEST(second_device),
          TEST(targets), TEST(target_foreign_not_lost), TEST(unmount_foreign),
          TEST(unmount_successor), TEST(unmount_forged), TEST(unmount_covered),
          TEST(unmount_spoilt_record), TEST(adopt), TEST(moved_by_somebody),
          TEST(undone_where_it_is), TEST(moved), TEST(tidied_at_start), TEST(targets_of_what_went),
          TEST(directory_mode))
