/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "mountd-client.h"

/* What is published of a volume: the values of org.wslbare1.Volume's properties as of the latest
 * round. The bus reads them here, so that what a program gets and what it was told of are the same.
 */

/* The types are sd-bus's: int for a boolean, NULL for "". */
typedef struct VolumeView {
        char *name;
        char *config_path;
        char *state;
        int automatic;
        char *device;
        uint64_t diskseq;
        char *uuid;
        char *label;
        char *type;
        char *where;
        char *options;
        char *mounted_options;
        int read_only;
        int stale;
        char **candidates;
        uint32_t attempts;
        uint64_t next_retry_usec;
        uint64_t state_change_usec; /* CLOCK_REALTIME */
        uint64_t state_change_monotonic_usec;
        uint64_t latency_usec;
        char *failure_step;
        int32_t failure_errno;
        char *failure_message;
        MountdHolder *holders;
        size_t n_holders;
} VolumeView;

typedef struct Volume Volume;

/* Builds it from what V is at this moment. 0 or -ENOMEM. */
int view_build(const Volume *v, VolumeView *ret);
void view_done(VolumeView *w);

/* The names of the D-Bus properties in which A and B differ, as a list that ends with NULL, in
 * NAMES, which has room for VIEW_PROPERTIES_MAX. Their number. */
#define VIEW_PROPERTIES_MAX 32
unsigned view_compare(const VolumeView *a, const VolumeView *b, char *names[VIEW_PROPERTIES_MAX]);
