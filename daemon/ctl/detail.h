/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-objects.h"
#include "space.h"

/* Prints all about a volume, as `systemctl status` does about a unit, but for the journal. */
void detail_print(const ClientVolume *v, const Space *space);

/* Parts of that: its state, and a line of it, or nothing where VALUE is NULL or "". */
void detail_print_state(const ClientVolume *v);
void detail_print_text(const char *label, const char *value);

/* Prints, in a few lines behind its name, what is wrong with it and what can be done; nothing where
 * there is nothing. */
void detail_print_trouble(const ClientVolume *v);
