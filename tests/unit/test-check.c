/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "check.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define NOW 1800000000

static void test_need(void)
{
        static const struct {
                const char *name;
                FsState state;
                CheckNeed automatic, always;
                bool vital;
        } rows[] = {
                { "not known", { 0, 0 }, CHECK_NEED_NONE, CHECK_NEED_ASKED, false },
                { "clean", { FS_KNOWN | FS_CLEAN, 0 }, CHECK_NEED_NONE, CHECK_NEED_ASKED, false },
                { "clean, no journal",
                  { FS_KNOWN | FS_CLEAN | FS_FRAGILE, 0 },
                  CHECK_NEED_NONE,
                  CHECK_NEED_ASKED,
                  false },
                { "not clean", { FS_KNOWN, 0 }, CHECK_NEED_UNCLEAN, CHECK_NEED_UNCLEAN, false },
                { "not clean, no journal",
                  { FS_KNOWN | FS_FRAGILE, 0 },
                  CHECK_NEED_UNCLEAN,
                  CHECK_NEED_UNCLEAN,
                  true },
                { "errors",
                  { FS_KNOWN | FS_CLEAN | FS_ERRORS, 0 },
                  CHECK_NEED_ERRORS,
                  CHECK_NEED_ERRORS,
                  false },
                { "errors, not clean, no journal",
                  { FS_KNOWN | FS_ERRORS | FS_FRAGILE, 0 },
                  CHECK_NEED_ERRORS,
                  CHECK_NEED_ERRORS,
                  true },
                { "mounted often",
                  { FS_KNOWN | FS_CLEAN | FS_DUE, 0 },
                  CHECK_NEED_DUE,
                  CHECK_NEED_DUE,
                  false },
                { "due", { FS_KNOWN | FS_CLEAN, NOW }, CHECK_NEED_DUE, CHECK_NEED_DUE, false },
                { "due in a second",
                  { FS_KNOWN | FS_CLEAN, NOW + 1 },
                  CHECK_NEED_NONE,
                  CHECK_NEED_ASKED,
                  false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                ASSERT_EQ(check_need(CHECK_AUTO, &rows[i].state, NOW), rows[i].automatic);
                ASSERT_EQ(check_need(CHECK_ALWAYS, &rows[i].state, NOW), rows[i].always);
                ASSERT_EQ(check_need(CHECK_NEVER, &rows[i].state, NOW), CHECK_NEED_NONE);
                ASSERT_EQ(check_is_vital(&rows[i].state), rows[i].vital);
        }
        for (CheckNeed n = CHECK_NEED_NONE; n <= CHECK_NEED_ASKED; n++)
                ASSERT_EQ(check_need_to_string(n)[0] == '\0', n == CHECK_NEED_NONE);
}

static char *join(const char *const *argv)
{
        char *text = strdup("");

        for (size_t i = 0; text && argv[i]; i++) {
                char *longer = text_format("%s%s%s", text, i > 0 ? " " : "", argv[i]);

                ASSERT(i < CHECK_ARGV_MAX - 1);
                free(text);
                text = longer;
        }
        return text;
}

static void test_arguments(void)
{
        static const struct {
                const char *type, *normally, *forced, *package;
        } rows[] = {
                { "ext2", "F -p -C 3 N", "F -p -f -C 3 N", "e2fsprogs" },
                { "ext3", "F -p -C 3 N", "F -p -f -C 3 N", "e2fsprogs" },
                { "ext4", "F -p -C 3 N", "F -p -f -C 3 N", "e2fsprogs" },
                { "vfat", "F -a N", "F -a N", "dosfstools" },
                { "exfat", "F -p N", "F -p N", "exfatprogs" },
                { "f2fs", "F -a N", "F -a N", NULL },
                { "xfs", NULL, NULL, NULL },
                { "btrfs", NULL, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].type);
                ASSERT_EQ(check_is_useful(rows[i].type), rows[i].normally != NULL);
                ASSERT_STR(check_package(rows[i].type), rows[i].package);
                for (unsigned force = 0; rows[i].normally && force <= 1; force++) {
                        const char *argv[CHECK_ARGV_MAX];
                        _cleanup_free_ char *text = NULL;

                        check_arguments(rows[i].type, "F", "N", force, "3", argv);
                        text = join(argv);
                        ASSERT_STR(text, force ? rows[i].forced : rows[i].normally);
                }
        }
}

/* fsck.vfat(8): 1 is also what it could not go on with. */
static void test_proving_arguments(void)
{
        const char *argv[CHECK_ARGV_MAX];
        _cleanup_free_ char *text = NULL;

        ASSERT(check_proving_arguments("vfat", "F", "N", argv));
        text = join(argv);
        ASSERT_STR(text, "F -n N");
        ASSERT(!check_proving_arguments("ext4", "F", "N", argv));
        ASSERT(!check_proving_arguments("exfat", "F", "N", argv));
        ASSERT(!check_proving_arguments("f2fs", "F", "N", argv));
}

static void test_progress(void)
{
        static const struct {
                const char *line;
                int percent; /* -1: no progress */
        } rows[] = {
                { "1 0 100 /dev/sda", 0 },
                { "1 50 100 /dev/sda", 35 },
                { "1 100 100 /dev/sda", 70 },
                { "2 1 2 /dev/sda", 80 },
                { "5 4 4 /dev/sda", 100 },
                { "5 9999999999999999999 9999999999999999999 x", 100 },
                { "4 0 1", 92 },
                { "0 1 2 /dev/sda", -1 },
                { "6 1 2 /dev/sda", -1 },
                { "12 1 2 /dev/sda", -1 },
                { "1 1 0 /dev/sda", -1 },
                { "1 3 2 /dev/sda", -1 },
                { "1 -1 2 /dev/sda", -1 },
                { "1 99999999999999999999999999 2 x", -1 },
                { "-1 1 2 x", -1 },
                { "", -1 },
                { "data: clean", -1 },
                { "1 2", -1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned percent = 0;

                test_row(rows[i].line);
                ASSERT_EQ(check_parse_progress(rows[i].line, &percent), rows[i].percent >= 0);
                if (rows[i].percent >= 0)
                        ASSERT_EQ(percent, rows[i].percent);
        }
}

static void test_status(void)
{
        static const struct {
                int status;
                CheckOutcome outcome;
                const char *says;
        } rows[] = {
                { 0, CHECK_CLEAN, "no errors" },
                { 1, CHECK_MENDED, "mended" },
                { 2, CHECK_MENDED, "mended" },
                { 3, CHECK_MENDED, "mended" },
                { 4, CHECK_ERRORS_LEFT, "errors are left" },
                { 5, CHECK_ERRORS_LEFT, "errors are left" },
                { 8, CHECK_BROKEN, "could not do its work" },
                { 9, CHECK_BROKEN, "could not do its work" },
                { 12, CHECK_ERRORS_LEFT, "errors are left" },
                { 16, CHECK_BROKEN, "called" },
                { 32, CHECK_BROKEN, "cancelled" },
                { 36, CHECK_ERRORS_LEFT, "errors are left" },
                { 64, CHECK_BROKEN, "does not know" },
                { 127, CHECK_BROKEN, "called" },
                { 128, CHECK_BROKEN, "library" },
                { 255, CHECK_BROKEN, "library" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *row = text_format("%d", rows[i].status);

                test_row(row);
                ASSERT_EQ(check_outcome(rows[i].status), rows[i].outcome);
                ASSERT_CONTAINS(check_status_to_string(rows[i].status), rows[i].says);
                test_row(NULL);
        }
}

TEST_MAIN(TEST(need), TEST(arguments), TEST(proving_arguments), TEST(progress), TEST(status))
