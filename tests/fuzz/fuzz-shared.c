/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/mman.h>

#include "fuzz.h"
#include "macro.h"
#include "parse.h"
#include "shared.h"
#include "text.h"

/* WSL's own wsl.conf, which is somebody else's. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_close_ int fd = memfd_create("wsl.conf", MFD_CLOEXEC);
        _cleanup_free_ char *path = text_format("/proc/self/fd/%d", fd), *shared = NULL;

        CHECK(fd >= 0 && path);
        CHECK(write(fd, data, size) == (ssize_t)size);
        CHECK(shared_find(path, &shared) == 0);
        CHECK(path_is_normalized(shared));
        CHECK(strlen(shared) >= strlen("/wsl"));
        CHECK(streq(shared + strlen(shared) - strlen("/wsl"), "/wsl"));
        return 0;
}
