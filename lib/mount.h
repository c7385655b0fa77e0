/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "options.h"

/* The mount system calls, and nothing that decides. Everything here may block on a disk. Errors are
 * -errno with, where there is more to say, *ret_error: a sentence for a person, owned by the caller
 * (may be NULL also on failure; ret_error itself must not be). */

/* Resolves PATH (absolute, normalised) without following any symbolic link, making what is missing:
 * the last component with MODE, those above it with 0755. *ret_fd is an O_PATH descriptor of the
 * directory, *ret_parent_fd one of its parent, *ret_made whether the last component was made.
 * -ELOOP: a link in the path; -ENOTDIR: something in it is not a directory. */
int mount_open_target(const char *path, mode_t mode, int *ret_fd, int *ret_parent_fd,
                      bool *ret_made, char **ret_error);

/* Same, but makes nothing: -ENOENT. */
int mount_open_existing(const char *path, int *ret_fd, int *ret_parent_fd, char **ret_error);

/* Whether the directory FD (O_PATH is enough) has entries: 1, 0, -errno. */
int mount_directory_is_populated(int fd);

/* fsopen, fsconfig, fsmount: a detached mount of the filesystem TYPE on NODE (a path below /dev: it
 * becomes the source in mountinfo). *ret_error holds the kernel's own words, where the context gave
 * any. */
int mount_new(const char *type, const char *node, const MountOptions *options, int *ret_fd,
              char **ret_error);

/* Has the kernel look at what OPTIONS have for the filesystem TYPE, without a device, and nothing
 * is mounted: -EINVAL and *ret_error in its words; -ENODEV: it has no such filesystem; -EPERM;
 * another -errno. Filesystems of the old kind look at options only when they mount, so 0 is no
 * promise. */
int mount_check_options(const char *type, const MountOptions *options, char **ret_error);

/* A detached copy (open_tree) of the mount at the directory FD, with the attributes of OPTIONS:
 * what a mount helper mounted aside. */
int mount_clone(int fd, const MountOptions *options, int *ret_fd, char **ret_error);

/* Attaches the detached MOUNT_FD to TARGET_FD (O_PATH, just opened), never over another mount:
 * -EBUSY with *ret_error. Verifies that it sits directly on the target, else undoes it. *ret_id is
 * its mount ID. */
int mount_attach(int mount_fd, int target_fd, int *ret_id, char **ret_error);

/* Takes away what mount_attach() attached as MOUNT_FD, lazily and wherever it is by now, with what
 * is mounted on it. 0, -errno: it stays. */
int mount_undo(int mount_fd);

/* The mount ID of what FD (O_PATH is enough) refers to, by statx(2), and whether FD is the root of
 * that mount. */
int mount_id_of(int fd, int *ret_id, bool *ret_is_root);

/* The ID of the mount that FD (O_PATH is enough) is on that, unlike its mount ID, is never given
 * again. -EOPNOTSUPP before Linux 6.8; another -errno where the filesystem gives none, as it is
 * asked. */
int mount_unique_id_of(int fd, uint64_t *ret);

/* Makes the mount that holds FD shared, where it is private (neither shared nor slave). 1 made
 * shared, then *ret_path is its mount point; 0 nothing to do. */
int mount_share(int fd, char **ret_path, char **ret_error);

/* Unmounts what is mounted at NAME in the directory PARENT_FD, provided that its mount ID is ID:
 * -ESTALE when it is another, -EINVAL when nothing is mounted. FLAGS: MNT_DETACH or 0;
 * UMOUNT_NOFOLLOW is added. Changes and restores the working directory, so: not in a process with
 * threads. */
int mount_detach(int parent_fd, const char *name, int id, int flags);

/* Whether the running kernel mounts TYPE from block devices (/proc/filesystems): 1, 0, -errno. */
int mount_type_known(const char *type);
