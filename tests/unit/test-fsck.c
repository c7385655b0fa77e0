/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
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

static char *write_script(const char *script)
{
        const char *dir = test_directory();
        char *path = text_format("%s/fsck.test", dir);
        _cleanup_free_ char *text = text_format("#!/bin/sh\n%s\n", script);

        test_write(dir, "fsck.test", text);
        ASSERT_OK(chmod(path, 0755));
        return path;
}

static FsckEnd run_path(const char *path, int lock_fd, uint64_t timeout_usec)
{
        const char *const argv[] = { path, "node", NULL };
        FsckEnd end = { 0 };

        told[0] = '\0';
        ASSERT_OK(fsck_run(argv, lock_fd, timeout_usec, on_percent, told, &end));
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        return end;
}

/* Runs SCRIPT with the argument "node"; nothing of it is left then. */
static FsckEnd run(const char *script, uint64_t timeout_usec)
{
        _cleanup_free_ char *path = NULL;

        need_pidfd();
        path = write_script(script);
        return run_path(path, -1, timeout_usec);
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
                run("echo 1 0 10 node >&3; sleep 3; echo nonsense >&3;"
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
                ASSERT_OK(fsck_run(argv, -1, LONG_USEC, on_percent, told, &end));
                ASSERT_EQ(end.status, 8);
                ASSERT_CONTAINS(end.words, "it cannot be run: ");
        }
}

/* In a child that is killed. */
static void leave_orphan(const char *script, const char *begun, int lock_fd)
{
        uint64_t limit = now_usec() + 20 * USEC_PER_SEC;
        _cleanup_free_ char *path = write_script(script);
        pid_t pid = fork();

        ASSERT(pid >= 0);
        if (pid == 0) {
                (void)run_path(path, lock_fd, LONG_USEC);
                _exit(0);
        }
        while (access(begun, F_OK) < 0 && now_usec() < limit)
                (void)usleep(10000);
        ASSERT_OK(access(begun, F_OK));
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
}

/* The program is told to end then. */
static void test_orphan(void)
{
        const char *dir = test_directory();
        uint64_t limit = now_usec() + 20 * USEC_PER_SEC;
        _cleanup_free_ char *begun = NULL, *end = NULL, *script = NULL;

        need_pidfd();
        begun = text_format("%s/begun", dir);
        end = text_format("%s/end", dir);
        script = text_format("trap 'echo leaving; echo end >%s; exit' TERM; sleep 1000 & echo >%s; "
                             "wait",
                             end, begun);
        leave_orphan(script, begun, -1);
        while (access(end, F_OK) < 0 && now_usec() < limit)
                (void)usleep(10000);
        ASSERT_OK(access(end, F_OK));
}

/* And killed where it does not, with what it has started; until then the lock is its. */
static void test_orphan_deaf(void)
{
        const char *dir = test_directory();
        uint64_t limit = now_usec() + 20 * USEC_PER_SEC;
        _cleanup_free_ char *begun = NULL, *path = NULL, *script = NULL;
        _cleanup_close_ int fd = -1, lock_fd = -1;

        need_pidfd();
        begun = text_format("%s/begun", dir);
        path = text_format("%s/lock", dir);
        script = text_format("trap '' TERM; sleep 1000 & echo >%s; sleep 1000", begun);
        lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        fd = open(path, O_RDWR | O_CLOEXEC);
        ASSERT(lock_fd >= 0 && fd >= 0);
        ASSERT_OK(flock(lock_fd, LOCK_EX | LOCK_NB));
        leave_orphan(script, begun, lock_fd);
        lock_fd = close_fd(lock_fd);
        ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), -1);
        while (flock(fd, LOCK_EX | LOCK_NB) < 0 && now_usec() < limit)
                (void)usleep(10000);
        ASSERT(now_usec() < limit);
}

TEST_MAIN(TEST(ends), TEST(confined), TEST(much_output), TEST(progress), TEST(deadline),
          TEST(deadline_deaf), TEST(cannot_run), TEST(orphan), TEST(orphan_deaf))
