/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/statvfs.h>

#include "macro.h"
#include "space.h"
#include "test.h"

static void test_measure(void)
{
        Space spaces[] = {
                { .path = "/" }, { 0 }, { .path = "/nowhere/at/all" }, { .path = "/proc" }
        };
        struct statvfs v;

        space_measure(spaces, ELEMENTSOF(spaces));
        ASSERT_OK(statvfs("/", &v));
        ASSERT(spaces[0].is_known);
        ASSERT_EQ(spaces[0].size, v.f_blocks * v.f_frsize);
        ASSERT(spaces[0].used <= spaces[0].size);
        ASSERT(!spaces[1].is_known);
        ASSERT(!spaces[2].is_known);
        ASSERT(spaces[3].is_known);
        ASSERT_EQ(space_percent(&spaces[3]), 0);
        space_measure(NULL, 0);
}

static void test_percent(void)
{
        static const struct {
                uint64_t used, available;
                unsigned percent;
        } rows[] = {
                { 0, 0, 0 },
                { 0, 10, 0 },
                { 1, 999, 1 },
                { 10, 990, 1 },
                { 11, 989, 2 },
                { 1, 1, 50 },
                { 7, 0, 100 },
                { UINT64_MAX, UINT64_MAX, 50 },
                { UINT64_MAX, 0, 100 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Space s = { .used = rows[i].used, .available = rows[i].available };

                ASSERT_EQ(space_percent(&s), rows[i].percent);
        }
}

TEST_MAIN(TEST(measure), TEST(percent))
