/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"

/* What wslbare-mountd did for a volume: /run/wslbare-mountd/volumes/NAME, written before the act
 * and read again by whoever comes after a crash. Root's; everybody may read. */

#define RECORD_DIRECTORY "/run/wslbare-mountd/volumes"
/* Has a file NAME while wslbare@NAME.target may be active, see units/wslbare@.target; and .NAME
 * from before it is started or stopped until that is done, so that it is known after a crash that
 * it is not known. */
#define RECORD_FLAG_DIRECTORY "/run/wslbare-mountd/mounted"

typedef enum RecordPhase {
        RECORD_MOUNTING, /* about to be mounted: it may be, or not */
        RECORD_MOUNTED,
        RECORD_UNMOUNTING, /* about to be unmounted, by intent: it may be, or not */
        RECORD_UNMOUNTED,  /* by intent, or found unmounted: not to be undone before the device is
                              replugged */
        _RECORD_PHASE_MAX,
} RecordPhase;

typedef struct Record {
        RecordPhase phase;
        char *target;
        dev_t devnum;
        uint64_t diskseq;
        char *source; /* of the mount, as mountinfo called it: where devices are many, maybe another
                         one than DEVNUM; NULL while not mounted */
        dev_t mount_devnum; /* of the mount, as mountinfo has it: of btrfs one that stands for no
                               device; 0 unknown */
        char *fsid;         /* of a btrfs, as btrfs_read_uuid() gives it; NULL unknown */
        int mount_id;       /* 0 while not mounted */
        uint64_t unique_id; /* of the mount, as mount_unique_id_of() gives it; 0 unknown */
        char *asked; /* what the file asked for when it was mounted, as record_asked() has it; NULL
                        unknown */
        bool directory_made; /* the target is ours, to be removed when empty */
        bool read_only;      /* it was so when it was mounted, or found */
} Record;

/* What CONFIG asks of a mount, as one line that is equal for equal wishes. NULL when out of memory.
 */
char *record_asked(const VolumeConfig *config);

/* 0; -ENOENT; -EBADMSG: it is not a record; -errno. */
int record_load(const char *directory, const char *name, Record **ret);

/* Replaces NAME's record whole. DIRECTORY must exist. */
int record_save(const char *directory, const char *name, const Record *record);

/* 0 also when there is none. */
int record_remove(const char *directory, const char *name);

/* Removes what a record_save() that was killed left beside the record. No other may be at work. */
void record_tidy(const char *directory, const char *name);

/* The name of the volume that FILE, in the directory of records, is of: also where it is what
 * record_tidy() removes. Points into FILE; NULL when it is of none. */
const char *record_name_of(const char *file);

Record *record_free(Record *r);
static inline void record_freep(Record **r)
{
        record_free(*r);
}
