/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "images.h"
#include "macro.h"
#include "sandbox.h"
#include "test.h"
#include "text.h"

static void need_seccomp(void)
{
        if (getenv("WSLBARE_VALGRIND"))
                test_skip("valgrind makes system calls of its own, which the filter refuses");
}

static unsigned count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        ASSERT(dir);
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

static void assert_no_children(void)
{
        ASSERT_EQ(waitpid(-1, NULL, WNOHANG), -1);
        ASSERT_EQ(errno, ECHILD);
}

/* What the child finds is what blkid finds, which may look at everything. */
static void test_images(void)
{
        unsigned before, n = 0;

        need_seccomp();
        if (!has_tool("blkid"))
                test_skip("blkid is missing");
        before = count_descriptors();
        for (size_t i = 0; i < n_images; i++) {
                _cleanup_free_ char *path = image_path(images[i].name);
                _cleanup_close_ int fd = image_open(&images[i]);
                ProbeResult r, direct;

                test_row(images[i].name);
                if (fd < 0) {
                        printf("# %s is missing: no %s image\n", images[i].tool, images[i].name);
                        continue;
                }
                ASSERT_OK(sandbox_probe(fd, -1, 0, &r));
                image_compare(path, &r);
                ASSERT_OK(probe_fd(fd, -1, 0, &direct));
                ASSERT(memcmp(&r, &direct, sizeof(r)) == 0);
                n++;
        }
        if (n == 0)
                test_skip("no image could be made");
        ASSERT_EQ(count_descriptors(), before);
        assert_no_children();
}

static void test_partition(void)
{
        _cleanup_close_ int fd = image_open_named("ext4"), disk_fd = image_open_named("gpt");
        ProbeResult r;

        need_seccomp();
        ASSERT_OK(sandbox_probe(fd, disk_fd, 2, &r));
        ASSERT_STR(r.type, "ext4");
        ASSERT_STR(r.uuid, FS_UUID);
        ASSERT_STR(r.part_uuid, PART_UUID);
        ASSERT_STR(r.part_label, "Da ta \303\244");
        ASSERT_STR(r.table_uuid, DISK_UUID);
        assert_no_children();
}

/* Of which the kernel is asked by ioctls. */
static void test_block_device(void)
{
        _cleanup_close_ int file_fd = image_open_named("ext4"), fd = -1;
        char node[32];
        ProbeResult r;

        need_seccomp();
        fd = loop_attach(file_fd, LO_FLAGS_READ_ONLY, node);
        if (fd < 0)
                test_skip("no loop device: %m");
        ASSERT_OK(sandbox_probe(fd, -1, 0, &r));
        ASSERT_EQ(r.verdict, PROBE_FOUND);
        ASSERT_EQ(r.size, 16 * MIB);
        ASSERT_EQ(r.sector_size, SECTOR);
        ASSERT_STR(r.uuid, FS_UUID);
}

static void test_errors(void)
{
        _cleanup_close_ int dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int path_fd = open("/", O_PATH | O_CLOEXEC);
        const int fds[] = { dir_fd, path_fd, -1 };
        ProbeResult r, untouched;

        need_seccomp();
        memset(&r, 'x', sizeof(r));
        memset(&untouched, 'x', sizeof(untouched));
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                ASSERT(sandbox_probe(fds[i], -1, 0, &r) < 0);
        ASSERT(memcmp(&r, &untouched, sizeof(r)) == 0);
        assert_no_children();
}

/* A process below PARENT, with a filter beneath the sandbox's own that does ACTION at CALL. */
static int filter_one(uint32_t call, uint32_t action)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, action),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { ELEMENTSOF(code), code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

/* A probing child in which something goes wrong: its death, or its silence, is an error. */
static void test_death(void)
{
        static const struct {
                const char *name;
                uint32_t calls[2];
                uint32_t action;
                int want;
        } rows[] = {
                { "at the start", { SYS_capset, SYS_capset }, SECCOMP_RET_KILL_PROCESS, EPROTO },
                { "while it reads", { SYS_lseek, SYS_pread64 }, SECCOMP_RET_KILL_PROCESS, EPROTO },
                { "in its answer", { SYS_write, SYS_write }, SECCOMP_RET_KILL_PROCESS, EPROTO },
                { "no answer", { SYS_write, SYS_write }, SECCOMP_RET_ERRNO, EPROTO },
                { "it cannot drop what it has",
                  { SYS_capset, SYS_capset },
                  SECCOMP_RET_ERRNO | ENOSYS,
                  ENOSYS },
                { "no filter", { SYS_seccomp, SYS_prctl }, SECCOMP_RET_ERRNO | EINVAL, EINVAL },
        };
        _cleanup_close_ int fd = image_open_named("ext4");

        need_seccomp();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                pid_t pid;
                int status;

                test_row(rows[i].name);
                pid = fork();
                ASSERT(pid >= 0);
                if (pid == 0) {
                        ProbeResult r;

                        /* The second one first: after prctl() is gone no more can be added. */
                        if (filter_one(rows[i].calls[0], rows[i].action) < 0 ||
                            filter_one(rows[i].calls[1], rows[i].action) < 0)
                                _exit(255);
                        _exit(-sandbox_probe(fd, -1, 0, &r));
                }
                ASSERT_EQ(waitpid(pid, &status, 0), pid);
                ASSERT(WIFEXITED(status));
                ASSERT_EQ(WEXITSTATUS(status), rows[i].want);
        }
}

/* The calls that the child tries, and what it should get. */
static int some_data = 1;
static struct stat some_stat;
static char *const no_strings[] = { NULL };
static struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };

#define PTR(x) ((long)(uintptr_t)(x))
#define PAGE 4096L
#define LARGE (256L * 1024 * 1024)

typedef struct Attempt {
        const char *name;
        long number;
        long arguments[6];
        int want; /* errno, 0 success */
} Attempt;

#define FORBIDDEN(call, ...)                              \
        {                                                 \
#call, SYS_##call, { __VA_ARGS__ }, EPERM \
        }

static const Attempt attempts[] = {
#ifdef SYS_open
        FORBIDDEN(open, PTR("/etc/passwd"), O_RDONLY),
        FORBIDDEN(creat, PTR("/tmp/made-by-the-sandbox"), 0600),
        FORBIDDEN(stat, PTR("/"), PTR(&no_limit)),
        FORBIDDEN(fork),
        FORBIDDEN(vfork),
        FORBIDDEN(dup2, 0, 5),
        FORBIDDEN(unlink, PTR("/nothing")),
        FORBIDDEN(pipe, PTR(&no_limit)),
#endif
        FORBIDDEN(openat, AT_FDCWD, PTR("/etc/passwd"), O_RDONLY),
        FORBIDDEN(openat, AT_FDCWD, PTR("/"), O_PATH),
        FORBIDDEN(openat2, AT_FDCWD, PTR("/etc/passwd"), PTR(&no_limit), 24),
        FORBIDDEN(newfstatat, AT_FDCWD, PTR("/etc/passwd"), PTR(&no_limit), 0),
        FORBIDDEN(newfstatat, AT_FDCWD, PTR("/etc/passwd"), PTR(&some_stat), AT_EMPTY_PATH),
        FORBIDDEN(newfstatat, 3, PTR(""), PTR(&some_stat), AT_EMPTY_PATH),
        FORBIDDEN(statx, AT_FDCWD, PTR("/etc/passwd"), 0, 0, PTR(&no_limit)),
        FORBIDDEN(readlinkat, AT_FDCWD, PTR("/proc/self"), PTR(&no_limit), 8),
        FORBIDDEN(unlinkat, AT_FDCWD, PTR("/nothing"), 0),
        FORBIDDEN(mkdirat, AT_FDCWD, PTR("/tmp/made-by-the-sandbox"), 0700),
        FORBIDDEN(fchmod, 0, 0777),
        FORBIDDEN(ftruncate, 0, 0),
        FORBIDDEN(fallocate, 0, 0, 0, 4096),
        FORBIDDEN(chdir, PTR("/")),
        FORBIDDEN(chroot, PTR("/")),
        FORBIDDEN(getdents64, 0, PTR(&no_limit), 16),
        FORBIDDEN(name_to_handle_at, 0, PTR(""), PTR(&no_limit), PTR(&some_data), AT_EMPTY_PATH),
        FORBIDDEN(open_by_handle_at, 0, PTR(&no_limit), O_RDONLY),
        FORBIDDEN(memfd_create, PTR("x"), 0),
        FORBIDDEN(dup, 0),
        FORBIDDEN(fcntl, 0, F_DUPFD, 0),
        FORBIDDEN(fcntl, 1, F_SETFL, O_APPEND),
        FORBIDDEN(socket, AF_UNIX, SOCK_STREAM, 0),
        FORBIDDEN(socket, AF_INET, SOCK_DGRAM, 0),
        FORBIDDEN(socket, AF_NETLINK, SOCK_RAW, 0),
        FORBIDDEN(socketpair, AF_UNIX, SOCK_STREAM, 0, PTR(&no_limit)),
        FORBIDDEN(sendmsg, 1, PTR(&no_limit), 0),
        FORBIDDEN(sendto, 1, PTR("x"), 1, 0, 0, 0),
        FORBIDDEN(clone, SIGCHLD, 0, 0, 0, 0),
        FORBIDDEN(clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
        FORBIDDEN(clone3, PTR(&no_limit), 16),
        FORBIDDEN(unshare, CLONE_NEWUSER),
        FORBIDDEN(setns, 0, 0),
        FORBIDDEN(execve, PTR("/bin/true"), PTR(no_strings), PTR(no_strings)),
        FORBIDDEN(execveat, 0, PTR(""), PTR(no_strings), PTR(no_strings), AT_EMPTY_PATH),
        FORBIDDEN(kill, 1, 0),
        FORBIDDEN(kill, 0, 0),
        FORBIDDEN(tgkill, 1, 1, 0),
        FORBIDDEN(rt_sigaction, SIGTERM, 0, 0, 8),
        FORBIDDEN(pidfd_open, 1, 0),
        FORBIDDEN(ptrace, PTRACE_TRACEME, 0, 0, 0),
        FORBIDDEN(process_vm_readv, 1, 0, 0, 0, 0, 0),
        FORBIDDEN(setuid, 0),
        FORBIDDEN(setresuid, 0, 0, 0),
        FORBIDDEN(setgid, 0),
        FORBIDDEN(setgroups, 0, 0),
        FORBIDDEN(capset, PTR(&no_limit), 0),
        FORBIDDEN(prctl, PR_SET_DUMPABLE, 1),
        FORBIDDEN(prctl, PR_SET_SECCOMP, 0),
        FORBIDDEN(seccomp, SECCOMP_SET_MODE_FILTER, 0, 0),
        FORBIDDEN(setrlimit, RLIMIT_CPU, PTR(&no_limit)),
        FORBIDDEN(prlimit64, 0, RLIMIT_NOFILE, PTR(&no_limit), 0),
        FORBIDDEN(mount, 0, PTR("/"), 0, MS_PRIVATE, 0),
        FORBIDDEN(umount2, PTR("/nothing"), 0),
        FORBIDDEN(fsopen, PTR("tmpfs"), 0),
        FORBIDDEN(open_tree, AT_FDCWD, PTR("/"), 0),
        FORBIDDEN(bpf, 0, PTR(&no_limit), 16),
        FORBIDDEN(perf_event_open, PTR(&no_limit), 0, -1, -1, 0),
        FORBIDDEN(io_uring_setup, 1, PTR(&no_limit)),
        FORBIDDEN(userfaultfd, 0),
        FORBIDDEN(keyctl, 0, 0),
        FORBIDDEN(reboot, 0, 0, 0),
        FORBIDDEN(init_module, 0, 0, 0),
        FORBIDDEN(ioctl, 0, BLKFLSBUF, 0),
        FORBIDDEN(ioctl, 0, BLKRRPART, 0),
        FORBIDDEN(ioctl, 0, BLKROSET, PTR(&some_data)),
        FORBIDDEN(ioctl, 0, BLKDISCARD, PTR(&no_limit)),
        FORBIDDEN(ioctl, 0, LOOP_CLR_FD, 0),
        FORBIDDEN(ioctl, 0, FIONREAD, PTR(&some_data)),
        FORBIDDEN(ioctl, 0, 0x5412 /* TIOCSTI */, PTR("x")),
        FORBIDDEN(write, 0, PTR("x"), 1),
        FORBIDDEN(write, 2, PTR("x"), 1),
        FORBIDDEN(writev, 1, 0, 0),
        FORBIDDEN(pwrite64, 0, PTR("x"), 1, 0),
        FORBIDDEN(splice, 0, 0, 1, 0, 1, 0),
        FORBIDDEN(sendfile, 1, 0, 0, 1),
        FORBIDDEN(copy_file_range, 0, 0, 1, 0, 1, 0),
        FORBIDDEN(mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        FORBIDDEN(mmap, 0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0),
        FORBIDDEN(mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, 0),
        FORBIDDEN(pkey_mprotect, 0, PAGE, PROT_READ | PROT_EXEC, -1),
        /* Which is memory that no limit of the process counts. */
        FORBIDDEN(mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
        { "mprotect", SYS_mprotect, { 0, PAGE, PROT_READ | PROT_EXEC }, EPERM },
        /* What it is for. */
        { "read", SYS_read, { 0, PTR(&some_data), 0 }, 0 },
        { "fstat", SYS_fstat, { 0, PTR(&some_stat) }, 0 },
        { "mmap",
          SYS_mmap,
          { 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 },
          0 },
        { "other descriptors", SYS_lseek, { 3, 0, SEEK_CUR }, EBADF },
        { "the wait's descriptor", SYS_lseek, { 0, 0, SEEK_CUR }, ESPIPE },
};

typedef struct Results {
        int entered;
        int got[ELEMENTSOF(attempts)];
        int got_large; /* memory beyond the limit */
        bool done;
} Results;

static int try_call(const Attempt *a)
{
        const long *v = a->arguments;

        errno = 0;
        return syscall(a->number, v[0], v[1], v[2], v[3], v[4], v[5]) == -1 ? errno : 0;
}

/* Tries everything, tells it through its last descriptor, and stays until the first one ends. */
static _Noreturn void be_confined(int in, int out)
{
        /* Ascending, as sandbox_enter() wants them. */
        const int keep[] = { in, out };
        Results results = { 0 };
        char byte;

        results.entered = sandbox_enter(keep, ELEMENTSOF(keep));
        for (size_t i = 0; results.entered == 0 && i < ELEMENTSOF(attempts); i++)
                results.got[i] = try_call(&attempts[i]);
        if (mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
            MAP_FAILED)
                results.got_large = errno;
        results.done = true;
        if (write(1, &results, sizeof(results)) != (ssize_t)sizeof(results))
                _exit(1);
        _exit(read(0, &byte, 1) == 0 ? 0 : 2);
}

typedef struct Confined {
        pid_t pid;
        int hold_fd; /* closed, it ends */
        Results results;
} Confined;

static Confined confined = { .hold_fd = -1 };

static void confined_end(void)
{
        confined.hold_fd = close_fd(confined.hold_fd);
        if (confined.pid > 0) {
                (void)kill(confined.pid, SIGKILL);
                (void)waitpid(confined.pid, NULL, 0);
        }
        confined.pid = 0;
}

static void confine(void)
{
        int in[2], out[2];
        ssize_t n;

        need_seccomp();
        confined_end();
        ASSERT_OK(pipe2(in, O_CLOEXEC));
        ASSERT_OK(pipe2(out, O_CLOEXEC));
        confined.pid = fork();
        ASSERT(confined.pid >= 0);
        if (confined.pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                be_confined(in[0], out[1]);
        }
        close_fd(in[0]);
        close_fd(out[1]);
        confined.hold_fd = in[1];
        n = read(out[0], &confined.results, sizeof(confined.results));
        close_fd(out[0]);
        ASSERT_EQ(n, sizeof(confined.results));
        ASSERT(confined.results.done);
        ASSERT_OK(confined.results.entered);
}

static void test_confined(void)
{
        unsigned n_wrong = 0;

        confine();
        for (size_t i = 0; i < ELEMENTSOF(attempts); i++) {
                int got = confined.results.got[i], want = attempts[i].want;

                /* What the kernel does not have is forbidden all the more. */
                if (got == want || (want == EPERM && got == ENOSYS))
                        continue;
                printf("# %s (row %zu): %s, not %s\n", attempts[i].name, i,
                       got ? strerrorname_np(got) : "success",
                       want ? strerrorname_np(want) : "success");
                n_wrong++;
        }
        confined_end();
        ASSERT_EQ(n_wrong, 0);
}

static void test_memory(void)
{
#ifdef ADDRESS_SANITIZER
        test_skip("the address sanitizer needs more than any limit");
#endif
        confine();
        ASSERT_EQ(confined.results.got_large, ENOMEM);
        confined_end();
}

/* The text of /proc/PID/NAME of the confined child; the caller's to free. */
static char *read_proc(const char *name)
{
        _cleanup_free_ char *path = text_format("/proc/%d/%s", (int)confined.pid, name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[8192];
        ssize_t n;

        if (fd < 0)
                test_skip("cannot open %s: %m", path);
        n = read(fd, text, sizeof(text) - 1);
        ASSERT(n > 0);
        text[n] = '\0';
        return strdup(text);
}

/* Seen from outside, while it waits. */
static void test_status(void)
{
        static const char *const rows[] = {
                "\nCapInh:\t0000000000000000\n",
                "\nCapPrm:\t0000000000000000\n",
                "\nCapEff:\t0000000000000000\n",
                "\nCapAmb:\t0000000000000000\n",
                "\nNoNewPrivs:\t1\n",
                "\nSeccomp:\t2\n",
                "\nThreads:\t1\n",
        };
        _cleanup_free_ char *status = NULL;

        confine();
        status = read_proc("status");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                ASSERT_CONTAINS(status, rows[i]);
        confined_end();
}

static void test_limits(void)
{
        static const struct {
                const char *name;
                unsigned long soft, hard;
        } rows[] = {
                { "Max cpu time", 10, 10 }, { "Max open files", 0, 0 },
                { "Max file size", 0, 0 },  { "Max core file size", 0, 0 },
                { "Max processes", 0, 0 },
        };
        _cleanup_free_ char *limits = NULL;

        confine();
        limits = read_proc("limits");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *line = strstr(limits, rows[i].name);
                unsigned long soft, hard;

                test_row(rows[i].name);
                ASSERT(line);
                ASSERT_EQ(sscanf(line + strlen(rows[i].name), "%lu %lu", &soft, &hard), 2);
                ASSERT_EQ(soft, rows[i].soft);
                ASSERT_EQ(hard, rows[i].hard);
        }
        confined_end();
}

static void test_descriptors(void)
{
        _cleanup_free_ char *path = NULL;
        int inherited_fd = open("/proc/self/mountinfo", O_RDONLY);
        unsigned n = 0, sum = 0;
        struct dirent *e;
        DIR *dir;

        confine();
        close_fd(inherited_fd);
        path = text_format("/proc/%d/fd", (int)confined.pid);
        dir = opendir(path);
        if (!dir)
                test_skip("cannot open %s: %m", path);
        while ((e = readdir(dir)))
                if (e->d_name[0] != '.') {
                        n++;
                        sum += (unsigned)atoi(e->d_name);
                }
        (void)closedir(dir);
        confined_end();
        ASSERT_EQ(n, 2);
        ASSERT_EQ(sum, 0 + 1);
}

/* It may be that a descriptor that is kept has the number that another one is to have. */
static void test_keep(void)
{
        enum {
                N = 8
        };
        static const int orders[][3] = { { 0, 1, 2 }, { 3, 4, 5 }, { 0, 4, 7 }, { 5, 6, 7 } };

        need_seccomp();
        for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
                int pipes[N][2], numbers[N], status;
                char text[4] = { 0 };
                pid_t pid = fork();

                ASSERT(pid >= 0);
                if (pid == 0) {
                        /* Number n reads "n". */
                        for (int n = 0; n < N; n++) {
                                if (pipe2(pipes[n], O_CLOEXEC) < 0 ||
                                    write(pipes[n][1], &"01234567"[n], 1) != 1)
                                        _exit(1);
                                numbers[n] = fcntl(pipes[n][0], F_DUPFD, 100);
                        }
                        for (int n = 0; n < N; n++)
                                if (dup2(numbers[n], n) < 0)
                                        _exit(1);
                        if (sandbox_enter(orders[i], 3) < 0)
                                _exit(2);
                        for (int n = 0; n < 3; n++)
                                if (read(n, &text[n], 1) != 1 || text[n] - '0' != orders[i][n])
                                        _exit(3);
                        /* Of the three only the last is for writing. */
                        if (write(0, "x", 1) >= 0 || errno != EPERM)
                                _exit(4);
                        if (write(2, "x", 1) >= 0 || errno != EBADF)
                                _exit(5);
                        _exit(0);
                }
                ASSERT_EQ(waitpid(pid, &status, 0), pid);
                ASSERT(WIFEXITED(status));
                ASSERT_EQ(WEXITSTATUS(status), 0);
        }
}

static void test_keep_too_many(void)
{
        const int keep[9] = { 0 };

        need_seccomp();
        ASSERT_EQ(sandbox_enter(keep, ELEMENTSOF(keep)), -EINVAL);
        ASSERT(fcntl(0, F_GETFD) >= 0); /* nothing was done */
}

TEST_MAIN(TEST(images), TEST(partition), TEST(block_device), TEST(errors), TEST(death),
          TEST(confined), TEST(memory), TEST(status), TEST(limits), TEST(descriptors), TEST(keep),
          TEST(keep_too_many))
