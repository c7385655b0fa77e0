/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Questions that a disk may leave unanswered for ever. */

/* Has ASK called for each of N items of SIZE bytes, at most PIPE_BUF, in a child, and takes over
 * what it makes of them. One that is not done soon stays as it is, and after a few of those the
 * others do too. What ASK prints is lost. */
void child_ask_each(void *items, size_t n, size_t size, void (*ask)(void *item));
