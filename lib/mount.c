/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "macro.h"
#include "missing.h"
#include "mount.h"
#include "mountinfo.h"
#include "parse.h"
#include "text.h"

#define FSCONFIG_VALUE_MAX 255U  /* bytes: fsconfig(2) reads 256 with the NUL */
#define CONTEXT_MESSAGE_MAX 4096 /* bytes; a longer one is lost */
#define PARENT_MODE 0755
#define STACKED_MAX 64U

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U /* Linux 6.8 */
#endif

/* ERROR, with a sentence that can be shown, whatever names it speaks of. */
_printf_(3, 4) static int fail(int error, char **ret_error, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        *ret_error = text ? text_escape(text, (size_t)n) : NULL;
        return error;
}

static int sys_fsopen(const char *type)
{
        return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static int sys_fsconfig(int fd, unsigned command, const char *key, const char *value)
{
        return (int)syscall(SYS_fsconfig, fd, command, key, value, 0);
}

static int sys_fsmount(int fd, unsigned attributes)
{
        return (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes);
}

static int sys_clone_tree(int fd)
{
        return (int)syscall(SYS_open_tree, fd, "",
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int sys_move_mount(int from_fd, int to_fd)
{
        return (int)syscall(SYS_move_mount, from_fd, "", to_fd, "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int sys_mount_setattr(int fd, struct mount_attr *attr)
{
        return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, attr, sizeof(*attr));
}

/* The path by which calls that know no descriptors get at FD itself. */
typedef struct FdPath {
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
} FdPath;

static FdPath fd_path(int fd)
{
        FdPath p;

        (void)snprintf(p.path, sizeof(p.path), "/proc/self/fd/%d", fd);
        return p;
}

int mount_id_of(int fd, int *ret_id, bool *ret_is_root)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) <
            0)
                return -errno;
        if (!(st.stx_mask & STATX_MNT_ID) || !(st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
                return -EOPNOTSUPP; /* before Linux 5.8 */
        *ret_id = (int)st.stx_mnt_id;
        *ret_is_root = st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
        return 0;
}

int mount_unique_id_of(int fd, uint64_t *ret)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE,
                  &st) < 0)
                return -errno;
        if (!(st.stx_mask & STATX_MNT_ID_UNIQUE))
                return -EOPNOTSUPP;
        *ret = st.stx_mnt_id;
        return 0;
}

int mount_directory_is_populated(int fd)
{
        int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const struct dirent *entry;
        DIR *list;
        int r;

        if (list_fd < 0)
                return -errno;
        list = fdopendir(list_fd);
        if (!list) {
                r = -errno;
                close_fd(list_fd);
                return r;
        }
        do {
                errno = 0;
                entry = readdir(list);
        } while (entry && (streq(entry->d_name, ".") || streq(entry->d_name, "..")));
        r = entry ? 1 : -errno;
        (void)closedir(list);
        return r;
}

typedef struct Walk {
        const char *path;
        bool make;
        mode_t mode; /* of the last component, where it is made */
        int fd; /* from here on what is found: descriptors of the last component and its parent */
        int parent_fd;
        bool made;
        char **ret_error;
} Walk;

/* O_DIRECTORY has automounts on the way triggered, as any other lookup would. */
static int open_directory(int dir_fd, const char *name)
{
        int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Whatever umask, setgid bit or default ACL made of it. Somebody who may write to the parent may
 * have put another directory in its place: nothing that is in use is opened up. */
static int set_mode(int fd, mode_t mode)
{
        int r = mount_directory_is_populated(fd);

        if (r != 0)
                return r < 0 ? r : -ENOTEMPTY;
        return chmod(fd_path(fd).path, mode) < 0 ? -errno : 0;
}

static int make_directory(int dir_fd, const char *name, mode_t mode, bool *ret_made)
{
        int fd, r;

        if (mkdirat(dir_fd, name, mode) < 0)
                return errno == EEXIST ? open_directory(dir_fd, name) : -errno;
        fd = open_directory(dir_fd, name);
        r = fd < 0 ? fd : set_mode(fd, mode);
        if (r < 0) {
                (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
                close_fd(fd);
                return r;
        }
        *ret_made = true;
        return fd;
}

/* The sentence about the component NAME, the path up to which has LENGTH bytes. */
static int explain(const Walk *w, int length, int dir_fd, const char *name, int error)
{
        struct stat st;

        if (error == -ENOENT)
                return fail(error, w->ret_error, "%.*s does not exist", length, w->path);
        if (error != -ENOTDIR)
                return fail(error, w->ret_error, "%.*s: %s", length, w->path, strerror(-error));
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
                return fail(-ELOOP, w->ret_error, "%.*s is a symbolic link; give the real path",
                            length, w->path);
        return fail(error, w->ret_error, "%.*s is not a directory", length, w->path);
}

static int arrive(Walk *w, int *fd, int parent_fd, bool made)
{
        w->parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 0);
        if (w->parent_fd < 0)
                return -errno;
        w->fd = TAKE_FD(*fd);
        w->made = made;
        return 0;
}

/* From DIR_FD on, of which REST is what remains of the path. It goes down by recursion, so that on
 * failure each directory made is removed through the descriptor that it was made through. */
static int walk(Walk *w, int dir_fd, const char *rest)
{
        size_t n = strcspn(rest, "/");
        bool is_last = rest[n] == '\0', made = false;
        _cleanup_close_ int fd = -1;
        char name[NAME_MAX + 1];
        int r;

        if (n > NAME_MAX)
                return -ENAMETOOLONG;
        *(char *)mempcpy(name, rest, n) = '\0';
        fd = open_directory(dir_fd, name);
        if (fd == -ENOENT && w->make)
                fd = make_directory(dir_fd, name, is_last ? w->mode : PARENT_MODE, &made);
        if (fd < 0)
                return explain(w, (int)(rest + n - w->path), dir_fd, name, fd);

        r = is_last ? arrive(w, &fd, dir_fd, made) : walk(w, fd, rest + n + 1);
        if (r < 0 && made)
                (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
        return r;
}

static int walk_path(Walk *w)
{
        _cleanup_close_ int root_fd = -1;

        *w->ret_error = NULL;
        if (!path_is_normalized(w->path) || streq(w->path, "/"))
                return fail(-EINVAL, w->ret_error,
                            "%s is no absolute, normalised path of a mount "
                            "point",
                            w->path);
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return root_fd < 0 ? -errno : walk(w, root_fd, w->path + 1);
}

int mount_open_target(const char *path, mode_t mode, int *ret_fd, int *ret_parent_fd,
                      bool *ret_made, char **ret_error)
{
        Walk w = { .path = path, .make = true, .mode = mode, .ret_error = ret_error };
        int r = walk_path(&w);

        if (r < 0)
                return r;
        *ret_fd = w.fd;
        *ret_parent_fd = w.parent_fd;
        *ret_made = w.made;
        return 0;
}

int mount_open_existing(const char *path, int *ret_fd, int *ret_parent_fd, char **ret_error)
{
        Walk w = { .path = path, .ret_error = ret_error };
        int r = walk_path(&w);

        if (r < 0)
                return r;
        *ret_fd = w.fd;
        *ret_parent_fd = w.parent_fd;
        return 0;
}

/* Adds MESSAGE, as the context gives it: "e ext4: Unknown parameter 'x'\n", the first letter being
 * its kind. */
static void add_message(char **text, char *message)
{
        char *joined;

        message[strcspn(message, "\n")] = '\0';
        if (message[0] != '\0' && message[1] == ' ')
                message += 2;
        joined = *text ? text_format("%s; %s", *text, message) : strdup(message);
        if (!joined)
                return;
        free(*text);
        *text = joined;
}

/* All that the kernel says in FS_FD; NULL where it said nothing. */
static char *read_context(int fs_fd)
{
        char message[CONTEXT_MESSAGE_MAX + 1], *text = NULL;
        ssize_t n;

        while ((n = read(fs_fd, message, CONTEXT_MESSAGE_MAX)) > 0 ||
               (n < 0 && errno == EMSGSIZE)) { /* which takes that one away too */
                if (n < 0)
                        continue;
                message[n] = '\0';
                add_message(&text, message);
        }
        return text;
}

/* ERROR, with the kernel's own words where there are any. */
static int fail_context(int error, int fs_fd, char **ret_error)
{
        _cleanup_free_ char *text = read_context(fs_fd);

        return text ? fail(error, ret_error, "%s", text) : error;
}

/* VALUE is NULL for a flag. */
static int set_param(int fs_fd, const char *key, const char *value, char **ret_error)
{
        int r;

        if (value && strlen(value) > FSCONFIG_VALUE_MAX)
                return fail(-EINVAL, ret_error, "the value of %s has more than %u bytes", key,
                            FSCONFIG_VALUE_MAX);
        if (sys_fsconfig(fs_fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value) >= 0)
                return 0;
        r = fail_context(-errno, fs_fd, ret_error);
        return *ret_error ? r : fail(r, ret_error, "option %s was refused: %s", key, strerror(-r));
}

static int configure(int fs_fd, const char *node, const MountOptions *o, char **ret_error)
{
        int r = node ? set_param(fs_fd, "source", node, ret_error) : 0;

        if (r >= 0 && o->read_only)
                r = set_param(fs_fd, "ro", NULL, ret_error);
        for (size_t i = 0; r >= 0 && i < o->n_params; i++)
                r = set_param(fs_fd, o->params[i].key, o->params[i].value, ret_error);
        return r;
}

int mount_check_options(const char *type, const MountOptions *options, char **ret_error)
{
        _cleanup_close_ int fs_fd = sys_fsopen(type);

        *ret_error = NULL;
        return fs_fd < 0 ? -errno : configure(fs_fd, NULL, options, ret_error);
}

int mount_new(const char *type, const char *node, const MountOptions *options, int *ret_fd,
              char **ret_error)
{
        _cleanup_close_ int fs_fd = sys_fsopen(type);
        int fd, r;

        *ret_error = NULL;
        if (fs_fd < 0) {
                r = -errno;
                return r == -ENODEV ? fail(r, ret_error, "this kernel has no filesystem %s", type)
                                    : r;
        }
        r = configure(fs_fd, node, options, ret_error);
        if (r < 0)
                return r;
        if (sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
                return fail_context(-errno, fs_fd, ret_error);
        fd = sys_fsmount(fs_fd, (unsigned)options->attr_set);
        if (fd < 0)
                return fail_context(-errno, fs_fd, ret_error);
        *ret_fd = fd;
        return 0;
}

int mount_clone(int fd, const MountOptions *options, int *ret_fd, char **ret_error)
{
        /* The kernel wants the whole field cleared before any of its values is set. */
        struct mount_attr attr = { .attr_set = options->attr_set, .attr_clr = MOUNT_ATTR__ATIME };
        _cleanup_close_ int clone_fd = sys_clone_tree(fd);

        *ret_error = NULL;
        if (clone_fd < 0) {
                int r = -errno;

                return fail(r, ret_error, "cannot copy the mount: %s", strerror(-r));
        }
        if (sys_mount_setattr(clone_fd, &attr) < 0) {
                int r = -errno;

                return fail(r, ret_error, "cannot set the mount's attributes: %s", strerror(-r));
        }
        *ret_fd = TAKE_FD(clone_fd);
        return 0;
}

static int fail_occupied(int id, char **ret_error)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e = mountinfo_read_self(&m) < 0 ? NULL : mountinfo_find_id(m, id);

        if (!e)
                return fail(-EBUSY, ret_error, "something else is mounted there");
        return fail(-EBUSY, ret_error, "%s (%s) is mounted on %s already", e->source, e->type,
                    e->target);
}

/* Whether MOUNT_FD sits directly on the mount TARGET_ID, so on nothing that came in between. */
static int verify_attached(int mount_fd, int target_id, int *ret_id, char **ret_error)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;
        bool is_root;
        int r = mount_id_of(mount_fd, ret_id, &is_root);

        if (r < 0)
                return r;
        r = mountinfo_read_self(&m);
        if (r < 0)
                return r;
        e = mountinfo_find_id(m, *ret_id);
        if (!e)
                return fail(-ESTALE, ret_error, "the mount cannot be reached from the root");
        if (e->parent_id != target_id)
                return fail(-EBUSY, ret_error, "something else was mounted on %s meanwhile",
                            e->target);
        return 0;
}

/* Not by statx(2), which asks the filesystem: one that is shut down, or whose server died, answers
 * with an error, and has to be unmounted all the more. */
static int read_mount_id(int fd, int *ret)
{
        char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)], line[128];
        int r = -ENODATA;
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (r < 0 && fgets(line, sizeof(line), f))
                if (sscanf(line, "mnt_id: %d", ret) == 1)
                        r = 0;
        (void)fclose(f);
        return r;
}

static int is_attached(int id)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        int r = mountinfo_read_self(&m);

        return r < 0 ? r : mountinfo_find_id(m, id) != NULL;
}

int mount_undo(int mount_fd)
{
        int id, r = read_mount_id(mount_fd, &id);

        /* Even by a descriptor, umount2(2) takes the uppermost of those that are mounted there. */
        for (unsigned i = 0; r >= 0 && i < STACKED_MAX; i++) {
                if (umount2(fd_path(mount_fd).path, MNT_DETACH) < 0)
                        return -errno;
                r = is_attached(id);
                if (r == 0)
                        return 0;
        }
        return r < 0 ? r : -EBUSY;
}

int mount_attach(int mount_fd, int target_fd, int *ret_id, char **ret_error)
{
        int target_id, id, r;
        bool is_root;

        *ret_error = NULL;
        r = mount_id_of(target_fd, &target_id, &is_root);
        if (r < 0)
                return r;
        if (is_root)
                return fail_occupied(target_id, ret_error);
        if (sys_move_mount(mount_fd, target_fd) < 0)
                return -errno;
        r = verify_attached(mount_fd, target_id, &id, ret_error);
        if (r < 0) {
                (void)mount_undo(mount_fd);
                return r;
        }
        *ret_id = id;
        return 0;
}

/* Opens the root of the mount E, provided that its mount point leads to it. */
static int open_mount_root(const MountEntry *e, int *ret_fd, char **ret_error)
{
        _cleanup_close_ int fd = open(e->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        bool is_root;
        int id, r;

        if (fd < 0)
                return -errno;
        r = mount_id_of(fd, &id, &is_root);
        if (r < 0)
                return r;
        if (id != e->id || !is_root)
                return fail(-ESTALE, ret_error, "another mount hides the one on %s", e->target);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int make_shared(const MountEntry *e, char **ret_path, char **ret_error)
{
        struct mount_attr attr = { .propagation = MS_SHARED };
        _cleanup_free_ char *path = strdup(e->target);
        _cleanup_close_ int fd = -1;
        int r;

        if (!path)
                return -ENOMEM;
        r = open_mount_root(e, &fd, ret_error);
        if (r < 0)
                return r;
        if (sys_mount_setattr(fd, &attr) < 0) {
                r = -errno;
                return fail(r, ret_error, "cannot make the mount on %s shared: %s", path,
                            strerror(-r));
        }
        *ret_path = TAKE_PTR(path);
        return 1;
}

int mount_share(int fd, char **ret_path, char **ret_error)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *e;
        bool is_root;
        int id, r;

        *ret_error = NULL;
        r = mount_id_of(fd, &id, &is_root);
        if (r < 0)
                return r;
        r = mountinfo_read_self(&m);
        if (r < 0)
                return r;
        e = mountinfo_find_id(m, id);
        if (!e)
                return fail(-ESTALE, ret_error, "the mount cannot be reached from the root");
        /* Somebody made it unbindable in order that it is nowhere else. */
        if (e->shared || e->slave || e->unbindable)
                return 0;
        return make_shared(e, ret_path, ret_error);
}

/* The descriptor is closed again here: it would keep the mount busy. */
static int check_mounted(int parent_fd, const char *name, int id)
{
        _cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        int found, above, r;

        if (fd < 0)
                return -errno;
        r = read_mount_id(fd, &found);
        if (r >= 0)
                r = read_mount_id(parent_fd, &above);
        if (r < 0)
                return r;
        if (found == above)
                return -EINVAL;
        return found == id ? 0 : -ESTALE;
}

int mount_detach(int parent_fd, const char *name, int id, int flags)
{
        _cleanup_close_ int cwd_fd = -1;
        int r;

        if (name[0] == '\0' || strchr(name, '/') || streq(name, ".") || streq(name, ".."))
                return -EINVAL;
        r = check_mounted(parent_fd, name, id);
        if (r < 0)
                return r;
        cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (cwd_fd < 0 || fchdir(parent_fd) < 0)
                return -errno;
        r = umount2(name, flags | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
        if (fchdir(cwd_fd) < 0 && r >= 0)
                r = -errno;
        return r;
}

int mount_type_known(const char *type)
{
        FILE *f = fopen("/proc/filesystems", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        int r = 0;

        if (!f)
                return -errno;
        while (r == 0 && getline(&line, &size, f) >= 0) { /* "nodev\ttmpfs\n", "\text4\n" */
                line[strcspn(line, "\n")] = '\0';
                r = line[0] == '\t' && streq(line + 1, type);
        }
        if (r == 0 && ferror(f))
                r = -EIO;
        (void)fclose(f);
        return r;
}
