/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "check.h"
#include "config-file.h"
#include "config-problems.h"
#include "match.h"
#include "options.h"

/* What one configuration file wants. */

typedef enum KeepMounted {
        KEEP_MOUNTED_AUTO, /* below the directory that WSL's distributions share, see shared.h */
        KEEP_MOUNTED_NO,
        KEEP_MOUNTED_YES,
} KeepMounted;

typedef struct VolumeConfig {
        char *name;
        char *path;        /* the file, as found in its directory, not resolved */
        char *fingerprint; /* device, inode, size, mtime and ctime of the opened file; equal exactly
                              when unchanged */
        Match match;
        char *where;         /* NULL: Where=none */
        unsigned where_line; /* where the file says so */
        char *type;          /* NULL: what was probed */
        char *options_text;  /* as written, "" when none */
        MountOptions *options;
        bool read_only; /* by ReadOnly= or by Options=; always the same as options->read_only */
        bool automatic; /* Auto= */
        CheckWhen check;
        CheckFailure check_failure;
        KeepMounted keep_mounted;
        unsigned members; /* devices that a filesystem on several needs before it is mounted */
        uint64_t mount_timeout_usec;
        unsigned retry_limit;
        uint64_t retry_usec;
        mode_t directory_mode;
} VolumeConfig;

/* What FILE wants for NAME: 0, -EINVAL with the errors in PROBLEMS, -ENOMEM. Warnings are added on
 * success too. */
int volume_config_parse(const char *name, const ConfigFile *file, ConfigProblems *problems,
                        VolumeConfig **ret);

VolumeConfig *volume_config_free(VolumeConfig *c);
static inline void volume_config_freep(VolumeConfig **c)
{
        volume_config_free(*c);
}
