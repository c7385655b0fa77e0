/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/* A volume is absent while a filesystem is attached that fits nobody: its file may name it wrongly.
 * Says so, once for each absence. */
void hint_about_absent(Manager *m);
