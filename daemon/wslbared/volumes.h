/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "volume.h"

/* The table of volumes that are configured, and what is wrong with their files. */

typedef struct Volumes Volumes;

/* V is about to be taken out, as NOW, which is not in force yet, has no file of it, and freed. */
typedef void (*VolumesGoing)(Volume *v, const Config *now);

/* It is empty. RECORDS and FLAGS, of which FLAGS may be NULL: directories of mountd's, where what
 * was done for a volume before we started is looked up. They and SOURCE's must live as long. */
int volumes_new(Manager *m, const ConfigSource *source, const char *records, const char *flags,
                VolumesGoing going, Volumes **ret);
Volumes *volumes_free(Volumes *vs);

size_t volumes_count(const Volumes *vs);
Volume *volumes_get(const Volumes *vs, size_t i); /* sorted by name */
Volume *volumes_find(const Volumes *vs, const char *name);

/* Looks up again what became of their targets: mountd stops some when it starts, which may be after
 * they were loaded. */
void volumes_read_flags(Volumes *vs);

/* As of the latest load, for its problems; its volumes are in the table. NULL: none was loaded. */
const Config *volumes_config(const Volumes *vs);

/* Loads the configuration: volumes come, go, stay with their new file, or with the old one where
 * the new one has errors. Problems are logged; *ret_other_problems says whether they are other ones
 * than before. 0, or -errno: what was in force stays, but for -ENOMEM, where volumes may be
 * missing. */
int volumes_load(Volumes *vs, bool *ret_other_problems);
