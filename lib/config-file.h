/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "config-problems.h"

/* A configuration file, as far as its bytes and who may write them are concerned. */

#define CONFIG_FILE_MAX \
        (64U * 1024U) /* bytes; a volume needs a few hundred, and nobody is to fill our memory */

typedef struct ConfigFile {
        char *path;
        char *text; /* SIZE bytes, no NUL behind them */
        size_t size;
        char *fingerprint; /* device, inode, size, mtime and ctime: "DEV:INO:SIZE:SEC.NSEC:SEC.NSEC"
                            */
} ConfigFile;

/* Opens the directory at PATH: 0, -ENOENT (there is none), -EINVAL (refused or unreadable, which is
 * added to PROBLEMS), -ENOMEM. */
int config_file_open_directory(const char *path, uid_t owner, ConfigProblems *problems,
                               int *ret_fd);

/* Reads NAME in the directory DIR_FD, whose path is DIR: 1; 0 when it is a mask (empty, or
 * /dev/null); -ENOENT, -EINVAL and -ENOMEM as above. Never waits, whatever is there. */
int config_file_read(int dir_fd, const char *dir, const char *name, uid_t owner,
                     ConfigProblems *problems, ConfigFile *ret);

void config_file_done(ConfigFile *f);
