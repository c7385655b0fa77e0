/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-objects.h"

/* Where volumes are absent: prints which devices may be meant, filesystems that nobody uses and
 * that fit no volume. 0, -errno. */
int hint_print(Client *client, const ClientVolume *const *volumes, size_t n);
