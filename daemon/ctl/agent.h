/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "client.h"

/* polkit's agent in this terminal: it asks for the password where an ordinary user wants what is
 * not for everybody. */

/* Starts it where there is a use for it: its process, 0 none. */
pid_t agent_start(Client *c);
void agent_stop(pid_t pid);
