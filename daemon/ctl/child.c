/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "child.h"
#include "macro.h"

#define ANSWER_MSEC 500 /* what takes longer waits for a disk that is not well */
#define SILENT_MAX 3

/* One that a disk holds, and its end is not waited for, must not hold a pipe that somebody reads to
 * the end. */
static void let_go_of_standard_streams(int but)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fd != but && dup2(null, fd) < 0)
                        (void)close(fd);
}

_Noreturn static void run_child(char *items, size_t n, size_t size, void (*ask)(void *), int fd)
{
        let_go_of_standard_streams(fd);
        for (size_t i = 0; i < n; i++) {
                ask(items + i * size);
                if (write(fd, items + i * size, size) != (ssize_t)size)
                        break;
        }
        _exit(0);
}

/* Takes an answer over when it is there in time: a pipe gives it whole, or not at all. */
static bool read_answer(int fd, char *item, size_t size)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char answer[PIPE_BUF];
        int r;

        do
                r = poll(&p, 1, ANSWER_MSEC);
        while (r < 0 && errno == EINTR);
        if (r <= 0 || read(fd, answer, size) != (ssize_t)size)
                return false;
        memcpy(item, answer, size);
        return true;
}

/* How many were answered before the first one that was not. */
static size_t ask_from(char *items, size_t n, size_t size, void (*ask)(void *))
{
        _cleanup_close_ int in = -1, out = -1;
        size_t i = 0;
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return 0;
        in = fds[0];
        out = fds[1];
        pid = fork();
        if (pid == 0)
                run_child(items, n, size, ask, out);
        out = close_fd(out);
        while (i < n && read_answer(in, items + i * size, size))
                i++;
        if (pid > 0) {
                (void)kill(pid, SIGKILL);
                /* Not waited for: one that a disk holds goes when the disk lets it. */
                (void)waitpid(pid, NULL, WNOHANG);
        }
        return i;
}

void child_ask_each(void *items, size_t n, size_t size, void (*ask)(void *item))
{
        size_t i = 0;

        for (unsigned silent = 0; i < n && silent < SILENT_MAX; silent++)
                i += ask_from((char *)items + i * size, n - i, size, ask) + 1;
}
