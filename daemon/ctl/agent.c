/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>

#include "agent.h"
#include "macro.h"
#include "text.h"

#define POLKIT "org.freedesktop.PolicyKit1"
#define START_MSEC 5000

_Noreturn static void run_agent(int fd)
{
        /* A desktop's own agent goes first; but where a process is in no session, as a shell of WSL
         * is, polkit passes over those that are a fallback. */
        const char *fallback = sd_pid_get_session(0, NULL) >= 0 ? "--fallback" : NULL;
        char number[16];

        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)snprintf(number, sizeof(number), "%d", fd);
        if (fcntl(fd, F_SETFD, 0) >= 0)
                execlp("pkttyagent", "pkttyagent", "--notify-fd", number, fallback, (char *)NULL);
        _exit(127);
}

/* Runs, or would be started. */
static bool has_polkit(Client *c)
{
        _cleanup_(strv_freep) char **running = NULL, **startable = NULL;

        return sd_bus_list_names(c->bus, &running, &startable) >= 0 &&
               (strv_contains(running, POLKIT) || strv_contains(startable, POLKIT));
}

pid_t agent_start(Client *c)
{
        int fds[2];
        pid_t pid;

        if (geteuid() == 0 || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || !has_polkit(c))
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return 0;
        pid = fork();
        if (pid == 0)
                run_agent(fds[1]);
        close_fd(fds[1]);
        if (pid > 0) {
                struct pollfd p = { .fd = fds[0], .events = POLLIN };

                /* It closes its end when polkit knows it, and so does one that cannot run. */
                (void)poll(&p, 1, START_MSEC);
        }
        close_fd(fds[0]);
        return pid > 0 ? pid : 0;
}

void agent_stop(pid_t pid)
{
        if (pid <= 0)
                return;
        /* It sets the terminal back to what it was. */
        (void)kill(pid, SIGTERM);
        (void)kill(pid, SIGCONT);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
