/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"

/* Why wslbared has no volume of a name, as far as the files tell. */

/* *RET, to be freed, is a line about it. -EBADMSG: its file is not in force, as it has errors;
 * -ENOENT: there is none, or it is a mask, or it is not loaded yet; -ENOMEM. */
int no_volume_explain(const ConfigSource *source, const char *name, char **ret);

/* Says it of the files of this system, on standard error. Returns the same. */
int no_volume_say(const char *name);
