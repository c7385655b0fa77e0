/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fitting.h"
#include "macro.h"
#include "test.h"

#define S(x) ((char *)(x))
#define DEVICES_MAX 5

/* One letter each. */
static Device a = { .devnum = 1,
                    .ready = true,
                    .size = 1,
                    .content = DEVICE_CONTENT_FILESYSTEM,
                    .uuid = S("u"),
                    .type = S("ext4"),
                    .node = S("a") };
static Device b, copy, raid, other, locked, clear, waiting;

static void make_devices(void)
{
        b = a;
        b.node = S("b");
        b.uuid_sub = S("1");
        b.serial = S("s");
        copy = b;
        copy.node = S("c");
        raid = b;
        raid.node = S("r");
        raid.uuid_sub = S("2");
        raid.serial = S("t");
        other = a;
        other.node = S("o");
        other.uuid = S("v");
        locked = a;
        locked.node = S("l");
        locked.devnum = 7;
        locked.content = DEVICE_CONTENT_OTHER;
        locked.serial = S("s");
        locked.uuid = S("luks");
        clear = a;
        clear.node = S("k");
        clear.outer = 7;
        clear.serial = S("s");
        waiting = a;
        waiting.node = S("w");
        waiting.ready = false;
}

static void test_rows(void)
{
        static const struct {
                const char *row;
                Match match;
                const Device *devices[DEVICES_MAX];
                const char *fitting; /* their letters */
                size_t n_siblings;
        } rows[] = {
                { "nothing there", { .uuid = S("u") }, { 0 }, "", 0 },
                { "one", { .uuid = S("u") }, { &other, &a }, "a", 0 },
                { "none", { .uuid = S("x") }, { &other, &a, &b, &raid }, "", 0 },
                { "two, in their order", { .uuid = S("u") }, { &b, &other, &copy, &a }, "bca", 0 },
                { "not ready", { .uuid = S("u") }, { &waiting, &a }, "a", 0 },
                { "both of a filesystem", { .uuid = S("u") }, { &raid, &b }, "rb", 0 },
                { "by one of its disks", { .serial = S("s") }, { &raid, &other, &b }, "br", 1 },
                { "a copy is no sibling", { .serial = S("s") }, { &b, &copy }, "bc", 0 },
                { "still locked", { .serial = S("s") }, { &locked, &other }, "l", 0 },
                { "unlocked", { .serial = S("s") }, { &locked, &clear }, "k", 0 },
                { "what is in it is another one",
                  { .serial = S("s"), .uuid = S("luks") },
                  { &clear, &locked },
                  "l",
                  0 },
        };

        make_devices();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Device *devices[DEVICES_MAX];
                char letters[DEVICES_MAX + 1] = "";
                PlanInput in = { 0 };
                size_t n = 0;

                test_row(rows[i].row);
                for (; n < DEVICES_MAX && rows[i].devices[n]; n++)
                        devices[n] = rows[i].devices[n];
                fitting_choose(&rows[i].match, devices, n, &in);
                for (size_t k = 0; k < in.n_fitting; k++)
                        letters[k] = in.fitting[k]->node[0];
                ASSERT_STR(letters, rows[i].fitting);
                ASSERT_EQ(in.n_siblings, rows[i].n_siblings);
        }
        test_row(NULL);
}

TEST_MAIN(TEST(rows))
