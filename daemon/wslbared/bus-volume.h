/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "volume.h"

/* org.wslbare1.Volume, an object a volume. */

#define VOLUME_INTERFACE "org.wslbare1.Volume"
#define VOLUME_PREFIX "/org/wslbare1/volume"

/* For tests that walk through all methods. */
extern const sd_bus_vtable bus_volume_vtable[];

int bus_volume_publish(sd_bus *bus, Manager *m);

/* The volume's object path, the caller's to free. */
int bus_volume_path(const char *name, char **ret);

/* Publishes V, which must be in the manager already, as it is by now: builds its view anew, and
 * says on BUS, which may be NULL, in what it is another one. */
void bus_volume_update(sd_bus *bus, Volume *v);
/* Says that V, which must still be in the manager, is going. */
void bus_volume_removed(sd_bus *bus, const Volume *v);
