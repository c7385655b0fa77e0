/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where filesystems have their programs: mount.TYPE, fsck.TYPE. */

/* mount(8)'s own list, and where NixOS has them; ended by NULL. */
extern const char *const sbin_dirs[];

/* KIND.TYPE in the first of DIRS (sbin_dirs, or a test's) that has it: 1, 0 none has, -ENOMEM. */
int sbin_find(const char *const *dirs, const char *kind, const char *type, char **ret);
