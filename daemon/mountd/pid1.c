/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <time.h>

#include "macro.h"
#include "pid1.h"
#include "text.h"

#define PID1_ADDRESS "unix:path=/run/systemd/private"
#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"

#define NO_LIMIT UINT64_MAX /* mountd's deadline ends us */

/* Results may come before the reply that names the job, so all are kept until it is known. */
typedef struct JobWait {
        char **results; /* path, result, path, result, … */
        bool oom;
} JobWait;

static int open_pid1(sd_bus **ret)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_address(bus, PID1_ADDRESS);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        JobWait *wait = userdata;
        const char *path, *result;

        if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) < 0)
                return 0;
        if (strv_push(&wait->results, path) < 0 || strv_push(&wait->results, result) < 0)
                wait->oom = true;
        return 0;
}

static const char *find_result(const JobWait *wait, const char *job)
{
        for (char **p = wait->results; p && p[0] && p[1]; p += 2)
                if (streq(p[0], job))
                        return p[1];
        return NULL;
}

static uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t left_until(uint64_t until_usec)
{
        uint64_t now = now_usec();

        return until_usec == NO_LIMIT ? NO_LIMIT : until_usec > now ? until_usec - now : 0;
}

/* Whatever comes next: 0, -ETIMEDOUT, -errno. */
static int step(sd_bus *bus, uint64_t until_usec)
{
        uint64_t left = left_until(until_usec);
        int r = sd_bus_process(bus, NULL);

        if (r == 0 && left == 0)
                return -ETIMEDOUT;
        if (r == 0)
                r = sd_bus_wait(bus, left);
        return r < 0 ? r : 0;
}

/* sd_bus_call() waits for that too, but without a limit of ours. */
static int wait_for_connection(sd_bus *bus, uint64_t until_usec)
{
        int r = sd_bus_is_ready(bus);

        while (r == 0) {
                r = step(bus, until_usec);
                if (r >= 0)
                        r = sd_bus_is_ready(bus);
        }
        return r;
}

static int wait_for_job(sd_bus *bus, JobWait *wait, const char *job, uint64_t until_usec,
                        const char **ret)
{
        for (;;) {
                const char *result = find_result(wait, job);
                int r;

                if (result) {
                        *ret = result;
                        return 0;
                }
                if (wait->oom)
                        return -ENOMEM;
                r = step(bus, until_usec);
                if (r < 0)
                        return r;
        }
}

static int result_to_error(const char *result)
{
        if (streq(result, "done") || streq(result, "skipped"))
                return 0;
        return streq(result, "timeout")    ? -ETIMEDOUT
               : streq(result, "canceled") ? -ECANCELED
                                           : -ECHILD;
}

/* As sd_bus_call() has it: 0 would be the usual 25 s. */
static uint64_t timeout_of_call(uint64_t left_usec)
{
        return left_usec == NO_LIMIT ? 0 : left_usec == 0 ? 1 : left_usec;
}

/* Sends CALL, whose reply is a job's path, and waits for that job. */
static int call_and_wait(sd_bus *bus, sd_bus_message *call, uint64_t limit_usec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_slot *slot = NULL;
        JobWait wait = { 0 };
        uint64_t until = limit_usec == NO_LIMIT ? NO_LIMIT : now_usec() + limit_usec;
        const char *job, *result;
        int r;

        r = sd_bus_match_signal(bus, &slot, NULL, OBJECT, INTERFACE, "JobRemoved", on_job_removed,
                                &wait);
        if (r >= 0)
                r = wait_for_connection(bus, until);
        if (r >= 0)
                r = sd_bus_call(bus, call, timeout_of_call(left_until(until)), &error, &reply);
        if (sd_bus_error_has_name(&error, SERVICE ".NoSuchUnit"))
                r = -ENOENT;
        if (sd_bus_error_has_name(&error, SERVICE ".UnitExists"))
                r = -EEXIST;
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = wait_for_job(bus, &wait, job, until, &result);
        if (r >= 0)
                r = result_to_error(result);
        sd_bus_slot_unref(slot);
        strv_free(wait.results);
        return r;
}

static int new_call(sd_bus *bus, const char *method, const char *unit, const char *mode,
                    sd_bus_message **ret)
{
        int r = sd_bus_message_new_method_call(bus, ret, SERVICE, OBJECT, INTERFACE, method);

        return r < 0 ? r : sd_bus_message_append(*ret, "ss", unit, mode);
}

/* LIMIT_USEC 0: the job is not waited for. */
static int start_or_stop(const char *method, const char *unit, uint64_t limit_usec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r = open_pid1(&bus);

        if (r >= 0)
                r = new_call(bus, method, unit, "replace", &call);
        if (r < 0)
                return r;
        return limit_usec > 0 ? call_and_wait(bus, call, limit_usec)
                              : sd_bus_call(bus, call, 0, NULL, NULL);
}

/* By the name that only modules of filesystems have. It is "fs-", but in a unit's name a dash may
 * be more than that, and to modprobe they are the same. */
int pid1_load_filesystem(const char *type)
{
        _cleanup_free_ char *unit = text_format("modprobe@fs_%s.service", type);

        for (char *dash = unit; dash && (dash = strchr(dash, '-'));)
                *dash = '_';
        return unit ? start_or_stop("StartUnit", unit, NO_LIMIT) : -ENOMEM;
}

int pid1_start(const char *unit)
{
        int r = start_or_stop("StartUnit", unit, 0);

        return r < 0 ? r : 0;
}

int pid1_stop(const char *unit)
{
        return pid1_stop_within(unit, NO_LIMIT);
}

int pid1_stop_within(const char *unit, uint64_t usec)
{
        int r = start_or_stop("StopUnit", unit, usec);

        return r == -ENOENT ? 0 : r;
}

/* systemd puts variables into arguments, and takes two dollars for one. */
static int append_argument(sd_bus_message *m, const char *argument)
{
        _cleanup_free_ char *doubled = malloc(2 * strlen(argument) + 1);
        char *out = doubled;

        if (!doubled)
                return -ENOMEM;
        for (const char *in = argument; *in; in++) {
                if (*in == '$')
                        *out++ = '$';
                *out++ = *in;
        }
        *out = '\0';
        return sd_bus_message_append(m, "s", doubled);
}

static int append_arguments(sd_bus_message *m, const char *const *argv)
{
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (; r >= 0 && *argv; argv++)
                r = append_argument(m, *argv);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_exec(sd_bus_message *m, const char *const *argv)
{
        int r = sd_bus_message_open_container(m, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "ExecStart");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", argv[0]);
        if (r >= 0)
                r = append_arguments(m, argv);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", 0);
        for (int i = 0; r >= 0 && i < 4; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_properties(sd_bus_message *m, const Pid1Command *c)
{
        int r = sd_bus_message_open_container(m, 'a', "(sv)");

        if (r >= 0)
                /* No default dependencies, and left alone by isolate: it lives until PID 1 unmounts
                 * what it serves, which at power-off is after all services. */
                r = sd_bus_message_append(
                        m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", c->description,
                        "Type", "s", "forking", "CollectMode", "s", "inactive-or-failed",
                        "DefaultDependencies", "b", 0, "IgnoreOnIsolate", "b", 1,
                        "TimeoutStartUSec", "t", c->timeout_usec, "StandardOutputFileDescriptor",
                        "h", c->output_fd, "StandardErrorFileDescriptor", "h", c->output_fd);
        if (r >= 0)
                r = append_exec(m, c->argv);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int pid1_run(const Pid1Command *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = open_pid1(&bus);

        if (r < 0)
                return r;
        r = new_call(bus, "StartTransientUnit", c->unit, "fail", &call);
        if (r >= 0)
                r = append_properties(call, c);
        if (r >= 0)
                r = sd_bus_message_append(call, "a(sa(sv))", 0);
        if (r >= 0)
                r = call_and_wait(bus, call, NO_LIMIT);
        return r;
}
