/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "check-lock.h"
#include "log.h"
#include "macro.h"
#include "program.h"
#include "sbin.h"
#include "service.h"
#include "shared.h"

#define MOUNTD_DIRECTORY "/run/wslbare-mountd"

static const char help[] =
        "wslbare-mountd [OPTIONS…]\n\n"
        "Does the privileged work of wslbared: probes, mounts and unmounts. systemd starts it "
        "before\n"
        "that, and whenever that connects to its socket.\n\n"
        "  -h --help              Show this help\n"
        "     --version           Show the version\n"
        "     --config-dir=DIR    Read volumes from DIR instead; may be given again, the first "
        "wins\n"
        "     --log-level=LEVEL   debug, info (the default), notice, warning, err, …\n\n"
        "See wslbared(8).\n";

/* Mounts made in a namespace of our own would be seen by nobody. */
static int check_mount_namespace(void)
{
        struct stat ours, theirs;

        if (stat("/proc/self/ns/mnt", &ours) < 0 || stat("/proc/1/ns/mnt", &theirs) < 0)
                return log_error(errno, "Cannot compare mount namespaces: %s", strerror(errno));
        if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
                return log_error(
                        EXDEV,
                        "This is not PID 1's mount namespace, and what is mounted here would "
                        "be seen by nobody; a drop-in of wslbare-mountd.service may set "
                        "PrivateTmp=, ProtectSystem= or the like: remove that");
        return 0;
}

static int take_socket(void)
{
        int n = sd_listen_fds(true);

        if (n != 1)
                return log_error(n < 0 ? n : EINVAL,
                                 "There is no socket; it is systemd that starts this "
                                 "program, by wslbare-mountd.socket");
        return SD_LISTEN_FDS_START;
}

static void tell_ready(void)
{
        (void)sd_notify(false, "READY=1");
}

static void tell_status(const char *status)
{
        (void)sd_notifyf(false, "STATUS=%s", status);
}

static int run(const ProgramArguments *arguments)
{
        _cleanup_free_ char *shared = NULL;
        ServiceOptions options = {
                .config.dirs = arguments->config_dirs ? (const char *const *)arguments->config_dirs
                                                      : config_default_dirs,
                .directory = MOUNTD_DIRECTORY,
                .checks = CHECK_LOCK_PATH,
                .sbin = sbin_dirs,
                .tell_ready = tell_ready,
                .tell_status = tell_status,
        };
        static const int signals[] = { SIGCHLD, 0 };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(service_freep) Service *service = NULL;
        int r = check_mount_namespace(), fd;

        if (r >= 0)
                r = shared_find(SHARED_WSL_CONF, &shared);
        if (r < 0)
                return r;
        options.shared = shared;
        fd = take_socket();
        if (fd < 0)
                return fd;
        r = program_new_event(signals, &event);
        if (r >= 0)
                r = service_new(event, &options, &service);
        if (r >= 0)
                r = service_listen(service, fd);
        if (r < 0)
                return log_error(r, "Cannot start: %s", strerror(-r));
        r = sd_event_loop(event);
        (void)sd_notify(false, "STOPPING=1");
        return r < 0 ? log_error(r, "The event loop failed: %s", strerror(-r)) : 0;
}

int main(int argc, char *argv[])
{
        ProgramArguments arguments = { 0 };
        int r = program_parse_arguments(argc, argv, help, &arguments);

        if (r > 0)
                r = run(&arguments);
        if (r < 0)
                (void)sd_notifyf(false, "ERRNO=%d", -r);
        program_arguments_done(&arguments);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
