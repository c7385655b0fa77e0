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

/* Say what happened to V, where BUS, which may be NULL, is there. V must still be (be already) in
 * the manager. */
void bus_volume_added(sd_bus *bus, const Volume *v);
void bus_volume_removed(sd_bus *bus, const Volume *v);
/* PROPERTIES ends with NULL. */
void bus_volume_changed(sd_bus *bus, const Volume *v, char **properties);
