/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "config.h"
#include "fuzz.h"
#include "job.h"
#include "log.h"
#include "macro.h"
#include "service.h"
#include "test.h"
#include "text.h"

/* mountd's requests, from a client that means it no good. The input is a script, one step a line:
 *
 *     METHOD SIGNATURE VALUE…      a call; "=" for a fingerprint is the right one
 *     .BYTES                       bytes that are no message
 *     <N PACKET                    what the N-th child at work says; NULs are written as ^
 *     >N                           it ends
 *     ~N                           its time is up
 *     !                            no more processes can be had
 *     -                            the client goes, and another one comes
 *
 * Nothing is done: in place of job.c, children are what the script makes of them. Every call is
 * answered once. */

#define JOBS_MAX 32U
#define CALLS_MAX 64U
#define STEPS_MAX 64U /* more teach nothing new, and take their time */

struct Job {
        JobCallbacks callbacks;
        FailureStep step;
        bool is_done;
        bool is_own; /* mountd's, not a call's */
};

static struct {
        Job *jobs[JOBS_MAX];
        unsigned n_jobs;
        bool no_more;
        bool burying; /* what is started meanwhile was asked for by nobody */

        sd_event *event;
        Service *service;
        sd_bus *client;
        int raw_fd;
        unsigned n_calls;
        unsigned n_replies;
        bool spoilt; /* bytes were sent that are no message: answers may be missing */
} world;

/* Its files. */

static char config_directory[128], run_directory[128];

static const ConfigSource *source(void)
{
        static const char *dirs[] = { config_directory, NULL };
        static ConfigSource s;

        s = (ConfigSource){ .dirs = dirs, .owner = getuid() };
        return &s;
}

static void make_files(void)
{
        static const char *const names[] = { "data.conf", "other.conf" };

        if (config_directory[0] != '\0')
                return;
        log_set_level(LOG_EMERG);
        (void)snprintf(config_directory, sizeof(config_directory), "%s", test_directory());
        (void)snprintf(run_directory, sizeof(run_directory), "%s", test_directory());
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *text =
                        text_format("[Match]\nLabel=x\n[Mount]\nWhere=/nowhere/%s\n", names[i]);

                CHECK(text);
                test_write(config_directory, names[i], text);
        }
        test_write(config_directory, "bad.conf", "[Match]\n");
}

/* Children. */

FailureStep job_step(const Job *job)
{
        return job->step;
}

pid_t job_pid(const Job *job)
{
        return 1;
}

static void done(Job *job, const Report *report, bool timed_out)
{
        if (job->is_done)
                return;
        job->is_done = true;
        job->callbacks.done(job, report, timed_out, job->callbacks.userdata);
}

void job_kill(Job *job)
{
        done(job, NULL, false);
}

Job *job_free(Job *job)
{
        for (unsigned i = 0; i < world.n_jobs; i++)
                if (world.jobs[i] == job)
                        world.jobs[i] = world.jobs[--world.n_jobs];
        free(job);
        return NULL;
}

void job_progress(FailureStep step, void *userdata)
{
        CHECK(false); /* nothing is at work */
}

void job_percent(unsigned percent, void *userdata)
{
        CHECK(false);
}

int job_start(sd_event *event, uint64_t timeout_usec, JobWork work, void *args, int keep_fd,
              const JobCallbacks *callbacks, Job **ret)
{
        Job *job;

        CHECK(timeout_usec > 0 && timeout_usec < UINT64_MAX);
        if (world.no_more || world.n_jobs == JOBS_MAX)
                return -EAGAIN;
        job = calloc(1, sizeof(*job));
        CHECK(job);
        job->callbacks = *callbacks;
        job->is_own = world.burying;
        world.jobs[world.n_jobs++] = job;
        *ret = job;
        return 0;
}

static void job_says(Job *job, const char *packet)
{
        _cleanup_(report_freep) Report *report = NULL;
        _cleanup_free_ char *data = strdup(packet);
        size_t size = strlen(packet);
        unsigned value = size == 2 ? (unsigned char)packet[1] : 0;

        CHECK(data);
        if (job->is_done)
                return;
        if (size == 2 && packet[0] == 's') {
                job->step = (FailureStep)(value % _FAILURE_STEP_MAX);
                job->callbacks.step(job, job->step, job->callbacks.userdata);
                return;
        }
        if (size == 2 && packet[0] == 'p') {
                job->callbacks.percent(job, value % 101, job->callbacks.userdata);
                return;
        }
        for (char *p = data; *p; p++)
                if (*p == '^')
                        *p = '\0';
        (void)report_parse(data, size, &report);
        done(job, report, false);
}

static void job_ends(Job *job)
{
        done(job, NULL, false);
        world.burying = true;
        job->callbacks.gone(job, job->callbacks.userdata);
        world.burying = false;
        job_free(job);
}

/* The client. */

static void pump(void)
{
        bool more;

        do {
                int r = sd_event_run(world.event, 0);

                CHECK(r >= 0);
                more = r > 0;
                r = world.client ? sd_bus_process(world.client, NULL) : 0;
                if (r < 0) {
                        world.client = sd_bus_close_unref(world.client);
                        r = 1;
                }
                more |= r > 0;
        } while (more);
}

static void connect_client(void)
{
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        CHECK(service_serve(world.service, fds[0]) == 0);
        CHECK(sd_bus_new(&world.client) >= 0);
        CHECK(sd_bus_set_fd(world.client, fds[1], fds[1]) >= 0);
        CHECK(sd_bus_negotiate_fds(world.client, true) >= 0);
        CHECK(sd_bus_start(world.client) >= 0);
        world.raw_fd = fds[1];
        world.n_calls = world.n_replies = 0;
        world.spoilt = false;
        pump();
        CHECK(sd_bus_is_ready(world.client) > 0);
}

static void disconnect_client(void)
{
        world.client = sd_bus_close_unref(world.client);
        pump();
        for (unsigned i = 0; i < world.n_jobs; i++)
                CHECK(world.jobs[i]->is_done || world.jobs[i]->is_own); /* it works for nobody */
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        world.n_replies++;
        CHECK(world.n_replies <= world.n_calls);
        if (e) {
                CHECK(!sd_bus_error_has_name(e, "org.wslbare1.Error."));
                return 0;
        }
        CHECK(streq(sd_bus_message_get_signature(m, true), "a{sv}") ||
              streq(sd_bus_message_get_signature(m, true), "h"));
        return 0;
}

static const char *fingerprint_of(const char *name)
{
        static char text[256];
        _cleanup_(volume_config_freep) VolumeConfig *c = NULL;
        _cleanup_free_ char *problem = NULL;

        if (config_load_volume(source(), name, &c, &problem) < 0)
                return "";
        (void)snprintf(text, sizeof(text), "%s", c->fingerprint);
        return text;
}

/* Appends a value of TYPE; what cannot be appended (a string that is not UTF-8) makes no message.
 */
static int append(sd_bus_message *m, char type, const char *value, const char *first)
{
        switch (type) {
        case 't':
                return sd_bus_message_append(m, "t", (uint64_t)strtoull(value, NULL, 0));
        case 'b':
                return sd_bus_message_append(m, "b", value[0] == '1');
        case 's':
                return sd_bus_message_append(m, "s",
                                             streq(value, "=") ? fingerprint_of(first) : value);
        case 'v':
                return sd_bus_message_append(m, "v", "s", value);
        case 'h':
                return sd_bus_message_append(m, "h", STDIN_FILENO);
        }
        return -EINVAL;
}

static void call(char *line)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char *method = strsep(&line, " "), *signature = strsep(&line, " "), *first = line;
        char name[128] = "";

        if (!world.client || world.n_calls == CALLS_MAX ||
            sd_bus_message_new_method_call(world.client, &m, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                           method) < 0)
                return;
        if (first)
                (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(first, " "), first);
        for (; signature && *signature; signature++) {
                const char *value = strsep(&line, " ");

                if (append(m, *signature, value ? value : "", name) < 0)
                        return;
        }
        if (sd_bus_call_async(world.client, NULL, m, on_reply, NULL, UINT64_MAX) < 0) {
                CHECK(world.spoilt); /* it is being closed */
                return;
        }
        world.n_calls++;
        pump();
}

/* Each call was answered, or a child is at work on it. */
static void check_answers(void)
{
        unsigned n = world.n_replies;

        for (unsigned i = 0; i < world.n_jobs; i++)
                n += !world.jobs[i]->is_done && !world.jobs[i]->is_own;
        CHECK(world.spoilt || n == world.n_calls);
}

static void send_bytes(const char *bytes)
{
        if (!world.client)
                return;
        CHECK(sd_bus_flush(world.client) >= 0);
        (void)send(world.raw_fd, bytes, strlen(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
        world.spoilt = true;
        pump();
}

static void step(char *line)
{
        char *rest = line + 1;
        unsigned long n = line[0] ? strtoul(rest, &rest, 10) : 0;
        Job *job = n < world.n_jobs ? world.jobs[n] : NULL;

        switch (line[0]) {
        case '.':
                send_bytes(line + 1);
                break;
        case '<':
                if (job)
                        job_says(job, rest + (*rest == ' '));
                break;
        case '>':
                if (job)
                        job_ends(job);
                break;
        case '~':
                if (job)
                        done(job, NULL, true);
                break;
        case '!':
                world.no_more = !world.no_more;
                break;
        case '-':
                disconnect_client();
                connect_client();
                break;
        default:
                call(line);
        }
        pump();
        check_answers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ServiceOptions options = { .shared = "/mnt/wsl", .checks = "/dev/null" };
        char *line;

        make_files();
        options.config = *source();
        options.directory = run_directory;
        CHECK(sd_event_new(&world.event) >= 0);
        CHECK(service_new(world.event, &options, &world.service) == 0);
        connect_client();
        for (unsigned n = 0; n < STEPS_MAX && (line = fuzz_line(&data, &size)); n++) {
                step(line);
                free(line);
        }
        /* All that is at work ends, and with it what that leads to. */
        world.no_more = false;
        while (world.n_jobs > 0)
                job_ends(world.jobs[0]);
        pump();
        check_answers();
        world.client = sd_bus_close_unref(world.client);
        world.service = service_free(world.service);
        CHECK(world.n_jobs == 0);
        world.event = sd_event_unref(world.event);
        return 0;
}
