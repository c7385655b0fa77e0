/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "health.h"
#include "macro.h"

/* What an examination found, one after the other. */

typedef struct Finding {
        const char *subject; /* static: "systemd", "fstab", … */
        Health health;       /* HEALTH_GOOD; HEALTH_ODD: worth a look; HEALTH_BAD: to be mended */
        char *text;
        char *cure; /* one line; NULL: none is needed */
} Finding;

typedef struct Findings {
        Finding *items;
        size_t n_items;
} Findings;

/* Takes TEXT and CURE over, also on failure. CURE may be NULL. 0; -ENOMEM, also when TEXT is NULL:
 * so what text_format() returns can be given as it is. */
int findings_add(Findings *f, const char *subject, Health health, char *text, char *cure);
void findings_done(Findings *f);
