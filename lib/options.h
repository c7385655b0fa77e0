/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mount options: what stands in fstab's fourth column, taken apart as the mount system calls want
 * it. */

typedef struct MountParam {
        char *key;
        char *value; /* NULL for a flag */
} MountParam;

typedef struct MountOptions {
        uint64_t attr_set; /* MOUNT_ATTR_* for fsmount(2); nosuid and nodev are in it unless suid or
                              dev were given */
        bool read_only; /* "ro": the superblock too, not only the mount (MOUNT_ATTR_RDONLY is then
                           in attr_set) */
        MountParam *params; /* for fsconfig(2), in the order given; superblock words (sync, dirsync,
                               lazytime, …) are flags here */
        size_t n_params;
        char **ignored; /* words that have no effect here, each worth a warning: nofail, noauto,
                           user, _netdev, x-*, … */
} MountOptions;

/* Takes WORDS ("noatime,compress=zstd:3") apart. Words of mount(8) that belong to the mount become
 * attributes, a later word beating an earlier one (ro,rw is rw); "defaults" means nothing;
 * everything else goes to the filesystem unseen, as only it knows. 0, -ENOMEM, or -EINVAL with
 * *ret_error saying which word is wrong and why: an empty key, a value of more than 255 bytes (the
 * limit of fsconfig(2)), a control character or backslash, or a word that asks for another
 * operation (bind, rbind, remount, move, loop, offset=, sizelimit=, shared, private, slave and
 * their recursive forms, X-mount.*, helper=, uhelper=, source=), a blank or quote in a word,
 * or a value for a word that takes none. *ret and *ret_error (valid UTF-8) are owned by the caller;
 * NULL WORDS are no options, and an empty word between two commas is none, as in fstab. */
int mount_options_parse(const char *words, MountOptions **ret, char **ret_error);

/* A superblock of TYPE is about to be mounted: adds what is wanted whether or not it was asked for,
 * today errors=remount-ro on ext2, ext3 and ext4 unless errors= is there (a crafted superblock may
 * say errors=panic). 0 or -ENOMEM. */
int mount_options_add_defaults(MountOptions *o, const char *type);

/* Turns on read-only, as `ro` would. */
void mount_options_set_read_only(MountOptions *o);

/* What a mount helper (/sbin/mount.TYPE -o) is given: ro or rw, nosuid, nodev, noexec, …, then the
 * params. NULL when out of memory. */
char *mount_options_to_string(const MountOptions *o);

/* Whether the params, in this order of words, would find themselves in MOUNTED (the options of a
 * mountinfo line, mount and superblock ones joined by a comma): each flag or key=value that is not
 * there is added to *missing. Words that kernels never show or show in another form (defaults of
 * the filesystem shown as nothing) cannot be told from dropped ones, so this is ground for a
 * warning only. */
int mount_options_missing(const MountOptions *o, const char *mounted, char ***missing);

/* The subvolume of a btrfs, as subvol= or subvolid= of O has it, of which a mount with the options
 * MOUNTED is not; NULL: it is, or none is asked for. Points into O. */
const char *mount_options_other_subvolume(const MountOptions *o, const char *mounted);

MountOptions *mount_options_free(MountOptions *o);
static inline void mount_options_freep(MountOptions **o)
{
        mount_options_free(*o);
}
