/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "macro.h"
#include "missing.h"
#include "mount.h"
#include "mountinfo.h"
#include "test.h"
#include "text.h"

/* A tmpfs of each case's own, in a mount namespace of this process: gone with either. */
static char base[PATH_MAX];

static void leave_base(void)
{
        if (base[0])
                (void)umount2(base, MNT_DETACH);
        base[0] = '\0';
}

/* valgrind before 3.21 answers ENOSYS for calls that it does not know. */
static bool has_mount_calls(void)
{
        int fd = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

        close_fd(fd);
        return fd >= 0 || errno != ENOSYS;
}

static void enter_base(void)
{
        static bool entered;
        const char *dir;

        if (geteuid() != 0)
                test_skip("needs root");
        if (!has_mount_calls())
                test_skip("no fsopen(2) here");
        dir = test_directory();
        if (!entered) {
                if (unshare(CLONE_NEWNS) < 0)
                        test_skip("no mount namespace: %m");
                ASSERT_OK(mount("none", "/", "", MS_REC | MS_PRIVATE, NULL));
                (void)atexit(leave_base); /* before the directory is removed */
                entered = true;
        }
        leave_base();
        ASSERT_OK(mount("base", dir, "tmpfs", 0, "mode=755"));
        snprintf(base, sizeof(base), "%s", dir);
}

/* Below the base; the string lives for eight calls more. */
static const char *at(const char *name)
{
        static char paths[8][PATH_MAX];
        static unsigned n;
        char *path = paths[n++ % ELEMENTSOF(paths)];

        snprintf(path, PATH_MAX, "%.2000s/%.2000s", base, name);
        return path;
}

static mode_t mode_of(const char *path)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return 0;
        return st.st_mode;
}

static bool is_there(const char *path)
{
        return mode_of(path) != 0;
}

static int path_of(int fd, char path[static PATH_MAX])
{
        char link[64];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, PATH_MAX - 1);
        if (n < 0)
                return -errno;
        path[n] = '\0';
        return 0;
}

static int id_of(const char *path)
{
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
        bool is_root;
        int id;

        ASSERT_OK(mount_id_of(fd, &id, &is_root));
        return id;
}

/* What is mounted on PATH, as words to look into; "" when nothing is. */
static const char *mounted_on(const char *path)
{
        static char text[PATH_MAX];
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;

        ASSERT_OK(mountinfo_read_self(&m));
        e = mountinfo_find_target(m, path);
        if (e)
                snprintf(text, sizeof(text), "%s %s %s %s,%s", e->type, e->source,
                         e->shared ? "shared" : "private", e->options, e->super_options);
        else
                text[0] = '\0';
        return text;
}

static unsigned count_mounts(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;

        ASSERT_OK(mountinfo_read_self(&m));
        return (unsigned)m->n_entries;
}

/* Two descriptors and an error of a call that opens a target. */
typedef struct Opened {
        int fd;
        int parent_fd;
        bool made;
        char *error;
} Opened;

#define OPENED_NONE ((Opened){ .fd = -1, .parent_fd = -1 })

static void opened_done(Opened *o)
{
        o->fd = close_fd(o->fd);
        o->parent_fd = close_fd(o->parent_fd);
        free(TAKE_PTR(o->error));
}

static int open_target(const char *path, mode_t mode, Opened *o)
{
        opened_done(o);
        return mount_open_target(path, mode, &o->fd, &o->parent_fd, &o->made, &o->error);
}

static int open_existing(const char *path, Opened *o)
{
        opened_done(o);
        return mount_open_existing(path, &o->fd, &o->parent_fd, &o->error);
}

static void populate(void)
{
        ASSERT_OK(mkdir(at("dir"), 0755));
        ASSERT_OK(mkdir(at("dir/sub"), 0755));
        test_write(base, "file", "");
        ASSERT_OK(symlink("dir", at("link")));
        ASSERT_OK(symlink("nowhere", at("dangling")));
        ASSERT_OK(symlink("/proc/self/root", at("magic")));
}

static void test_open_errors(void)
{
        static const struct {
                const char *name; /* below the base, or absolute */
                int target, existing;
                const char *text;
        } rows[] = {
                { "link", -ELOOP, -ELOOP, "/link is a symbolic link; give the real path" },
                { "link/sub", -ELOOP, -ELOOP, "/link is a symbolic link; give the real path" },
                { "link/new/x", -ELOOP, -ELOOP, "/link is a symbolic link; give the real path" },
                { "dangling", -ELOOP, -ELOOP, "/dangling is a symbolic link; give the real path" },
                { "magic/tmp", -ELOOP, -ELOOP, "/magic is a symbolic link; give the real path" },
                { "file", -ENOTDIR, -ENOTDIR, "/file is not a directory" },
                { "file/x", -ENOTDIR, -ENOTDIR, "/file is not a directory" },
                { "dir/absent", 0, -ENOENT, "/dir/absent does not exist" },
                { "absent/x", 0, -ENOENT, "/absent does not exist" },
                { "dir/sub", 0, 0, NULL },
                { "/", -EINVAL, -EINVAL, "/ is no " },
                { "", -EINVAL, -EINVAL, " is no " },
                { "dir/../dir", -EINVAL, -EINVAL, "/dir/../dir is no " },
                { "dir//sub", -EINVAL, -EINVAL, " is no " },
                { "dir/", -EINVAL, -EINVAL, " is no " },
                { "/proc/self/fd/x/y", -ELOOP, -ELOOP, "/proc/self is a symbolic link" },
                { "/proc/nothing-is-made-here", -ENOENT, -ENOENT, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *path = rows[i].name;
                Opened o = OPENED_NONE;

                enter_base();
                populate();
                test_row(rows[i].name);
                if (path[0] && path[0] != '/')
                        path = at(path);
                ASSERT_EQ(open_existing(path, &o), rows[i].existing);
                if (rows[i].existing < 0)
                        ASSERT_CONTAINS(o.error, rows[i].text);
                else
                        ASSERT_STR(o.error, NULL);
                ASSERT_EQ(open_target(path, 0755, &o), rows[i].target);
                if (rows[i].target < 0) {
                        ASSERT_CONTAINS(o.error, rows[i].text);
                        ASSERT_EQ(o.fd, -1);
                } else {
                        ASSERT_STR(o.error, NULL);
                        ASSERT_EQ(fcntl(o.fd, F_GETFL) & O_PATH, O_PATH);
                        ASSERT_EQ(fcntl(o.fd, F_GETFD), FD_CLOEXEC);
                        ASSERT_EQ(fcntl(o.parent_fd, F_GETFD), FD_CLOEXEC);
                }
                opened_done(&o);
        }
}

/* A name that is no UTF-8 and whatever else cannot be shown. */
static void test_open_error_text(void)
{
        Opened o = OPENED_NONE;

        enter_base();
        ASSERT_EQ(open_existing(at("x\xff"), &o), -ENOENT);
        ASSERT_CONTAINS(o.error, "/x\\xff does not exist");
        opened_done(&o);
}

static void test_open_made(void)
{
        static const struct {
                const char *name;
                mode_t mode;
                bool made;
        } rows[] = {
                { "dir", 0700, false },  { "a", 0755, true },       { "b", 0700, true },
                { "c", 0777, true },     { "d", 0, true },          { "e", 01777, true },
                { "f", 02775, true },    { "dir/g/h", 0711, true }, { "i/j/k/l", 0750, true },
                { "dir/sub", 0, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char path[PATH_MAX];
                Opened o = OPENED_NONE;
                mode_t mask;
                int r;

                enter_base();
                populate();
                test_row(rows[i].name);
                mask = umask(077);
                r = open_target(at(rows[i].name), rows[i].mode, &o);
                umask(mask);
                ASSERT_EQ(r, 0);
                ASSERT_EQ(o.made, rows[i].made);
                ASSERT_EQ(mode_of(at(rows[i].name)) & 07777, rows[i].made ? rows[i].mode : 0755);
                ASSERT_OK(path_of(o.fd, path));
                ASSERT_STR(path, at(rows[i].name));
                *strrchr(path, '/') = '\0';
                ASSERT_EQ(mode_of(path) & 07777, 0755);
                ASSERT_OK(fchdir(o.parent_fd));
                r = is_there(strrchr(rows[i].name, '/') ? strrchr(rows[i].name, '/') + 1
                                                        : rows[i].name);
                ASSERT_OK(chdir("/"));
                ASSERT(r);
                opened_done(&o);
        }
}

/* Neither the setgid bit of the parent nor its default ACL is what was asked for. */
static void test_open_made_in_setgid(void)
{
        Opened o = OPENED_NONE;

        enter_base();
        ASSERT_OK(mkdir(at("dir"), 0755));
        ASSERT_OK(chmod(at("dir"), 02755));
        ASSERT_OK(open_target(at("dir/a"), 0755, &o));
        ASSERT_EQ(mode_of(at("dir/a")) & 07777, 0755);
        opened_done(&o);
}

static void test_open_made_removed(void)
{
        char name[NAME_MAX + 2], path[PATH_MAX];
        Opened o = OPENED_NONE;

        enter_base();
        ASSERT_OK(mkdir(at("dir"), 0755));
        /* The filesystem refuses what is left of the path. */
        ASSERT_OK(mount("small", at("dir"), "tmpfs", 0, "nr_inodes=4"));
        ASSERT_EQ(open_target(at("dir/a/b/c/d/e"), 0755, &o), -ENOSPC);
        ASSERT_CONTAINS(o.error, "/dir/a/b/c/d: No space left on device");
        ASSERT(!is_there(at("dir/a")));
        ASSERT(is_there(at("dir")));

        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        snprintf(path, sizeof(path), "%.2000s/a/%s", base, name);
        ASSERT(open_target(path, 0755, &o) < 0);
        ASSERT(!is_there(at("a")));

        ASSERT_OK(mount("none", at("dir"), "", MS_REMOUNT | MS_RDONLY, NULL));
        ASSERT_EQ(open_target(at("dir/a"), 0755, &o), -EROFS);
        ASSERT_CONTAINS(o.error, "/dir/a: Read-only file system");
        opened_done(&o);
}

/* No descriptor is left open, whatever comes of it. */
static void test_open_descriptors(void)
{
        static const char *const names[] = { "dir/sub", "link", "file", "absent/x/y", "new/x" };
        int before, after;

        enter_base();
        populate();
        before = dup(0);
        close_fd(before);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Opened o = OPENED_NONE;

                (void)open_existing(at(names[i]), &o);
                (void)open_target(at(names[i]), 0755, &o);
                opened_done(&o);
        }
        after = dup(0);
        close_fd(after);
        ASSERT_EQ(after, before);
}

static void test_populated(void)
{
        Opened o = OPENED_NONE;

        enter_base();
        populate();
        ASSERT_OK(open_existing(at("dir"), &o));
        ASSERT_EQ(mount_directory_is_populated(o.fd), 1);
        ASSERT_OK(open_existing(at("dir/sub"), &o));
        ASSERT_EQ(mount_directory_is_populated(o.fd), 0);
        test_write(base, "dir/sub/.hidden", "");
        ASSERT_EQ(mount_directory_is_populated(o.fd), 1);
        opened_done(&o);
        o.fd = open(at("file"), O_PATH | O_CLOEXEC);
        ASSERT_EQ(mount_directory_is_populated(o.fd), -ENOTDIR);
        opened_done(&o);
        ASSERT_EQ(mount_directory_is_populated(-1), -EBADF);
}

static void test_id_of(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        Opened o = OPENED_NONE;
        bool is_root;
        int id;

        enter_base();
        populate();
        ASSERT_OK(mountinfo_read_self(&m));
        ASSERT_OK(open_existing(base, &o));
        ASSERT_OK(mount_id_of(o.fd, &id, &is_root));
        ASSERT_EQ(id, mountinfo_find_target(m, base)->id);
        ASSERT(is_root);
        ASSERT_OK(open_existing(at("dir"), &o));
        ASSERT_OK(mount_id_of(o.fd, &id, &is_root));
        ASSERT_EQ(id, mountinfo_find_target(m, base)->id);
        ASSERT(!is_root);
        opened_done(&o);
        ASSERT_EQ(mount_id_of(-1, &id, &is_root), -EBADF);
}

static MountOptions *parse_options(const char *words)
{
        char *error = NULL;
        MountOptions *o;

        ASSERT_OK(mount_options_parse(words, &o, &error));
        return o;
}

/* A mount of TYPE on nothing yet; -errno with *ret_error. */
static int new_mount(const char *type, const char *node, const char *words, char **ret_error)
{
        _cleanup_(mount_options_freep) MountOptions *o = parse_options(words);
        int fd = -1, r;

        *ret_error = (char *)"is to be set";
        r = mount_new(type, node, o, &fd, ret_error);
        ASSERT((r == 0) == (fd >= 0));
        return r < 0 ? r : fd;
}

static void test_new_errors(void)
{
        static char long_value[300] = "size=";
        static const struct {
                const char *type;
                const char *words;
                int want;
                const char *text; /* NULL: none */
        } rows[] = {
                { "tmpfs", "size=4k,unheard-of", -EINVAL, "unheard-of" },
                { "tmpfs", "size=4k,unheard=of", -EINVAL, "unheard" },
                { "tmpfs", "size=elephant", -EINVAL, "size" },
                { "tmpfs", "size", -EINVAL, "size" },
                { "no-such-type", "", -ENODEV, "no-such-type" },
                { "", "", -ENODEV, NULL },
        };

        enter_base();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *error = NULL;

                test_row(rows[i].words);
                ASSERT_EQ(new_mount(rows[i].type, "nodev", rows[i].words, &error), rows[i].want);
                if (rows[i].text)
                        ASSERT_CONTAINS(error, rows[i].text);
                /* The letters that say what kind of message it is, and their line ends. */
                if (error) {
                        ASSERT(!startswith(error, "e "));
                        ASSERT(!strchr(error, '\n') && !strstr(error, "\\x0a"));
                }
        }
        memset(long_value + 5, '1', sizeof(long_value) - 6);
        test_row(NULL);
        {
                MountParam param = { .key = (char *)"size", .value = long_value };
                MountOptions o = { .params = &param, .n_params = 1 };
                _cleanup_free_ char *error = NULL;
                int fd;

                ASSERT_EQ(mount_new("tmpfs", "nodev", &o, &fd, &error), -EINVAL);
                ASSERT_CONTAINS(error, "size has more than 255 bytes");
        }
}

/* Mounts a tmpfs with WORDS on PATH, as the daemon would. */
static int mount_tmpfs(const char *path, const char *words, int *ret_id, char **ret_error)
{
        _cleanup_close_ int fd = new_mount("tmpfs", "nodev", words, ret_error);
        Opened o = OPENED_NONE;
        int r;

        ASSERT(fd >= 0);
        ASSERT_OK(open_target(path, 0755, &o));
        r = mount_attach(fd, o.fd, ret_id, ret_error);
        opened_done(&o);
        return r;
}

static void test_attributes(void)
{
        static const struct {
                const char *words;
                const char *want;
        } rows[] = {
                { "", "tmpfs nodev private rw,nosuid,nodev,relatime,rw" },
                { "noatime", "tmpfs nodev private rw,nosuid,nodev,noatime,rw" },
                { "strictatime,noexec", "tmpfs nodev private rw,nosuid,nodev,noexec,rw" },
                { "suid,dev,nodiratime", "tmpfs nodev private rw,nodiratime,relatime,rw" },
                { "nosymfollow", "tmpfs nodev private rw,nosuid,nodev,relatime,nosymfollow,rw" },
                { "ro", "tmpfs nodev private ro,nosuid,nodev,relatime,ro" },
                { "lazytime,size=64k",
                  "tmpfs nodev private rw,nosuid,nodev,relatime,rw,lazytime,size=64k" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *error = NULL;
                int id;

                enter_base();
                test_row(rows[i].words);
                ASSERT_OK(mount_tmpfs(at("a"), rows[i].words, &id, &error));
                ASSERT_STR(error, NULL);
                ASSERT_EQ(id, id_of(at("a")));
                ASSERT(startswith(mounted_on(at("a")), rows[i].want));
        }
}

static void test_attach_occupied(void)
{
        _cleanup_free_ char *error = NULL;
        unsigned before;
        int id = 42;

        enter_base();
        ASSERT_OK(mkdir(at("a"), 0755));
        ASSERT_OK(mount("foreign", at("a"), "tmpfs", 0, NULL));
        before = count_mounts();
        ASSERT_EQ(mount_tmpfs(at("a"), "", &id, &error), -EBUSY);
        ASSERT_EQ(id, 42);
        ASSERT_CONTAINS(error, "foreign (tmpfs) is mounted on ");
        ASSERT_CONTAINS(error, at("a"));
        ASSERT_EQ(count_mounts(), before);
}

/* Somebody mounts there between the opening of the target and the attaching. */
static void test_attach_race(void)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int fd = -1;
        Opened o = OPENED_NONE;
        unsigned before;
        int id = 42;

        enter_base();
        fd = new_mount("tmpfs", "ours", "", &error);
        ASSERT(fd >= 0);
        ASSERT_OK(open_target(at("a"), 0755, &o));
        ASSERT_OK(mount("foreign", at("a"), "tmpfs", 0, NULL));
        before = count_mounts();
        ASSERT_EQ(mount_attach(fd, o.fd, &id, &error), -EBUSY);
        ASSERT_EQ(id, 42);
        ASSERT_CONTAINS(error, "something else was mounted on ");
        ASSERT_CONTAINS(mounted_on(at("a")), "tmpfs foreign ");
        ASSERT_EQ(count_mounts(), before);
        opened_done(&o);
}

/* The target goes, or moves, between the opening and the attaching. */
static void test_attach_moved(void)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int fd = -1, second_fd = -1;
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        populate();
        fd = new_mount("tmpfs", "ours", "", &error);
        ASSERT_OK(open_target(at("a"), 0755, &o));
        ASSERT_OK(rename(at("a"), at("b")));
        ASSERT_OK(symlink("dir", at("a")));
        ASSERT_OK(mount_attach(fd, o.fd, &id, &error)); /* is not led astray by the link */
        ASSERT_CONTAINS(mounted_on(at("b")), "tmpfs ours ");
        ASSERT_STR(mounted_on(at("dir")), "");

        second_fd = new_mount("tmpfs", "ours", "", &error);
        ASSERT_OK(open_target(at("c"), 0755, &o));
        ASSERT_OK(rmdir(at("c")));
        ASSERT_EQ(mount_attach(second_fd, o.fd, &id, &error), -ENOENT);
        opened_done(&o);
}

static void test_clone(void)
{
        static const struct {
                const char *words;
                const char *want;
        } rows[] = {
                { "", "tmpfs aside private rw,nosuid,nodev,relatime,rw" },
                { "noatime,noexec", "tmpfs aside private rw,nosuid,nodev,noexec,noatime,rw" },
                { "ro,suid,dev", "tmpfs aside private ro,relatime,rw" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mount_options_freep) MountOptions *options = NULL;
                _cleanup_free_ char *error = NULL;
                _cleanup_close_ int fd = -1;
                Opened o = OPENED_NONE;
                int id;

                enter_base();
                options = parse_options(rows[i].words);
                populate();
                test_row(rows[i].words);
                ASSERT_OK(mount("aside", at("dir"), "tmpfs", MS_STRICTATIME, NULL));
                test_write(base, "dir/mark", "");
                ASSERT_OK(open_existing(at("dir"), &o));
                ASSERT_OK(mount_clone(o.fd, options, &fd, &error));
                ASSERT_OK(open_target(at("a"), 0755, &o));
                ASSERT_OK(mount_attach(fd, o.fd, &id, &error));
                ASSERT(startswith(mounted_on(at("a")), rows[i].want));
                ASSERT(is_there(at("a/mark")));
                /* The one copied is as it was. */
                ASSERT(startswith(mounted_on(at("dir")), "tmpfs aside private rw,rw"));
                opened_done(&o);
        }
}

static void test_clone_errors(void)
{
        _cleanup_(mount_options_freep) MountOptions *options = NULL;
        char *error = NULL;
        int fd = 42;

        enter_base(); /* open_tree(2) asks for privilege before it looks at the descriptor */
        options = parse_options("");
        ASSERT_EQ(mount_clone(-1, options, &fd, &error), -EBADF);
        ASSERT_CONTAINS(error, "cannot copy the mount: ");
        ASSERT_EQ(fd, 42);
        free(error);
}

static void test_share(void)
{
        static const struct {
                const char *name;
                unsigned long propagation;
                int want;
                bool shared;
        } rows[] = {
                { "private", MS_PRIVATE, 1, true },
                { "shared", MS_SHARED, 0, true },
                { "unbindable", MS_UNBINDABLE, 0, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *path = NULL, *error = NULL;
                Opened o = OPENED_NONE;

                enter_base();
                populate();
                test_row(rows[i].name);
                ASSERT_OK(mount("none", base, "", rows[i].propagation, NULL));
                ASSERT_OK(open_existing(at("dir/sub"), &o));
                ASSERT_EQ(mount_share(o.fd, &path, &error), rows[i].want);
                ASSERT_STR(path, rows[i].want > 0 ? base : NULL);
                ASSERT_STR(error, NULL);
                ASSERT_CONTAINS(mounted_on(base), rows[i].shared ? " shared " : " private ");
                ASSERT_EQ(mount_share(o.fd, &path, &error), 0);
                opened_done(&o);
        }
}

static void test_share_slave(void)
{
        _cleanup_free_ char *path = NULL, *error = NULL;
        Opened o = OPENED_NONE;

        enter_base();
        populate();
        ASSERT_OK(mount("none", base, "", MS_SHARED, NULL));
        ASSERT_OK(mount(base, at("dir"), "", MS_BIND, NULL));
        ASSERT_OK(mount("none", at("dir"), "", MS_SLAVE, NULL));
        ASSERT_OK(open_existing(at("dir/dir"), &o));
        ASSERT_EQ(mount_share(o.fd, &path, &error), 0);
        ASSERT_CONTAINS(mounted_on(at("dir")), " private ");
        opened_done(&o);
}

/* What is on top is not what is meant. */
static void test_share_hidden(void)
{
        _cleanup_free_ char *path = NULL, *error = NULL;
        Opened o = OPENED_NONE;

        enter_base();
        ASSERT_OK(mkdir(at("a"), 0755));
        ASSERT_OK(mount("lower", at("a"), "tmpfs", 0, NULL));
        ASSERT_OK(open_existing(at("a"), &o));
        ASSERT_OK(mount("upper", at("a"), "tmpfs", 0, NULL));
        ASSERT_EQ(mount_share(o.fd, &path, &error), -ESTALE);
        ASSERT_CONTAINS(error, "another mount hides the one on ");
        ASSERT_CONTAINS(mounted_on(at("a")), "tmpfs upper private ");
        opened_done(&o);
}

/* What is shared first is found in another namespace afterwards, and goes there too. */
static void test_share_propagates(void)
{
        _cleanup_free_ char *path = NULL, *error = NULL;
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        ASSERT_OK(mkdir(at("copy"), 0755));
        ASSERT_OK(mkdir(at("below"), 0755));
        ASSERT_OK(mount("below", at("below"), "tmpfs", 0, NULL));
        ASSERT_OK(open_target(at("below/a"), 0755, &o));
        ASSERT_EQ(mount_share(o.fd, &path, &error), 1);
        ASSERT_OK(mount(at("below"), at("copy"), NULL, MS_BIND, NULL));
        ASSERT_OK(mount_tmpfs(at("below/a"), "", &id, &error));
        ASSERT_CONTAINS(mounted_on(at("copy/a")), "tmpfs nodev ");
        ASSERT_OK(mount_detach(o.parent_fd, "a", id, 0));
        ASSERT_STR(mounted_on(at("copy/a")), "");
        opened_done(&o);
}

static void test_detach(void)
{
        _cleanup_free_ char *error = NULL;
        char before[PATH_MAX], after[PATH_MAX];
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        populate();
        ASSERT_OK(mount_tmpfs(at("dir/sub"), "", &id, &error));
        ASSERT_OK(open_existing(at("dir/sub"), &o));
        o.fd = close_fd(o.fd);
        ASSERT(getcwd(before, sizeof(before)));
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id + 1, 0), -ESTALE);
        ASSERT_CONTAINS(mounted_on(at("dir/sub")), "tmpfs nodev ");
        ASSERT_OK(mount_detach(o.parent_fd, "sub", id, 0));
        ASSERT_STR(mounted_on(at("dir/sub")), "");
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id, 0), -EINVAL);
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id_of(base), 0), -EINVAL);
        ASSERT_EQ(mount_detach(o.parent_fd, "absent", id, 0), -ENOENT);
        ASSERT(getcwd(after, sizeof(after)));
        ASSERT_STR(after, before);
        opened_done(&o);
}

static void test_detach_names(void)
{
        static const char *const names[] = { "", ".", "..", "dir/sub", "/", "./sub", "sub/" };
        _cleanup_free_ char *error = NULL;
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        populate();
        ASSERT_OK(mount_tmpfs(at("dir/sub"), "", &id, &error));
        ASSERT_OK(open_existing(at("dir/sub"), &o));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                test_row(names[i]);
                ASSERT_EQ(mount_detach(o.parent_fd, names[i], id, MNT_DETACH), -EINVAL);
        }
        ASSERT_CONTAINS(mounted_on(at("dir/sub")), "tmpfs nodev ");
        opened_done(&o);
}

/* A link put in the place of the mount point leads nowhere. */
static void test_detach_link(void)
{
        _cleanup_free_ char *error = NULL;
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        populate();
        ASSERT_OK(mount_tmpfs(at("dir/sub"), "", &id, &error));
        ASSERT_OK(symlink("dir/sub", at("sub")));
        ASSERT_OK(open_existing(at("dir"), &o));
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id, MNT_DETACH), -EINVAL);
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id + 1, MNT_DETACH), -EINVAL);
        ASSERT_CONTAINS(mounted_on(at("dir/sub")), "tmpfs nodev ");
        opened_done(&o);
}

static void test_detach_busy(void)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int held_fd = -1;
        Opened o = OPENED_NONE;
        int id;

        enter_base();
        populate();
        ASSERT_OK(mount_tmpfs(at("dir/sub"), "", &id, &error));
        test_write(base, "dir/sub/file", "");
        held_fd = open(at("dir/sub/file"), O_RDONLY | O_CLOEXEC);
        ASSERT_OK(open_existing(at("dir/sub"), &o));
        o.fd = close_fd(o.fd);
        ASSERT_EQ(mount_detach(o.parent_fd, "sub", id, 0), -EBUSY);
        ASSERT_CONTAINS(mounted_on(at("dir/sub")), "tmpfs nodev ");
        ASSERT_OK(mount_detach(o.parent_fd, "sub", id, MNT_DETACH));
        ASSERT_STR(mounted_on(at("dir/sub")), "");
        opened_done(&o);
}

static char *first_block_type(void)
{
        FILE *f = fopen("/proc/filesystems", "re");
        char line[64] = "";

        ASSERT(f);
        while (line[0] != '\t' && fgets(line, sizeof(line), f))
                ;
        fclose(f);
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\t')
                test_skip("this kernel has no filesystem for block devices");
        return strdup(line + 1);
}

static void test_type_known(void)
{
        static const struct {
                const char *type;
                int want;
        } rows[] = { { "proc", 0 }, /* known, but of no block device */
                     { "nodev", 0 },
                     { "", 0 },
                     { "no-such-type", 0 } };
        _cleanup_free_ char *type = first_block_type();

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].type);
                ASSERT_EQ(mount_type_known(rows[i].type), rows[i].want);
        }
        test_row(type);
        ASSERT_EQ(mount_type_known(type), 1);
        type[strlen(type) - 1] = '\0';
        ASSERT_EQ(mount_type_known(type), 0);
}

/* A loop device of the file PATH that goes when it is neither open nor mounted. */
static int attach_loop(const char *path, uint32_t flags, char node[static 32])
{
        _cleanup_close_ int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        _cleanup_close_ int file_fd = open(path, O_RDWR | O_CLOEXEC);
        struct loop_config config = {
                .fd = (uint32_t)file_fd,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR | flags,
        };

        for (unsigned attempt = 0; control_fd >= 0 && attempt < 16; attempt++) {
                int n = ioctl(control_fd, LOOP_CTL_GET_FREE), fd;

                if (n < 0)
                        break;
                snprintf(node, 32, "/dev/loop%d", n);
                fd = open(node, O_RDWR | O_CLOEXEC);
                if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) >= 0)
                        return fd;
                close_fd(fd); /* somebody else was faster */
        }
        test_skip("no loop device: %m");
}

static const char *make_ext4(void)
{
        _cleanup_free_ char *command = NULL;
        const char *path = at("image");

        if (mount_type_known("ext4") != 1 || system("command -v mkfs.ext4 >/dev/null") != 0)
                test_skip("no ext4 here");
        test_write(base, "image", "");
        ASSERT_OK(truncate(path, 16 * 1024 * 1024));
        command = text_format("mkfs.ext4 -q -F %s", path);
        ASSERT_OK(system(command));
        return path;
}

static void test_ext4(void)
{
        _cleanup_free_ char *error = NULL, *want = NULL;
        _cleanup_close_ int loop_fd = -1, fd = -1;
        Opened o = OPENED_NONE;
        char node[32];
        int id;

        enter_base();
        loop_fd = attach_loop(make_ext4(), 0, node);
        fd = new_mount("ext4", node, "noatime,errors=remount-ro,commit=30", &error);
        ASSERT(fd >= 0);
        ASSERT_OK(open_target(at("a"), 0755, &o));
        ASSERT_OK(mount_attach(fd, o.fd, &id, &error));
        want = text_format("ext4 %s private rw,nosuid,nodev,noatime,rw,", node);
        ASSERT(startswith(mounted_on(at("a")), want));
        ASSERT_CONTAINS(mounted_on(at("a")), "errors=remount-ro");
        ASSERT(is_there(at("a/lost+found")));
        fd = close_fd(fd);
        ASSERT_OK(mount_detach(o.parent_fd, "a", id, 0));
        opened_done(&o);
}

static void test_ext4_errors(void)
{
        static const struct {
                const char *type;
                const char *words;
                uint32_t flags;
                int want;
                const char *text; /* NULL: no matter */
        } rows[] = {
                { "ext4", "unheard-of", 0, -EINVAL, "Unknown parameter 'unheard-of'" },
                { "ext4", "commit=never", 0, -EINVAL, "commit" },
                { "ext4", "", LO_FLAGS_READ_ONLY, -EACCES, NULL },
                { "squashfs", "", 0, -EINVAL, NULL }, /* another filesystem's driver */
                { "tmpfs", "commit=30", 0, -EINVAL, "commit" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *error = NULL;
                _cleanup_close_ int loop_fd = -1;
                char node[32];

                enter_base();
                test_row(rows[i].words);
                loop_fd = attach_loop(make_ext4(), rows[i].flags, node);
                if (mount_type_known(rows[i].type) != 1)
                        continue;
                ASSERT_EQ(new_mount(rows[i].type, node, rows[i].words, &error), rows[i].want);
                if (rows[i].text)
                        ASSERT_CONTAINS(error, rows[i].text);
        }
}

static void test_ext4_read_only(void)
{
        _cleanup_free_ char *error = NULL;
        _cleanup_close_ int loop_fd = -1, fd = -1;
        Opened o = OPENED_NONE;
        char node[32];
        int id;

        enter_base();
        loop_fd = attach_loop(make_ext4(), LO_FLAGS_READ_ONLY, node);
        fd = new_mount("ext4", node, "ro", &error);
        ASSERT(fd >= 0);
        ASSERT_OK(open_target(at("a"), 0755, &o));
        ASSERT_OK(mount_attach(fd, o.fd, &id, &error));
        ASSERT_CONTAINS(mounted_on(at("a")), "private ro,nosuid,nodev,relatime,ro");
        opened_done(&o);
}

static void test_check_options(void)
{
        static const struct {
                const char *type;
                const char *words;
                int r;
                const char *error; /* part of it; NULL: none */
        } rows[] = {
                { "tmpfs", "size=1m,mode=0700,noatime,ro", 0, NULL },
                { "tmpfs", "nonsense", -EINVAL, "nonsense" },
                { "tmpfs", "size=1m,size=much", -EINVAL, "size" },
                { "nosuchfs", "noatime", -ENODEV, NULL },
        };

        enter_base();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mount_options_freep) MountOptions *o = NULL;
                _cleanup_free_ char *bad = NULL, *error = NULL;

                test_row(rows[i].words);
                ASSERT_OK(mount_options_parse(rows[i].words, &o, &bad));
                ASSERT_EQ(mount_check_options(rows[i].type, o, &error), rows[i].r);
                if (rows[i].error)
                        ASSERT_CONTAINS(error, rows[i].error);
                else
                        ASSERT_STR(error, NULL);
        }
}

TEST_MAIN(TEST(open_errors), TEST(open_error_text), TEST(open_made), TEST(open_made_in_setgid),
          TEST(open_made_removed), TEST(open_descriptors), TEST(populated), TEST(id_of),
          TEST(new_errors), TEST(check_options), TEST(attributes), TEST(attach_occupied),
          TEST(attach_race), TEST(attach_moved), TEST(clone), TEST(clone_errors), TEST(share),
          TEST(share_slave), TEST(share_hidden), TEST(share_propagates), TEST(detach),
          TEST(detach_names), TEST(detach_link), TEST(detach_busy), TEST(type_known), TEST(ext4),
          TEST(ext4_errors), TEST(ext4_read_only))
