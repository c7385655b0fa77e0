/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/* Devices whose content nobody told: mountd looks at those that a volume may mean. */

/* Has it look at those that are due. What it finds is put into the table of devices, and the
 * volumes that care for it are marked. */
void prober_look(Manager *m);
