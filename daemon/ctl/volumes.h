/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-objects.h"
#include "space.h"
#include "table.h"

/* The table of volumes. */

extern const TableColumn volumes_columns[];

/* One line each. 0; -EINVAL, which was said; -ENOMEM. */
int volumes_print(const ClientVolume *const *volumes, size_t n, const TableOptions *options);

/* For each volume, where it is mounted as this process sees it, and how full it is. The array is to
 * be freed; NULL when out of memory. */
Space *volumes_measure(const ClientVolume *const *volumes, size_t n);

/* Bytes of V's device; 0 unknown. */
uint64_t volumes_device_size(const ClientVolume *v);

/* "Thu 2026-11-26 13:38:23 UTC" of CLOCK_REALTIME. */
#define VOLUMES_TIME_MAX 64
const char *volumes_time(uint64_t usec, char buffer[VOLUMES_TIME_MAX]);
