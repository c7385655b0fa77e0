/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "fs-state.h"

/* What a block device holds, by libblkid, of which this is the only home. Superblocks are hostile:
 * call probe_fd() only in a process that has nothing to lose (see daemon/mountd/sandbox.h). */

#define PROBE_VALUE_MAX 256 /* bytes with the NUL; libblkid's own longest (a label of 255) fits */

typedef enum ProbeVerdict {
        PROBE_NOTHING, /* nothing that libblkid knows */
        PROBE_FOUND,
        PROBE_AMBIVALENT, /* two filesystems' signatures */
        _PROBE_VERDICT_MAX,
} ProbeVerdict;

/* Of fixed size and without pointers, so that it can be handed through a pipe as it is; "" is "not
 * there". The strings are raw bytes from the disk, NUL-terminated, not necessarily UTF-8. */
typedef struct ProbeResult {
        uint64_t size;    /* bytes */
        uint32_t verdict; /* ProbeVerdict */
        uint32_t sector_size;
        FsState state;               /* of what was found */
        char usage[PROBE_VALUE_MAX]; /* filesystem, crypto, raid, other; when found */
        /* Also of a superblock whose checksum is wrong, where there is nothing but one: as with
         * `blkid -p`, the verdict then is PROBE_NOTHING. */
        char type[PROBE_VALUE_MAX];
        char version[PROBE_VALUE_MAX];
        char uuid[PROBE_VALUE_MAX];
        char uuid_sub[PROBE_VALUE_MAX]; /* of this one of several devices */
        char label[PROBE_VALUE_MAX];
        char part_uuid[PROBE_VALUE_MAX];
        char part_label[PROBE_VALUE_MAX];
        char table_uuid[PROBE_VALUE_MAX]; /* of the partition table that holds it */
} ProbeResult;

/* FD: the device (or an image), opened for reading. DISK_FD: the whole disk, -1 when FD is one: the
 * partition's entry is read there, with PART_NUMBER from the kernel (on a partition's descriptor
 * libblkid finds none; 0 when there is none). A partition table alone is PROBE_NOTHING, with
 * table_uuid; the entry's fields are filled whatever the verdict. 0, or -errno of reading (-EIO and
 * its like), *ret untouched. */
int probe_fd(int fd, int disk_fd, unsigned part_number, ProbeResult *ret);

/* Whether R, which came through a pipe from a process that read hostile data, has the form that it
 * must have, and a type that libblkid knows, one at least where something was found. */
bool probe_result_is_valid(const ProbeResult *r);

/* Replaces what D says of its content, partition and partition table by what R says. 0 or -ENOMEM.
 */
int probe_result_describe(const ProbeResult *r, Device *d);
