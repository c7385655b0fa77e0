/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the journal has of a volume. */

/* Prints the last N messages about the volume NAME, as far as the user may see them. Says nothing
 * where there are none. */
void journal_print(const char *name, unsigned n);
