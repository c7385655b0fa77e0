/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "report.h"

/* The acts themselves, from an open device to a verified mount; unmounter.h has the way back. Each
 * runs in a child of its own, may hang, may be killed at any point, and leaves a record that tells
 * whoever comes next what to do. Each returns 0, or -errno with the failure in the report. */

typedef void (*MounterProgress)(FailureStep step, void *userdata);
typedef void (*MounterPercent)(unsigned percent, void *userdata);

typedef struct Mounter {
        const char *records;     /* directory */
        const char *staging;     /* directory */
        const char *flags;       /* directory of what wslbare@NAME.target asserts */
        const char *shared;      /* directory, see shared.h */
        const char *checks;      /* file, see check-lock.h */
        const char *const *sbin; /* where check programs are looked for, see sbin.h */
        int errors_fd;           /* see fs-errors.h; -1 none */
        MounterProgress progress;
        MounterPercent percent; /* of a check */
        void *userdata;
} Mounter;

/* Reports what the device holds. */
int mounter_probe(dev_t devnum, uint64_t diskseq, Report *report);

/* Checks and mounts the device as CONFIG says, provided that it is one that CONFIG means. A mount
 * that is already just that is adopted. */
int mounter_mount(const Mounter *m, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                  Report *report);

/* Takes a mount that exists, of the device on CONFIG's or the record's target, into the record. */
int mounter_adopt(const Mounter *m, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                  Report *report);

/* Starts or stops wslbare@NAME.target; see unit-target.h. */
int mounter_set_target(const Mounter *m, const char *name, bool active, Report *report);

/* Makes the mounts that will hold the configured mount points shared, so that namespaces made from
 * now on follow. */
void mounter_share(const Config *config);
