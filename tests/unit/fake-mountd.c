/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "fake-mountd.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define PATH "/org/wslbare1/mountd"
#define INTERFACE "org.wslbare1.Mountd"

#define CALLS_MAX 1024
#define ANSWERS_MAX 64
#define MOUNTS_MAX 256

typedef struct FakeMount {
        int id;
        dev_t devnum;
        char *target;
        char *type;
        char *source;
        char *super;
        int error; /* that the filesystem answers with */
} FakeMount;

typedef struct FakeContent {
        dev_t devnum;
        const char *type;
        const char *uuid;
} FakeContent;

typedef struct FakeHeld {
        sd_bus_message *message;
        FakeCall *call;
} FakeHeld;

struct FakeMountd {
        sd_event *event;
        sd_bus *bus;
        int mounts_fd;
        const char *root; /* what volumes have their places in */
        bool hides_mounts;
        FakeCall calls[CALLS_MAX];
        unsigned n_calls;
        struct {
                FakeMethod method;
                FakeAnswer answer;
        } answers[ANSWERS_MAX];
        unsigned n_answers;
        FakeHeld held[CALLS_MAX];
        unsigned n_held;
        FakeMount mounts[MOUNTS_MAX];
        unsigned n_mounts;
        int last_id;
        FakeContent contents[CALLS_MAX];
        unsigned n_contents;
        FakeCall target_call;
        unsigned n_started; /* targets */
        unsigned n_stopped;
};

static int must(int r)
{
        if (r < 0)
                test_fail(__FILE__, __LINE__, "the scripted mountd: %s", strerror(-r));
        return r;
}

static void *must_have(void *p)
{
        must(p ? 0 : -ENOMEM);
        return p;
}

/* Mounts. */

static void write_mounts(FakeMountd *f)
{
        static const char root[] = "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n";
        char line[512];

        must(ftruncate(f->mounts_fd, 0) < 0 ? -errno : 0);
        must(lseek(f->mounts_fd, 0, SEEK_SET) < 0 ? -errno : 0);
        must(write(f->mounts_fd, root, strlen(root)) < 0 ? -errno : 0);
        for (unsigned i = 0; i < f->n_mounts; i++) {
                const FakeMount *m = &f->mounts[i];
                int n = snprintf(line, sizeof(line),
                                 "%d 1 %u:%u / %s rw,nosuid,nodev,relatime shared:2 - %s %s %s\n",
                                 m->id, major(m->devnum), minor(m->devnum), m->target, m->type,
                                 m->source, m->super);

                must(write(f->mounts_fd, line, (size_t)n) == n ? 0 : -EIO);
        }
}

int fake_mountd_mount(FakeMountd *f, dev_t devnum, const char *target, const char *type,
                      const char *source)
{
        ASSERT(f->n_mounts < MOUNTS_MAX);
        f->mounts[f->n_mounts++] = (FakeMount){
                .id = ++f->last_id,
                .devnum = devnum,
                .target = must_have(strdup(target)),
                .type = must_have(strdup(type)),
                .source = must_have(strdup(source)),
                .super = must_have(strdup("rw")),
        };
        write_mounts(f);
        return f->last_id;
}

static void mount_done(FakeMount *m)
{
        free(m->target);
        free(m->type);
        free(m->source);
        free(m->super);
}

static FakeMount *find_mount(const FakeMountd *f, const char *target)
{
        for (unsigned i = f->n_mounts; i > 0; i--)
                if (streq(f->mounts[i - 1].target, target))
                        return (FakeMount *)&f->mounts[i - 1];
        return NULL;
}

bool fake_mountd_is_mounted(const FakeMountd *f, const char *target)
{
        return find_mount(f, target);
}

void fake_mountd_unmount(FakeMountd *f, const char *target)
{
        FakeMount *m = find_mount(f, target);

        if (!m)
                return;
        mount_done(m);
        *m = f->mounts[--f->n_mounts];
        write_mounts(f);
}

void fake_mountd_move(FakeMountd *f, const char *target, const char *to)
{
        FakeMount *m = find_mount(f, target);

        ASSERT(m);
        free(m->target);
        m->target = must_have(strdup(to));
        write_mounts(f);
}

void fake_mountd_set_super(FakeMountd *f, const char *target, const char *super)
{
        FakeMount *m = find_mount(f, target);

        ASSERT(m);
        free(m->super);
        m->super = must_have(strdup(super));
        write_mounts(f);
}

void fake_mountd_break(FakeMountd *f, const char *target, int errnum)
{
        FakeMount *m = find_mount(f, target);

        ASSERT(m);
        m->error = errnum;
}

static uint64_t fsid_of(const FakeMount *m)
{
        return UINT64_MAX - m->devnum;
}

void fake_mountd_tell_error(FakeMountd *f, const char *target, int errnum)
{
        FakeMount *m = find_mount(f, target);

        ASSERT(m);
        must(sd_bus_emit_signal(f->bus, PATH, INTERFACE, "Trouble", "ti", fsid_of(m),
                                (int32_t)errnum));
}

void fake_mountd_set_content(FakeMountd *f, dev_t devnum, const char *type, const char *uuid)
{
        ASSERT(f->n_contents < CALLS_MAX);
        f->contents[f->n_contents++] = (FakeContent){ devnum, type, uuid };
}

/* Answers: each of these appends to the dictionary of a reply. */

static int append_failure(sd_bus_message *m, const FakeAnswer *a)
{
        return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "Error", "s", a->error, "Step", "s",
                                     a->step, "Errno", "i", a->errnum, "Message", "s", a->message);
}

static int append_content(FakeMountd *f, const FakeCall *c, sd_bus_message *m)
{
        const FakeContent *found = NULL;

        for (unsigned i = 0; i < f->n_contents; i++)
                if (f->contents[i].devnum == c->devnum)
                        found = &f->contents[i];
        if (!found)
                return sd_bus_message_append(m, "{sv}", "Content", "u", UINT32_C(1));
        return sd_bus_message_append(m, "{sv}{sv}{sv}", "Content", "u", UINT32_C(2), "Type", "s",
                                     found->type, "UUID", "s", found->uuid);
}

static int append_mount(const FakeMount *mount, const FakeCall *c, sd_bus_message *m)
{
        int r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "MountId", "i",
                                      (int32_t)mount->id, "Target", "s", mount->target, "Options",
                                      "s", "rw,nosuid,nodev,relatime", "ReadOnly", "b", 0, "Node",
                                      "s", mount->source, "Type", "s", mount->type, "DeviceNumber",
                                      "t", (uint64_t)c->devnum, "DiskSequence", "t", c->diskseq,
                                      "FilesystemId", "t", fsid_of(mount), "MadeReadOnly", "b",
                                      (int)streq(mount->super, "ro"));

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "MountDevice", "t", (uint64_t)mount->devnum);
        if (r >= 0 && mount->error != 0)
                r = sd_bus_message_append(m, "{sv}", "FilesystemError", "i", (int32_t)mount->error);
        return r;
}

static const FakeMount *do_mount(FakeMountd *f, const FakeCall *c, const char *target)
{
        _cleanup_free_ char *source = must_have(text_format("/dev/fake%u", minor(c->devnum)));

        (void)fake_mountd_mount(f, c->devnum, target, "ext4", source);
        return find_mount(f, target);
}

static int append_success(FakeMountd *f, const FakeCall *c, sd_bus_message *m)
{
        _cleanup_free_ char *target =
                must_have(text_format("%s/%s", f->root, c->name ? c->name : ""));

        switch (c->method) {
        case FAKE_PROBE:
                return append_content(f, c, m);
        case FAKE_MOUNT:
                return append_mount(do_mount(f, c, target), c, m);
        case FAKE_UNMOUNT:
        case FAKE_EJECT:
                fake_mountd_unmount(f, target);
                return 0;
        case FAKE_ADOPT:
                ASSERT(find_mount(f, target));
                return append_mount(find_mount(f, target), c, m);
        case FAKE_TARGET:
                return 0;
        }
        return -EINVAL;
}

static void reply(FakeMountd *f, const FakeCall *c, sd_bus_message *call, const FakeAnswer *a)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        must(sd_bus_message_new_method_return(call, &m));
        if (a->kind == FAKE_GARBAGE) {
                must(a->write(m));
        } else {
                must(sd_bus_message_open_container(m, 'a', "{sv}"));
                must(a->kind == FAKE_FAILURE ? append_failure(m, a) : append_success(f, c, m));
                must(sd_bus_message_close_container(m));
        }
        must(sd_bus_send(f->bus, m, NULL));
}

static void reply_error(sd_bus_message *call, const FakeAnswer *a)
{
        char name[128];

        (void)snprintf(name, sizeof(name), "org.wslbare1.Error.%s", a->error);
        must(sd_bus_reply_method_errorf(call, name, "%s", a->message));
}

void fake_mountd_answer(FakeMountd *f, FakeMethod method, FakeAnswer answer)
{
        ASSERT(f->n_answers < ANSWERS_MAX);
        f->answers[f->n_answers].method = method;
        f->answers[f->n_answers++].answer = answer;
}

static FakeAnswer take_answer(FakeMountd *f, FakeMethod method)
{
        FakeAnswer a = { .kind = FAKE_SUCCESS };

        for (unsigned i = 0; i < f->n_answers; i++)
                if (f->answers[i].method == method) {
                        a = f->answers[i].answer;
                        memmove(&f->answers[i], &f->answers[i + 1],
                                (--f->n_answers - i) * sizeof(f->answers[0]));
                        break;
                }
        return a;
}

static void hold(FakeMountd *f, FakeCall *c, sd_bus_message *call)
{
        ASSERT(f->n_held < CALLS_MAX);
        f->held[f->n_held++] = (FakeHeld){ sd_bus_message_ref(call), c };
}

/* An ejection that fails at that step has unmounted it before. */
static void fail_eject(FakeMountd *f, const FakeCall *c, const FakeAnswer *a)
{
        _cleanup_free_ char *target = NULL;

        if (c->method != FAKE_EJECT || !a->step || !streq(a->step, "eject"))
                return;
        target = must_have(text_format("%s/%s", f->root, c->name));
        fake_mountd_unmount(f, target);
}

void fake_mountd_finish(FakeMountd *f, FakeAnswer answer)
{
        for (unsigned i = 0; i < f->n_held; i++) {
                fail_eject(f, f->held[i].call, &answer);
                reply(f, f->held[i].call, f->held[i].message, &answer);
                sd_bus_message_unref(f->held[i].message);
        }
        f->n_held = 0;
}

void fake_mountd_release(FakeMountd *f)
{
        fake_mountd_finish(f, (FakeAnswer){ .kind = FAKE_SUCCESS });
}

static int answer_call(FakeMountd *f, FakeCall *c, sd_bus_message *call)
{
        const FakeAnswer a = take_answer(f, c->method);

        fail_eject(f, c, &a);
        switch (a.kind) {
        case FAKE_SUCCESS:
        case FAKE_FAILURE:
        case FAKE_GARBAGE:
                reply(f, c, call, &a);
                break;
        case FAKE_ERROR:
                reply_error(call, &a);
                break;
        case FAKE_HOLD:
                hold(f, c, call);
                break;
        case FAKE_DROP:
                fake_mountd_disconnect(f);
                break;
        }
        return 1;
}

/* Calls. */

static FakeCall *note(FakeMountd *f, FakeMethod method, const char *name)
{
        struct timespec now;
        FakeCall *c = &f->calls[f->n_calls];

        ASSERT(f->n_calls++ < CALLS_MAX);
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        *c = (FakeCall){
                .method = method,
                .name = name ? must_have(strdup(name)) : NULL,
                .usec = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000,
        };
        return c;
}

static int method_probe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        FakeCall *c = note(userdata, FAKE_PROBE, NULL);
        uint64_t devnum;

        must(sd_bus_message_read(m, "tt", &devnum, &c->diskseq));
        c->devnum = devnum;
        return answer_call(userdata, c, m);
}

static int method_mount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *fingerprint;
        uint64_t devnum, diskseq;
        FakeCall *c;

        must(sd_bus_message_read(m, "stts", &name, &devnum, &diskseq, &fingerprint));
        c = note(userdata, FAKE_MOUNT, name);
        c->devnum = devnum;
        c->diskseq = diskseq;
        c->fingerprint = must_have(strdup(fingerprint));
        return answer_call(userdata, c, m);
}

static int method_unmount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        int lazy;
        FakeCall *c;

        must(sd_bus_message_read(m, "sb", &name, &lazy));
        c = note(userdata, FAKE_UNMOUNT, name);
        c->lazy = lazy;
        return answer_call(userdata, c, m);
}

static int method_eject(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;

        must(sd_bus_message_read(m, "s", &name));
        return answer_call(userdata, note(userdata, FAKE_EJECT, name), m);
}

static int method_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        uint64_t devnum, diskseq;
        FakeCall *c;

        must(sd_bus_message_read(m, "stt", &name, &devnum, &diskseq));
        c = note(userdata, FAKE_ADOPT, name);
        c->devnum = devnum;
        c->diskseq = diskseq;
        return answer_call(userdata, c, m);
}

/* Not among the calls. */
static int method_set_target(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        FakeMountd *f = userdata;
        const char *name;
        int active;

        must(sd_bus_message_read(m, "sb", &name, &active));
        f->n_started += active;
        f->n_stopped += !active;
        f->target_call.method = FAKE_TARGET;
        return answer_call(f, &f->target_call, m);
}

static int method_mountinfo(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        FakeMountd *f = userdata;

        return f->hides_mounts ? -EACCES : sd_bus_reply_method_return(m, "h", f->mounts_fd);
}

unsigned fake_mountd_count(const FakeMountd *f, FakeMethod method)
{
        unsigned n = 0;

        for (unsigned i = 0; i < f->n_calls; i++)
                n += f->calls[i].method == method;
        return n;
}

unsigned fake_mountd_count_started(const FakeMountd *f)
{
        return f->n_started;
}

unsigned fake_mountd_count_stopped(const FakeMountd *f)
{
        return f->n_stopped;
}

unsigned fake_mountd_count_all(const FakeMountd *f)
{
        return f->n_calls;
}

const FakeCall *fake_mountd_last(const FakeMountd *f)
{
        return f->n_calls > 0 ? &f->calls[f->n_calls - 1] : NULL;
}

/* Not a vtable: with one, sd-bus sends no answer of a wrong type. */
static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const struct {
                const char *member;
                sd_bus_message_handler_t method;
        } methods[] = {
                { "Probe", method_probe },          { "Mount", method_mount },
                { "Unmount", method_unmount },      { "Adopt", method_adopt },
                { "Eject", method_eject },          { "Mountinfo", method_mountinfo },
                { "SetTarget", method_set_target },
        };

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (sd_bus_message_is_method_call(m, INTERFACE, methods[i].member))
                        return methods[i].method(m, userdata, error);
        return 0;
}

/* The connection. */

int fake_mountd_connect(FakeMountd *f)
{
        sd_id128_t id;
        int fds[2];

        ASSERT(!f->bus);
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ? -errno
                                                                                         : 0);
        must(sd_id128_randomize(&id));
        must(sd_bus_new(&f->bus));
        must(sd_bus_set_server(f->bus, true, id));
        must(sd_bus_negotiate_fds(f->bus, true));
        must(sd_bus_set_fd(f->bus, fds[0], fds[0]));
        must(sd_bus_add_object(f->bus, NULL, PATH, on_call, f));
        must(sd_bus_start(f->bus));
        must(sd_bus_attach_event(f->bus, f->event, SD_EVENT_PRIORITY_NORMAL));
        return fds[1];
}

void fake_mountd_disconnect(FakeMountd *f)
{
        for (unsigned i = 0; i < f->n_held; i++)
                sd_bus_message_unref(f->held[i].message);
        f->n_held = 0;
        f->bus = sd_bus_close_unref(f->bus);
}

void fake_mountd_set_root(FakeMountd *f, const char *root)
{
        f->root = root;
}

void fake_mountd_hide_mounts(FakeMountd *f)
{
        f->hides_mounts = true;
}

sd_bus *fake_mountd_bus(FakeMountd *f)
{
        return f->bus;
}

FakeMountd *fake_mountd_new(sd_event *event)
{
        FakeMountd *f = must_have(calloc(1, sizeof(*f)));

        f->event = sd_event_ref(event);
        f->last_id = 100;
        f->root = "/mnt";
        f->mounts_fd = must(memfd_create("mountinfo", MFD_CLOEXEC));
        write_mounts(f);
        return f;
}

FakeMountd *fake_mountd_free(FakeMountd *f)
{
        if (!f)
                return NULL;
        fake_mountd_disconnect(f);
        for (unsigned i = 0; i < f->n_calls; i++) {
                free(f->calls[i].name);
                free(f->calls[i].fingerprint);
        }
        for (unsigned i = 0; i < f->n_mounts; i++)
                mount_done(&f->mounts[i]);
        close_fd(f->mounts_fd);
        sd_event_unref(f->event);
        free(f);
        return NULL;
}
