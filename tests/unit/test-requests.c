/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "images.h"
#include "macro.h"
#include "record.h"
#include "served.h"
#include "service.h"
#include "test.h"
#include "text.h"

/* Requests that are many, that hang, and whose client goes. */

#define ERROR_PREFIX "error org.wslbare1.Error."

typedef struct Count {
        unsigned n_replies;
        unsigned n_done;    /* said what it found */
        unsigned n_limited; /* LimitsExceeded */
        unsigned n_other;
} Count;

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Count *c = userdata;

        c->n_replies++;
        if (!e)
                c->n_done++;
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_LIMITS_EXCEEDED))
                c->n_limited++;
        else
                c->n_other++;
        return 0;
}

/* Sends N requests, and reads nothing before the last one is on its way. */
static void flood(unsigned n, const char *method, Count *c)
{
        for (unsigned i = 0; i < n; i++)
                if (streq(method, "Probe"))
                        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH,
                                                        MOUNTD_INTERFACE, method, on_reply, c, "tt",
                                                        NOWHERE, (uint64_t)i) >= 0);
                else
                        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH,
                                                        MOUNTD_INTERFACE, method, on_reply, c,
                                                        "stts", "data", NOWHERE, (uint64_t)i,
                                                        served_fingerprint("data")) >= 0);
        ASSERT(sd_bus_flush(served.bus) >= 0);
}

static void collect(unsigned n, const Count *c)
{
        while (c->n_replies < n) {
                int r = sd_bus_process(served.bus, NULL);

                ASSERT(r >= 0);
                if (r == 0)
                        ASSERT(sd_bus_wait(served.bus, 600 * USEC_PER_SEC) > 0);
        }
}

#ifdef ADDRESS_SANITIZER
#define MEMORY_IS_FREED false /* it is kept to be watched */
#else
#define MEMORY_IS_FREED (!getenv("WSLBARE_VALGRIND"))
#endif

static void test_flood(void)
{
        const unsigned n = getenv("WSLBARE_VALGRIND") ? MOUNTD_JOBS_MAX + 50 : 2000;
        unsigned long kib;

        served_begin();
        served_configure("data", served.where, "");
        served_start();
        served_assert_at_rest();
        kib = served_resident_kib();
        for (unsigned round = 0; round < 3; round++) {
                Count c = { 0 };

                flood(n, round % 2 ? "Mount" : "Probe", &c);
                collect(n, &c);
                ASSERT(c.n_done >= 1);
                ASSERT_EQ(c.n_done + c.n_limited + c.n_other, n);
                if (round % 2 == 0)
                        ASSERT_EQ(c.n_other, 0);
                served_assert_at_rest();
                if (MEMORY_IS_FREED)
                        ASSERT(served_resident_kib() < kib + 4096);
        }
        served_stop();
}

/* More than may be at work: those that hang are counted, and the rest is
 * refused at once. */
static void test_limit(void)
{
        Count c = { 0 };
        const char *frozen;

        served_begin_with_disks();
        frozen = served_freeze();
        for (unsigned i = 0; i < MOUNTD_JOBS_MAX + 50; i++) {
                char name[16], where[PATH_MAX];

                snprintf(name, sizeof(name), "v%u", i);
                snprintf(where, sizeof(where), "%.2000s/where%u", frozen, i);
                served_configure(name, where, "");
        }
        served_start();
        for (unsigned i = 0; i < MOUNTD_JOBS_MAX + 50; i++) {
                char name[16];

                snprintf(name, sizeof(name), "v%u", i);
                ASSERT(sd_bus_call_method_async(
                               served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Mount",
                               on_reply, &c, "stts", name, (uint64_t)served.disk.devnum,
                               served.disk.diskseq, served_fingerprint(name)) >= 0);
        }
        ASSERT(sd_bus_flush(served.bus) >= 0);
        collect(50, &c);
        ASSERT_EQ(c.n_limited, 50);
        ASSERT_EQ(served_count_children(), MOUNTD_JOBS_MAX);
        ASSERT_CONTAINS(ask("Probe", "tt", NOWHERE, UINT64_C(1)),
                        "error " SD_BUS_ERROR_LIMITS_EXCEEDED);
        served_disconnect(); /* they are killed */
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        served_stop();
}

/* What hangs. */

/* A request for data whose answer nobody has waited for yet. */
static void send_mount(Count *c)
{
        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                        "Mount", on_reply, c, "stts", "data",
                                        (uint64_t)served.disk.devnum, served.disk.diskseq,
                                        served_fingerprint("data")) >= 0);
        ASSERT(sd_bus_flush(served.bus) >= 0);
}

static char hanging_where[PATH_MAX], hanging_directory[PATH_MAX]; /* the latter is there */

/* A Mount that has come as far as its mount point, on a disk that does not
 * answer. */
static void begin_hanging(const char *more, bool listening, Count *c)
{
        served_begin_with_disks();
        snprintf(hanging_directory, sizeof(hanging_directory), "%.2000s/there", served_freeze());
        served_thaw();
        ASSERT_OK(mkdir(hanging_directory, 0755));
        snprintf(hanging_where, sizeof(hanging_where), "%.2000s/where", served_freeze());
        served_configure("data", hanging_where, more);
        if (listening) {
                served_listen();
                served_connect();
        } else
                served_start();
        send_mount(c);
        while (!strstr(served.progress, "data:target")) {
                ASSERT(sd_bus_wait(served.bus, 20 * USEC_PER_SEC) > 0);
                ASSERT(sd_bus_process(served.bus, NULL) >= 0);
        }
        WAIT_FOR(served_children_hang(1));
}

static void test_in_progress(void)
{
        Count c = { 0 };

        begin_hanging("", false, &c);
        ASSERT_CONTAINS(ask_mount("data", &served.disk), ERROR_PREFIX "InProgress: ");
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX "InProgress: ");
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), ERROR_PREFIX "InProgress: ");
        ASSERT_CONTAINS(ask("SetTarget", "sb", "data", true), ERROR_PREFIX "InProgress: ");
        /* Others are not kept from anything. */
        ASSERT_CONTAINS(ask("Probe", "tt", (uint64_t)served.disk.devnum, served.disk.diskseq),
                        "UUID s " FS_UUID "\n");
        ASSERT_CONTAINS(ask_of("Unmount", "other"), "Error s NotMounted\n");
        ASSERT_EQ(c.n_replies, 0);
        served_thaw();
        collect(1, &c);
        ASSERT_EQ(c.n_done, 1);
        ASSERT(mount_on(hanging_where) > 0);
        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        served_stop();
}

static bool has_status(const char *want)
{
        char text[512] = "";
        FILE *f = fopen(served.status, "re");

        if (f && !fgets(text, sizeof(text), f))
                text[0] = '\0';
        if (f)
                (void)fclose(f);
        return streq(text, want);
}

static bool has_status_of_data(void)
{
        _cleanup_free_ char *want = text_format(
                "1 given up, as the disk does not answer: data on %s", served.disk.node);

        return has_status(want);
}

static const char *ask_probe(const Disk *disk)
{
        return ask("Probe", "tt", (uint64_t)disk->devnum, disk->diskseq);
}

/* A disk that never answers costs one request its time, and nothing else. */
static void test_timed_out(void)
{
        _cleanup_(record_freep) Record *r = NULL;
        unsigned n_mounts;
        uint64_t before;
        Count c = { 0 };

        begin_hanging("MountTimeoutSec=1\n", false, &c);
        n_mounts = count_mounts();
        before = now_usec();
        collect(1, &c);
        ASSERT(now_usec() - before < 10 * USEC_PER_SEC);
        ASSERT_EQ(c.n_done, 1);
        /* Its child cannot be killed yet, so nobody else may begin, nor join it at
         * its disk. */
        ASSERT_CONTAINS(ask_mount("data", &served.disk), ERROR_PREFIX "InProgress: ");
        for (unsigned i = 0; i < 20; i++)
                ASSERT_CONTAINS(ask_probe(&served.disk), ERROR_PREFIX "InProgress: ");
        WAIT_FOR(strstr(ask_mount("data", &served.disk), ERROR_PREFIX "Hanging: The disk"));
        ASSERT_CONTAINS(ask_probe(&served.disk), ERROR_PREFIX "Hanging: ");
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), ERROR_PREFIX "Hanging: ");
        ASSERT_EQ(served_count_children(), 1);
        ASSERT(has_status_of_data());
        ASSERT_CONTAINS(ask_probe(&served.other), "Type s ext4\n");
        ASSERT_CONTAINS(ask("Probe", "tt", NOWHERE, UINT64_C(1)), "Error s DeviceAbsent\n");
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        ASSERT(has_status(""));
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(hanging_where));
        ASSERT_EQ(record_load(served.records, "data", &r), -ENOENT);
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false\n");
        served_stop();
}

/* What is lost. */

static void save_record(const char *target, bool directory_made)
{
        const Record r = {
                .phase = RECORD_MOUNTED,
                .target = (char *)target,
                .devnum = served.disk.devnum,
                .diskseq = served.disk.diskseq,
                .mount_id = mount_on(target),
                .directory_made = directory_made,
        };

        ASSERT_OK(record_save(served.records, "data", &r));
}

/* As if data was mounted before. */
static void mount_before(void)
{
        ASSERT_OK(mkdir(served.where, 0755));
        ASSERT_OK(mount(served.disk.node, served.where, "ext4", 0, NULL));
        save_record(served.where, false);
}

static RecordPhase phase(void)
{
        _cleanup_(record_freep) Record *r = NULL;

        ASSERT_OK(record_load(served.records, "data", &r));
        return r->phase;
}

static const char *ask_lazily(void)
{
        return ask("Unmount", "sb", "data", true);
}

/* One that was given up keeps nobody from what needs no disk. */
static void test_lost_beside_given_up(void)
{
        Count c = { 0 };

        begin_hanging("MountTimeoutSec=1\n", false, &c);
        collect(1, &c);
        mount_before();
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), ERROR_PREFIX);
        ASSERT_STR(ask_lazily(), "");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT_STR(ask("SetTarget", "sb", "data", false), "");
        WAIT_FOR(strstr(ask_mount("data", &served.disk), ERROR_PREFIX "Hanging: "));
        ASSERT_STR(ask_lazily(), "");
        ASSERT_STR(ask("SetTarget", "sb", "data", false), "");
        ASSERT_CONTAINS(ask("SetTarget", "sb", "data", true), ERROR_PREFIX "Hanging: ");
        WAIT_FOR(served_count_children() == 1);
        ASSERT(has_status_of_data());
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        ASSERT_EQ(phase(), RECORD_UNMOUNTED);
        served_stop();
}

/* One that is at work is ended for that. */
static void test_lost_while_at_work(void)
{
        Count c = { 0 };

        begin_hanging("", false, &c);
        mount_before();
        ASSERT_STR(ask_lazily(), "");
        ASSERT_EQ(mount_on(served.where), 0);
        collect(1, &c);
        ASSERT_EQ(c.n_done, 1);
        WAIT_FOR(strstr(ask_mount("data", &served.disk), ERROR_PREFIX "Hanging: "));
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        ASSERT_EQ(phase(), RECORD_UNMOUNTED);
        served_stop();
}

/* Where even that hangs, it is not tried over and over. */
static void test_lost_and_hanging(void)
{
        Count c = { 0 };

        begin_hanging("", true, &c);
        save_record(hanging_directory, true);
        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                        "Unmount", on_reply, &c, "sb", "data", true) >= 0);
        collect(1, &c); /* the Mount */
        WAIT_FOR(served_children_hang(2));
        ASSERT_CONTAINS(ask_lazily(), ERROR_PREFIX "InProgress: ");
        ASSERT_CONTAINS(ask("SetTarget", "sb", "data", false), ERROR_PREFIX "InProgress: ");
        served_disconnect();
        served_connect();
        WAIT_FOR(strstr(ask_lazily(), ERROR_PREFIX "Hanging: "));
        ASSERT_STR(ask("SetTarget", "sb", "data", false), "");
        WAIT_FOR(served_count_children() == 2);
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        ASSERT(has_status(""));
        ASSERT(!is_there(hanging_directory));
        served_stop();
}

static int on_timed_out(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *key, *value;
        char *text = userdata;

        ASSERT(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                ASSERT(sd_bus_message_read(m, "s", &key) > 0);
                if (streq(key, "Error") || streq(key, "Step")) {
                        ASSERT(sd_bus_message_read(m, "v", "s", &value) > 0);
                        strcat(strcat(text, value), " ");
                } else
                        ASSERT(sd_bus_message_skip(m, "v") >= 0);
                ASSERT(sd_bus_message_exit_container(m) >= 0);
        }
        return 0;
}

static void test_timed_out_answer(void)
{
        char text[256] = "";

        served_begin_with_disks();
        snprintf(hanging_where, sizeof(hanging_where), "%.2000s/where", served_freeze());
        served_configure("data", hanging_where, "MountTimeoutSec=1\n");
        served_start();
        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                        "Mount", on_timed_out, text, "stts", "data",
                                        (uint64_t)served.disk.devnum, served.disk.diskseq,
                                        served_fingerprint("data")) >= 0);
        while (!text[0]) {
                ASSERT(sd_bus_wait(served.bus, 20 * USEC_PER_SEC) > 0);
                ASSERT(sd_bus_process(served.bus, NULL) >= 0);
        }
        ASSERT_STR(text, "TimedOut target ");
        served_thaw();
        served_stop();
}

/* The client goes in the middle of a Mount: nothing half-done stays. */
static void test_vanish(void)
{
        _cleanup_(record_freep) Record *r = NULL;
        unsigned n_mounts;
        Count c = { 0 };

        begin_hanging("", true, &c);
        n_mounts = count_mounts();
        served_disconnect();
        served_connect(); /* the next one, while the child still hangs */
        ASSERT_CONTAINS(ask_mount("data", &served.disk), ERROR_PREFIX "InProgress: ");
        ASSERT_CONTAINS(ask_probe(&served.disk), ERROR_PREFIX "InProgress: ");
        WAIT_FOR(strstr(ask_mount("data", &served.disk), ERROR_PREFIX "Hanging: "));
        ASSERT(has_status_of_data());
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        ASSERT_EQ(count_mounts(), n_mounts);
        ASSERT(!is_there(hanging_where));
        ASSERT_EQ(record_load(served.records, "data", &r), -ENOENT);
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false\n");
        served_stop();
}

/* The same at whatever moment: afterwards it is mounted, and taken up, or
 * nothing of it is there.
 */
static void test_vanish_anywhere(void)
{
        unsigned n_mounted = 0, n_mounts;

        served_begin_with_disks();
        served_configure("data", served.where, "");
        served_listen();
        n_mounts = count_mounts();
        for (unsigned round = 0; round < 40; round++) {
                _cleanup_(record_freep) Record *r = NULL;
                Count c = { 0 };

                served_connect();
                send_mount(&c);
                (void)usleep(round * 400);
                served_disconnect();
                /* One that comes and goes while what the first left is tidied up. */
                served_connect();
                (void)usleep(round % 8 * 300);
                served_disconnect();
                served_connect();
                ASSERT_CONTAINS(ask("Probe", "tt", NOWHERE, UINT64_C(1)), "DeviceAbsent");
                WAIT_FOR(served_count_children() == 0);
                if (mount_on(served.where) > 0) {
                        n_mounted++;
                        ASSERT_EQ(count_mounts(), n_mounts + 1);
                        ASSERT_CONTAINS(ask("Adopt", "stt", "data", (uint64_t)served.disk.devnum,
                                            served.disk.diskseq),
                                        "MountId i ");
                        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
                } else if (record_load(served.records, "data", &r) >= 0)
                        ASSERT_EQ(r->phase, RECORD_UNMOUNTED);
                ASSERT_EQ(count_mounts(), n_mounts);
                ASSERT(!is_there(served.where));
                served_disconnect();
        }
        printf("# in %u of 40 rounds it was mounted\n", n_mounted);
        served_connect();
        served_assert_at_rest();
        served_stop();
}

/* What hangs is known after a moment, however often clients come and go
 * meanwhile. */
static void test_vanish_again(void)
{
        Count c = { 0 };

        begin_hanging("", true, &c);
        for (unsigned i = 0; i < 6; i++) {
                served_disconnect();
                served_connect();
                (void)usleep(500 * 1000);
        }
        ASSERT_CONTAINS(ask_mount("data", &served.disk), ERROR_PREFIX "Hanging: ");
        served_thaw();
        WAIT_FOR(served_count_children() == 0);
        served_stop();
}

/* A second client is on no account served instead of the first, nor does it get
 * its answers. */
static void test_second_client(void)
{
        static const char auth[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        Count c = { 0 };
        char byte;
        int fd;

        begin_hanging("", true, &c);
        fd = served_connect_raw();
        (void)send(fd, auth, sizeof(auth) - 1, MSG_NOSIGNAL);
        ASSERT(recv(fd, &byte, 1, 0) <= 0); /* it hangs up */
        close_fd(fd);
        served_thaw();
        collect(1, &c);
        ASSERT_EQ(c.n_done, 1);
        ASSERT(mount_on(hanging_where) > 0);
        served_stop();
}

TEST_MAIN(TEST(flood), TEST(limit), TEST(in_progress), TEST(timed_out), TEST(lost_beside_given_up),
          TEST(lost_while_at_work), TEST(lost_and_hanging), TEST(timed_out_answer), TEST(vanish),
          TEST(vanish_anywhere), TEST(vanish_again), TEST(second_client))
