/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mount system calls of Linux 5.2 and 5.12 for glibc 2.35, which has neither wrappers nor
 * constants; newer ones have both, and their header cannot be included beside the kernel's. */

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FSOPEN_CLOEXEC
#include <linux/mount.h>
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
