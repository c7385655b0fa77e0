/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "fsck.h"
#include "macro.h"
#include "sandbox.h"
#include "text.h"

#define WORDS_MAX 1024U        /* bytes of output that are kept, the last ones */
#define PROGRESS_LINE_MAX 128U /* a longer one is none */
#define PERCENT_PAUSE_USEC USEC_PER_SEC
#define TERM_PAUSE_USEC (2 * USEC_PER_SEC) /* between telling it to end and killing it */
#define READS_MAX 64U /* after its end: what it left running may write for ever */

typedef struct Fsck {
        pid_t pid;
        pid_t guard; /* 0: there is none yet */
        int pid_fd;
        int output_fd; /* non-blocking; -1: at its end. The same for the next */
        int progress_fd;
        uint64_t deadline_usec;
        bool timed_out;

        char words[WORDS_MAX];
        size_t n_words;
        bool is_cut; /* there was more before */

        char line[PROGRESS_LINE_MAX]; /* of progress, as far as it came */
        size_t n_line;
        unsigned percent;
        unsigned told_percent;
        uint64_t told_usec;
        FsckPercent tell;
        void *userdata;
} Fsck;

void fsck_end_done(FsckEnd *e)
{
        free(e->words);
        *e = (FsckEnd){ 0 };
}

static uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

/* The program, and what looks after it. */

static _Noreturn void run_program(const char *const *argv, const int *keep, unsigned n_keep)
{
        static const char *const environment[] = { "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                                   NULL };
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
        (void)setpgid(0, 0);
        r = sandbox_keep_only(keep, n_keep);
        if (r >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                r = -errno;
        if (r >= 0)
                r = sandbox_drop_capabilities();
        if (r >= 0) {
                (void)execve(argv[0], (char *const *)argv, (char *const *)environment);
                r = -errno;
        }
        (void)dprintf(STDERR_FILENO, "it cannot be run: %s\n", strerror(-r));
        _exit(CHECK_STATUS_OPERATIONAL);
}

/* Ends the program when we are killed, as we would at the deadline. In its process group, whose
 * number then is nobody else's. It has no descriptor but its handle and, so that its last words do
 * not kill it, our ends of its pipes: the lock is the program's. */
static _Noreturn void guard_program(const Fsck *f, pid_t parent)
{
        const int keep[] = { f->pid_fd, f->output_fd, f->progress_fd };
        struct pollfd program = { .events = POLLIN };
        sigset_t all, death;

        if (setpgid(0, f->pid) < 0)
                _exit(EXIT_FAILURE);
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
        (void)sigemptyset(&death);
        (void)sigaddset(&death, SIGUSR1);
        (void)prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
        if (sandbox_keep_only(keep, ELEMENTSOF(keep)) < 0 || sandbox_drop_capabilities() < 0)
                _exit(EXIT_FAILURE);
        while (getppid() == parent)
                (void)sigwaitinfo(&death, NULL);
        (void)kill(-f->pid, SIGTERM);
        (void)poll(&program, 1, TERM_PAUSE_USEC / USEC_PER_MSEC);
        (void)kill(-f->pid, SIGKILL);
        _exit(EXIT_SUCCESS);
}

static int start_guard(Fsck *f)
{
        pid_t self = getpid();

        f->guard = fork();
        if (f->guard < 0)
                return -errno;
        if (f->guard == 0)
                guard_program(f, self);
        return 0;
}

static int start(Fsck *f, const char *const *argv, int lock_fd)
{
        _cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int output_fd = -1, progress_fd = -1;
        int output[2], progress[2], keep[5];

        if (null_fd < 0 || pipe2(output, O_CLOEXEC) < 0)
                return -errno;
        f->output_fd = output[0];
        output_fd = output[1];
        if (pipe2(progress, O_CLOEXEC) < 0)
                return -errno;
        f->progress_fd = progress[0];
        progress_fd = progress[1];
        /* Only our end: the program's is not to lose words. */
        if (fcntl(f->output_fd, F_SETFL, O_NONBLOCK) < 0 ||
            fcntl(f->progress_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        keep[0] = null_fd;
        keep[1] = keep[2] = output_fd;
        keep[3] = progress_fd;
        keep[4] = lock_fd;
        f->pid = fork();
        if (f->pid < 0)
                return -errno;
        if (f->pid == 0)
                run_program(argv, keep, lock_fd >= 0 ? 5 : 4);
        (void)setpgid(f->pid, f->pid); /* whoever is first */
        f->pid_fd = (int)syscall(SYS_pidfd_open, f->pid, 0);
        return f->pid_fd < 0 ? -errno : start_guard(f);
}

/* What it says. */

static void take_words(Fsck *f, const char *data, size_t size)
{
        size_t drop;

        if (size > WORDS_MAX) {
                data += size - WORDS_MAX;
                size = WORDS_MAX;
                f->is_cut = true;
        }
        drop = f->n_words + size > WORDS_MAX ? f->n_words + size - WORDS_MAX : 0;
        f->is_cut |= drop > 0;
        memmove(f->words, f->words + drop, f->n_words - drop);
        f->n_words -= drop;
        memcpy(f->words + f->n_words, data, size);
        f->n_words += size;
}

static void tell(Fsck *f)
{
        uint64_t now = now_usec();

        if (f->percent == f->told_percent || now - f->told_usec < PERCENT_PAUSE_USEC)
                return;
        f->told_percent = f->percent;
        f->told_usec = now;
        f->tell(f->percent, f->userdata);
}

static void take_progress(Fsck *f, const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if (data[i] != '\n') {
                        /* One that is too long stays so. */
                        if (f->n_line < PROGRESS_LINE_MAX)
                                f->line[f->n_line++] = data[i];
                        continue;
                }
                if (f->n_line < PROGRESS_LINE_MAX) {
                        f->line[f->n_line] = '\0';
                        if (check_parse_progress(f->line, &f->percent))
                                tell(f);
                }
                f->n_line = 0;
        }
}

/* Whether there was something. */
static bool hear(Fsck *f, int *fd, void (*take)(Fsck *f, const char *data, size_t size))
{
        char data[4096];
        ssize_t n = *fd >= 0 ? read(*fd, data, sizeof(data)) : 0;

        if (n > 0)
                take(f, data, (size_t)n);
        if (n == 0)
                *fd = close_fd(*fd);
        return n > 0;
}

/* Its end. */

static void press(Fsck *f)
{
        (void)kill(-f->pid, f->timed_out ? SIGKILL : SIGTERM);
        f->deadline_usec = f->timed_out ? USEC_INFINITY : now_usec() + TERM_PAUSE_USEC;
        f->timed_out = true;
}

/* In ms for poll(): rounded up, so that it is over by then. */
static int time_left(const Fsck *f)
{
        uint64_t now = now_usec();

        if (f->deadline_usec == USEC_INFINITY)
                return -1;
        return now >= f->deadline_usec ? 0 : (int)((f->deadline_usec - now) / USEC_PER_MSEC) + 1;
}

static void attend(Fsck *f)
{
        for (;;) {
                struct pollfd fds[] = {
                        { .fd = f->pid_fd, .events = POLLIN },
                        { .fd = f->output_fd, .events = POLLIN },
                        { .fd = f->progress_fd, .events = POLLIN },
                };
                int left = time_left(f);

                if (left == 0)
                        press(f);
                (void)poll(fds, ELEMENTSOF(fds), left);
                (void)hear(f, &f->output_fd, take_words);
                (void)hear(f, &f->progress_fd, take_progress);
                if (fds[0].revents)
                        break;
        }
        for (unsigned i = 0; i < READS_MAX && hear(f, &f->output_fd, take_words); i++)
                ;
        for (unsigned i = 0; i < READS_MAX && hear(f, &f->progress_fd, take_progress); i++)
                ;
}

/* From a whole line on, where there is one after the cut. */
static char *last_words(const Fsck *f)
{
        const char *words = f->words, *end = f->words + f->n_words;

        if (f->is_cut) {
                const char *line = memchr(words, '\n', f->n_words - 1);

                words = line ? line + 1 : words;
        }
        return text_one_line(words, (size_t)(end - words));
}

static int wait_for(pid_t pid, int *ret_status)
{
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

static int describe_end(const Fsck *f, int status, FsckEnd *ret)
{
        FsckEnd e = { .timed_out = f->timed_out, .percent = f->percent };

        e.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        e.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (!f->timed_out && f->deadline_usec > now_usec())
                e.left_usec = f->deadline_usec - now_usec();
        e.words = last_words(f);
        if (!e.words)
                return -ENOMEM;
        *ret = e;
        return 0;
}

int fsck_run(const char *const *argv, int lock_fd, uint64_t timeout_usec, FsckPercent percent,
             void *userdata, FsckEnd *ret)
{
        Fsck f = {
                .pid_fd = -1,
                .output_fd = -1,
                .progress_fd = -1,
                .deadline_usec = now_usec() + timeout_usec,
                .told_usec = now_usec(),
                .tell = percent,
                .userdata = userdata,
        };
        int status = 0, k, r = start(&f, argv, lock_fd);

        if (r >= 0)
                attend(&f);
        /* Whatever it left running; until it is waited for, its number is nobody else's. */
        if (f.pid > 0) {
                (void)kill(-f.pid, SIGKILL);
                if (f.guard > 0 && kill(f.guard, SIGKILL) == 0)
                        (void)wait_for(f.guard, &status);
                k = wait_for(f.pid, &status);
                r = r < 0 ? r : k;
        }
        if (r >= 0)
                r = describe_end(&f, status, ret);
        close_fd(f.pid_fd);
        close_fd(f.output_fd);
        close_fd(f.progress_fd);
        return r;
}
