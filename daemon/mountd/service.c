/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "fs-errors.h"
#include "log.h"
#include "macro.h"
#include "requests.h"
#include "service.h"
#include "text.h"

#define ERROR_PREFIX "org.wslbare1.Error."

struct Service {
        sd_event *event;
        ConfigSource config;
        char *records;
        char *staging;
        char *flags;
        sd_event_source *listener;
        void (*tell_ready)(void);
        FsErrors *errors; /* NULL: the kernel tells none */
        sd_bus *client;
        Requests *requests;
};

/* Answers. */

static int reply(const Request *q, const Report *report)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(q->message, &m);

        if (r >= 0)
                r = report_append(report, m);
        if (r >= 0)
                r = sd_bus_send(NULL, m, NULL);
        return r;
}

static void accept_clients(Service *s)
{
        if (s->listener)
                (void)sd_event_source_set_enabled(s->listener, SD_EVENT_ON);
        if (s->tell_ready)
                s->tell_ready();
}

static void on_done(const Request *q, const Report *report, void *userdata)
{
        if (q->kind == REQUEST_START)
                accept_clients(userdata);
        if (q->message && (!report || reply(q, report) < 0))
                (void)sd_bus_reply_method_errno(q->message, ENOMEM, NULL);
}

static void on_step(const Request *q, FailureStep step, void *userdata)
{
        Service *s = userdata;

        if (q->message && q->name)
                (void)sd_bus_emit_signal(s->client, MOUNTD_PATH, MOUNTD_INTERFACE, "Progress", "ss",
                                         q->name, failure_step_to_string(step));
}

static void on_percent(const Request *q, unsigned percent, void *userdata)
{
        Service *s = userdata;

        if (q->message && q->name)
                (void)sd_bus_emit_signal(s->client, MOUNTD_PATH, MOUNTD_INTERFACE, "Percent", "su",
                                         q->name, (uint32_t)percent);
}

/* Requests. */

static int refuse(sd_bus_error *error, const char *name, const char *text)
{
        char full[128];

        (void)snprintf(full, sizeof(full), ERROR_PREFIX "%s", name);
        return sd_bus_error_set(error, full, text);
}

/* Q is in the way. */
static int refuse_for(const Request *q, sd_bus_error *error)
{
        if (!q->hangs)
                return refuse(error, "InProgress", "A request for this volume is at work");
        return refuse(error, "Hanging",
                      "The disk does not answer: an earlier request was given up and still hangs");
}

static int check_request(const Service *s, const Request *q, sd_bus_error *error)
{
        const Request *other;

        if (requests_count(s->requests) >= MOUNTD_JOBS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many requests are at work");
        if (!q->name)
                return 0;
        if (!volume_name_is_valid(q->name))
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "Not a volume's name");
        other = requests_find_in_way(s->requests, q);
        return other ? refuse_for(other, error) : 0;
}

/* NAME's own file, and only if it is the one that the client speaks of. FINGERPRINT NULL: whichever
 * it is. */
static int load_config(const Service *s, Request *q, const char *fingerprint, sd_bus_error *error)
{
        _cleanup_free_ char *problem = NULL;
        int r = config_load_volume(&s->config, q->name, &q->config, &problem);

        if (r == -ENOENT)
                return refuse(error, "NoSuchVolume", "There is no file of this volume");
        if (r == -EINVAL)
                return refuse(error, "ConfigInvalid", problem ? problem : "The file has errors");
        if (r < 0)
                return r;
        if (fingerprint && !streq(fingerprint, q->config->fingerprint))
                return refuse(error, "ConfigInvalid",
                              "The file changed since it was loaded; reload wslbared");
        return 0;
}

static int submit(Service *s, Request *q, sd_bus_message *m)
{
        int r;

        q->message = sd_bus_message_ref(m);
        r = requests_start(s->requests, q);
        return r < 0 ? r : 1;
}

static int method_probe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(request_freep) Request *q = request_new(REQUEST_PROBE, NULL);
        Service *s = userdata;
        const Request *other;
        uint64_t devnum;
        int r;

        if (!q)
                return -ENOMEM;
        r = sd_bus_message_read(m, "tt", &devnum, &q->diskseq);
        if (r < 0)
                return r;
        q->devnum = devnum;
        r = check_request(s, q, error);
        other = requests_find_given_up(s->requests, q->devnum, q->diskseq);
        if (r >= 0)
                r = other ? refuse_for(other, error) : submit(s, q, m);
        if (r > 0)
                TAKE_PTR(q);
        return r;
}

/* Mount and Adopt: what is done comes from the file, on which device from the request. */
static int start_with_device(Service *s, sd_bus_message *m, RequestKind kind, const char *name,
                             uint64_t devnum, uint64_t diskseq, const char *fingerprint,
                             sd_bus_error *error)
{
        _cleanup_(request_freep) Request *q = request_new(kind, name);
        int r;

        if (!q)
                return -ENOMEM;
        q->devnum = devnum;
        q->diskseq = diskseq;
        r = check_request(s, q, error);
        if (r >= 0)
                r = load_config(s, q, fingerprint, error);
        if (r >= 0)
                r = submit(s, q, m);
        if (r > 0)
                TAKE_PTR(q);
        return r;
}

static int method_mount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *fingerprint;
        uint64_t devnum, diskseq;
        int r = sd_bus_message_read(m, "stts", &name, &devnum, &diskseq, &fingerprint);

        return r < 0 ? r
                     : start_with_device(userdata, m, REQUEST_MOUNT, name, devnum, diskseq,
                                         fingerprint, error);
}

static int method_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        uint64_t devnum, diskseq;
        int r = sd_bus_message_read(m, "stt", &name, &devnum, &diskseq);

        return r < 0 ? r
                     : start_with_device(userdata, m, REQUEST_ADOPT, name, devnum, diskseq, NULL,
                                         error);
}

/* Unmount, Eject and SetTarget: about what the record of NAME says, with a flag. */
static int start_with_name(Service *s, sd_bus_message *m, RequestKind kind, const char *name,
                           bool flag, sd_bus_error *error)
{
        _cleanup_(request_freep) Request *q = request_new(kind, name);
        int r;

        if (!q)
                return -ENOMEM;
        q->flag = flag;
        r = check_request(s, q, error);
        if (r >= 0)
                r = submit(s, q, m);
        if (r > 0)
                TAKE_PTR(q);
        return r;
}

static int start_with_flag(Service *s, sd_bus_message *m, RequestKind kind, sd_bus_error *error)
{
        const char *name;
        int flag, r = sd_bus_message_read(m, "sb", &name, &flag);

        return r < 0 ? r : start_with_name(s, m, kind, name, flag, error);
}

static int method_unmount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_with_flag(userdata, m, REQUEST_UNMOUNT, error);
}

static int method_eject(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;
        int r = sd_bus_message_read(m, "s", &name);

        return r < 0 ? r : start_with_name(userdata, m, REQUEST_EJECT, name, false, error);
}

static int method_set_target(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_with_flag(userdata, m, REQUEST_SET_TARGET, error);
}

static int method_mountinfo(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : sd_bus_reply_method_return(m, "h", fd);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Probe", "tt", "a{sv}", method_probe, 0),
        SD_BUS_METHOD("Mount", "stts", "a{sv}", method_mount, 0),
        SD_BUS_METHOD("Unmount", "sb", "a{sv}", method_unmount, 0),
        SD_BUS_METHOD("Eject", "s", "a{sv}", method_eject, 0),
        SD_BUS_METHOD("Adopt", "stt", "a{sv}", method_adopt, 0),
        SD_BUS_METHOD("SetTarget", "sb", "a{sv}", method_set_target, 0),
        SD_BUS_METHOD("Mountinfo", "", "h", method_mountinfo, 0),
        SD_BUS_SIGNAL("Progress", "ss", 0),
        SD_BUS_SIGNAL("Percent", "su", 0),
        SD_BUS_SIGNAL("Trouble", "ti", 0),
        SD_BUS_VTABLE_END,
};

static void on_fs_error(uint64_t fsid, int errnum, void *userdata)
{
        Service *s = userdata;

        if (s->client)
                (void)sd_bus_emit_signal(s->client, MOUNTD_PATH, MOUNTD_INTERFACE, "Trouble", "ti",
                                         fsid, (int32_t)errnum);
}

/* The client. */

static void drop_client(Service *s)
{
        s->client = sd_bus_close_unref(s->client);
        requests_give_up_all(s->requests);
        log_debug("The client is gone");
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        drop_client(userdata);
        return 0;
}

static int start_bus(Service *s, int fd, sd_bus **ret)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r >= 0)
                r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_description(bus, "mountd");
        if (r >= 0)
                r = sd_bus_set_server(bus, true, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, true);
        /* Who may connect is the socket's mode; nobody else sends on this connection. */
        if (r >= 0)
                r = sd_bus_set_trusted(bus, true);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        r = sd_bus_add_object_vtable(bus, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, vtable, s);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, s);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, s->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

int service_serve(Service *s, int fd)
{
        if (s->client) {
                close_fd(fd);
                return -EBUSY;
        }
        return start_bus(s, fd, &s->client);
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
        Service *s = userdata;
        int r, fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return 0;
        r = service_serve(s, fd);
        if (r == -EBUSY)
                log_warning("Refused a second client");
        else if (r < 0)
                (void)log_error(r, "Cannot serve a client: %s", strerror(-r));
        return 0;
}

int service_listen(Service *s, int fd)
{
        int r = sd_event_add_io(s->event, &s->listener, fd, EPOLLIN, on_connection, s);

        if (r >= 0)
                r = sd_event_source_set_io_fd_own(s->listener, true);
        /* After the client: that the old one left is seen before the new one comes. */
        if (r >= 0)
                r = sd_event_source_set_priority(s->listener, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->listener, SD_EVENT_OFF);
        if (r >= 0 && requests_start_own(s->requests, REQUEST_START, NULL) < 0)
                accept_clients(s);
        return r;
}

static int make_directory(const char *parent, const char *name, mode_t mode, char **ret)
{
        _cleanup_free_ char *path = text_format("%s/%s", parent, name);

        if (!path)
                return -ENOMEM;
        if (mkdir(path, mode) < 0 && errno != EEXIST)
                return -errno;
        if (chmod(path, mode) < 0)
                return -errno;
        *ret = TAKE_PTR(path);
        return 0;
}

static int begin_requests(Service *s, const ServiceOptions *options)
{
        const Mounter mounter = {
                .records = s->records,
                .staging = s->staging,
                .flags = s->flags,
                .shared = options->shared,
                .checks = options->checks,
                .sbin = options->sbin,
                .errors_fd = fs_errors_fd(s->errors),
        };
        const RequestsHandler handler = { on_done, on_step, on_percent, options->tell_status, s };

        return requests_new(s->event, &mounter, &options->config, &handler, &s->requests);
}

int service_new(sd_event *event, const ServiceOptions *options, Service **ret)
{
        _cleanup_(service_freep) Service *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->config = options->config;
        s->tell_ready = options->tell_ready;
        r = make_directory(options->directory, "volumes", 0755, &s->records);
        if (r >= 0)
                r = make_directory(options->directory, "staging", 0700, &s->staging);
        if (r >= 0)
                r = make_directory(options->directory, "mounted", 0755, &s->flags);
        if (r < 0)
                return r;
        r = fs_errors_new(event, on_fs_error, s, &s->errors);
        if (r < 0)
                log_info("The kernel does not tell of errors of filesystems: %s", strerror(-r));
        r = begin_requests(s, options);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Service *service_free(Service *s)
{
        if (!s)
                return NULL;
        s->client = sd_bus_close_unref(s->client);
        requests_free(s->requests);
        sd_event_source_disable_unref(s->listener);
        fs_errors_free(s->errors);
        sd_event_unref(s->event);
        free(s->records);
        free(s->staging);
        free(s->flags);
        free(s);
        return NULL;
}
