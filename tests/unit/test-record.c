/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "record.h"
#include "test.h"
#include "text.h"

static void test_round_trip(void)
{
        const char *dir = test_directory();
        char target[] = "/mnt/with space/and=sign", source[] = "/dev/a b", fsid[] = "0123ab",
             asked[] = "/mnt/a ext4 ro noatime,data=ordered";
        const Record in = {
                .phase = RECORD_MOUNTED,
                .target = target,
                .devnum = makedev(259, 70000),
                .diskseq = UINT64_MAX,
                .source = source,
                .mount_devnum = makedev(0, 70),
                .fsid = fsid,
                .mount_id = 4711,
                .unique_id = UINT64_MAX - 1,
                .asked = asked,
                .directory_made = true,
                .read_only = true,
        };
        _cleanup_(record_freep) Record *out = NULL;

        ASSERT_OK(record_save(dir, "data", &in));
        ASSERT_OK(record_load(dir, "data", &out));
        ASSERT_EQ(out->phase, RECORD_MOUNTED);
        ASSERT_STR(out->target, in.target);
        ASSERT(out->devnum == in.devnum);
        ASSERT(out->diskseq == in.diskseq);
        ASSERT_STR(out->source, source);
        ASSERT(out->mount_devnum == in.mount_devnum);
        ASSERT_STR(out->fsid, fsid);
        ASSERT_EQ(out->mount_id, 4711);
        ASSERT(out->unique_id == in.unique_id);
        ASSERT(out->directory_made);
        ASSERT(out->read_only);
        ASSERT_STR(out->asked, asked);
}

/* There is one daemon of the older version for a moment, and maybe both again later. */
static void test_of_a_newer_version(void)
{
        const char *dir = test_directory();
        _cleanup_(record_freep) Record *r = NULL;

        test_write(dir, "a", "PHASE=unmounted\nTARGET=/mnt/a\nNEWER=1\nDEVICE=7:0\n");
        ASSERT_OK(record_load(dir, "a", &r));
        ASSERT_EQ(r->phase, RECORD_UNMOUNTED);
        ASSERT(r->devnum == makedev(7, 0));
}

static void test_readable_by_everybody(void)
{
        const char *dir = test_directory();
        char target[] = "/mnt/a";
        const Record in = { .target = target, .devnum = makedev(7, 0) };
        _cleanup_free_ char *path = text_format("%s/a", dir);
        struct stat st;
        mode_t mask = umask(077);
        int r = record_save(dir, "a", &in);

        (void)umask(mask);
        ASSERT_OK(r);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode & 0777, 0644);
}

static void test_removed(void)
{
        const char *dir = test_directory();
        char target[] = "/mnt/a";
        const Record in = { .target = target, .devnum = makedev(7, 0) };
        Record *out = NULL;

        ASSERT_OK(record_save(dir, "a", &in));
        ASSERT_OK(record_remove(dir, "a"));
        ASSERT_OK(record_remove(dir, "a"));
        ASSERT_EQ(record_load(dir, "a", &out), -ENOENT);
        ASSERT(!out);
}

static void test_refused(void)
{
        static const struct {
                const char *what;
                const char *text;
        } rows[] = {
                { "empty", "" },
                { "no target", "PHASE=mounted\nDEVICE=7:0\n" },
                { "no device", "PHASE=mounted\nTARGET=/mnt/a\n" },
                { "unknown phase", "PHASE=flying\nTARGET=/mnt/a\nDEVICE=7:0\n" },
                { "no value", "PHASE\nTARGET=/mnt/a\nDEVICE=7:0\n" },
                { "bad number", "PHASE=mounted\nTARGET=/mnt/a\nDEVICE=7:0\nMOUNT_ID=x\n" },
                { "bad device", "PHASE=mounted\nTARGET=/mnt/a\nDEVICE=seven\n" },
        };
        const char *dir = test_directory();

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Record *out = NULL;

                test_row(rows[i].what);
                test_write(dir, "a", rows[i].text);
                ASSERT_EQ(record_load(dir, "a", &out), -EBADMSG);
                ASSERT(!out);
        }
}

static void have_room(int number)
{
        const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

        (void)setrlimit(RLIMIT_FSIZE, &all);
}

/* As where there is no room for a moment only. */
static void test_written_in_part(void)
{
        const char *dir = test_directory();
        char target[] = "/mnt/a", source[6000];
        const Record before = { .target = target, .devnum = makedev(7, 0) },
                     in = { .target = target, .devnum = makedev(7, 1), .source = source };
        const struct rlimit little = { 1000, RLIM_INFINITY };
        _cleanup_(record_freep) Record *out = NULL;

        memset(source, 'x', sizeof(source) - 1);
        source[sizeof(source) - 1] = '\0';
        ASSERT_OK(record_save(dir, "a", &before));
        ASSERT(signal(SIGXFSZ, have_room) != SIG_ERR);
        ASSERT_OK(setrlimit(RLIMIT_FSIZE, &little));
        ASSERT(record_save(dir, "a", &in) < 0);
        ASSERT_OK(record_load(dir, "a", &out));
        ASSERT(out->devnum == before.devnum);
}

TEST_MAIN(TEST(round_trip), TEST(of_a_newer_version), TEST(readable_by_everybody), TEST(removed),
          TEST(refused), TEST(written_in_part))
