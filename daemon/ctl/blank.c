/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "blank.h"
#include "child.h"
#include "macro.h"

#define EDGE (1024 * 1024) /* bytes at either end */
#define BLOCK 65536

bool blank_is_possible(const Device *d)
{
        if (d->type || d->content == DEVICE_CONTENT_FILESYSTEM ||
            d->content == DEVICE_CONTENT_OTHER)
                return false;
        /* udev says of a whole disk that there is nothing only when it has a partition table. */
        return d->is_partition || d->content == DEVICE_CONTENT_UNKNOWN;
}

static bool is_zero(const char *data, size_t size)
{
        return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* 1, 0, or -1: it could not be read. */
static int is_zero_at(int fd, off_t from, off_t to)
{
        static char buffer[BLOCK];

        while (from < to) {
                size_t size = to - from < BLOCK ? (size_t)(to - from) : BLOCK;
                ssize_t n = pread(fd, buffer, size, from);

                if (n <= 0)
                        return -1;
                if (!is_zero(buffer, (size_t)n))
                        return 0;
                from += n;
        }
        return 1;
}

static void look(void *item)
{
        Blank *b = item;
        _cleanup_close_ int fd = open(b->node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        int r;

        if (size <= 0)
                return;
        r = is_zero_at(fd, 0, size < EDGE ? size : EDGE);
        if (r > 0)
                r = is_zero_at(fd, size < EDGE ? 0 : size - EDGE, size);
        b->is_known = r >= 0;
        b->is_blank = r > 0;
}

void blank_look(Blank *blanks, size_t n)
{
        child_ask_each(blanks, n, sizeof(*blanks), look);
}
