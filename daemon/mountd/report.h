/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

#include "plan.h"

/* What a child of mountd found out or did, as keys and values: written to a socket as one packet,
 * and handed on as the a{sv} of a reply. The keys and their types are one table, see report.c. */

#define REPORT_SIZE_MAX                                                          \
        (64U * 1024U) /* of a packet; a mount's warnings are a few hundred bytes \
                       */

typedef struct Report Report;

Report *report_new(void); /* NULL when out of memory */
Report *report_free(Report *r);
static inline void report_freep(Report **r)
{
        report_free(*r);
}

/* Adds KEY, which must be in the table; Warnings may be added many times. Memory that is lacking is
 * noticed by report_send(). */
void report_add(Report *r, const char *key, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Notes the failure, of which there is one: later ones are consequences and dropped. ERROR is the
 * last part of org.wslbare1.Error.*, ERRNUM an errno of either sign. Returns -ERRNUM (never 0:
 * -EIO). */
int report_fail(Report *r, const char *error, FailureStep step, int errnum, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* NULL where there is none. */
const char *report_get(const Report *r, const char *key);

int report_send(const Report *r, int fd);
/* Takes a packet apart; -EBADMSG when it is not of that form. */
int report_parse(const char *data, size_t size, Report **ret);

/* Appends it to M as a{sv}. */
int report_append(const Report *r, sd_bus_message *m);
