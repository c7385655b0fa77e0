/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "device.h"
#include "probe.h"
#include "report.h"

/* A block device that is open, and proven to be the one asked for. In a child: opening may hang. */

typedef struct BlockDevice {
        Device *device; /* as sysfs and udev's database tell of it; of the content blockdev_probe()
                         */
        int fd;         /* read-only; keeps number and sequence from being used again */
        int disk_fd;    /* its whole disk; -1 when it is one */
        unsigned part_number; /* 0 when it is a whole disk */
        ProbeResult content;
} BlockDevice;

/* Opens DEVNUM, provided that it is a block device with DISKSEQ, and takes a shared lock (flock) on
 * its whole disk, so that no partitioner is at work. On failure the report says why. *ret is the
 * caller's to blockdev_done(). */
int blockdev_open(dev_t devnum, uint64_t diskseq, BlockDevice *ret, Report *report);

/* Makes the lock an exclusive one: nobody probes, mounts by it, or partitions meanwhile. */
int blockdev_lock(const BlockDevice *b, Report *report);

/* Claims D (O_EXCL) for as long as the descriptor, which is returned, is open: while it is claimed
 * nobody mounts it, nor the disk or a partition of it. -EBUSY: somebody has it or one of these
 * mounted, or claimed otherwise; -ENODEV it is gone; -errno. */
int blockdev_claim(const Device *d);

/* Looks at the content in the probing child, and puts it into ->device and ->content. */
int blockdev_probe(BlockDevice *b, Report *report);

/* Reports everything that is known of the device after blockdev_probe(). */
void blockdev_report(const BlockDevice *b, Report *report);

void blockdev_done(BlockDevice *b);
