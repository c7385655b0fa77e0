/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fio.h"
#include "macro.h"
#include "term.h"

#define OUTPUT_MAX (1U << 20) /* of a single job it is some 7 KiB */
#define NOT_THERE 127         /* what a shell makes of that, too */

int fio_parse(const char *text, bool is_write, double *ret_rate)
{
        struct json_object *root, *jobs, *job, *part, *value;
        const char *begin = strchr(text, '{'); /* remarks may come before */
        int r = -EBADMSG;

        root = begin ? json_tokener_parse(begin) : NULL;
        if (json_object_object_get_ex(root, "jobs", &jobs) &&
            json_object_is_type(jobs, json_type_array) && json_object_array_length(jobs) == 1) {
                job = json_object_array_get_idx(jobs, 0);
                if (json_object_object_get_ex(job, "error", &value) &&
                    json_object_get_int(value) != 0)
                        r = -abs(json_object_get_int(value));
                else if (json_object_object_get_ex(job, is_write ? "write" : "read", &part) &&
                         json_object_object_get_ex(part, "bw_bytes", &value) &&
                         json_object_get_double(value) > 0) {
                        *ret_rate = json_object_get_double(value);
                        r = 0;
                }
        }
        (void)json_object_put(root);
        return r;
}

_Noreturn static void run_child(const FioJob *job, int output, int errors, pid_t parent)
{
        char file[64], block[64], size[64], runtime[64];
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const char *const argv[] = {
                "fio",         "--name=wslbarectl",
                file,          job->is_write ? "--rw=write" : "--rw=read",
                block,         size,
                runtime,       "--time_based",
                "--direct=1",  "--ioengine=psync",
                "--thread",    "--allow_file_create=0",
                "--eta=never", "--output-format=json",
                NULL,
        };

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(1);
        (void)snprintf(file, sizeof(file), "--filename=/proc/self/fd/%d", job->fd);
        (void)snprintf(block, sizeof(block), "--bs=%" PRIu64, job->block);
        (void)snprintf(size, sizeof(size), "--size=%" PRIu64, job->size);
        (void)snprintf(runtime, sizeof(runtime), "--runtime=%u", job->seconds);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
            dup2(errors, STDERR_FILENO) < 0 || fcntl(job->fd, F_SETFD, 0) < 0)
                _exit(1);
        (void)execvp(argv[0], (char *const *)argv);
        _exit(errno == ENOENT ? NOT_THERE : 1);
}

static int wait_for(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* All that was written to FD; NULL when out of memory. */
static char *read_all(int fd)
{
        char *text = malloc(OUTPUT_MAX + 1);
        ssize_t n = text ? pread(fd, text, OUTPUT_MAX, 0) : -1;

        if (!text)
                return NULL;
        text[n > 0 ? n : 0] = '\0';
        return text;
}

static int explain(int r, int status, const char *errors)
{
        if (status == NOT_THERE) {
                fputs("wslbarectl: fio(1), which does the measuring, is not installed; on Debian "
                      "and "
                      "Ubuntu, `apt install fio` helps\n",
                      stderr);
                return -ENOENT;
        }
        term_line(stderr, "wslbarectl: fio failed%s%s%s%.*s", r == -EBADMSG ? "" : ": ",
                  r == -EBADMSG ? "" : strerror(-r), *errors ? ": " : "",
                  (int)strcspn(errors, "\n"), errors);
        return r;
}

int fio_measure(const FioJob *job, double *ret_rate)
{
        _cleanup_close_ int output = memfd_create("fio-output", MFD_CLOEXEC);
        _cleanup_close_ int errors = memfd_create("fio-errors", MFD_CLOEXEC);
        _cleanup_free_ char *text = NULL, *remarks = NULL;
        pid_t parent = getpid(), pid = output < 0 || errors < 0 ? -1 : fork();
        int status, r;

        if (pid < 0) {
                fprintf(stderr, "wslbarectl: fio cannot be started: %s\n", strerror(errno));
                return -errno;
        }
        if (pid == 0)
                run_child(job, output, errors, parent);
        status = wait_for(pid);
        text = read_all(output);
        remarks = read_all(errors);
        if (!text || !remarks)
                return -ENOMEM;
        r = status < 0 ? status : fio_parse(text, job->is_write, ret_rate);
        return r < 0 || status != 0 ? explain(r < 0 ? r : -EBADMSG, status, remarks) : 0;
}
