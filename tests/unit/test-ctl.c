/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs, where there is no bus. */

#include "capture.h"
#include "ctl.h"
#include "macro.h"
#include "test.h"

#define S(x) ((char *)(x))

/* The exit status; *RET_OUTPUT is what was printed. */
static int run(int (*verb)(int argc, char *argv[]), char *argv[], const char **ret_output)
{
        Capture c = capture_begin(stdout, STDOUT_FILENO);
        int argc = 0, status;

        while (argv[argc])
                argc++;
        status = verb(argc, argv);
        *ret_output = capture_end(&c);
        return status;
}

static void test_statuses(void)
{
        static const struct {
                int (*verb)(int argc, char *argv[]);
                const char *arguments[2];
                int status;
        } rows[] = {
                { ctl_status, { "status" }, CTL_NO_SERVICE },
                { ctl_list, { "list" }, CTL_NO_SERVICE },
                { ctl_devices, { "devices" }, CTL_NO_SERVICE },
                { ctl_act, { "mount", "data" }, CTL_NO_SERVICE },
                { ctl_manage, { "rescan" }, CTL_NO_SERVICE },
                { ctl_adopt, { "adopt", "/dev/null" }, CTL_NO_SERVICE },
                { ctl_bench, { "bench" }, CTL_NO_SERVICE },
                { ctl_wait, { "wait" }, CTL_NO_SERVICE },
                { ctl_show, { "show", "there-is-none" }, CTL_NO_VOLUME },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *argv[] = { S(rows[i].arguments[0]), S(rows[i].arguments[1]), NULL };
                const char *output;

                test_row(argv[0]);
                ASSERT_EQ(run(rows[i].verb, argv, &output), rows[i].status);
                ASSERT_STR(output, "");
        }
        test_row(NULL);
}

/* What does not need the bus is looked at without it. */
static void test_doctor(void)
{
        char *argv[] = { S("doctor"), S("--json"), NULL };
        const char *output;

        ASSERT_EQ(run(ctl_doctor, argv, &output), CTL_FAILED);
        ASSERT_CONTAINS(output, "\"subject\": \"bus\"");
        ASSERT_CONTAINS(output, "\"subject\": \"user\"");
        ASSERT_CONTAINS(output, "\"subject\": \"configuration\"");
}

int main(int argc, char *argv[])
{
        static const Test tests[] = { TEST(statuses), TEST(doctor) };

        if (setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere", 1) < 0)
                return 1;
        return test_main(argc, argv, tests, ELEMENTSOF(tests));
}
