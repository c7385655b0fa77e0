/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

/* Requests to systemd, over its own socket, so that no dbus-daemon is needed. Each waits for the
 * job to end: in a child only. -errno; -ENOENT or -ECONNREFUSED where systemd is not there. */

/* Has the kernel's module for filesystems of TYPE loaded (modprobe@fs_TYPE.service), and no other.
 * 0 says nothing about whether it is there then. */
int pid1_load_filesystem(const char *type);

typedef struct Pid1Command {
        const char *unit; /* name of the transient service */
        const char *description;
        const char *const *argv; /* argv[0] is the absolute path */
        uint64_t timeout_usec;   /* for the start */
        int output_fd;           /* standard output and error */
} Pid1Command;

/* Runs a command that stays behind in a service of its own once it has started (Type=forking),
 * outside mountd's sandbox and life. 0; -ECHILD: it failed, and its output says why; -ETIMEDOUT;
 * -ECANCELED: somebody had the opposite done. */
int pid1_run(const Pid1Command *command);

/* Has UNIT started, and waits only until systemd has taken that on. */
int pid1_start(const char *unit);

/* Stops UNIT, and waits until it and what is bound to it are stopped. 0 also when it is not there.
 */
int pid1_stop(const char *unit);

/* Same, but waits for USEC at most: -ETIMEDOUT, and systemd goes on with it. */
int pid1_stop_within(const char *unit, uint64_t usec);
