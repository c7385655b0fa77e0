/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "btrfs.h"
#include "device.h"
#include "macro.h"
#include "mount.h"
#include "mountinfo.h"
#include "recorded.h"
#include "text.h"

int recorded_new(const char *target, const Device *d, bool directory_made, Record **ret)
{
        _cleanup_(record_freep) Record *record = calloc(1, sizeof(*record));

        if (record)
                record->target = strdup(target);
        if (!record || !record->target)
                return -ENOMEM;
        record->devnum = d->devnum;
        record->diskseq = d->diskseq;
        record->directory_made = directory_made;
        *ret = TAKE_PTR(record);
        return 0;
}

int recorded_save(const char *dir, const char *name, Record *record, RecordPhase phase,
                  int mount_id, Report *report)
{
        int r;

        record->phase = phase;
        record->mount_id = mount_id;
        r = record_save(dir, name, record);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_MOUNT, r,
                                   "Cannot write the record of %s in %s: %s", name, dir,
                                   strerror(-r));
        return 0;
}

/* The root of the mount ID, which is PATH in DIR_FD; -ESTALE where another mount hides it. */
static int open_root(int dir_fd, const char *path, int id, int flags)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_DIRECTORY | O_CLOEXEC | flags);
        bool is_root;
        int found, r;

        if (fd < 0)
                return -errno;
        r = mount_id_of(fd, &found, &is_root);
        if (r < 0)
                return r;
        return found == id ? TAKE_FD(fd) : -ESTALE;
}

static int read_unique_id(int dir_fd, const char *path, int id, uint64_t *ret)
{
        _cleanup_close_ int fd = open_root(dir_fd, path, id, O_PATH);

        return fd < 0 ? fd : mount_unique_id_of(fd, ret);
}

/* Of a btrfs. */
static int read_uuid(int dir_fd, const char *path, int id, char ret[static BTRFS_UUID_LENGTH + 1])
{
        _cleanup_close_ int fd = open_root(dir_fd, path, id, O_RDONLY | O_NONBLOCK);

        return fd < 0 ? fd : btrfs_read_uuid(fd, ret);
}

/* For certain. */
static bool is_of_another(const MountEntry *e, const Record *record)
{
        char uuid[BTRFS_UUID_LENGTH + 1];

        return read_uuid(AT_FDCWD, e->target, e->id, uuid) >= 0 && !streq(uuid, record->fsid);
}

static bool is_source(const char *source, const char *recorded)
{
        _cleanup_free_ char *escaped = text_escape(source, strlen(source));

        return escaped && streq_ptr(escaped, recorded);
}

/* The device number of a btrfs stands for none of its devices and is given again as IDs are, to
 * whatever is mounted next; and the device that it calls its source changes as devices come and go.
 */
static bool is_of_btrfs(const MountEntry *e, const Record *record)
{
        if (!streq(e->type, "btrfs") || (record->fsid && is_of_another(e, record)))
                return false;
        return record->fsid || is_source(e->source, record->source);
}

/* The number of a device is given again, too. */
static bool is_of_another_disk(const MountEntry *e, const Record *record)
{
        _cleanup_(device_freep) Device *d = NULL;

        return device_new(e->devnum, &d) >= 0 && device_read_sysfs(d) >= 0 &&
               d->diskseq != record->diskseq;
}

/* Its ID alone proves nothing: once free, the kernel gives it to the next mount. Where it is
 * proves nothing either: it can be moved, and so can any directory above it. */
static bool is_it(const MountEntry *e, const Record *record)
{
        uint64_t id;

        if (record->unique_id != 0 && read_unique_id(AT_FDCWD, e->target, e->id, &id) >= 0)
                return id == record->unique_id;
        if (record->mount_devnum != 0 && e->devnum != record->mount_devnum)
                return false;
        if (major(e->devnum) == 0)
                return is_of_btrfs(e, record);
        /* A medium that was changed below a mount is no other mount. */
        return e->devnum == record->devnum && streq(e->root, "/") &&
               (streq(e->target, record->target) || !is_of_another_disk(e, record));
}

int recorded_find(const Record *record, char **ret_target)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        int r;

        if (record->phase != RECORD_MOUNTED && record->phase != RECORD_UNMOUNTING)
                return 0;
        r = mountinfo_read_self(&info);
        if (r < 0)
                return r;
        e = mountinfo_find_id(info, record->mount_id);
        if (!e || !is_it(e, record))
                return 0;
        *ret_target = strdup(e->target);
        return *ret_target ? 1 : -ENOMEM;
}

int recorded_is_mounted(const Record *record)
{
        _cleanup_free_ char *target = NULL;

        return recorded_find(record, &target);
}

static int note_source(Record *record, const char *source)
{
        free(record->source);
        record->source = text_escape(source, strlen(source)); /* in one line */
        return record->source ? 0 : -ENOMEM;
}

int recorded_note(Record *record, int fd, int id)
{
        _cleanup_(mountinfo_freep) Mountinfo *info = NULL;
        const MountEntry *e;
        int r = mountinfo_read_self(&info);

        if (r < 0)
                return r;
        record->unique_id = 0;
        if (fd >= 0)
                (void)mount_unique_id_of(fd, &record->unique_id);
        e = mountinfo_find_id(info, id);
        if (!e)
                return 0; /* gone already */
        record->mount_devnum = e->devnum;
        return note_source(record, e->source);
}

int recorded_identify(Record *record, int dir_fd, const char *path, int id)
{
        _cleanup_close_ int fd = open_root(dir_fd, path, id, O_PATH);
        char uuid[BTRFS_UUID_LENGTH + 1];
        int r = recorded_note(record, fd, id);

        if (r < 0)
                return r;
        free(record->fsid);
        record->fsid = NULL;
        if (read_uuid(dir_fd, path, id, uuid) >= 0 && !(record->fsid = strdup(uuid)))
                return -ENOMEM;
        return 0;
}
