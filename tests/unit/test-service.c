/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "macro.h"
#include "mountinfo.h"
#include "served.h"
#include "service.h"
#include "test.h"
#include "text.h"

/* The service against a client that lies, or falls silent in the middle of a word. */

#define ERROR_PREFIX "error org.wslbare1.Error."

static void begin(void)
{
        served_begin();
        served_configure("data", served.where, "");
        served_start();
        served_assert_at_rest();
}

static void test_names(void)
{
        static char too_long[66];
        static const char *const methods[] = { "Mount", "Adopt", "Unmount", "Eject", "SetTarget" };
        static const char *const names[] = {
                "",    ".",      "..",   "../x", "../config/data", "/data",    "a/b",   "data/",
                ".x",  "-x",     "_x",   "a b",  "a\nb",           "\xc3\xa4", "data ", "*",
                "a%b", "data@x", "a\\b", "a:b",  "data\x7f",       too_long,   "$(x)",  "a;b",
        };
        memset(too_long, 'a', sizeof(too_long) - 1);
        begin();
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                for (size_t k = 0; k < ELEMENTSOF(methods); k++) {
                        test_row(names[i]);
                        ASSERT_CONTAINS(ask_of(methods[k], names[i]),
                                        "error " SD_BUS_ERROR_INVALID_ARGS ": ");
                }
        too_long[VOLUME_NAME_MAX] = '\0';
        ASSERT_CONTAINS(ask_of("Mount", too_long), ERROR_PREFIX "NoSuchVolume: ");
        served_assert_at_rest();
        served_stop();
}

/* Well-formed, and nobody's. */
static void test_unknown(void)
{
        begin();
        ASSERT_CONTAINS(ask_of("Mount", "absent"), ERROR_PREFIX "NoSuchVolume: ");
        ASSERT_CONTAINS(ask_of("Adopt", "absent"), ERROR_PREFIX "NoSuchVolume: ");
        ASSERT_CONTAINS(ask_of("Unmount", "absent"), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask_of("SetTarget", "absent"), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask_of("Unmount", "data"), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask_of("SetTarget", "data"), "Error s NotMounted\n");
        ASSERT_CONTAINS(ask_of("Eject", "absent"), "Error s NoSuchVolume\n");
        /* Of no disk that another test may have attached just now. */
        test_write(served.config, "data.conf", "[Match]\nPartUUID=0-0\n[Mount]\nWhere=none\n");
        ASSERT_CONTAINS(ask_of("Eject", "data"), "Error s DeviceAbsent\n");
        served_stop();
}

static const char *ask_fingerprint(const char *fingerprint)
{
        return ask("Mount", "stts", "data", NOWHERE, UINT64_C(1), fingerprint);
}

/* The file is another one than the client speaks of. */
static void test_changed_file(void)
{
        _cleanup_free_ char *old = NULL, *path = NULL, *longer = NULL;

        begin();
        path = text_format("%s/data.conf", served.config);
        old = strdup(served_fingerprint("data"));
        ASSERT_CONTAINS(ask_fingerprint(old), "Error s DeviceAbsent\n"); /* that is the right one */
        longer = text_format("%s0", old);
        ASSERT_CONTAINS(ask_fingerprint(longer), ERROR_PREFIX "ConfigInvalid: ");
        ASSERT_CONTAINS(ask_fingerprint(""), ERROR_PREFIX "ConfigInvalid: ");
        served_configure("data", served.where, "Options=noatime\n");
        ASSERT_CONTAINS(ask_fingerprint(old), ERROR_PREFIX "ConfigInvalid: The file changed");
        ASSERT_CONTAINS(ask_fingerprint(served_fingerprint("data")), "Error s DeviceAbsent\n");
        /* The same text in another file. */
        free(old);
        old = strdup(served_fingerprint("data"));
        ASSERT_OK(unlink(path));
        ASSERT_CONTAINS(ask_fingerprint(old), ERROR_PREFIX "NoSuchVolume: ");
        served_configure("data", served.where, "Options=noatime\n");
        ASSERT_CONTAINS(ask_fingerprint(old), ERROR_PREFIX "ConfigInvalid: The file changed");
        served_stop();
}

/* A file that anybody could have written, or that is none. */
static void test_untrusted_file(void)
{
        _cleanup_free_ char *path = NULL, *fingerprint = NULL;

        begin();
        path = text_format("%s/data.conf", served.config);
        fingerprint = strdup(served_fingerprint("data"));

        ASSERT_OK(chmod(path, 0646));
        ASSERT_CONTAINS(ask_fingerprint(fingerprint), ERROR_PREFIX "ConfigInvalid: ");
        ASSERT_CONTAINS(ask_of("Adopt", "data"), "can be written by others");
        ASSERT_OK(chmod(path, 0644));
        if (geteuid() == 0) {
                ASSERT_OK(chown(path, 65534, 65534));
                ASSERT_CONTAINS(ask_of("Adopt", "data"), "belongs to user 65534");
                ASSERT_OK(chown(path, 0, 0));
        }
        ASSERT_OK(chmod(served.config, 0777));
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX);
        ASSERT_OK(chmod(served.config, 0755));
        ASSERT_CONTAINS(ask_of("Adopt", "data"), "Error s DeviceAbsent\n"); /* all is well again */

        test_write(served.config, "data.conf", "[Match]\nUUID=x\n[Mount]\nWhere=/proc/x\n");
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX "ConfigInvalid: ");
        ASSERT_CONTAINS(served.answer, "data.conf:4: ");
        test_write(served.config, "data.conf", "");
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX "NoSuchVolume: ");
        ASSERT_OK(unlink(path));
        ASSERT_OK(mkfifo(path, 0644));
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX "ConfigInvalid: ");
        ASSERT_OK(unlink(path));
        ASSERT_OK(symlink("/dev/null", path));
        ASSERT_CONTAINS(ask_of("Adopt", "data"), ERROR_PREFIX "NoSuchVolume: ");
        served_stop();
}

static void test_signatures(void)
{
        begin();
        ASSERT_CONTAINS(ask("Mount", "s", "data"), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Mount", ""), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Mount", "stt", "data", NOWHERE, UINT64_C(1)),
                        "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Mount", "suus", "data", 1, 2, "x"),
                        "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Mount", "sttss", "data", NOWHERE, UINT64_C(1), "x", "y"),
                        "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Mount", "as", 2, "data", "x"), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Probe", "s", "data"), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Unmount", "su", "data", 1), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Eject", "sb", "data", 1), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Adopt", "h", 0), "error " SD_BUS_ERROR_INVALID_ARGS);
        ASSERT_CONTAINS(ask("Format", "s", "data"), "error " SD_BUS_ERROR_UNKNOWN_METHOD);
        served_assert_at_rest();
        served_stop();
}

static void test_mountinfo(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        int fd;

        begin();
        ASSERT(sd_bus_call_method(served.bus, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Mountinfo",
                                  NULL, &reply, "") >= 0);
        ASSERT(sd_bus_message_read(reply, "h", &fd) > 0);
        ASSERT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        ASSERT_OK(mountinfo_read(fd, &m));
        ASSERT(m->n_entries > 0);
        if (geteuid() == 0)
                ASSERT(mountinfo_find_target(m, served.base)); /* of its namespace */
        served_stop();
}

/* Half messages and garbage. */

#define AUTH "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
#define BYTES(s) s, sizeof(s) - 1

/* A call of org.wslbare1.Mountd.Mountinfo on its object, without its last bytes. */
static const char call[] = "l\1\0\1\0\0\0\0\1\0\0\0\x52\0\0\0"
                           "\1\1o\0\x14\0\0\0/org/wslbare1/mountd\0\0\0\0"
                           "\2\1s\0\x13\0\0\0org.wslbare1.Mountd\0\0\0\0\0"
                           "\3\1s\0\x09\0\0\0Mountinfo\0\0\0\0\0\0\0";

/* Whether the other side hangs up within a moment. */
static bool is_hung_up(int fd, int msec)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        uint64_t end = now_usec() + (uint64_t)msec * USEC_PER_MSEC;
        char bytes[4096];

        while (now_usec() < end) {
                if (poll(&p, 1, 20) > 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
                        return true;
        }
        return false;
}

static void send_all(int fd, const char *data, size_t size)
{
        /* It may hang up in the middle. */
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                data += n;
                size -= (size_t)n;
        }
}

/* Whether PART came; all up to it is read. */
static bool receive(int fd, const char *part, size_t size)
{
        char bytes[4096];
        size_t n = 0;

        while (n < sizeof(bytes)) {
                ssize_t k = recv(fd, bytes + n, sizeof(bytes) - n, 0);

                if (k <= 0)
                        return false;
                n += (size_t)k;
                if (memmem(bytes, n, part, size))
                        return true;
        }
        return false;
}

static int connect_authenticated(void)
{
        int fd = served_connect_raw();

        send_all(fd, BYTES(AUTH));
        ASSERT(receive(fd, BYTES("AGREE_UNIX_FD\r\n")));
        return fd;
}

/* Whoever comes next is served. */
static void assert_served(void)
{
        served_connect();
        served_assert_at_rest();
        served_disconnect();
}

static void begin_listening(void)
{
        served_begin();
        served_configure("data", served.where, "");
        served_listen();
        served_connect();
        served_assert_at_rest();
        served_disconnect();
}

/* That what the other cases have a half of is a message. */
static void test_whole_message(void)
{
        int fd;

        begin_listening();
        fd = connect_authenticated();
        send_all(fd, call, sizeof(call) - 1);
        ASSERT(receive(fd, BYTES("l\2")));
        close_fd(fd);
        assert_served();
        served_stop();
}

static void test_half_message(void)
{
        static const struct {
                const char *name;
                const char *data;
                size_t size;
        } rows[] = {
                { "nothing", "", 0 },
                { "a NUL", BYTES("\0") },
                { "half a line", BYTES("\0AUTH EXT") },
                { "no BEGIN", BYTES("\0AUTH EXTERNAL\r\nDATA\r\n") },
        };
        begin_listening();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_close_ int fd = served_connect_raw();

                test_row(rows[i].name);
                send_all(fd, rows[i].data, rows[i].size);
                ASSERT(!is_hung_up(fd, 60)); /* it waits, … */
                fd = close_fd(fd);
                assert_served(); /* … and is not harmed */
        }
        for (size_t size = 0; size < sizeof(call) - 1; size += size < 20 ? 1 : 13) {
                _cleanup_close_ int fd = connect_authenticated();

                send_all(fd, call, size);
                ASSERT(!is_hung_up(fd, 30));
                fd = close_fd(fd);
                assert_served();
        }
        served_stop();
}

static void test_garbage(void)
{
        static char zeros[100000], lines[100000];
        static const struct {
                const char *name;
                bool authenticated;
                const char *data;
                size_t size;
        } rows[] = {
                { "text", false, BYTES("GET / HTTP/1.0\r\n\r\n") },
                { "zeros", false, zeros, sizeof(zeros) },
                { "an endless line", false, lines, sizeof(lines) },
                { "no endianness", true, BYTES("x\1\0\1\0\0\0\0\1\0\0\0\x52\0\0\0") },
                { "a huge message", true, BYTES("l\1\0\1\xff\xff\xff\x7f\1\0\0\0\x52\0\0\0") },
                { "huge fields", true, BYTES("l\1\0\1\0\0\0\0\1\0\0\0\xff\xff\xff\xff") },
                { "zeros after BEGIN", true, BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
        };
        memset(lines, 'x', sizeof(lines));
        begin_listening();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_close_ int fd =
                        rows[i].authenticated ? connect_authenticated() : served_connect_raw();

                test_row(rows[i].name);
                send_all(fd, rows[i].data, rows[i].size);
                ASSERT(is_hung_up(fd, 60000));
                fd = close_fd(fd);
                assert_served();
        }
        served_stop();
}

/* The header's every byte once. */
static void test_spoilt_header(void)
{
        begin_listening();
        for (size_t i = 0; i < sizeof(call) - 1; i++) {
                _cleanup_close_ int fd = connect_authenticated();
                char spoilt[sizeof(call)];

                memcpy(spoilt, call, sizeof(call));
                spoilt[i] ^= 0x41;
                send_all(fd, spoilt, sizeof(spoilt) - 1);
                fd = close_fd(fd);
                assert_served();
        }
        served_stop();
}

/* One client at a time. */
static void test_second_client(void)
{
        begin_listening();
        served_connect();
        served_assert_at_rest();
        for (unsigned i = 0; i < 5; i++) {
                _cleanup_close_ int fd = served_connect_raw();

                ASSERT(is_hung_up(fd, 60000));
                served_assert_at_rest(); /* the first one goes on */
        }
        served_disconnect();
        assert_served();
        served_stop();
}

/* Clients that leave as soon as they came, and with requests under way. */
static bool is_served(void)
{
        bool yes;

        served_connect();
        yes = strstr(ask("Probe", "tt", NOWHERE, UINT64_C(1)), "Error s DeviceAbsent\n");
        served_disconnect();
        return yes;
}

/* As long as one of them is not known to be gone, the next ones are refused. */
static void test_hasty_clients(void)
{
        begin_listening();
        for (unsigned i = 0; i < 50; i++) {
                served_connect();
                for (unsigned j = 0; i % 2 && j < i; j++)
                        (void)sd_bus_call_method_async(served.bus, NULL, NULL, MOUNTD_PATH,
                                                       MOUNTD_INTERFACE, "Probe", NULL, NULL, "tt",
                                                       NOWHERE, (uint64_t)j);
                (void)sd_bus_flush(served.bus);
                served_disconnect();
        }
        WAIT_FOR(is_served());
        WAIT_FOR(served_count_children() == 0);
        assert_served();
        served_stop();
}

TEST_MAIN(TEST(names), TEST(unknown), TEST(changed_file), TEST(untrusted_file), TEST(signatures),
          TEST(mountinfo), TEST(whole_message), TEST(half_message), TEST(garbage),
          TEST(spoilt_header), TEST(second_client), TEST(hasty_clients))
