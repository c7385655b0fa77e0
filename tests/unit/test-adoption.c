/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/stat.h>

#include "adoption.h"
#include "config.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define UUID "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11"
#define S(x) ((char *)(x))

static void test_names(void)
{
        static const struct {
                const char *label, *want;
        } rows[] = {
                { "data", "data" },           { "Big_Disk.2-x", "Big_Disk.2-x" },
                { "my photos", "my-photos" }, { "  .hidden", "hidden" },
                { "../../etc/x", "etc-x" },   { "a\\x0ab", "a-x0ab" },
                { "end  ", "end" },           { "M\xc3\xbcll", "M-ll" },
                { "", "ext4-0b5e2a6c" },      { "///", "ext4-0b5e2a6c" },
                { NULL, "ext4-0b5e2a6c" },
        };
        _cleanup_free_ char *long_label = calloc(1, 200), *name = NULL;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Device d = { .label = S(rows[i].label), .type = S("ext4"), .uuid = S(UUID) };
                _cleanup_free_ char *is = adoption_name(&d);

                test_row(rows[i].want);
                ASSERT_STR(is, rows[i].want);
                ASSERT(volume_name_is_valid(is));
        }
        ASSERT(long_label);
        memset(long_label, 'x', 199);
        name = adoption_name(&(Device){ .label = long_label, .type = S("xfs") });
        ASSERT(name && volume_name_is_valid(name));
}

/* What is written is what would be loaded, without a word. */
static void test_files(void)
{
        static const Device devices[] = {
                { .type = S("ext4"), .uuid = S(UUID), .disk_guid = S("1234"), .serial = S("a b") },
                { .type = S("ntfs"), .uuid = S("0123456789abcdef"), .part_uuid = S("0123-01") },
                { .type = S("vfat"), .part_uuid = S("0123-02"), .wwn = S("0x5") },
        };
        const char *dir = test_directory();
        const ConfigSource source = { (const char *const[]){ dir, NULL }, geteuid() };

        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                const Device *d = &devices[i];
                _cleanup_free_ char *text = adoption_text(d, "/mnt/data");
                _cleanup_free_ char *path = text_format("%s/data.conf", dir);
                _cleanup_(config_freep) Config *config = NULL;
                struct stat st;

                test_row(d->type);
                ASSERT(text && path);
                ASSERT_OK(adoption_write(dir, "data", text));
                ASSERT_EQ(adoption_write(dir, "data", "other"), -EEXIST);
                ASSERT_OK(stat(path, &st));
                ASSERT_EQ(st.st_mode & 0777, 0644);
                ASSERT_OK(config_load(&source, &config));
                ASSERT_EQ(config->n_problems, 0);
                ASSERT_EQ(config->n_volumes, 1);
                ASSERT_STR(config->volumes[0]->where, "/mnt/data");
                ASSERT(match_device(&config->volumes[0]->match, d, NULL));
                ASSERT_STR(config->volumes[0]->match.uuid, d->uuid);
                ASSERT_STR(config->volumes[0]->match.serial, NULL);
                ASSERT_STR(config->volumes[0]->options_text,
                           streq(d->type, "ext4") ? "noatime" : "");
                ASSERT_OK(unlink(path));
        }
        ASSERT_EQ(adoption_write("/proc/nowhere", "data", "x"), -ENOENT);
}

/* What a disk says of itself does not begin a line in the file that is written for it. */
static void test_lines(void)
{
        const Device d = { .type = S("ext4"), .uuid = S(UUID), .serial = S("1\nWhere=/x") };
        _cleanup_free_ char *text = adoption_text(&d, "/mnt/data");

        ASSERT_CONTAINS(text, "\n# Serial=1\\x0aWhere=/x\n");
}

/* What would be refused, or have another one refused, by itself or beside others. */
static void test_checks(void)
{
        static const struct {
                const char *name, *where;
                int r;
                const char *problem; /* part of it; NULL: none */
        } rows[] = {
                { "archive", "/mnt/archive", 0, NULL },
                { "archive", "/mnt/data/below", 0, NULL },
                { "data", "/mnt/data", 0, NULL }, /* in its own place */
                { "archive", "/mnt/data", -EEXIST, "is the mount point of " },
                { "zoo", "/mnt/data", -EEXIST, "/data.conf already" },
                { "archive", "/usr", -EINVAL, "/etc/new.conf:8: Where=/usr" },
                { "archive", "/dev/x", -EINVAL, "Where=/dev/x" },
                { "archive", "/mnt/a\tb", -EINVAL, "/etc/new.conf:8: " },
        };
        const Device d = { .type = S("ext4"), .uuid = S(UUID) };
        const char *dir = test_directory();
        const ConfigSource source = { (const char *const[]){ dir, NULL }, geteuid() };
        _cleanup_(config_freep) Config *config = NULL;

        test_write(dir, "data.conf", "[Match]\nLabel=data\n[Mount]\nWhere=/mnt/data\n");
        test_write(dir, "none.conf", "[Match]\nLabel=none\n[Mount]\nWhere=none\n");
        ASSERT_OK(config_load(&source, &config));
        ASSERT_EQ(config->n_volumes, 2);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text = adoption_text(&d, rows[i].where), *problem = NULL;

                test_row(rows[i].where);
                ASSERT_EQ(adoption_check("/etc/new.conf", rows[i].name, text, config, &problem),
                          rows[i].r);
                if (rows[i].problem)
                        ASSERT_CONTAINS(problem, rows[i].problem);
                else
                        ASSERT_STR(problem, NULL);
        }
        test_row(NULL);
}

TEST_MAIN(TEST(names), TEST(files), TEST(lines), TEST(checks))
