/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sbin.h"
#include "macro.h"
#include "text.h"

const char *const sbin_dirs[] = { "/usr/sbin", "/sbin", "/usr/bin", "/run/current-system/sw/bin",
                                  NULL };

int sbin_find(const char *const *dirs, const char *kind, const char *type, char **ret)
{
        for (; *dirs; dirs++) {
                _cleanup_free_ char *path = text_format("%s/%s.%s", *dirs, kind, type);

                if (!path)
                        return -ENOMEM;
                if (access(path, X_OK) == 0) {
                        *ret = TAKE_PTR(path);
                        return 1;
                }
        }
        return 0;
}
