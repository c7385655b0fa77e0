/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/stat.h>

#include "macro.h"
#include "no-volume.h"
#include "test.h"
#include "text.h"

#define GOOD "[Match]\nLabel=x\n[Mount]\nWhere=/mnt/x\n"
#define BAD "[Match]\nLabel=x\n[Mount]\nWhere=mnt\n"

static void test_rows(void)
{
        static const struct {
                const char *row;
                const char *first, *second; /* the files in two directories; NULL: none */
                mode_t mode;                /* of the first directory */
                int r;
                const char *text; /* part of it */
        } rows[] = {
                { "none", NULL, NULL, 0755, -ENOENT, "there is no volume 'data'" },
                { "bad", BAD, NULL, 0755, -EBADMSG, "data.conf:4: Where=mnt is not absolute" },
                { "bad, in the second", NULL, BAD, 0755, -EBADMSG, "data.conf:4: Where=mnt" },
                { "masked", "", NULL, 0755, -ENOENT, "masked by " },
                { "a mask of what is bad", "", BAD, 0755, -ENOENT, "masked by " },
                { "not loaded yet", GOOD, BAD, 0755, -ENOENT, "`wslbarectl reload` loads " },
                { "where everybody may write", GOOD, NULL, 0777, -EBADMSG, "not in force" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *first = strdup(test_directory()), *second = NULL, *text = NULL;
                const char *dirs[] = { first, NULL, NULL };
                const ConfigSource source = { dirs, geteuid() };

                dirs[1] = second = strdup(test_directory());
                test_row(rows[i].row);
                if (rows[i].first)
                        test_write(first, "data.conf", rows[i].first);
                if (rows[i].second)
                        test_write(second, "data.conf", rows[i].second);
                ASSERT_OK(chmod(first, rows[i].mode));
                ASSERT_EQ(no_volume_explain(&source, "data", &text), rows[i].r);
                ASSERT_CONTAINS(text, rows[i].text);
        }
        test_row(NULL);
}

TEST_MAIN(TEST(rows))
