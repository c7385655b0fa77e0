/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "fsck.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define LONG_USEC (60 * USEC_PER_SEC)

static char told[64];

static void on_percent(unsigned percent, void *userdata)
{
        size_t n = strlen(told);

        ASSERT(userdata == told);
        snprintf(told + n, sizeof(told) - n, "%u ", percent);
}

static uint64_t now_usec(void)
{
        struct timespec t;

        ASSERT_OK(clock_gettime(CLOCK_MONOTONIC, &t));
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void need_pidfd(void)
{
        if (getenv("WSLBARE_VALGRIND"))
                test_skip("valgrind does not know pidfd_open(2)");
}

static FsckEnd run_script(const char *script, uint64_t timeout_usec)
{
        const char *dir = test_directory();
        _cleanup_free_ char *path = text_format("%s/fsck.test", dir);
        _cleanup_free_ char *text = text_format("#!/bin/sh\n%s\n", script);
        const char *const argv[] = { path, "node", NULL };
        FsckEnd end = { 0 };

        told[0] = '\0';
        test_write(dir, "fsck.test", text);
        ASSERT_OK(chmod(path, 0755));
        ASSERT_OK(fsck_run(argv, timeout_usec, on_percent, told, &end));
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        return end;
}

/* Runs SCRIPT with the argument "node"; nothing of it is left then. */
static FsckEnd run(const char *script, uint64_t timeout_usec)
{
        need_pidfd();
        return run_script(script, timeout_usec);
}

static void test_ends(void)
{
        static const struct {
                const char *script;
                int status, signal;
                const char *words;
        } rows[] = {
                { "exit 0", 0, 0, "" },
                { "exit 4", 4, 0, "" },
                { "exit 255", 255, 0, "" },
                { "kill -KILL $$", 0, SIGKILL, "" },
                { "echo one; echo two >&2; exit 1", 1, 0, "one two" },
                { "printf 'a\\377\\033[2J\\n\\n  b\\t'", 0, 0, "a\\xff\\x1b[2J b" },
                { "echo $1", 0, 0, "node" },
                { "echo $LC_ALL $PATH; env | grep -c =", 0, 0, NULL },
                /* What it leaves running neither keeps us, nor stays. */
                { "sleep 1000 & exit 3", 3, 0, "" },
                { "yes & exit 2", 2, 0, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(fsck_end_done) FsckEnd end = { 0 };

                test_row(rows[i].script);
                end = run(rows[i].script, LONG_USEC);

                ASSERT(!end.timed_out);
                ASSERT_EQ(end.status, rows[i].status);
                ASSERT_EQ(end.signal, rows[i].signal);
                if (rows[i].words)
                        ASSERT_STR(end.words, rows[i].words);
        }
}

/* It has no input, no descriptor but its own, no capability and nothing of our environment. */
static void test_confined(void)
{
        _cleanup_(fsck_end_done) FsckEnd descriptors = { 0 }, environment = { 0 }, power = { 0 },
                                         input = { 0 };
        _cleanup_close_ int fd = open("/", O_PATH | O_CLOEXEC), high_fd = fcntl(fd, F_DUPFD, 50);

        ASSERT(high_fd >= 50);
        ASSERT_OK(setenv("WSLBARE_TEST_SECRET", "x", 1));
        descriptors = run("ls /proc/self/fd | tr '\\n' ' '", LONG_USEC);
        ASSERT_STR(descriptors.words, "0 1 2 3 4"); /* the last is ls's own */
        environment = run("env", LONG_USEC);
        ASSERT_CONTAINS(environment.words, "LC_ALL=C");
        ASSERT_CONTAINS(environment.words, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        ASSERT(!strstr(environment.words, "SECRET"));
        power = run("grep -E '^(Cap(Prm|Eff)|NoNewPrivs)' /proc/self/status", LONG_USEC);
        ASSERT_STR(power.words, "CapPrm: 0000000000000000 CapEff: 0000000000000000 NoNewPrivs: 1");
        input = run("cat; echo end", LONG_USEC);
        ASSERT_STR(input.words, "end");
}

/* Of much output the last whole lines. */
static void test_much_output(void)
{
        _cleanup_(fsck_end_done) FsckEnd lines = run("seq 100000", LONG_USEC), line = { 0 };

        ASSERT(strlen(lines.words) <= 1024);
        ASSERT_CONTAINS(lines.words, " 99999 100000");
        ASSERT_EQ(strspn(lines.words, "0123456789"), 5);
        line = run("head -c 100000 /dev/zero | tr '\\0' x; echo y", LONG_USEC);
        ASSERT(strlen(line.words) <= 1024);
        ASSERT_CONTAINS(line.words, "xxy");
}

static void test_progress(void)
{
        _cleanup_(fsck_end_done) FsckEnd end =
                run("echo 1 0 10 node >&3; sleep 1.2; echo nonsense >&3;"
                    "for i in 1 2 3 4 5; do echo 1 $i 10 node >&3; done; sleep 4;"
                    "head -c 10000 /dev/zero | tr '\\0' 9 >&3; echo >&3;"
                    "echo 2 1 2 node >&3; printf '5 1 1' >&3",
                    LONG_USEC);

        /* Not more than one a second, nor a line that never ended. */
        ASSERT_STR(told, "7 80 ");
        ASSERT_EQ(end.percent, 80);
        ASSERT_STR(end.words, "");
}

static void test_deadline(void)
{
        uint64_t begin = now_usec();
        _cleanup_(fsck_end_done) FsckEnd polite =
                run("trap 'echo leaving; exit 32' TERM; echo begun; sleep 1000 & wait",
                    300 * USEC_PER_MSEC);

        ASSERT(polite.timed_out);
        ASSERT_STR(polite.words, "begun leaving");
        ASSERT(now_usec() - begin >= 300 * USEC_PER_MSEC);
}

static void test_deadline_deaf(void)
{
        uint64_t begin = now_usec();
        _cleanup_(fsck_end_done) FsckEnd deaf =
                run("trap '' TERM; echo begun; sleep 1000", 300 * USEC_PER_MSEC);

        ASSERT(deaf.timed_out);
        ASSERT_EQ(deaf.signal, SIGKILL);
        ASSERT_STR(deaf.words, "begun");
        ASSERT(now_usec() - begin < 60 * USEC_PER_SEC);
}

static void test_cannot_run(void)
{
        static const char *const paths[] = { "/nonexistent", "/etc/passwd", "/" };

        need_pidfd();
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                const char *const argv[] = { paths[i], NULL };
                _cleanup_(fsck_end_done) FsckEnd end = { 0 };

                test_row(paths[i]);
                ASSERT_OK(fsck_run(argv, LONG_USEC, on_percent, told, &end));
                ASSERT_EQ(end.status, 8);
                ASSERT_CONTAINS(end.words, "it cannot be run: ");
        }
}

/* In a child that is killed: the program is told to end then. */
static void run_till_told(const char *dir)
{
        _cleanup_free_ char *script = text_format(
                "trap 'echo end >%s/end; exit' TERM; echo >%s/begun; while :; do sleep 0.05; done",
                dir, dir);

        (void)run_script(script, LONG_USEC);
}

static void test_orphan(void)
{
        const char *dir = test_directory();
        uint64_t limit = now_usec() + 20 * USEC_PER_SEC;
        _cleanup_free_ char *begun = NULL, *end = NULL;
        pid_t pid;

        need_pidfd();
        begun = text_format("%s/begun", dir);
        end = text_format("%s/end", dir);
        pid = fork();
        ASSERT(pid >= 0);
        if (pid == 0) {
                run_till_told(dir);
                _exit(0);
        }
        while (access(begun, F_OK) < 0 && now_usec() < limit)
                (void)usleep(10000);
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        while (access(end, F_OK) < 0 && now_usec() < limit)
                (void)usleep(10000);
        ASSERT_OK(access(end, F_OK));
}

TEST_MAIN(TEST(ends), TEST(confined), TEST(much_output), TEST(progress), TEST(deadline),
          TEST(deadline_deaf), TEST(cannot_run), TEST(orphan))
