/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "log.h"
#include "macro.h"
#include "scene.h"
#include "text.h"
#include "volume-request.h"

static void *must_have(void *p)
{
        ASSERT(p);
        return p;
}

/* systemd. */

static int on_notified(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Scene *s = userdata;
        char message[4096 + 1];
        ssize_t n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT | MSG_TRUNC);
        char *longer;

        if (n < 0)
                return 0;
        ASSERT((size_t)n < sizeof(message)); /* systemd drops what is longer */
        message[n] = '\0';
        longer = must_have(text_format("%s%s\n", s->heard, message));
        free(s->heard);
        s->heard = longer;
        return 0;
}

static void listen_for_notes(Scene *s)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", test_directory());
        s->heard = must_have(strdup(""));
        s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ASSERT(s->notify_fd >= 0);
        ASSERT_OK(bind(s->notify_fd, (struct sockaddr *)&address, sizeof(address)));
        ASSERT_OK(setenv("NOTIFY_SOCKET", address.sun_path, true));
        ASSERT(sd_event_add_io(s->event, &s->notify_io, s->notify_fd, EPOLLIN, on_notified, s) >=
               0);
}

Scene *scene_new(void)
{
        Scene *s = must_have(calloc(1, sizeof(*s)));
        ManagerOptions options = { 0 };

        if (!getenv("WSLBARE_TEST_LOG"))
                log_set_level(LOG_EMERG);
        ASSERT(sd_event_new(&s->event) >= 0);
        s->config = must_have(strdup(test_directory()));
        s->records = must_have(strdup(test_directory()));
        s->flags = must_have(strdup(test_directory()));
        s->shared = must_have(strdup(test_directory()));
        s->dirs[0] = s->config;
        listen_for_notes(s);
        s->mountd = fake_mountd_new(s->event);
        options.config = (ConfigSource){ .dirs = s->dirs, .owner = geteuid() };
        options.records = s->records;
        options.flags = s->flags;
        options.shared = s->shared;
        ASSERT_OK(manager_new(s->event, &options, &s->manager));
        return s;
}

Scene *scene_free(Scene *s)
{
        if (!s)
                return NULL;
        manager_free(s->manager);
        fake_mountd_free(s->mountd);
        sd_event_source_disable_unref(s->notify_io);
        close_fd(s->notify_fd);
        (void)unsetenv("NOTIFY_SOCKET");
        sd_event_unref(s->event);
        free(s->config);
        free(s->records);
        free(s->flags);
        free(s->shared);
        free(s->heard);
        free(s);
        return NULL;
}

/* Files. */

void scene_write(Scene *s, const char *name, const char *text)
{
        _cleanup_free_ char *file = must_have(text_format("%s.conf", name));

        test_write(s->config, file, text);
}

void scene_configure(Scene *s, const char *name, const char *uuid, const char *extra)
{
        _cleanup_free_ char *text = must_have(
                text_format("[Match]\nUUID=%s\n[Mount]\nWhere=/mnt/%s\n%s", uuid, name, extra));

        scene_write(s, name, text);
}

void scene_remove(Scene *s, const char *name)
{
        _cleanup_free_ char *path = must_have(text_format("%s/%s.conf", s->config, name));

        ASSERT_OK(unlink(path));
}

void scene_record(Scene *s, const char *name, RecordPhase phase, unsigned n, uint64_t diskseq,
                  int mount_id)
{
        _cleanup_free_ char *target = must_have(text_format("/mnt/%s", name));
        const Record record = {
                .phase = phase,
                .target = target,
                .devnum = FAKE_DEVNUM(n),
                .diskseq = diskseq,
                .mount_id = mount_id,
        };

        ASSERT_OK(record_save(s->records, name, &record));
}

void scene_flag(Scene *s, const char *name)
{
        test_write(s->flags, name, "");
}

/* The loop. */

void scene_connect(Scene *s)
{
        ASSERT(manager_attach_mountd(s->manager, fake_mountd_connect(s->mountd)) >= 0);
}

void scene_start(Scene *s)
{
        ASSERT_OK(manager_load(s->manager));
        scene_connect(s);
}

void scene_settle(Scene *s)
{
        unsigned n = 0;
        int r;

        /* A thing that goes on for ever would never settle. */
        do {
                r = sd_event_run(s->event, 0);
                ASSERT(r >= 0);
                ASSERT(n++ < 20000);
        } while (r > 0);
}

void scene_start_with_device(Scene *s)
{
        scene_start(s);
        scene_settle(s);
        scene_plug(s, 1, 7, UUID_A);
        scene_settle(s);
}

void scene_start_with_data(Scene *s, const char *more)
{
        scene_configure(s, "data", UUID_A, more);
        scene_start_with_device(s);
}

void scene_reload(Scene *s)
{
        manager_reload(s->manager);
        scene_settle(s);
}

bool scene_wait(Scene *s, unsigned *tries)
{
        ASSERT(sd_event_run(s->event, 5 * USEC_PER_MSEC) >= 0);
        return (*tries)-- > 0;
}

/* Devices. */

Device *scene_device(unsigned n, uint64_t diskseq, const char *uuid)
{
        Device *d;

        ASSERT_OK(device_new(FAKE_DEVNUM(n), &d));
        d->diskseq = diskseq;
        d->node = must_have(text_format("/dev/fake%u", n));
        d->size = 1 << 20;
        if (uuid) {
                d->content = DEVICE_CONTENT_FILESYSTEM;
                d->type = must_have(strdup("ext4"));
                d->uuid = must_have(strdup(uuid));
        }
        return d;
}

void scene_event(Scene *s, unsigned n, uint64_t seqnum, Device *device)
{
        HotplugEvent e = {
                .devnum = FAKE_DEVNUM(n),
                .seqnum = seqnum,
                .gone = !device,
                .settled = device && device->content != DEVICE_CONTENT_UNKNOWN,
                .device = device,
        };

        manager_device_event(s->manager, &e);
        hotplug_event_done(&e);
}

void scene_plug(Scene *s, unsigned n, uint64_t diskseq, const char *uuid)
{
        scene_event(s, n, ++s->seqnum, scene_device(n, diskseq, uuid));
}

void scene_unplug(Scene *s, unsigned n)
{
        scene_event(s, n, ++s->seqnum, NULL);
}

/* Volumes. */

Volume *scene_volume(const Scene *s, const char *name)
{
        return must_have(volumes_find(manager_volumes(s->manager), name));
}

static void on_done(const char *error, const char *message, void *userdata)
{
        const char **ret = userdata;

        ASSERT(!*ret); /* one answer */
        *ret = error ? error : "";
}

bool scene_request(Scene *s, const char *name, VolumeVerb verb, const char **ret)
{
        const VolumeRequest q = { .verb = verb, .done = on_done, .userdata = ret };
        VolumeRefusal why = { 0 };
        int r;

        *ret = NULL;
        r = volume_request(scene_volume(s, name), &q, &why);
        if (r < 0) {
                ASSERT(why.error && why.message && why.message[0]);
                *ret = why.error;
        }
        volume_refusal_done(&why);
        return r >= 0;
}

const char *scene_ask(Scene *s, VolumeVerb verb)
{
        const char *answer;

        (void)scene_request(s, "data", verb, &answer);
        scene_settle(s);
        return answer;
}

void scene_look_again(Scene *s)
{
        static const char *const names[] = { "data", "other", "third" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Volume *v = volumes_find(manager_volumes(s->manager), names[i]);

                if (v)
                        v->dirty = true;
        }
        manager_wake(s->manager);
        scene_settle(s);
}

void scene_hasten(Scene *s, const char *name)
{
        Volume *v = scene_volume(s, name);

        ASSERT(v->retry);
        ASSERT(sd_event_source_set_time(v->retry, 0) >= 0);
        scene_settle(s);
}
