/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* What mountd answers, as text: a line for each key, `KEY TYPE VALUE…`, or `error NAME: MESSAGE`.
 */

/* Of M, which is sealed; the caller's to free. Fails the case when M is no a{sv} of known types. */
char *answer_to_text(sd_bus_message *m);
/* The same of a reply or an error. */
char *answer_of_call(int r, const sd_bus_error *error, sd_bus_message *reply);
