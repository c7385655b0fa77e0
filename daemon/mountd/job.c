/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "job.h"
#include "macro.h"

/* The child's end of the socket. Packets: PACKET_STEP or PACKET_PERCENT and a byte, or a report's.
 */
#define CHILD_FD 3
#define PACKET_STEP 's'
#define PACKET_PERCENT 'p'

struct Job {
        pid_t pid;
        int fd;
        sd_event_source *packets;
        sd_event_source *child;
        sd_event_source *deadline;
        uint64_t timeout_usec;
        JobCallbacks callbacks;
        FailureStep step;
        bool is_done;
};

FailureStep job_step(const Job *job)
{
        return job->step;
}

pid_t job_pid(const Job *job)
{
        return job->pid;
}

Job *job_free(Job *job)
{
        if (!job)
                return NULL;
        if (job->pid > 0)
                (void)kill(job->pid, SIGKILL);
        sd_event_source_disable_unref(job->packets);
        sd_event_source_disable_unref(job->child);
        sd_event_source_disable_unref(job->deadline);
        close_fd(job->fd);
        free(job);
        return NULL;
}

static void done(Job *job, const Report *report, bool timed_out)
{
        if (job->is_done)
                return;
        job->is_done = true;
        job->packets = sd_event_source_disable_unref(job->packets);
        job->deadline = sd_event_source_disable_unref(job->deadline);
        job->callbacks.done(job, report, timed_out, job->callbacks.userdata);
}

void job_kill(Job *job)
{
        (void)kill(job->pid, SIGKILL);
        done(job, NULL, false);
}

static void renew_deadline(Job *job, uint64_t timeout_usec)
{
        (void)sd_event_source_set_time_relative(job->deadline, timeout_usec);
        (void)sd_event_source_set_enabled(job->deadline, SD_EVENT_ONESHOT);
}

static void take_step(Job *job, FailureStep step)
{
        FailureStep before = job->step;

        job->step = step;
        /* Once for each: saying it again gains no time. */
        if (step == STEP_CHECK && before != STEP_CHECK)
                renew_deadline(job, job->timeout_usec + JOB_CHECK_GRACE_USEC);
        else if (before == STEP_CHECK && step != STEP_CHECK)
                renew_deadline(job, job->timeout_usec);
        if (job->callbacks.step)
                job->callbacks.step(job, step, job->callbacks.userdata);
}

static void take_packet(Job *job, const char *data, size_t size)
{
        _cleanup_(report_freep) Report *report = NULL;
        unsigned char value = size == 2 ? (unsigned char)data[1] : 0;

        if (size == 2 && data[0] == PACKET_STEP && value < _FAILURE_STEP_MAX) {
                take_step(job, (FailureStep)value);
                return;
        }
        if (size == 2 && data[0] == PACKET_PERCENT && value <= 100) {
                if (job->callbacks.percent)
                        job->callbacks.percent(job, value, job->callbacks.userdata);
                return;
        }
        /* A child that talks nonsense is not left to go on. */
        if (report_parse(data, size, &report) < 0)
                (void)kill(job->pid, SIGKILL);
        done(job, report, false);
}

/* Whether there was one. */
static bool receive_packet(Job *job)
{
        _cleanup_free_ char *data = malloc(REPORT_SIZE_MAX);
        ssize_t n = data ? recv(job->fd, data, REPORT_SIZE_MAX, MSG_DONTWAIT) : -1;

        if (n > 0)
                take_packet(job, data, (size_t)n);
        return n > 0;
}

static int on_packet(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        /* An end without a report is on_child()'s to see. */
        if (!receive_packet(userdata) && (revents & EPOLLHUP))
                (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        Job *job = userdata;

        (void)kill(job->pid, SIGKILL);
        done(job, NULL, true);
        return 0;
}

static int on_child(sd_event_source *s, const siginfo_t *info, void *userdata)
{
        Job *job = userdata;

        /* Its last words may still be in the socket. */
        while (!job->is_done && receive_packet(job))
                ;
        done(job, NULL, false);
        job->pid = 0;
        job->callbacks.gone(job, job->callbacks.userdata);
        job_free(job);
        return 0;
}

static void say(char kind, unsigned value)
{
        const char packet[] = { kind, (char)value };

        (void)send(CHILD_FD, packet, sizeof(packet), MSG_NOSIGNAL);
}

void job_progress(FailureStep step, void *userdata)
{
        say(PACKET_STEP, step);
}

void job_percent(unsigned percent, void *userdata)
{
        say(PACKET_PERCENT, percent);
}

/* Nothing else of mountd's stays open: a child that hangs must not keep a connection alive. */
static int keep_only(int fd, int keep_fd)
{
        int high = keep_fd < 0 ? -1 : fcntl(keep_fd, F_DUPFD_CLOEXEC, JOB_KEPT_FD + 1);

        if (fd != CHILD_FD && dup3(fd, CHILD_FD, O_CLOEXEC) < 0)
                return -errno;
        if (keep_fd >= 0 && dup3(high, JOB_KEPT_FD, O_CLOEXEC) < 0)
                return -errno;
        return close_range(keep_fd < 0 ? JOB_KEPT_FD : JOB_KEPT_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static _Noreturn void run_child(int fd, JobWork work, void *args, int keep_fd)
{
        Report *report = report_new();
        sigset_t none;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (!report || keep_only(fd, keep_fd) < 0)
                _exit(EXIT_FAILURE);
        work(report, args);
        _exit(report_send(report, CHILD_FD) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int watch(Job *job, sd_event *event)
{
        int r = sd_event_add_io(event, &job->packets, job->fd, EPOLLIN, on_packet, job);

        if (r >= 0)
                r = sd_event_add_child(event, &job->child, job->pid, WEXITED, on_child, job);
        /* After the packets: an answer that is there already is not thrown away. */
        if (r >= 0)
                r = sd_event_source_set_priority(job->child, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &job->deadline, CLOCK_MONOTONIC,
                                               job->timeout_usec, 0, on_deadline, job);
        return r;
}

int job_start(sd_event *event, uint64_t timeout_usec, JobWork work, void *args, int keep_fd,
              const JobCallbacks *callbacks, Job **ret)
{
        Job *job = calloc(1, sizeof(*job));
        _cleanup_close_ int child_fd = -1;
        int fds[2], r;

        if (!job)
                return -ENOMEM;
        job->callbacks = *callbacks;
        job->timeout_usec = timeout_usec;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
                r = -errno;
                free(job);
                return r;
        }
        job->fd = fds[0];
        child_fd = fds[1];
        job->pid = fork();
        if (job->pid == 0)
                run_child(child_fd, work, args, keep_fd);
        r = job->pid < 0 ? -errno : watch(job, event);
        if (r < 0) {
                pid_t pid = job->pid;

                job_free(job);
                if (pid > 0) /* the loop does not know it */
                        (void)waitpid(pid, NULL, 0);
                return r;
        }
        *ret = job;
        return 0;
}
