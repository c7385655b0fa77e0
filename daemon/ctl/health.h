/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-objects.h"
#include "term.h"

/* How a volume does, and what a person can do about it. */

typedef enum Health {
        HEALTH_GOOD,    /* mounted, and nothing wrong with it */
        HEALTH_IDLE,    /* not mounted, and not meant to be */
        HEALTH_WORKING, /* on the way */
        HEALTH_ODD,     /* worth a look: waits for somebody, or is not quite what was asked for */
        HEALTH_BAD,
        _HEALTH_MAX,
} Health;

Health health_of(const ClientVolume *v);

/* As systemctl shows units: a sign that is one column wide, and its colour. */
const char *health_sign(Health h);
TermColor health_color(Health h);

/* One line; NULL: there is nothing to be done, or all is in the failure's message. */
char *health_cure(const ClientVolume *v);
