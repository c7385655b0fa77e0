/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "record.h"
#include "served.h"
#include "text.h"

/* mountd with one volume, data, that is for served.disk on served.where. */

void data_begin(void);

/* Mounts it, and fails unless that went well. */
void data_mount(void);

const char *data_ask_adopt(const Disk *disk);

/* The record of NAME; NULL there is none. */
Record *record_of(const char *name);
void data_assert_record(RecordPhase phase, bool directory_made, int mount_id);

/* How often its record was saved, by an inotify of IN_MOVED_FROM and IN_MOVED_TO: equal events are
 * one, so those of the file that is renamed to it are needed in between. */
unsigned data_count_saved(int watch_fd);

bool contains_line(const char *text, const char *line);

#define ASSERT_LINE(text, ...)                                                                   \
        do {                                                                                     \
                _cleanup_free_ char *_line = text_format(__VA_ARGS__);                           \
                if (!contains_line(text, _line))                                                 \
                        test_fail(__FILE__, __LINE__, "\"%s\" has no line \"%s\"", text, _line); \
        } while (0)
