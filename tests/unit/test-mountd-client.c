/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The client against a scripted mountd: what it asks, what it makes of answers, and the end of a
 * connection. */

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "fake-mountd.h"
#include "log.h"
#include "macro.h"
#include "mountd-client.h"
#include "test.h"
#include "text.h"

#define CALLS 4

/* What the client's owner was told. */
typedef struct Owner {
        sd_event *event;
        FakeMountd *mountd;
        MountdClient *client;
        MountdCall *calls[CALLS];
        unsigned n_connected, n_disconnected, n_away, n_lost, n_progress;
        FailureStep progress;
        unsigned percent;
        int mounts_fd;
        unsigned n_answers; /* of those below, the latest one's */
        char *error, *message, *target, *type, *uuid;
        char *warnings; /* joined */
        FailureStep step;
        int errnum, mount_id;
        uint64_t devnum, diskseq;
        uint32_t content;
        bool read_only;
        uint64_t fsid;
        int trouble;
} Owner;

static void on_connected(int fd, void *userdata)
{
        Owner *o = userdata;

        o->n_connected++;
        close_fd(o->mounts_fd);
        o->mounts_fd = fd;
}

static void on_disconnected(void *userdata)
{
        Owner *o = userdata;

        o->n_disconnected++;
        ASSERT(!mountd_client_is_connected(o->client));
        for (unsigned i = 0; i < CALLS; i++)
                ASSERT(!o->calls[i]); /* each has been told before */
}

static void on_percent(const char *name, unsigned percent, void *userdata)
{
        Owner *o = userdata;

        ASSERT_STR(name, "data");
        o->percent = percent;
}

static void on_progress(const char *name, FailureStep step, void *userdata)
{
        Owner *o = userdata;

        ASSERT_STR(name, "data");
        o->n_progress++;
        o->progress = step;
}

static void on_away(void *userdata)
{
        ((Owner *)userdata)->n_away++;
}

static void on_trouble(uint64_t fsid, int errnum, void *userdata)
{
        Owner *o = userdata;

        o->fsid = fsid;
        o->trouble = errnum;
}

static void keep(char **field, const char *value)
{
        free(*field);
        *field = value ? strdup(value) : NULL;
}

static void take_answer(Owner *o, const MountdResult *r)
{
        o->n_answers++;
        o->n_lost += r->lost;
        keep(&o->error, r->error);
        keep(&o->message, r->message);
        keep(&o->target, r->target);
        keep(&o->type, r->type);
        keep(&o->uuid, r->uuid);
        keep(&o->warnings, NULL);
        for (char **w = r->warnings; w && *w; w++) {
                char *longer = text_format("%s%s;", o->warnings ? o->warnings : "", *w);

                free(o->warnings);
                o->warnings = longer;
        }
        o->step = r->step;
        o->errnum = r->errnum;
        o->mount_id = r->mount_id;
        o->devnum = r->devnum;
        o->diskseq = r->diskseq;
        o->content = r->content;
        o->read_only = r->read_only;
}

/* Which of the owner's calls it is: they are told apart by an index behind the owner. */
typedef struct Slot {
        Owner *owner;
        unsigned i;
} Slot;
static Slot slots[CALLS];

static void on_answer(MountdResult *r, void *userdata)
{
        const Slot *slot = userdata;
        Owner *o = slot->owner;

        ASSERT(o->calls[slot->i]);
        o->calls[slot->i] = mountd_call_free(o->calls[slot->i]);
        take_answer(o, r);
}

static void settle(Owner *o)
{
        int r;

        do {
                r = sd_event_run(o->event, 0);
                ASSERT(r >= 0);
        } while (r > 0);
}

static Owner *owner_new(void)
{
        Owner *o = calloc(1, sizeof(*o));
        const MountdClientHandler handler = { on_connected, on_disconnected, on_away, on_progress,
                                              on_percent,   on_trouble,      o };

        ASSERT(o);
        log_set_level(LOG_EMERG);
        o->mounts_fd = -1;
        ASSERT(sd_event_new(&o->event) >= 0);
        o->mountd = fake_mountd_new(o->event);
        ASSERT_OK(mountd_client_new(o->event, &handler, &o->client));
        return o;
}

static void owner_free(Owner *o)
{
        for (unsigned i = 0; i < CALLS; i++)
                mountd_call_free(o->calls[i]);
        mountd_client_free(o->client);
        fake_mountd_free(o->mountd);
        close_fd(o->mounts_fd);
        sd_event_unref(o->event);
        free(o->error);
        free(o->message);
        free(o->target);
        free(o->type);
        free(o->uuid);
        free(o->warnings);
        free(o);
}

DEFINE_CLEANUP(Owner *, owner_free)

static void attach(Owner *o)
{
        ASSERT(mountd_client_attach(o->client, fake_mountd_connect(o->mountd)) >= 0);
        settle(o);
}

static int send_probe(Owner *o, unsigned i)
{
        slots[i] = (Slot){ o, i };
        return mountd_client_probe(o->client, FAKE_DEVNUM(i + 1), i + 10, on_answer, &slots[i],
                                   &o->calls[i]);
}

static void test_connecting(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();
        char text[64];

        ASSERT_EQ(send_probe(o, 0), -ENOTCONN);
        ASSERT(!o->calls[0]);
        ASSERT(mountd_client_attach(o->client, fake_mountd_connect(o->mountd)) >= 0);
        ASSERT_EQ(send_probe(o, 0), -ENOTCONN); /* not before its mounts are known */
        settle(o);
        ASSERT(mountd_client_is_connected(o->client));
        ASSERT_EQ(o->n_connected, 1);
        ASSERT(pread(o->mounts_fd, text, sizeof(text), 0) > 10);
        ASSERT_EQ(text[0], '1');
}

static void test_requests(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();
        VolumeConfig config = { .name = (char *)"data", .fingerprint = (char *)"8:1:2" };
        const FakeCall *c;

        attach(o);
        slots[0] = (Slot){ o, 0 };
        ASSERT(send_probe(o, 0) >= 0);
        settle(o);
        c = fake_mountd_last(o->mountd);
        ASSERT_EQ(c->method, FAKE_PROBE);
        ASSERT_EQ(c->devnum, FAKE_DEVNUM(1));
        ASSERT_EQ(c->diskseq, 10);

        ASSERT(mountd_client_mount(o->client, &config, makedev(259, 300000), UINT64_MAX, on_answer,
                                   &slots[0], &o->calls[0]) >= 0);
        settle(o);
        c = fake_mountd_last(o->mountd);
        ASSERT_EQ(c->method, FAKE_MOUNT);
        ASSERT_STR(c->name, "data");
        ASSERT_STR(c->fingerprint, "8:1:2");
        ASSERT_EQ(c->devnum, makedev(259, 300000));
        ASSERT_EQ(c->diskseq, UINT64_MAX);
        ASSERT_STR(o->error, NULL);
        ASSERT_STR(o->target, "/mnt/data");
        ASSERT_EQ(o->devnum, makedev(259, 300000));
        ASSERT_EQ(o->diskseq, UINT64_MAX);
        ASSERT(o->mount_id > 0);

        ASSERT(mountd_client_adopt(o->client, &config, FAKE_DEVNUM(1), 3, on_answer, &slots[0],
                                   &o->calls[0]) >= 0);
        settle(o);
        ASSERT_EQ(fake_mountd_last(o->mountd)->method, FAKE_ADOPT);
        ASSERT_EQ(fake_mountd_last(o->mountd)->diskseq, 3);

        for (unsigned lazy = 0; lazy < 2; lazy++) {
                ASSERT(mountd_client_unmount(o->client, "data", lazy, on_answer, &slots[0],
                                             &o->calls[0]) >= 0);
                settle(o);
                ASSERT_EQ(fake_mountd_last(o->mountd)->method, FAKE_UNMOUNT);
                ASSERT_EQ(fake_mountd_last(o->mountd)->lazy, lazy);
        }

        ASSERT(mountd_client_eject(o->client, "data", on_answer, &slots[0], &o->calls[0]) >= 0);
        settle(o);
        ASSERT_EQ(fake_mountd_last(o->mountd)->method, FAKE_EJECT);
        ASSERT_STR(fake_mountd_last(o->mountd)->name, "data");
        ASSERT_EQ(o->n_answers, 6);
}

static void test_many_at_once(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        for (unsigned i = 0; i < CALLS; i++) {
                fake_mountd_answer(o->mountd, FAKE_PROBE, (FakeAnswer){ .kind = FAKE_HOLD });
                ASSERT(send_probe(o, i) >= 0);
        }
        settle(o);
        ASSERT_EQ(o->n_answers, 0);
        o->calls[1] = mountd_call_free(o->calls[1]); /* its answer is dropped */
        fake_mountd_release(o->mountd);
        settle(o);
        ASSERT_EQ(o->n_answers, CALLS - 1);
}

/* Answers. */

static int write_everything(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 12, "Error", "s", "CheckFailed", "Step", "s",
                                     "verify", "Errno", "i", EIO, "Message", "s", "It is broken",
                                     "Content", "u", 4, "UUID", "s", "1234-ABCD", "Type", "s",
                                     "vfat", "Holders", "a(us)", 1, 42, "sh", "Size", "t",
                                     UINT64_C(1) << 40, "ReadOnly", "b", 1, "Warnings", "as", 2,
                                     "one", "two", "Future", "a{sv}", 1, "Key", "v", "s", "value");
}

static void test_every_key(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        fake_mountd_answer(o->mountd, FAKE_PROBE,
                           (FakeAnswer){ .kind = FAKE_GARBAGE, .write = write_everything });
        ASSERT(send_probe(o, 0) >= 0);
        settle(o);
        ASSERT_STR(o->error, "CheckFailed");
        ASSERT_EQ(o->step, STEP_VERIFY);
        ASSERT_EQ(o->errnum, EIO);
        ASSERT_STR(o->message, "It is broken");
        ASSERT_EQ(o->content, 4);
        ASSERT_STR(o->uuid, "1234-ABCD");
        ASSERT_STR(o->type, "vfat");
        ASSERT(o->read_only);
        ASSERT_STR(o->warnings, "one;two;");
        ASSERT_EQ(o->n_lost, 0);
}

static int write_nothing(sd_bus_message *m)
{
        return 0;
}

static int write_string(sd_bus_message *m)
{
        return sd_bus_message_append(m, "s", "mounted, believe me");
}

static int write_wrong_string(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 2, "Target", "s", "/mnt/x", "Message", "u", 5);
}

static int write_wrong_number(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 2, "Error", "s", "X", "MountId", "t", UINT64_C(5));
}

static int write_wrong_list(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 3, "Warnings", "as", 1, "w", "Message", "s", "m",
                                     "Warnings", "s", "w");
}

static int write_wrong_flag(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 1, "ReadOnly", "s", "yes");
}

static int write_wrong_dictionary(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{ss}", 1, "Target", "/mnt/x");
}

static void test_garbage(void)
{
        static const struct {
                const char *row;
                FakeWriter write;
        } rows[] = {
                { "nothing", write_nothing },
                { "a string", write_string },
                { "a number for a string", write_wrong_string },
                { "a wide number for a narrow one", write_wrong_number },
                { "a string for a list", write_wrong_list },
                { "a string for a boolean", write_wrong_flag },
                { "another dictionary", write_wrong_dictionary },
        };
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].row);
                fake_mountd_answer(o->mountd, FAKE_PROBE,
                                   (FakeAnswer){ .kind = FAKE_GARBAGE, .write = rows[i].write });
                ASSERT(send_probe(o, 0) >= 0);
                settle(o);
                ASSERT_EQ(o->n_answers, i + 1);
                ASSERT_STR(o->error, "MountFailed");
                ASSERT_EQ(o->errnum, EBADMSG);
                ASSERT_EQ(o->step, STEP_MOUNT);
                ASSERT_CONTAINS(o->message, "cannot be understood");
                ASSERT_STR(o->target, NULL); /* nothing of it is believed */
                ASSERT_STR(o->warnings, NULL);
                ASSERT_EQ(o->mount_id, 0);
        }
        ASSERT(mountd_client_is_connected(o->client));
}

static int write_twice(sd_bus_message *m)
{
        return sd_bus_message_append(m, "a{sv}", 4, "Type", "s", "ext4", "Type", "s", "xfs",
                                     "Warnings", "as", 1, "one", "Warnings", "as", 1, "two");
}

static void test_keys_given_twice(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        fake_mountd_answer(o->mountd, FAKE_PROBE,
                           (FakeAnswer){ .kind = FAKE_GARBAGE, .write = write_twice });
        ASSERT(send_probe(o, 0) >= 0);
        settle(o);
        ASSERT_STR(o->error, NULL);
        ASSERT_STR(o->type, "xfs");
        ASSERT_STR(o->warnings, "two;");
}

static void test_errors_of_the_bus(void)
{
        static const struct {
                const char *error;
                FailureStep step;
        } rows[] = {
                { "InProgress", STEP_MOUNT },
                { "ConfigInvalid", STEP_CONFIG },
                { "NoSuchVolume", STEP_CONFIG },
        };
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].error);
                fake_mountd_answer(o->mountd, FAKE_PROBE,
                                   (FakeAnswer){ .kind = FAKE_ERROR,
                                                 .error = rows[i].error,
                                                 .message = "No" });
                ASSERT(send_probe(o, 0) >= 0);
                settle(o);
                ASSERT_STR(o->error, rows[i].error);
                ASSERT_STR(o->message, "No");
                ASSERT_EQ(o->step, rows[i].step);
                ASSERT_EQ(o->n_lost, 0);
        }
}

static void test_progress(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();
        static const char path[] = "/org/wslbare1/mountd", interface[] = "org.wslbare1.Mountd";
        sd_bus *bus;

        attach(o);
        bus = fake_mountd_bus(o->mountd);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Progress", "ss", "data", "mount") >= 0);
        settle(o);
        ASSERT_EQ(o->n_progress, 1);
        ASSERT_EQ(o->progress, STEP_MOUNT);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Progress", "ss", "data", "juggling") >= 0);
        settle(o);
        ASSERT_EQ(o->progress, STEP_NONE);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Progress", "u", 5) >= 0);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Trouble", "s", "data") >= 0);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Retreat", "ss", "data", "mount") >= 0);
        settle(o);
        ASSERT_EQ(o->n_progress, 2);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Percent", "su", "data", 43) >= 0);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Percent", "su", "data", 101) >= 0);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Percent", "s", "data") >= 0);
        settle(o);
        ASSERT_EQ(o->percent, 43);
        ASSERT_EQ(o->trouble, 0);
        ASSERT(sd_bus_emit_signal(bus, path, interface, "Trouble", "ti", UINT64_MAX, EUCLEAN) >= 0);
        settle(o);
        ASSERT_EQ(o->trouble, EUCLEAN);
        ASSERT(o->fsid == UINT64_MAX);
        ASSERT(mountd_client_is_connected(o->client));
}

/* The end. */

static void test_connection_lost(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        attach(o);
        for (unsigned i = 0; i < CALLS; i++) {
                fake_mountd_answer(o->mountd, FAKE_PROBE, (FakeAnswer){ .kind = FAKE_HOLD });
                ASSERT(send_probe(o, i) >= 0);
        }
        settle(o);
        fake_mountd_disconnect(o->mountd);
        settle(o);
        ASSERT_EQ(o->n_answers, CALLS);
        ASSERT_EQ(o->n_lost, CALLS);
        ASSERT_EQ(o->n_disconnected, 1);
        ASSERT_EQ(send_probe(o, 0), -ENOTCONN);

        attach(o);
        ASSERT_EQ(o->n_connected, 2);
        ASSERT(send_probe(o, 0) >= 0);
        settle(o);
        ASSERT_EQ(o->n_answers, CALLS + 1);
        ASSERT_EQ(o->n_lost, CALLS);
}

/* Said once, until it is back. */
static void test_stays_away(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        mountd_client_set_patience(o->client, 1);
        for (unsigned i = 1; i <= 2; i++) {
                attach(o);
                ASSERT(!mountd_client_is_away(o->client));
                fake_mountd_disconnect(o->mountd);
                while (!mountd_client_is_away(o->client))
                        ASSERT(sd_event_run(o->event, UINT64_MAX) >= 0);
                settle(o);
                ASSERT_EQ(o->n_away, i);
        }
}

static void test_no_view_of_the_mounts(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        fake_mountd_hide_mounts(o->mountd);
        attach(o);
        ASSERT(!mountd_client_is_connected(o->client));
        ASSERT_EQ(o->n_connected, 0);
        ASSERT_EQ(o->n_disconnected, 0);
}

static void test_lost_before_it_is_connected(void)
{
        _cleanup_(owner_freep) Owner *o = owner_new();

        ASSERT(mountd_client_attach(o->client, fake_mountd_connect(o->mountd)) >= 0);
        fake_mountd_disconnect(o->mountd);
        settle(o);
        ASSERT_EQ(o->n_connected, 0);
        ASSERT_EQ(o->n_disconnected, 0);
        attach(o);
        ASSERT_EQ(o->n_connected, 1);
}

/* What is at the other end does not speak D-Bus. */
static void test_noise(void)
{
        static const char noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
        _cleanup_(owner_freep) Owner *o = owner_new();
        _cleanup_close_ int other = -1;
        int fds[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        other = fds[1];
        ASSERT(mountd_client_attach(o->client, fds[0]) >= 0);
        ASSERT_EQ(write(other, noise, strlen(noise)), (ssize_t)strlen(noise));
        settle(o);
        ASSERT(!mountd_client_is_connected(o->client));
        ASSERT_EQ(o->n_connected, 0);
}

TEST_MAIN(TEST(connecting), TEST(requests), TEST(many_at_once), TEST(every_key), TEST(garbage),
          TEST(keys_given_twice), TEST(errors_of_the_bus), TEST(progress), TEST(connection_lost),
          TEST(stays_away), TEST(no_view_of_the_mounts), TEST(lost_before_it_is_connected),
          TEST(noise))
