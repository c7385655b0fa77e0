/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "device.h"
#include "eject.h"
#include "fs-errors.h"
#include "job.h"
#include "log.h"
#include "macro.h"
#include "mounter.h"
#include "service.h"
#include "text.h"

#define ERROR_PREFIX "org.wslbare1.Error."
#define GIVEN_UP_NAMED_MAX 4 /* of those that the status counts */
/* What is still there so long after it was killed hangs. */
#define DYING_MAX_USEC (2 * USEC_PER_SEC)
#define OWN_TIMEOUT_USEC (10 * USEC_PER_SEC) /* of what we do unasked */

typedef enum RequestKind {
        REQUEST_PROBE,
        REQUEST_MOUNT,
        REQUEST_UNMOUNT,
        REQUEST_EJECT,
        REQUEST_ADOPT,
        REQUEST_SET_TARGET,
        REQUEST_TIDY,  /* our own, after a child that died */
        REQUEST_START, /* our own, before the first client */
} RequestKind;

typedef struct Request {
        RequestKind kind;
        Service *service;
        Job *job;
        sd_bus_message *message; /* to be answered; NULL when nobody waits */
        char *name;              /* of the volume that it is about, NULL none */
        VolumeConfig *config;
        bool died;            /* without a report */
        bool is_done;         /* with one */
        uint64_t killed_usec; /* CLOCK_MONOTONIC, when it was given up; 0 it was not */
        bool hangs;           /* although it was */
        dev_t devnum;
        uint64_t diskseq;
        bool flag; /* Unmount: lazily; SetTarget: active */
        struct Request *next;
} Request;

struct Service {
        sd_event *event;
        ServiceOptions options;
        char *records;
        char *staging;
        char *flags;
        sd_event_source *listener;
        sd_event_source *dying; /* when those that were given up should be dead */
        FsErrors *errors;       /* NULL: the kernel tells none */
        sd_bus *client;
        Request *requests;
        unsigned n_requests;
};

static Request *request_free(Request *q)
{
        if (!q)
                return NULL;
        sd_bus_message_unref(q->message);
        free(q->name);
        volume_config_free(q->config);
        free(q);
        return NULL;
}

DEFINE_CLEANUP(Request *, request_free)

static bool is_own(const Request *q)
{
        return q->kind == REQUEST_TIDY || q->kind == REQUEST_START;
}

static void unlink_request(Request *q)
{
        for (Request **p = &q->service->requests; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        q->service->n_requests--;
                        return;
                }
}

/* One that is at work on NAME. A child that has given its report only ends. */
static Request *find_request(const Service *s, const char *name)
{
        for (Request *q = s->requests; q; q = q->next)
                if (q->name && !q->is_done && streq(q->name, name))
                        return q;
        return NULL;
}

/* Those that were given up. */

static uint64_t now_usec(const Service *s)
{
        uint64_t now = 0;

        (void)sd_event_now(s->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* One that sits on this disk: whoever else looks at it would hang as well. */
static Request *find_given_up(const Service *s, dev_t devnum, uint64_t diskseq)
{
        for (Request *q = s->requests; q; q = q->next)
                if (q->killed_usec != 0 && q->devnum == devnum && q->diskseq == diskseq)
                        return q;
        return NULL;
}

static char *describe(const Request *q)
{
        _cleanup_(device_freep) Device *d = NULL;
        const char *name = q->name ? q->name : "a look";

        if (q->devnum == 0 || device_new(q->devnum, &d) < 0 || device_read_sysfs(d) < 0)
                return strdup(name);
        return text_format("%s on %s", name, d->node);
}

static void write_status(const Service *s, FILE *f)
{
        unsigned n = 0, named = 0;

        for (const Request *q = s->requests; q; q = q->next)
                n += q->hangs;
        if (n == 0)
                return;
        (void)fprintf(f, "%u given up, as the disk does not answer:", n);
        for (const Request *q = s->requests; q && named < GIVEN_UP_NAMED_MAX; q = q->next) {
                _cleanup_free_ char *what = q->hangs ? describe(q) : NULL;

                if (what)
                        (void)fprintf(f, "%s %s", named++ > 0 ? "," : "", what);
        }
        if (n > named)
                (void)fprintf(f, " and %u more", n - named);
}

static void tell_status(const Service *s)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = s->options.tell_status ? open_memstream(&text, &size) : NULL;

        if (!f)
                return;
        write_status(s, f);
        if (fclose(f) == 0)
                s->options.tell_status(text);
}

static void note_hanging(Request *q)
{
        _cleanup_free_ char *what = describe(q);
        const LogContext about = { q->name, NULL };

        q->hangs = true;
        log_full(LOG_WARNING, ETIMEDOUT, &about,
                 "Gave up %s at step %s, and its process %d does not end: the disk does not answer",
                 what ? what : "a request", failure_step_to_string(job_step(q->job)),
                 (int)job_pid(q->job));
}

static void await_death(Service *s, uint64_t usec)
{
        (void)sd_event_source_set_time(s->dying, usec);
        (void)sd_event_source_set_enabled(s->dying, SD_EVENT_ONESHOT);
}

static int on_dying(sd_event_source *source, uint64_t usec, void *userdata)
{
        Service *s = userdata;
        uint64_t next = UINT64_MAX;

        for (Request *q = s->requests; q; q = q->next) {
                if (q->killed_usec == 0 || q->hangs)
                        continue;
                if (q->killed_usec + DYING_MAX_USEC <= usec)
                        note_hanging(q);
                else if (q->killed_usec + DYING_MAX_USEC < next)
                        next = q->killed_usec + DYING_MAX_USEC;
        }
        if (next != UINT64_MAX)
                await_death(s, next);
        tell_status(s);
        return 0;
}

/* Its child was killed; usually it is dead in a moment. */
static void give_up(Request *q)
{
        Service *s = q->service;
        int enabled = SD_EVENT_OFF;

        q->killed_usec = now_usec(s);
        (void)sd_event_source_get_enabled(s->dying, &enabled);
        if (enabled == SD_EVENT_OFF)
                await_death(s, q->killed_usec + DYING_MAX_USEC);
}

/* The work, in the child. */

static void share(const ConfigSource *source)
{
        _cleanup_(config_freep) Config *config = NULL;

        if (config_load(source, &config) >= 0)
                mounter_share(config);
}

static void work(Report *report, void *args)
{
        Request *q = args;
        const Mounter m = {
                .records = q->service->records,
                .staging = q->service->staging,
                .flags = q->service->flags,
                .shared = q->service->options.shared,
                .sbin = q->service->options.sbin,
                .errors_fd = q->service->errors ? JOB_KEPT_FD : -1,
                .progress = job_progress,
                .percent = job_percent,
        };

        switch (q->kind) {
        case REQUEST_PROBE:
                (void)mounter_probe(q->devnum, q->diskseq, report);
                break;
        case REQUEST_MOUNT:
                (void)mounter_mount(&m, q->config, q->devnum, q->diskseq, report);
                break;
        case REQUEST_UNMOUNT:
                (void)mounter_unmount(&m, q->name, q->flag, report);
                break;
        case REQUEST_EJECT:
                (void)eject_volume(&m, &q->service->options.config, q->name, report);
                break;
        case REQUEST_ADOPT:
                (void)mounter_adopt(&m, q->config, q->devnum, q->diskseq, report);
                break;
        case REQUEST_SET_TARGET:
                (void)mounter_set_target(&m, q->name, q->flag, report);
                break;
        case REQUEST_TIDY:
                mounter_tidy(&m, q->name);
                break;
        case REQUEST_START:
                mounter_tidy_all(&m);
                share(&q->service->options.config);
                break;
        }
}

/* Answers. */

static Report *report_of_death(const Request *q, bool timed_out)
{
        Report *report = report_new();

        if (!report)
                return NULL;
        if (timed_out)
                (void)report_fail(report, "TimedOut", job_step(q->job), ETIMEDOUT,
                                  "It did not end in time and was given up; the disk may hang");
        else
                (void)report_fail(report, "MountFailed", job_step(q->job), EIO,
                                  "The process that did it died");
        return report;
}

static int reply(Request *q, const Report *report)
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
}

static void on_done(Job *job, const Report *report, bool timed_out, void *userdata)
{
        Request *q = userdata;
        _cleanup_(report_freep) Report *death = NULL;

        q->job = job;
        q->died = !report;
        q->is_done = report != NULL;
        if (timed_out)
                give_up(q);
        if (q->kind == REQUEST_START)
                accept_clients(q->service);
        if (!q->message)
                return;
        if (!report)
                report = death = report_of_death(q, timed_out);
        if (!report || reply(q, report) < 0)
                (void)sd_bus_reply_method_errno(q->message, ENOMEM, NULL);
        q->message = sd_bus_message_unref(q->message);
}

static void on_step(Job *job, FailureStep step, void *userdata)
{
        Request *q = userdata;

        if (q->message && q->name)
                (void)sd_bus_emit_signal(q->service->client, MOUNTD_PATH, MOUNTD_INTERFACE,
                                         "Progress", "ss", q->name, failure_step_to_string(step));
}

static void on_percent(Job *job, unsigned percent, void *userdata)
{
        Request *q = userdata;

        if (q->message && q->name)
                (void)sd_bus_emit_signal(q->service->client, MOUNTD_PATH, MOUNTD_INTERFACE,
                                         "Percent", "su", q->name, (uint32_t)percent);
}

static void start_own(Service *s, RequestKind kind, const char *name);

static void on_gone(Job *job, void *userdata)
{
        _cleanup_(request_freep) Request *q = userdata;

        unlink_request(q);
        if (q->hangs)
                tell_status(q->service);
        if (q->died && q->name && q->kind != REQUEST_TIDY)
                start_own(q->service, REQUEST_TIDY, q->name);
}

static int start(Request *q, uint64_t timeout_usec)
{
        const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, q };
        Service *s = q->service;
        int r = job_start(s->event, timeout_usec, work, q, fs_errors_fd(s->errors), &callbacks,
                          &q->job);

        if (r < 0)
                return r;
        q->next = s->requests;
        s->requests = q;
        s->n_requests++;
        return 0;
}

static Request *new_request(Service *s, RequestKind kind, const char *name)
{
        _cleanup_(request_freep) Request *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        q->kind = kind;
        q->service = s;
        if (name && !(q->name = strdup(name)))
                return NULL;
        return TAKE_PTR(q);
}

/* What nobody asked for: failing is only worth a word. */
static void start_own(Service *s, RequestKind kind, const char *name)
{
        _cleanup_(request_freep) Request *q = new_request(s, kind, name);
        int r = q ? start(q, OWN_TIMEOUT_USEC) : -ENOMEM;

        if (r >= 0) {
                TAKE_PTR(q);
                return;
        }
        (void)log_error(r, "Cannot tidy up: %s", strerror(-r));
        accept_clients(s);
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

        if (s->n_requests >= MOUNTD_JOBS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many requests are at work");
        if (!q->name)
                return 0;
        if (!volume_name_is_valid(q->name))
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "Not a volume's name");
        other = find_request(s, q->name);
        return other ? refuse_for(other, error) : 0;
}

/* NAME's own file, and only if it is the one that the client speaks of. FINGERPRINT NULL: whichever
 * it is. */
static int load_config(Request *q, const char *fingerprint, sd_bus_error *error)
{
        _cleanup_free_ char *problem = NULL;
        int r = config_load_volume(&q->service->options.config, q->name, &q->config, &problem);

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

static uint64_t timeout_of(const Request *q)
{
        if (q->config)
                return q->config->mount_timeout_usec;
        return q->kind == REQUEST_PROBE || q->kind == REQUEST_ADOPT ? MOUNTD_PROBE_TIMEOUT_USEC
                                                                    : MOUNTD_UNMOUNT_TIMEOUT_USEC;
}

static int submit(Request *q, sd_bus_message *m)
{
        int r;

        q->message = sd_bus_message_ref(m);
        r = start(q, timeout_of(q));
        return r < 0 ? r : 1;
}

static int method_probe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(request_freep) Request *q = new_request(userdata, REQUEST_PROBE, NULL);
        const Request *other;
        uint64_t devnum;
        int r;

        if (!q)
                return -ENOMEM;
        r = sd_bus_message_read(m, "tt", &devnum, &q->diskseq);
        if (r < 0)
                return r;
        q->devnum = devnum;
        r = check_request(q->service, q, error);
        other = find_given_up(q->service, q->devnum, q->diskseq);
        if (r >= 0)
                r = other ? refuse_for(other, error) : submit(q, m);
        if (r > 0)
                TAKE_PTR(q);
        return r;
}

/* Mount and Adopt: what is done comes from the file, on which device from the request. */
static int start_with_device(Service *s, sd_bus_message *m, RequestKind kind, const char *name,
                             uint64_t devnum, uint64_t diskseq, const char *fingerprint,
                             sd_bus_error *error)
{
        _cleanup_(request_freep) Request *q = new_request(s, kind, name);
        int r;

        if (!q)
                return -ENOMEM;
        q->devnum = devnum;
        q->diskseq = diskseq;
        r = check_request(s, q, error);
        if (r >= 0)
                r = load_config(q, fingerprint, error);
        if (r >= 0)
                r = submit(q, m);
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
        _cleanup_(request_freep) Request *q = new_request(s, kind, name);
        int r;

        if (!q)
                return -ENOMEM;
        q->flag = flag;
        r = check_request(s, q, error);
        if (r >= 0)
                r = submit(q, m);
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
        for (Request *q = s->requests; q; q = q->next) {
                q->message = sd_bus_message_unref(q->message);
                if (is_own(q)) /* what tidies up after a client outlives it */
                        continue;
                job_kill(q->job);
                give_up(q);
        }
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
        if (r >= 0)
                start_own(s, REQUEST_START, NULL);
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

int service_new(sd_event *event, const ServiceOptions *options, Service **ret)
{
        _cleanup_(service_freep) Service *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->options = *options;
        r = make_directory(options->directory, "volumes", 0755, &s->records);
        if (r >= 0)
                r = make_directory(options->directory, "staging", 0700, &s->staging);
        if (r >= 0)
                r = make_directory(options->directory, "mounted", 0755, &s->flags);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &s->dying, CLOCK_MONOTONIC, 0, 0, on_dying, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->dying, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = fs_errors_new(event, on_fs_error, s, &s->errors);
        if (r < 0)
                log_info("The kernel does not tell of errors of filesystems: %s", strerror(-r));
        *ret = TAKE_PTR(s);
        return 0;
}

Service *service_free(Service *s)
{
        if (!s)
                return NULL;
        s->client = sd_bus_close_unref(s->client);
        while (s->requests) {
                Request *q = s->requests;

                s->requests = q->next;
                job_free(q->job);
                request_free(q);
        }
        sd_event_source_disable_unref(s->listener);
        sd_event_source_disable_unref(s->dying);
        fs_errors_free(s->errors);
        sd_event_unref(s->event);
        free(s->records);
        free(s->staging);
        free(s->flags);
        free(s);
        return NULL;
}
