/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <linux/blkzoned.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "macro.h"
#include "sandbox.h"

#ifdef ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#define MEMORY_LIMIT RLIM_INFINITY /* its shadow alone is terabytes */
#else
#define MEMORY_LIMIT (64UL * 1024 * 1024) /* libblkid reads a few hundred kB; ZFS labels 4 MB */
#endif
#define CPU_LIMIT 10 /* seconds; a probe takes a millisecond */
#define KEEP_MAX 8

int sandbox_drop_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = { 0 };

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int set_limits(void)
{
        const struct {
                __rlimit_resource_t what;
                rlim_t limit;
        } rows[] = {
                { RLIMIT_DATA, MEMORY_LIMIT }, { RLIMIT_CPU, CPU_LIMIT }, { RLIMIT_NOFILE, 0 },
                { RLIMIT_FSIZE, 0 },           { RLIMIT_CORE, 0 },        { RLIMIT_NPROC, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct rlimit limit = { rows[i].limit, rows[i].limit };

                if (setrlimit(rows[i].what, &limit) < 0)
                        return -errno;
        }
        return 0;
}

/* Descriptors first move above all that are kept, so that none is overwritten before its turn. */
int sandbox_keep_only(const int *keep, unsigned n_keep)
{
        int high[KEEP_MAX];

        if (n_keep > KEEP_MAX)
                return -EINVAL;
        for (unsigned i = 0; i < n_keep; i++) {
                high[i] = fcntl(keep[i], F_DUPFD, 64);
                if (high[i] < 0)
                        return -errno;
        }
        for (unsigned i = 0; i < n_keep; i++)
                if (dup2(high[i], (int)i) < 0)
                        return -errno;
        return close_range(n_keep, ~0U, 0) < 0 ? -errno : 0;
}

static int allow_calls(scmp_filter_ctx filter)
{
        static const int calls[] = {
                SCMP_SYS(read),        SCMP_SYS(pread64),
                SCMP_SYS(lseek),       SCMP_SYS(_llseek),
                SCMP_SYS(fstat),       SCMP_SYS(fstat64),
                SCMP_SYS(brk),         SCMP_SYS(munmap),
                SCMP_SYS(mremap),      SCMP_SYS(madvise),
                SCMP_SYS(fadvise64),   SCMP_SYS(fadvise64_64),
                SCMP_SYS(close),       SCMP_SYS(exit),
                SCMP_SYS(exit_group),  SCMP_SYS(futex),
                SCMP_SYS(getrandom),   SCMP_SYS(rt_sigreturn),
                SCMP_SYS(sigreturn),   SCMP_SYS(restart_syscall),
#ifdef ADDRESS_SANITIZER
                SCMP_SYS(sigaltstack), /* by which it looks for the stacks before _exit() */
#endif
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        return r;
}

/* By which glibc has fstat() before 2.39. A filter does not see whether the path is an empty one.
 */
static int allow_stat(scmp_filter_ctx filter, unsigned n_keep)
{
        int r = 0;

        if (strverscmp(gnu_get_libc_version(), "2.39") >= 0)
                return 0;
        for (unsigned fd = 0; r >= 0 && fd < n_keep; fd++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 2,
                                     SCMP_A0(SCMP_CMP_EQ, fd), SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
        return r;
}

/* Memory, but none that can be executed, nor shared memory, which RLIMIT_DATA does not count. */
static int allow_memory(scmp_filter_ctx filter)
{
        static const int calls[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2) };
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 2,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0));
        return r;
}

static int allow_block_ioctls(scmp_filter_ctx filter)
{
        static const unsigned long requests[] = {
                BLKGETSIZE64, BLKGETSIZE, BLKSSZGET,   BLKPBSZGET,   BLKROGET,
                BLKIOMIN,     BLKIOOPT,   BLKALIGNOFF, BLKGETZONESZ,
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(requests); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                     SCMP_A1(SCMP_CMP_EQ, requests[i]));
        return r;
}

/* Of the N_KEEP descriptors from 0 on, the last may be written to. */
static int filter_calls(unsigned n_keep)
{
        /* EPERM and not a kill: libblkid tries more than it needs (sysfs, CD-ROMs), and lives
         * without. */
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!filter)
                return -ENOMEM;
        r = allow_calls(filter);
        if (r >= 0)
                r = allow_stat(filter, n_keep);
        if (r >= 0)
                r = allow_memory(filter);
        if (r >= 0)
                r = allow_block_ioctls(filter);
        if (r >= 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                                     SCMP_A0(SCMP_CMP_EQ, n_keep - 1));
        if (r >= 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

int sandbox_enter(const int *keep, unsigned n_keep)
{
        int r = sandbox_keep_only(keep, n_keep);

        if (r >= 0)
                r = sandbox_drop_capabilities();
        if (r >= 0)
                r = set_limits();
        if (r >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                r = -errno;
        if (r >= 0)
                r = filter_calls(n_keep);
        return r;
}

#ifdef ADDRESS_SANITIZER
/* What the sanitizer has to say takes the only way out that the child has. */
static void report_to(int fd)
{
        __sanitizer_set_report_fd((void *)(intptr_t)fd);
}

/* And is not taken for one of the failures that a disk can bring about. */
static void check_report(const ProbeResult *start, size_t n, int fd)
{
        char more[4096];
        ssize_t k;

        if (n == 0 || (n == sizeof(*start) && probe_result_is_valid(start)))
                return;
        (void)!write(STDERR_FILENO, start, n);
        while ((k = read(fd, more, sizeof(more))) > 0)
                (void)!write(STDERR_FILENO, more, (size_t)k);
        abort();
}
#else
static void report_to(int fd)
{
}
static void check_report(const ProbeResult *start, size_t n, int fd)
{
}
#endif

/* In the child; its exit status is the errno. */
static int probe_in_child(int fd, int disk_fd, unsigned part_number, int out)
{
        const int with_disk[] = { fd, disk_fd, out }, without[] = { fd, out };
        ProbeResult result = { 0 };
        int r;

        if (disk_fd >= 0)
                r = sandbox_enter(with_disk, ELEMENTSOF(with_disk));
        else
                r = sandbox_enter(without, ELEMENTSOF(without));
        if (r < 0)
                return -r;
        report_to(disk_fd >= 0 ? 2 : 1);
        r = probe_fd(0, disk_fd >= 0 ? 1 : -1, part_number, &result);
        if (r < 0)
                return -r;
        if (write(disk_fd >= 0 ? 2 : 1, &result, sizeof(result)) != (ssize_t)sizeof(result))
                return EPROTO;
        return 0;
}

static int read_result(int fd, ProbeResult *ret)
{
        size_t n = 0;

        while (n < sizeof(*ret)) {
                ssize_t k = read(fd, (char *)ret + n, sizeof(*ret) - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        break;
                n += (size_t)k;
        }
        check_report(ret, n, fd);
        return n == sizeof(*ret) && probe_result_is_valid(ret) ? 0 : -EPROTO;
}

static int wait_for(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPROTO;
}

int sandbox_probe(int fd, int disk_fd, unsigned part_number, ProbeResult *ret)
{
        _cleanup_close_ int in = -1, out = -1;
        ProbeResult result;
        int pipe_fds[2], r, k;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        in = pipe_fds[0];
        out = pipe_fds[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                _exit(probe_in_child(fd, disk_fd, part_number, out));
        }
        out = close_fd(out);
        r = read_result(in, &result);
        k = wait_for(pid);
        if (k < 0)
                return k;
        if (r < 0)
                return r;
        *ret = result;
        return 0;
}
