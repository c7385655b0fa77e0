/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "findings.h"

int findings_add(Findings *f, const char *subject, Health health, char *text, char *cure)
{
        Finding *items = reallocarray(f->items, f->n_items + 1, sizeof(*items));

        if (items)
                f->items = items;
        if (!items || !text) {
                free(text);
                free(cure);
                return -ENOMEM;
        }
        f->items[f->n_items++] = (Finding){ subject, health, text, cure };
        return 0;
}

void findings_done(Findings *f)
{
        for (size_t i = 0; i < f->n_items; i++) {
                free(f->items[i].text);
                free(f->items[i].cure);
        }
        free(f->items);
        *f = (Findings){ 0 };
}
