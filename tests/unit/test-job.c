/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "job.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define CHILD_FD 3 /* as in job.c */
#define LONG_USEC (60 * USEC_PER_SEC)
#define STEPS_MAX 16

/* What happened to a job, in order: "s3" a step, "50%" of it, "d" done, "g" gone. */
typedef struct Log {
        sd_event *event;
        char events[STEPS_MAX * 4];
        bool timed_out;
        char *node; /* of the report; NULL: none came */
        FailureStep last_step;
        unsigned *n_waited; /* for many jobs; NULL: the loop ends with this one */
} Log;

static sd_event *event;
static Log job_log;

static void say(Log *l, const char *what)
{
        ASSERT(strlen(l->events) + strlen(what) < sizeof(l->events));
        strcat(l->events, what);
}

static void on_done(Job *job, const Report *report, bool timed_out, void *userdata)
{
        Log *l = userdata;
        const char *node = report ? report_get(report, "Node") : NULL;

        say(l, "d");
        l->timed_out = timed_out;
        l->last_step = job_step(job);
        if (report)
                l->node = strdup(node ? node : "");
}

static void on_step(Job *job, FailureStep step, void *userdata)
{
        char text[8];

        snprintf(text, sizeof(text), "s%d", (int)step);
        ASSERT_EQ(job_step(job), step);
        say(userdata, text);
}

static void on_percent(Job *job, unsigned percent, void *userdata)
{
        char text[8];

        snprintf(text, sizeof(text), "%u%%", percent % 1000);
        say(userdata, text);
}

static void on_gone(Job *job, void *userdata)
{
        Log *l = userdata;

        say(l, "g");
        if (!l->n_waited || --*l->n_waited == 0)
                ASSERT(sd_event_exit(l->event, 0) >= 0);
}

static void log_done(Log *l)
{
        free(TAKE_PTR(l->node));
        *l = (Log){ 0 };
}

/* A loop of the case's own, and nothing known of what happened. */
static void begin(void)
{
        sigset_t mask;

        ASSERT_OK(sigemptyset(&mask));
        ASSERT_OK(sigaddset(&mask, SIGCHLD));
        ASSERT_OK(sigprocmask(SIG_BLOCK, &mask, NULL));
        log_done(&job_log);
        event = sd_event_unref(event);
        ASSERT(sd_event_new(&event) >= 0);
        job_log.event = event;
}

static void end(void)
{
        log_done(&job_log);
        event = sd_event_unref(event);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left behind */
}

static Job *start(JobWork work, void *args, uint64_t timeout_usec)
{
        const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, &job_log };
        Job *job = NULL;

        ASSERT_OK(job_start(event, timeout_usec, work, args, -1, &callbacks, &job));
        ASSERT(job);
        return job;
}

static uint64_t now_usec(void)
{
        struct timespec t;

        ASSERT_OK(clock_gettime(CLOCK_MONOTONIC, &t));
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

/* Until the child is gone, or something is wrong. */
static void run_loop(void)
{
        uint64_t end_usec = now_usec() + 20 * USEC_PER_SEC;

        while (sd_event_get_state(event) != SD_EVENT_FINISHED) {
                ASSERT(now_usec() < end_usec);
                ASSERT(sd_event_run(event, USEC_PER_SEC) >= 0);
        }
}

static void run_job(JobWork work, void *args, uint64_t timeout_usec)
{
        begin();
        (void)start(work, args, timeout_usec);
        run_loop();
}

static void work_answer(Report *report, void *args)
{
        report_add(report, "Node", "%s", (const char *)args);
}

static void test_answer(void)
{
        char text[] = "/dev/x";

        run_job(work_answer, text, LONG_USEC);
        ASSERT_STR(job_log.events, "dg");
        ASSERT_STR(job_log.node, "/dev/x");
        ASSERT(!job_log.timed_out);
        end();
}

static void work_nothing(Report *report, void *args)
{
}

/* Success without anything to say is not the same as a death. */
static void test_empty_answer(void)
{
        run_job(work_nothing, NULL, LONG_USEC);
        ASSERT_STR(job_log.events, "dg");
        ASSERT_STR(job_log.node, "");
        end();
}

static void work_steps(Report *report, void *args)
{
        job_progress(STEP_PROBE, NULL);
        job_progress(STEP_TARGET, NULL);
        job_progress(STEP_MOUNT, NULL);
        report_add(report, "Node", "x");
}

static void test_progress(void)
{
        char want[32];

        run_job(work_steps, NULL, LONG_USEC);
        snprintf(want, sizeof(want), "s%ds%ds%ddg", STEP_PROBE, STEP_TARGET, STEP_MOUNT);
        ASSERT_STR(job_log.events, want);
        ASSERT_EQ(job_log.last_step, STEP_MOUNT);
        ASSERT_STR(job_log.node, "x");
        end();
}

static void test_progress_unheard(void)
{
        const JobCallbacks callbacks = { on_done, NULL, NULL, on_gone, &job_log };
        Job *job;

        begin();
        ASSERT_OK(job_start(event, LONG_USEC, work_steps, NULL, -1, &callbacks, &job));
        run_loop();
        ASSERT_STR(job_log.events, "dg");
        ASSERT_EQ(job_log.last_step, STEP_MOUNT);
        end();
}

static void work_hang(Report *report, void *args)
{
        job_progress(STEP_MOUNT, NULL);
        for (;;)
                pause();
}

static void test_deadline(void)
{
        uint64_t begin_usec = now_usec(), took;
        char want[16];

        run_job(work_hang, NULL, 300 * USEC_PER_MSEC);
        took = now_usec() - begin_usec;
        snprintf(want, sizeof(want), "s%ddg", STEP_MOUNT);
        ASSERT_STR(job_log.events, want);
        ASSERT(job_log.timed_out);
        ASSERT_STR(job_log.node, NULL);
        ASSERT_EQ(job_log.last_step, STEP_MOUNT);
        ASSERT(took >= 300 * USEC_PER_MSEC);
        end();
}

static void work_check(Report *report, void *args)
{
        (void)usleep(1200 * 1000);
        job_progress(STEP_CHECK, NULL);
        job_percent(50, NULL);
        (void)usleep(2400 * 1000);
        job_progress(STEP_TARGET, NULL);
        (void)usleep(1200 * 1000);
        report_add(report, "Node", "x");
}

/* A check has its own time, and what comes after it as well. */
static void test_check(void)
{
        char want[32];

        run_job(work_check, NULL, 2200 * USEC_PER_MSEC);
        snprintf(want, sizeof(want), "s%d50%%s%ddg", STEP_CHECK, STEP_TARGET);
        ASSERT_STR(job_log.events, want);
        ASSERT_STR(job_log.node, "x");
        end();
}

static void work_hang_after_check(Report *report, void *args)
{
        job_progress(STEP_CHECK, NULL);
        work_hang(report, args);
}

static void test_check_deadline(void)
{
        uint64_t begin_usec = now_usec();

        run_job(work_hang_after_check, NULL, 100 * USEC_PER_MSEC);
        ASSERT(job_log.timed_out);
        ASSERT(now_usec() - begin_usec < JOB_CHECK_GRACE_USEC);
        end();
}

static void work_check_for_ever(Report *report, void *args)
{
        for (;;) {
                job_progress(STEP_CHECK, NULL);
                (void)usleep(500 * 1000);
        }
}

/* To say it again and again gains nothing. */
static void test_check_for_ever(void)
{
        uint64_t begin_usec = now_usec();

        run_job(work_check_for_ever, NULL, USEC_PER_SEC);
        ASSERT(job_log.timed_out);
        ASSERT_EQ(job_log.last_step, STEP_CHECK);
        ASSERT(now_usec() - begin_usec >= USEC_PER_SEC + JOB_CHECK_GRACE_USEC);
        end();
}

static void work_die(Report *report, void *args)
{
        const int *how = args;

        if (*how > 0)
                (void)raise(*how);
        _exit(-*how);
}

static void test_death(void)
{
        int how[] = { 0, -1, SIGKILL, SIGTERM, SIGUSR1 };

        for (size_t i = 0; i < ELEMENTSOF(how); i++) {
                run_job(work_die, &how[i], LONG_USEC);
                ASSERT_STR(job_log.events, "dg");
                ASSERT_STR(job_log.node, NULL);
                ASSERT(!job_log.timed_out);
                end();
        }
}

static void send_raw(const void *data, size_t size)
{
        if (send(CHILD_FD, data, size, MSG_NOSIGNAL) < 0)
                _exit(1);
}

static void work_raw(Report *report, void *args)
{
        const char *text = args;

        send_raw(text + 1, (size_t)(unsigned char)text[0]);
        _exit(0);
}

/* Packets that no child of ours sends; each is an end without a report. */
static void test_nonsense(void)
{
        static const struct {
                const char *name;
                const char *packet; /* after its length */
                const char *want;
        } rows[] = {
                { "one byte", "\1x", "dg" },          { "long step", "\3s\1\1", "dg" },
                { "short step", "\1s", "dg" },        { "unknown key", "\012rUnheard\0x", "dg" },
                { "no NUL", "\5rNode", "dg" },        { "no step", "\2s\177", "dg" },
                { "negative step", "\2s\377", "dg" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                run_job(work_raw, (void *)(uintptr_t)rows[i].packet, LONG_USEC);
                ASSERT_STR(job_log.events, rows[i].want);
                ASSERT_STR(job_log.node, NULL);
                end();
        }
}

static void work_close(Report *report, void *args)
{
        const struct timespec *pause_time = args;

        close(CHILD_FD);
        (void)nanosleep(pause_time, NULL);
}

/* A child that hung up still has to go; waiting for that costs nothing. */
static void test_hangup(void)
{
        struct timespec pause_time = { .tv_nsec = 300 * 1000 * 1000 };
        unsigned n = 0;

        begin();
        (void)start(work_close, &pause_time, LONG_USEC);
        for (; sd_event_get_state(event) != SD_EVENT_FINISHED; n++)
                ASSERT(sd_event_run(event, 20 * USEC_PER_SEC) >= 0);
        ASSERT_STR(job_log.events, "dg");
        ASSERT_STR(job_log.node, NULL);
        ASSERT(n < 10);
        end();
}

static void test_hangup_deadline(void)
{
        struct timespec pause_time = { .tv_sec = 60 };

        run_job(work_close, &pause_time, 200 * USEC_PER_MSEC);
        ASSERT_STR(job_log.events, "dg");
        ASSERT(job_log.timed_out);
        end();
}

static void work_answer_and_hang(Report *report, void *args)
{
        report_add(report, "Node", "first");
        if (report_send(report, CHILD_FD) < 0 || report_send(report, CHILD_FD) < 0)
                _exit(1);
        for (;;)
                pause();
}

/* The first answer counts, also when the child then stays; and killing it is no second one. */
static void test_answer_and_hang(void)
{
        Job *job;

        begin();
        job = start(work_answer_and_hang, NULL, LONG_USEC);
        while (!job_log.events[0])
                ASSERT(sd_event_run(event, 20 * USEC_PER_SEC) >= 0);
        ASSERT_STR(job_log.node, "first");
        job_kill(job);
        run_loop();
        ASSERT_STR(job_log.events, "dg");
        ASSERT_STR(job_log.node, "first");
        end();
}

static void test_kill(void)
{
        Job *job;

        begin();
        job = start(work_hang, NULL, LONG_USEC);
        job_kill(job);
        ASSERT_STR(job_log.events, "d");
        job_kill(job);
        run_loop();
        ASSERT_STR(job_log.events, "dg");
        ASSERT_STR(job_log.node, NULL);
        ASSERT(!job_log.timed_out);
        end();
}

static void test_free_at_work(void)
{
        int status;
        Job *job;

        begin();
        job = start(work_hang, NULL, 100 * USEC_PER_MSEC);
        ASSERT(!job_free(job));
        ASSERT(!job_free(NULL));
        ASSERT(waitpid(-1, &status, 0) > 0);
        ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        ASSERT(sd_event_run(event, 200 * USEC_PER_MSEC) >= 0);
        ASSERT_STR(job_log.events, "");
        end();
}

/* It cannot be watched, as SIGCHLD is not blocked. */
static void test_unwatched(void)
{
        const JobCallbacks callbacks = { .done = on_done, .gone = on_gone };
        sigset_t mask;
        Job *job = NULL;

        begin();
        ASSERT_OK(sigemptyset(&mask));
        ASSERT_OK(sigaddset(&mask, SIGCHLD));
        ASSERT_OK(sigprocmask(SIG_UNBLOCK, &mask, NULL));
        ASSERT_EQ(job_start(event, LONG_USEC, work_hang, NULL, -1, &callbacks, &job), -EBUSY);
        ASSERT(!job);
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        ASSERT_OK(sigprocmask(SIG_BLOCK, &mask, NULL));
        end();
}

/* Says "" when nothing is open but what should be. ARGS: the file that is kept, NULL none. */
static void work_look(Report *report, void *args)
{
        const struct stat *kept = args;
        struct stat st;
        sigset_t mask;
        int n = 0;

        for (int fd = kept ? JOB_KEPT_FD + 1 : CHILD_FD + 1; fd < 1000; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        if (kept && (fstat(JOB_KEPT_FD, &st) < 0 || st.st_ino != kept->st_ino ||
                     fcntl(JOB_KEPT_FD, F_GETFD) != FD_CLOEXEC))
                report_add(report, "Node", "what was to be kept is not");
        if (n > 0)
                report_add(report, "Node", "%d descriptors", n);
        if (fcntl(CHILD_FD, F_GETFD) != FD_CLOEXEC)
                report_add(report, "Node", "its socket would be inherited");
        if (sigprocmask(SIG_SETMASK, NULL, &mask) < 0 || !sigisemptyset(&mask))
                report_add(report, "Node", "signals are blocked");
}

static void test_descriptors(void)
{
        int fds[] = { open("/", O_PATH), open("/", O_RDONLY), dup(0), dup(1),
                      open("/proc/self/mountinfo", O_RDONLY) };
        int before, after;

        begin();
        before = dup(0);
        close_fd(before);
        (void)start(work_look, NULL, LONG_USEC);
        run_loop();
        ASSERT_STR(job_log.node, "");
        after = dup(0);
        close_fd(after);
        ASSERT_EQ(after, before);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close_fd(fds[i]);
        end();
}

/* When the end of the job's socket that the child has is 3 already. */
static void test_descriptor_in_place(void)
{
        int spare[8], n = 0, low = 0;

        begin();
        /* Of the next two numbers one is the parent's end, the other the child's. */
        (void)start(work_look, NULL, LONG_USEC);
        run_loop();
        ASSERT_STR(job_log.node, "");
        end();
        /* Once more with all numbers above shifted. */
        while (n < (int)ELEMENTSOF(spare) && (low = open("/", O_PATH | O_CLOEXEC)) >= 0)
                spare[n++] = low;
        begin();
        (void)start(work_look, NULL, LONG_USEC);
        run_loop();
        ASSERT_STR(job_log.node, "");
        while (n > 0)
                close_fd(spare[--n]);
        end();
}

/* Whatever number it has here, and those that the job itself uses are among them. */
static void test_kept_descriptor(void)
{
        const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, &job_log };
        struct stat st;
        int fds[6];
        Job *job;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                ASSERT((fds[i] = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                ASSERT_OK(fstat(fds[i], &st));
                begin();
                ASSERT_OK(job_start(event, LONG_USEC, work_look, &st, fds[i], &callbacks, &job));
                run_loop();
                ASSERT_STR(job_log.node, "");
                end();
                close_fd(fds[i]);
        }
}

static void test_many(void)
{
        enum {
                MANY = 200
        };
        static Log logs[MANY];
        static char names[MANY][8];
        unsigned left = MANY;

        begin();
        for (unsigned i = 0; i < MANY; i++) {
                const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, &logs[i] };
                Job *job;

                logs[i] = (Log){ .event = event, .n_waited = &left };
                snprintf(names[i], sizeof(names[i]), "%u", i);
                ASSERT_OK(job_start(event, LONG_USEC, work_answer, names[i], -1, &callbacks, &job));
        }
        run_loop();
        for (unsigned i = 0; i < MANY; i++) {
                test_row(names[i]);
                ASSERT_STR(logs[i].events, "dg");
                ASSERT_STR(logs[i].node, names[i]);
                log_done(&logs[i]);
        }
        end();
}

/* mountd is killed: nothing of it goes on alone. */
static void test_orphan(void)
{
        int fds[2];
        char byte;
        pid_t pid;

        begin();
        /* Whoever holds the other end keeps the reading from its end. */
        ASSERT_OK(pipe2(fds, O_CLOEXEC));
        pid = fork();
        ASSERT(pid >= 0);
        if (pid == 0) {
                const JobCallbacks callbacks = { on_done, on_step, on_percent, on_gone, &job_log };
                Job *job;

                /* Where the child of the child keeps it; a loop is its process's own. */
                if (sd_event_new(&job_log.event) < 0 || dup2(fds[1], STDERR_FILENO) < 0 ||
                    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                        _exit(1);
                close_fd(fds[1]);
                if (job_start(job_log.event, LONG_USEC, work_hang, NULL, -1, &callbacks, &job) < 0)
                        _exit(1);
                while (!job_log.events[0]) /* it works */
                        if (sd_event_run(job_log.event, LONG_USEC) < 0)
                                _exit(1);
                if (write(STDERR_FILENO, "x", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close_fd(fds[1]);
        ASSERT_EQ(read(fds[0], &byte, 1), 1);
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        while (read(fds[0], &byte, 1) > 0)
                ; /* valgrind's words */
        close_fd(fds[0]);
        end();
}

TEST_MAIN(TEST(answer), TEST(empty_answer), TEST(progress), TEST(progress_unheard), TEST(deadline),
          TEST(check), TEST(check_deadline), TEST(check_for_ever), TEST(death), TEST(nonsense),
          TEST(hangup), TEST(hangup_deadline), TEST(answer_and_hang), TEST(kill),
          TEST(free_at_work), TEST(unwatched), TEST(descriptors), TEST(descriptor_in_place),
          TEST(kept_descriptor), TEST(many), TEST(orphan))
