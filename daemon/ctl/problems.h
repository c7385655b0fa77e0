/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "client-objects.h"

size_t problems_count_errors(const ClientManager *m);

/* Prints what is wrong with the configuration as compilers do, `FILE:LINE: severity: text`. */
void problems_print(FILE *f, const ClientManager *m);

/* Does so on standard error with what wslbared has loaded. The exit status: CTL_FAILED where there
 * are more than N_KNOWN errors. */
int problems_tell(Client *c, size_t n_known);
