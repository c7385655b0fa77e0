/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/socket.h>

#include "answers.h"
#include "macro.h"
#include "report.h"
#include "test.h"
#include "text.h"

#define PACKET(s) s, sizeof(s) - 1 /* without the string's own NUL */

/* What came through a socket, as the parent sees it. */
static ssize_t pass(const Report *r, char data[static REPORT_SIZE_MAX])
{
        _cleanup_close_ int in = -1, out = -1;
        int fds[2], k;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
        in = fds[0];
        out = fds[1];
        k = report_send(r, out);
        if (k < 0) {
                ASSERT_EQ(recv(in, data, REPORT_SIZE_MAX, MSG_DONTWAIT), -1);
                return k;
        }
        return recv(in, data, REPORT_SIZE_MAX, MSG_DONTWAIT);
}

static Report *round_trip(const Report *r)
{
        _cleanup_free_ char *data = malloc(REPORT_SIZE_MAX);
        Report *back = NULL;
        ssize_t n;

        ASSERT(data);
        n = pass(r, data);
        ASSERT(n > 0);
        ASSERT_OK(report_parse(data, (size_t)n, &back));
        return back;
}

/* What report_append() makes of it, read back from a sealed message. */
static char *to_text(const Report *r)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int peer = -1;
        int fds[2];

        /* A message belongs to a connection, and it need not be one to anybody. */
        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        peer = fds[1];
        ASSERT(sd_bus_new(&bus) >= 0);
        ASSERT(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        ASSERT(sd_bus_start(bus) >= 0);
        ASSERT(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "z") >= 0);
        ASSERT(report_append(r, m) >= 0);
        ASSERT(sd_bus_message_seal(m, 1, 0) >= 0);
        return answer_to_text(m);
}

static const struct {
        const char *key, *value, *want;
} values[] = {
        { "Error", "Busy", "Error s Busy\n" },
        { "Step", "mount", "Step s mount\n" },
        { "Errno", "16", "Errno i 16\n" },
        { "Message", "it is in use", "Message s it is in use\n" },
        { "Node", "/dev/loop0", "Node s /dev/loop0\n" },
        { "DeviceNumber", "18446744073709551615", "DeviceNumber t 18446744073709551615\n" },
        { "DiskSequence", "7", "DiskSequence t 7\n" },
        { "Content", "3", "Content u 3\n" },
        { "UUID", "0b5e", "UUID s 0b5e\n" },
        { "Label", "Neue Platte ä", "Label s Neue Platte ä\n" },
        { "Type", "", "Type s \n" },
        { "Usage", "filesystem", "Usage s filesystem\n" },
        { "Version", "1.0", "Version s 1.0\n" },
        { "PartUUID", "x-01", "PartUUID s x-01\n" },
        { "PartLabel", "first", "PartLabel s first\n" },
        { "DiskGUID", "2a6e", "DiskGUID s 2a6e\n" },
        { "Size", "16777216", "Size t 16777216\n" },
        { "SectorSize", "4096", "SectorSize u 4096\n" },
        { "Clean", "yes", "Clean b true\n" },
        { "Errors", "no", "Errors b false\n" },
        { "CheckDue", "no", "CheckDue b false\n" },
        { "Checked", "fine", "Checked s fine\n" },
        { "MountId", "-1", "MountId i -1\n" },
        { "Target", "/mnt/data", "Target s /mnt/data\n" },
        { "Options", "rw,nosuid", "Options s rw,nosuid\n" },
        { "ReadOnly", "yes", "ReadOnly b true\n" },
        { "Shared", "/", "Shared s /\n" },
};

static void test_round_trip(void)
{
        _cleanup_(report_freep) Report *r = report_new(), *back = NULL;
        _cleanup_free_ char *text = NULL;

        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                report_add(r, values[i].key, "%s", values[i].value);
        back = round_trip(r);
        text = to_text(back);
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                test_row(values[i].key);
                ASSERT_STR(report_get(back, values[i].key), values[i].value);
                ASSERT_CONTAINS(text, values[i].want);
        }
        ASSERT_STR(report_get(back, "Warnings"), NULL);
}

/* Nothing to say is an answer too. */
static void test_empty(void)
{
        _cleanup_(report_freep) Report *r = report_new(), *back = round_trip(r);
        _cleanup_free_ char *text = to_text(back);

        ASSERT_STR(text, "");
}

static void test_arrays(void)
{
        _cleanup_(report_freep) Report *r = report_new(), *back = NULL;
        _cleanup_free_ char *text = NULL;

        report_add(r, "Warnings", "%s", "one");
        report_add(r, "Holders", "%d %s", 12, "a shell");
        report_add(r, "Node", "%s", "x");
        report_add(r, "Warnings", "%s", "two");
        report_add(r, "Holders", "%s", "13");
        back = round_trip(r);
        text = to_text(back);
        ASSERT_STR(text, "Warnings as [ one ] [ two ]\n"
                         "Holders a(us) [ 12 a shell ] [ 13  ]\n"
                         "Node s x\n");
}

static void test_failure(void)
{
        static const struct {
                int errnum, want;
        } rows[] = { { EBUSY, -EBUSY }, { -EBUSY, -EBUSY }, { 0, -EIO } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(report_freep) Report *r = report_new(), *back = NULL;
                _cleanup_free_ char *text = NULL, *want = NULL;

                ASSERT_EQ(report_fail(r, "Busy", STEP_UNMOUNT, rows[i].errnum, "%s", "first"),
                          rows[i].want);
                ASSERT_EQ(report_fail(r, "MountFailed", STEP_MOUNT, EIO, "%s", "second"), -EIO);
                back = round_trip(r);
                text = to_text(back);
                want = text_format("Error s Busy\nStep s unmount\nErrno i %d\nMessage s first\n",
                                   rows[i].errnum ? EBUSY : 0);
                ASSERT_STR(text, want);
        }
}

/* A label is a stranger's bytes, and one that is not UTF-8 would make the whole message invalid. */
static void test_escaped(void)
{
        _cleanup_(report_freep) Report *r = report_new(), *back = NULL;
        _cleanup_free_ char *text = NULL;

        report_add(r, "Label", "%s", "a\xff\x1b[2J\n");
        ASSERT_STR(report_get(r, "Label"), "a\\xff\\x1b[2J\\x0a");
        back = round_trip(r);
        text = to_text(back);
        ASSERT_STR(text, "Label s a\\xff\\x1b[2J\\x0a\n");
}

static void test_unknown_key(void)
{
        _cleanup_free_ char *data = malloc(REPORT_SIZE_MAX);
        _cleanup_(report_freep) Report *r = report_new();

        report_add(r, "Unheard", "%s", "x");
        ASSERT(pass(r, data) < 0);
}

static void test_peer_gone(void)
{
        _cleanup_(report_freep) Report *r = report_new();
        int fds[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
        close_fd(fds[0]);
        ASSERT_EQ(report_send(r, fds[1]), -EPIPE);
        close_fd(fds[1]);
        ASSERT_EQ(report_send(r, -1), -EBADF);
}

/* The packet of SIZE bytes and not one more. */
static void test_size_limit(void)
{
        static const size_t overhead = 1 + sizeof("Message") + 1;
        static const struct {
                size_t size;
                ssize_t want;
        } rows[] = {
                { REPORT_SIZE_MAX, REPORT_SIZE_MAX },
                { REPORT_SIZE_MAX + 1, -EMSGSIZE },
                { REPORT_SIZE_MAX * 2UL, -EMSGSIZE },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *data = malloc(REPORT_SIZE_MAX), *text = NULL;
                _cleanup_(report_freep) Report *r = report_new(), *back = NULL;

                report_add(r, "Message", "%0*d", (int)(rows[i].size - overhead), 0);
                ASSERT_EQ(pass(r, data), rows[i].want);
                if (rows[i].want < 0)
                        continue;
                back = round_trip(r);
                text = to_text(back);
                ASSERT_EQ(strlen(text), strlen("Message s \n") + rows[i].size - overhead);
        }
}

static void test_hostile(void)
{
        static const struct {
                const char *name;
                const char *data;
                size_t size;
                const char *want; /* NULL: -EBADMSG */
        } rows[] = {
                { "nothing", PACKET(""), NULL },
                { "empty", PACKET("r"), "" },
                { "another kind", PACKET("x"), NULL },
                { "another kind with entries", PACKET("sNode\0x\0"), NULL },
                { "no value", PACKET("rNode\0"), NULL },
                { "no NUL after the key", PACKET("rNode"), NULL },
                { "no NUL after the value", PACKET("rNode\0x"), NULL },
                { "no NUL after the second value", PACKET("rNode\0x\0Label\0y"), NULL },
                { "a key too many", PACKET("rNode\0x\0Label\0"), NULL },
                { "unknown key", PACKET("rUnheard\0x\0"), NULL },
                { "unknown second key", PACKET("rNode\0x\0Unheard\0x\0"), NULL },
                { "key in another case", PACKET("rnode\0x\0"), NULL },
                { "empty key", PACKET("r\0x\0"), NULL },
                { "only NULs", PACKET("r\0\0\0\0"), NULL },
                { "a line of one", PACKET("rNode\0x\0\0"), NULL },
                { "not UTF-8", PACKET("rLabel\0\xc3\x28\xff\0"), "Label s \\xc3(\\xff\n" },
                { "control characters", PACKET("rLabel\0a\n\x7f\0"), "Label s a\\x0a\\x7f\n" },
                { "twice", PACKET("rNode\0a\0Node\0b\0"), "Node s a\n" },
                { "no number", PACKET("rErrno\0x\0"), "Errno i 0\n" },
                { "no number at all", PACKET("rSize\0\0"), "Size t 0\n" },
                { "number too large", PACKET("rSize\099999999999999999999999\0"),
                  "Size t 18446744073709551615\n" },
                { "no truth value", PACKET("rReadOnly\0true\0"), "ReadOnly b false\n" },
                { "holder without a number", PACKET("rHolders\0bash\0"), "Holders a(us) [ 0  ]\n" },
                { "empty holder", PACKET("rHolders\0\0"), "Holders a(us) [ 0  ]\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *data = malloc(rows[i].size + 1), *text = NULL;
                _cleanup_(report_freep) Report *r = NULL;

                test_row(rows[i].name);
                /* Of just that size, so that a read beyond it is seen. */
                data = realloc(data, rows[i].size ? rows[i].size : 1);
                memcpy(data, rows[i].data, rows[i].size);
                ASSERT_EQ(report_parse(data, rows[i].size, &r), rows[i].want ? 0 : -EBADMSG);
                if (!rows[i].want) {
                        ASSERT(!r);
                        continue;
                }
                text = to_text(r);
                ASSERT_STR(text, rows[i].want);
        }
}

/* Every prefix of a packet, and packets of which bytes were changed: refused or valid D-Bus. */
static void test_spoilt(void)
{
        static const char good[] = "rError\0Busy\0Errno\0"
                                   "16\0Label\0\xc3\xa4\0Warnings\0one\0"
                                   "Holders\0"
                                   "12 sh\0Size\0"
                                   "16777216";
        uint32_t state = 2463534242;
        unsigned n_valid = 0;

        for (unsigned round = 0; round < 5000; round++) {
                _cleanup_(report_freep) Report *r = NULL;
                _cleanup_free_ char *data = NULL, *text = NULL;
                size_t size = round < sizeof(good) ? round + 1 : sizeof(good);

                data = malloc(size);
                memcpy(data, good, size);
                for (unsigned n = round < sizeof(good) ? 0 : round % 3 + 1; n > 0; n--) {
                        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
                        data[state % size] = (char)(state >> 16);
                }
                if (report_parse(data, size, &r) < 0)
                        continue;
                text = to_text(r);
                n_valid++;
        }
        ASSERT(n_valid > 100);
        ASSERT(n_valid < 4900);
}

TEST_MAIN(TEST(round_trip), TEST(empty), TEST(arrays), TEST(failure), TEST(escaped),
          TEST(unknown_key), TEST(peer_gone), TEST(size_limit), TEST(hostile), TEST(spoilt))
