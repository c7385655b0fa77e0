/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/socket.h>
#include <systemd/sd-id128.h>

#include "fuzz.h"
#include "macro.h"
#include "report.h"

/* What a child of mountd, which has met a disk, writes to its parent. */

static ssize_t print(const Report *r, char packet[static REPORT_SIZE_MAX])
{
        int fds[2], k;
        ssize_t n;

        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
        k = report_send(r, fds[0]);
        CHECK(k == 0 || k == -EMSGSIZE); /* escapes are longer than what they stand for */
        n = k < 0 ? 0 : recv(fds[1], packet, REPORT_SIZE_MAX, MSG_DONTWAIT);
        CHECK(n >= 0);
        close_fd(fds[0]);
        close_fd(fds[1]);
        return n;
}

static void check_round_trip(const Report *r)
{
        static char once[REPORT_SIZE_MAX], twice[REPORT_SIZE_MAX];
        _cleanup_(report_freep) Report *again = NULL;
        ssize_t n = print(r, once);

        if (n == 0)
                return;
        CHECK(report_parse(once, (size_t)n, &again) == 0);
        CHECK(print(again, twice) == n);
        CHECK(memcmp(once, twice, (size_t)n) == 0);
}

/* A bus that goes nowhere; messages belong to one. */
static sd_bus *bus(void)
{
        static sd_bus *b;
        int fds[2];

        if (b)
                return b;
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        CHECK(sd_bus_new(&b) >= 0);
        CHECK(sd_bus_set_fd(b, fds[0], fds[0]) >= 0);
        CHECK(sd_bus_start(b) >= 0);
        return b;
}

/* A reply can be made of it, and read again. */
static void check_message(const Report *r)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *key, *last = NULL;
        int k;

        CHECK(sd_bus_message_new_signal(bus(), &m, "/a", "a.b", "C") >= 0);
        CHECK(report_append(r, m) >= 0);
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        CHECK(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while ((k = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                CHECK(sd_bus_message_read(m, "s", &key) > 0);
                CHECK(report_get(r, key));
                CHECK(!last || !streq(last, key)); /* each once; they come in the report's order */
                last = key;
                CHECK(sd_bus_message_skip(m, "v") > 0);
                CHECK(sd_bus_message_exit_container(m) >= 0);
        }
        CHECK(k == 0);
        CHECK(sd_bus_message_exit_container(m) >= 0);
        CHECK(sd_bus_message_at_end(m, true) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(report_freep) Report *r = NULL;
        int k;

        if (size > REPORT_SIZE_MAX)
                return 0;
        k = report_parse((const char *)data, size, &r);
        CHECK(k == 0 || k == -EBADMSG);
        CHECK((k == 0) == (r != NULL));
        if (!r)
                return 0;
        if (report_get(r, "Message"))
                fuzz_check_text(report_get(r, "Message"));
        check_round_trip(r);
        check_message(r);
        return 0;
}
