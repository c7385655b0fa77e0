/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "manager.h"

/* org.wslbare1.Manager, and the ObjectManager. */

#define MANAGER_INTERFACE "org.wslbare1.Manager"

/* For tests that walk through all methods. */
extern const sd_bus_vtable bus_manager_vtable[];

int bus_manager_publish(sd_bus *bus, Manager *m);

/* Says on BUS, which may be NULL, in what AFTER is another one than BEFORE, and whether the
 * problems of the configuration are other ones. */
void bus_manager_changed(sd_bus *bus, const ManagerView *before, const ManagerView *after,
                         bool problems);
