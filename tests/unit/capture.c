/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/mman.h>

#include "capture.h"
#include "macro.h"
#include "test.h"

Capture capture_begin(FILE *stream, int fd)
{
        Capture c = { stream, fd, dup(fd), memfd_create("captured", MFD_CLOEXEC) };

        ASSERT(c.saved >= 0 && c.file >= 0 && fflush(stream) == 0);
        ASSERT(dup2(c.file, fd) == fd);
        return c;
}

const char *capture_end(Capture *c)
{
        static char text[8192];
        ssize_t n;

        (void)fflush(c->stream);
        (void)dup2(c->saved, c->fd);
        n = pread(c->file, text, sizeof(text) - 1, 0);
        (void)close(c->saved);
        (void)close(c->file);
        ASSERT(n >= 0);
        text[n] = '\0';
        return text;
}
