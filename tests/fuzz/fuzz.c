/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fuzz.h"
#include "macro.h"
#include "text.h"

char *fuzz_string(const uint8_t *data, size_t size)
{
        char *s = size > 0 ? strndup((const char *)data, size) : strdup("");

        CHECK(s);
        return s;
}

void fuzz_check_text(const char *s)
{
        CHECK(s);
        CHECK(text_valid_length(s, strlen(s)) == strlen(s));
}

char *fuzz_line(const uint8_t **data, size_t *size)
{
        const uint8_t *end;
        size_t n = *size;
        char *line;

        if (n == 0)
                return NULL;
        end = memchr(*data, '\n', n);
        if (end)
                n = (size_t)(end - *data);
        line = fuzz_string(*data, n);
        n += end != NULL;
        *data += n;
        *size -= n;
        return line;
}
