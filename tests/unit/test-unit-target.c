/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>

#include "macro.h"
#include "served.h"
#include "service.h"
#include "test.h"
#include "text.h"

/* What is asked of PID 1 when a volume goes, and what it finds then. */

#define PID1_SOCKET "/run/systemd/private"
#define PID1_PATH "/org/freedesktop/systemd1"
#define PID1_INTERFACE "org.freedesktop.systemd1.Manager"
#define JOB PID1_PATH "/job/7"

/* PID 1, in a child. */

static bool jobs_end;

/* "METHOD UNIT", and of the volume data "mounted", "flag" and "unsure" as far as these hold. */
static void note(const char *method, const char *unit)
{
        _cleanup_free_ char *flag = text_format("%s/mounted/data", served.run),
                            *unsure = text_format("%s/mounted/.data", served.run),
                            *path = text_format("%s/asked", served.base);
        FILE *f = fopen(path, "ae");

        ASSERT(f);
        (void)fprintf(f, "%s %s%s%s%s\n", method, unit, mount_on(served.where) ? " mounted" : "",
                      is_there(flag) ? " flag" : "", is_there(unsure) ? " unsure" : "");
        (void)fclose(f);
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *unit, *mode;
        int r = sd_bus_message_read(m, "ss", &unit, &mode);

        if (r >= 0)
                note(sd_bus_message_get_member(m), unit);
        if (r >= 0)
                r = sd_bus_reply_method_return(m, "o", JOB);
        if (r >= 0 && jobs_end)
                r = sd_bus_emit_signal(sd_bus_message_get_bus(m), PID1_PATH, PID1_INTERFACE,
                                       "JobRemoved", "uoss", 7, JOB, unit, "done");
        return r;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("StartUnit", "ss", "o", on_call, 0),
        SD_BUS_METHOD("StopUnit", "ss", "o", on_call, 0),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

static void answer(int fd)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        sd_id128_t id;
        int r;

        ASSERT(sd_id128_randomize(&id) >= 0);
        ASSERT(sd_bus_new(&bus) >= 0);
        ASSERT(sd_bus_set_server(bus, true, id) >= 0);
        ASSERT(sd_bus_set_trusted(bus, true) >= 0);
        ASSERT(sd_bus_set_fd(bus, fd, fd) >= 0);
        ASSERT(sd_bus_add_object_vtable(bus, NULL, PID1_PATH, PID1_INTERFACE, vtable, NULL) >= 0);
        ASSERT(sd_bus_start(bus) >= 0);
        while ((r = sd_bus_process(bus, NULL)) >= 0)
                if (r == 0)
                        (void)sd_bus_wait(bus, UINT64_MAX);
}

static pid_t start_pid1(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = PID1_SOCKET };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        pid_t pid;

        (void)unlink(PID1_SOCKET);
        ASSERT(fd >= 0);
        ASSERT_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
        ASSERT_OK(listen(fd, 16));
        pid = fork();
        ASSERT(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                for (;;)
                        answer(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        }
        close_fd(fd);
        return pid;
}

static void stop_pid1(pid_t pid)
{
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        ASSERT_OK(unlink(PID1_SOCKET));
}

/* All that it was asked since the last call. */
static const char *asked(void)
{
        static char text[1024];
        _cleanup_free_ char *path = text_format("%s/asked", served.base);
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

        text[n] = '\0';
        if (f)
                (void)fclose(f);
        (void)unlink(path);
        return text;
}

static bool has_flag(const char *file)
{
        _cleanup_free_ char *path = text_format("%s/mounted/%s", served.run, file);

        return is_there(path);
}

/* data is mounted, and its target started. */
static pid_t begin(bool ending)
{
        pid_t pid;

        served_begin_with_disks();
        served_configure("data", served.where, "");
        jobs_end = ending;
        pid = start_pid1();
        served_start();
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false\n");
        ASSERT_STR(ask("SetTarget", "sb", "data", true), "");
        ASSERT_STR(asked(), "StartUnit wslbare@data.target mounted flag unsure\n");
        ASSERT(has_flag("data") && !has_flag(".data"));
        return pid;
}

static void test_set(void)
{
        pid_t pid = begin(true);

        ASSERT_STR(ask("SetTarget", "sb", "data", false), "");
        ASSERT_STR(asked(), "StopUnit wslbare@data.target mounted unsure\n");
        ASSERT(!has_flag("data") && !has_flag(".data"));
        /* It is stopped: nothing is left to be asked. */
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_STR(asked(), "");
        ASSERT_EQ(mount_on(served.where), 0);
        served_stop();
        stop_pid1(pid);
}

/* The disk is gone: what is bound to the target is stopped while the mount is still there. */
static void test_halt(void)
{
        pid_t pid = begin(true);

        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_STR(asked(), "StopUnit wslbare@data.target mounted unsure\n");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(!has_flag("data") && has_flag(".data"));
        ASSERT_STR(ask("SetTarget", "sb", "data", false), "");
        ASSERT_STR(asked(), "StopUnit wslbare@data.target unsure\n");
        ASSERT(!has_flag(".data"));
        served_stop();
        stop_pid1(pid);
}

/* Nobody came to ask for the rest before the end, as its file is gone. */
static void test_halt_is_finished_at_start(void)
{
        pid_t pid = begin(true);

        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_STR(asked(), "StopUnit wslbare@data.target mounted unsure\n");
        ASSERT(!has_flag("data") && has_flag(".data"));
        served_stop();
        served_listen();
        served_connect();
        ASSERT_CONTAINS(ask_mount("data", &served.disk), "ReadOnly b false\n");
        ASSERT_STR(asked(), "StopUnit wslbare@data.target unsure\n");
        ASSERT(!has_flag("data") && !has_flag(".data"));
        served_stop();
        stop_pid1(pid);
}

static void test_halt_takes_long(void)
{
        pid_t pid = begin(false);
        uint64_t before = now_usec();

        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT(now_usec() - before >= 500 * USEC_PER_MSEC);
        ASSERT(now_usec() - before < 5 * USEC_PER_SEC); /* this machine may be busy */
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(!has_flag("data") && has_flag(".data"));
        served_stop();
        stop_pid1(pid);
}

/* PID 1 itself does not answer. */
static void test_halt_is_not_heard(void)
{
        pid_t pid = begin(true);
        uint64_t before = now_usec();

        ASSERT_OK(kill(pid, SIGSTOP));
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT(now_usec() - before < 5 * USEC_PER_SEC);
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(!has_flag("data") && has_flag(".data"));
        served_stop();
        stop_pid1(pid);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(bool *)userdata = true;
        return 0;
}

/* Whoever needs it takes its time to stop, and then the disk goes. */
static void test_lost_while_it_stops(void)
{
        pid_t pid = begin(false);
        bool is_answered = false;

        ASSERT(sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                        "SetTarget", on_reply, &is_answered, "sb", "data",
                                        false) >= 0);
        ASSERT_OK(sd_bus_flush(served.bus));
        WAIT_FOR(streq(asked(), "StopUnit wslbare@data.target mounted unsure\n"));
        ASSERT_CONTAINS(ask("Unmount", "sb", "data", false), "InProgress: ");
        ASSERT_STR(ask("Unmount", "sb", "data", true), "");
        ASSERT_EQ(mount_on(served.where), 0);
        ASSERT(is_answered);
        ASSERT(!has_flag("data") && has_flag(".data"));
        served_stop();
        stop_pid1(pid);
}

/* What is only unmounted is in use by whoever needs it: they were to be stopped before. */
static void test_not_halted(void)
{
        pid_t pid = begin(true);

        ASSERT_STR(ask("Unmount", "sb", "data", false), "");
        ASSERT_STR(asked(), "");
        ASSERT(has_flag("data"));
        served_stop();
        stop_pid1(pid);
}

TEST_MAIN(TEST(set), TEST(halt), TEST(halt_is_finished_at_start), TEST(halt_takes_long),
          TEST(halt_is_not_heard), TEST(lost_while_it_stops), TEST(not_halted))
