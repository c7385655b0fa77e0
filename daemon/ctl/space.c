/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "macro.h"
#include "space.h"

/* A filesystem answers from memory; what takes this long waits for a disk. */
#define ANSWER_MSEC 500
/* That many do not answer: then the others are not asked any more. */
#define SILENT_MAX 3

typedef struct Answer {
        size_t i;
        Space space;
} Answer;

static void ask(Space *s)
{
        struct statvfs v;

        if (!s->path || statvfs(s->path, &v) < 0)
                return;
        s->size = (uint64_t)v.f_blocks * v.f_frsize;
        if (v.f_bfree <= v.f_blocks) /* nobody vouches for a superblock */
                s->used = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize;
        s->available = (uint64_t)v.f_bavail * v.f_frsize;
        s->is_known = true;
}

_Noreturn static void run_child(const Space *spaces, size_t from, size_t n, int fd)
{
        for (size_t i = from; i < n; i++) {
                Answer a = { i, spaces[i] };

                ask(&a.space);
                if (write(fd, &a, sizeof(a)) != sizeof(a))
                        break;
        }
        _exit(0);
}

static bool read_answer(int fd, Answer *ret)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int r;

        do
                r = poll(&p, 1, ANSWER_MSEC);
        while (r < 0 && errno == EINTR);
        return r > 0 && read(fd, ret, sizeof(*ret)) == sizeof(*ret);
}

/* The first that did not answer, N: all did. */
static size_t measure_from(Space *spaces, size_t from, size_t n)
{
        _cleanup_close_ int in = -1, out = -1;
        size_t i = from;
        int fds[2];
        Answer a;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return n;
        in = fds[0];
        out = fds[1];
        pid = fork();
        if (pid < 0)
                return n;
        if (pid == 0)
                run_child(spaces, from, n, out);
        out = close_fd(out);
        for (; i < n && read_answer(in, &a); i++)
                spaces[i] = a.space;
        /* It is not waited for: one that a disk holds goes when the disk lets it. */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, WNOHANG);
        return i;
}

void space_measure(Space *spaces, size_t n)
{
        size_t i = 0;

        for (unsigned silent = 0; i < n && silent < SILENT_MAX; silent++)
                i = measure_from(spaces, i, n) + 1;
}

unsigned space_percent(const Space *s)
{
        double all = (double)s->used + (double)s->available;
        double percent = all > 0 ? 100 * (double)s->used / all : 0;

        return (unsigned)percent + (percent > (unsigned)percent);
}
