/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "answers.h"
#include "config.h"
#include "images.h"
#include "log.h"
#include "macro.h"
#include "mountinfo.h"
#include "served.h"
#include "service.h"
#include "test.h"
#include "text.h"

Served served = { .disk.fd = -1, .other.fd = -1 };

static const char *config_dirs[] = { served.config, NULL };
static const ConfigSource *config_source(void)
{
        static ConfigSource source;

        source = (ConfigSource){ .dirs = config_dirs, .owner = getuid() };
        return &source;
}

static struct {
        Disk disk;
        char path[PATH_MAX];
        int directory_fd; /* -1: it is not frozen */
        int guard_fd;     /* closed by our death, the guard thaws */
        pid_t guard;
} frozen = { .disk.fd = -1, .directory_fd = -1, .guard_fd = -1 };

static pid_t owner; /* whose all of this is: a child that exits ends nothing */
static bool is_mounted;

uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

/* The end. */

/* The status with which it ended; -1: it had to be killed. */
static int end_process(void)
{
        uint64_t end = now_usec() + 20 * USEC_PER_SEC;
        pid_t pid = TAKE_FD(served.pid);
        int status = 0;

        (void)kill(pid, SIGTERM);
        while (waitpid(pid, &status, WNOHANG) == 0) {
                if (now_usec() > end) {
                        (void)kill(pid, SIGKILL);
                        (void)waitpid(pid, NULL, 0);
                        return -1;
                }
                (void)usleep(2000);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void served_disconnect(void)
{
        served.bus = sd_bus_close_unref(served.bus);
}

void served_stop(void)
{
        served_disconnect();
        if (served.pid > 0)
                ASSERT_EQ(end_process(), 0);
}

static void disk_done(Disk *d)
{
        *d = (Disk){ .fd = close_fd(d->fd) };
        d->fd = -1;
}

static void served_end(void)
{
        if (owner != getpid())
                return;
        served_thaw();
        served_disconnect();
        if (served.pid > 0)
                (void)end_process();
        if (is_mounted)
                (void)umount2(served.base, MNT_DETACH);
        is_mounted = false;
        disk_done(&served.disk);
        disk_done(&served.other);
        disk_done(&frozen.disk);
        free(TAKE_PTR(served.answer));
}

/* The beginning. */

static void enter_namespace(void)
{
        static bool entered;

        if (entered)
                return;
        if (unshare(CLONE_NEWNS) < 0)
                test_skip("no mount namespace: %m");
        ASSERT_OK(mount("none", "/", "", MS_REC | MS_PRIVATE, NULL));
        /* Nothing here is to reach this machine's own PID 1. */
        if (access("/run/systemd", F_OK) == 0)
                ASSERT_OK(mount("none", "/run/systemd", "tmpfs", 0, "mode=755"));
        entered = true;
}

static void set_path(char path[static PATH_MAX], const char *name)
{
        snprintf(path, PATH_MAX, "%.2000s/%s", served.base, name);
}

void served_begin(void)
{
        const char *dir = test_directory();

        if (owner == 0)
                ASSERT_OK(atexit(served_end)); /* before the directory is removed */
        owner = getpid();
        served_end();
        snprintf(served.base, sizeof(served.base), "%s", dir);
        if (geteuid() == 0) {
                enter_namespace();
                ASSERT_OK(mount("base", dir, "tmpfs", 0, "mode=755"));
                is_mounted = true;
        }
        set_path(served.config, "config");
        set_path(served.run, "run");
        set_path(served.records, "run/volumes");
        set_path(served.where, "where");
        set_path(served.shared, "shared");
        set_path(served.checks, "checks");
        set_path(served.sbin, "sbin");
        set_path(served.socket, "run/mountd.sock");
        set_path(served.status, "run/status");
        ASSERT_OK(mkdir(served.shared, 0755));
        ASSERT_OK(mkdir(served.sbin, 0755));
        ASSERT_OK(mkdir(served.config, 0755));
        ASSERT_OK(mkdir(served.run, 0755));
        served.progress[0] = '\0';
        served.trouble[0] = '\0';
}

void served_attach(const char *image, Disk *disk)
{
        static unsigned n;
        _cleanup_free_ char *path = NULL, *name = text_format("disk%u", n++);
        _cleanup_close_ int fd = image_copy(image, name, &path);
        struct stat st;

        ASSERT(fd >= 0);
        (void)unlink(path);
        disk->fd = loop_attach(fd, 0, disk->node);
        if (disk->fd < 0)
                test_skip("no loop device: %m");
        if (ioctl(disk->fd, _IOR(0x12, 128, uint64_t) /* BLKGETDISKSEQ */, &disk->diskseq) < 0)
                test_skip("no sequence numbers of disks: %m");
        ASSERT_OK(fstat(disk->fd, &st));
        disk->devnum = st.st_rdev;
}

void served_begin_with_disks(void)
{
        if (geteuid() != 0)
                test_skip("needs root");
        if (getenv("WSLBARE_VALGRIND"))
                test_skip("valgrind cannot run the probing child, whose filter refuses its calls");
        served_begin();
        served_attach("ext4", &served.disk);
        served_attach("ext4-odd", &served.other);
}

void served_configure(const char *name, const char *where, const char *more)
{
        _cleanup_free_ char *file = text_format("%s.conf", name);
        _cleanup_free_ char *text =
                text_format("[Match]\nUUID=" FS_UUID "\n\n[Mount]\nWhere=%s\n%s", where, more);

        test_write(served.config, file, text);
}

const char *served_fingerprint(const char *name)
{
        static char fingerprint[256];
        _cleanup_(volume_config_freep) VolumeConfig *c = NULL;
        _cleanup_free_ char *problem = NULL;

        if (config_load_volume(config_source(), name, &c, &problem) < 0)
                test_fail(__FILE__, __LINE__, "%s: %s", name, problem ? problem : "not loaded");
        snprintf(fingerprint, sizeof(fingerprint), "%s", c->fingerprint);
        return fingerprint;
}

/* In the child. */

static void tell_status(const char *status)
{
        test_write(served.run, "status", status);
}

static int serve(sd_event *event, int fd, bool listening)
{
        static const char *const sbin[] = { served.sbin, NULL };
        const ServiceOptions options = { .config = *config_source(),
                                         .directory = served.run,
                                         .shared = served.shared,
                                         .checks = served.checks,
                                         .sbin = sbin,
                                         .tell_status = tell_status };
        _cleanup_(service_freep) Service *service = NULL;
        int r = service_new(event, &options, &service);

        if (r >= 0)
                r = listening ? service_listen(service, fd) : service_serve(service, fd);
        return r < 0 ? r : sd_event_loop(event);
}

static _Noreturn void be_mountd(int fd, bool listening)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t mask;
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGCHLD);
        (void)sigaddset(&mask, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &mask, NULL);
        log_set_level(LOG_EMERG); /* it has much to say, and we look at its answers */
        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = serve(event, fd, listening);
        event = sd_event_unref(event);
        exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS); /* and not _exit(): leaks are looked for */
}

static void start(int fd, bool listening, int client_fd)
{
        served.n_descriptors = 0;
        served.pid = fork();
        ASSERT(served.pid >= 0);
        if (served.pid == 0) {
                close_fd(client_fd);
                close_fd(frozen.guard_fd);
                be_mountd(fd, listening);
        }
        close_fd(fd);
}

/* The client. */

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        size_t n = strlen(served.progress);
        const char *name, *step;

        if (sd_bus_message_read(m, "ss", &name, &step) >= 0)
                snprintf(served.progress + n, sizeof(served.progress) - n, "%s%.64s:%.16s",
                         n > 0 ? " " : "", name, step);
        return 0;
}

static int on_percent(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        size_t n = strlen(served.progress);
        const char *name;
        uint32_t percent;

        if (sd_bus_message_read(m, "su", &name, &percent) >= 0)
                snprintf(served.progress + n, sizeof(served.progress) - n, "%s%.64s:%u%%",
                         n > 0 ? " " : "", name, percent);
        return 0;
}

static int on_trouble(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        size_t n = strlen(served.trouble);
        uint64_t fsid;
        int32_t errnum;

        if (sd_bus_message_read(m, "ti", &fsid, &errnum) >= 0)
                snprintf(served.trouble + n, sizeof(served.trouble) - n, "%s%" PRIu64 ":%" PRIi32,
                         n > 0 ? " " : "", fsid, errnum);
        return 0;
}

static sd_bus *new_bus(int fd)
{
        sd_bus *bus = NULL;

        ASSERT(sd_bus_new(&bus) >= 0);
        ASSERT(sd_bus_set_fd(bus, fd, fd) >= 0);
        ASSERT(sd_bus_negotiate_fds(bus, true) >= 0);
        /* A flood under valgrind may well take longer than the 25 s that are usual. */
        ASSERT(sd_bus_set_method_call_timeout(bus, 600 * USEC_PER_SEC) >= 0);
        ASSERT(sd_bus_start(bus) >= 0);
        ASSERT(sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Progress",
                                   on_progress, NULL) >= 0);
        ASSERT(sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Percent",
                                   on_percent, NULL) >= 0);
        ASSERT(sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Trouble",
                                   on_trouble, NULL) >= 0);
        return bus;
}

void served_start(void)
{
        int fds[2];

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        start(fds[0], false, fds[1]);
        served.bus = new_bus(fds[1]);
}

static struct sockaddr_un address(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        ASSERT(strlen(served.socket) < sizeof(a.sun_path));
        memcpy(a.sun_path, served.socket, strlen(served.socket) + 1);
        return a;
}

void served_listen(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un a = address();

        ASSERT(fd >= 0);
        (void)unlink(served.socket);
        ASSERT_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
        ASSERT_OK(listen(fd, 16));
        start(fd, true, -1);
}

int served_connect_raw(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = address();

        ASSERT(fd >= 0);
        ASSERT_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
        return fd;
}

sd_bus *served_connect_bus(void)
{
        int fd = served_connect_raw();

        ASSERT(fcntl(fd, F_SETFL, O_NONBLOCK) >= 0);
        return new_bus(fd);
}

void served_connect(void)
{
        served.bus = served_connect_bus();
}

const char *ask(const char *method, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list ap;
        int r;

        va_start(ap, types);
        r = sd_bus_call_methodv(served.bus, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, method, &error,
                                &reply, types, ap);
        va_end(ap);
        free(TAKE_PTR(served.answer));
        served.answer = answer_of_call(r, &error, reply);
        while (sd_bus_process(served.bus, NULL) > 0)
                ; /* Progress */
        return served.answer;
}

const char *ask_mount(const char *name, const Disk *disk)
{
        return ask("Mount", "stts", name, (uint64_t)disk->devnum, disk->diskseq,
                   served_fingerprint(name));
}

const char *ask_of(const char *method, const char *name)
{
        if (streq(method, "Mount"))
                return ask(method, "stts", name, NOWHERE, UINT64_C(1), "");
        if (streq(method, "Adopt"))
                return ask(method, "stt", name, NOWHERE, UINT64_C(1));
        if (streq(method, "Eject"))
                return ask(method, "s", name);
        return ask(method, "sb", name, true);
}

void served_assert_at_rest(void)
{
        WAIT_FOR(served_count_children() == 0);
        ASSERT_CONTAINS(ask("Probe", "tt", NOWHERE, UINT64_C(1)), "Error s DeviceAbsent\n");
        WAIT_FOR(served_count_children() == 0);
        if (served.n_descriptors > 0)
                WAIT_FOR(served_count_descriptors() <= served.n_descriptors);
        else
                served.n_descriptors = served_count_descriptors();
}

/* What it holds. */

unsigned served_count_descriptors(void)
{
        _cleanup_free_ char *path = text_format("/proc/%d/fd", (int)served.pid);
        DIR *dir = opendir(path);
        unsigned n = 0;

        ASSERT(dir);
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

static bool try_read_proc(int pid, const char *name, char *text, size_t size)
{
        char path[128];
        FILE *f;
        size_t n;

        snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        f = fopen(path, "re");
        if (!f)
                return false;
        n = fread(text, 1, size - 1, f);
        (void)fclose(f);
        text[n] = '\0';
        return true;
}

static void read_proc(int pid, const char *name, char *text, size_t size)
{
        if (!try_read_proc(pid, name, text, size))
                test_skip("no %s of %d: %m", name, pid);
}

static void read_children(char *text, size_t size)
{
        char name[64];

        snprintf(name, sizeof(name), "task/%d/children", (int)served.pid);
        read_proc(served.pid, name, text, size); /* "PID PID " */
}

unsigned served_count_children(void)
{
        char text[16384];
        unsigned n = 0;

        read_children(text, sizeof(text));
        for (char *p = text; *p; p++)
                n += *p == ' ';
        return n;
}

bool served_children_hang(unsigned n)
{
        char list[16384], text[256], *p = list;
        unsigned hanging = 0;

        read_children(list, sizeof(list));
        for (int pid; (pid = (int)strtol(p, &p, 10)) > 0;) {
                /* "running", or the one it sleeps in; it may be gone by now */
                if (try_read_proc(pid, "syscall", text, sizeof(text)))
                        hanging += atoi(text) == SYS_mkdirat || atoi(text) == SYS_unlinkat;
        }
        return hanging == n;
}

unsigned long served_resident_kib(void)
{
        unsigned long pages;
        char text[256];

        read_proc(served.pid, "statm", text, sizeof(text));
        ASSERT_EQ(sscanf(text, "%*s %lu", &pages), 1);
        return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

int mount_on(const char *path)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;

        ASSERT_OK(mountinfo_read_self(&m));
        e = mountinfo_find_target(m, path);
        return e ? e->id : 0;
}

unsigned count_mounts(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;

        ASSERT_OK(mountinfo_read_self(&m));
        return (unsigned)m->n_entries;
}

bool is_there(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

/* What does not answer. */

/* Outlives this program by just as much as it takes to thaw. */
static void start_guard(void)
{
        int fds[2];
        char byte;

        ASSERT_OK(pipe2(fds, O_CLOEXEC));
        frozen.guard = fork();
        ASSERT(frozen.guard >= 0);
        if (frozen.guard == 0) {
                close_fd(fds[1]);
                (void)setsid();
                while (read(fds[0], &byte, 1) > 0)
                        ;
                (void)ioctl(frozen.directory_fd, FITHAW, 0);
                _exit(0);
        }
        close_fd(fds[0]);
        frozen.guard_fd = fds[1];
}

const char *served_freeze(void)
{
        if (frozen.disk.fd < 0) {
                served_attach("ext4", &frozen.disk);
                set_path(frozen.path, "frozen");
                ASSERT_OK(mkdir(frozen.path, 0755));
                ASSERT_OK(mount(frozen.disk.node, frozen.path, "ext4", 0, NULL));
        }
        frozen.directory_fd = open(frozen.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ASSERT(frozen.directory_fd >= 0);
        start_guard();
        ASSERT_OK(ioctl(frozen.directory_fd, FIFREEZE, 0));
        return frozen.path;
}

void served_thaw(void)
{
        if (frozen.directory_fd >= 0)
                (void)ioctl(frozen.directory_fd, FITHAW, 0);
        frozen.directory_fd = close_fd(frozen.directory_fd);
        frozen.guard_fd = close_fd(frozen.guard_fd);
        if (frozen.guard > 0) {
                (void)kill(frozen.guard, SIGKILL);
                (void)waitpid(frozen.guard, NULL, 0);
        }
        frozen.guard = 0;
}
