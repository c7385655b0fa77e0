/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "client.h"

/* Prints what is wrong with the configuration as compilers do, `FILE:LINE: severity: text`. How
 * many are errors. */
size_t problems_print(FILE *f, const ClientManager *m);
