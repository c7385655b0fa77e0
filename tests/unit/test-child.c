/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "child.h"
#include "macro.h"
#include "test.h"

static void add_one(void *item)
{
        int *n = item;

        if (*n == 0)
                for (;;)
                        (void)pause();
        if (*n < 0)
                _exit(1);
        (*n)++;
}

static void test_rows(void)
{
        static const struct {
                const char *row;
                int before[6], after[6];
        } rows[] = {
                { "all answer", { 1, 2, 3, 4, 5, 6 }, { 2, 3, 4, 5, 6, 7 } },
                { "one is silent", { 1, 0, 3, 4, 5, 6 }, { 2, 0, 4, 5, 6, 7 } },
                { "the last", { 1, 2, 3, 4, 5, 0 }, { 2, 3, 4, 5, 6, 0 } },
                { "one dies", { -1, 2, 3, 4, 5, 6 }, { -1, 3, 4, 5, 6, 7 } },
                { "too many are silent", { 0, 2, 0, 0, 5, 6 }, { 0, 3, 0, 0, 5, 6 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int items[6];

                test_row(rows[i].row);
                memcpy(items, rows[i].before, sizeof(items));
                child_ask_each(items, ELEMENTSOF(items), sizeof(int), add_one);
                for (size_t k = 0; k < ELEMENTSOF(items); k++)
                        ASSERT_EQ(items[k], rows[i].after[k]);
        }
        child_ask_each(NULL, 0, sizeof(int), add_one);
}

TEST_MAIN(TEST(rows))
