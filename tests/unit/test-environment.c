/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>

#include "environment.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define LINUX "6.6.87"
#define WSL "6.6.87.2-microsoft-standard-WSL2"

/* Files, and what is found about one subject. */
typedef struct Row {
        const char *what;
        const char *kernel;
        const char *files; /* separated by blanks, each PATH or PATH=CONTENT with '_' for a blank */
        const char *mounts;
        const char *volume; /* [Mount] of one on UUID 0123-ABCD; NULL none */
        const char *subject;
        Health health;
        const char *text, *cure; /* parts; NULL: there is none */
} Row;

#define ROOT "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
#define SHARED "2 1 0:2 / /mnt/wsl rw shared:1 - tmpfs none rw\n"
#define PRIVATE "2 1 0:2 / /mnt/wsl rw - tmpfs none rw\n"

static const Row rows[] = {
        { "systemd", LINUX, "/run/systemd/system/x", ROOT, NULL, "systemd", HEALTH_GOOD, "PID 1",
          NULL },
        { "no systemd", LINUX, "", ROOT, NULL, "systemd", HEALTH_BAD, "not PID 1", "needs" },
        { "no systemd in WSL", WSL, "", ROOT, NULL, "systemd", HEALTH_BAD, "not PID 1",
          "/etc/wsl.conf" },

        { "Linux", LINUX, "", ROOT, NULL, "kernel", HEALTH_GOOD, "is Linux 6.6.87", NULL },
        { "WSL 2", WSL, "", ROOT, NULL, "kernel", HEALTH_GOOD, "of WSL 2", NULL },
        { "WSL 1", "4.4.0-19041-Microsoft", "", ROOT, NULL, "kernel", HEALTH_BAD, "of WSL 1",
          "--set-version" },
        { "old WSL 2", "5.10.16.3-microsoft-standard-WSL2", "", ROOT, NULL, "kernel", HEALTH_BAD,
          "5.10", "wsl --update" },
        { "the oldest", "5.15.0", "", ROOT, NULL, "kernel", HEALTH_GOOD, "5.15", NULL },
        { "older", "5.14.99", "", ROOT, NULL, "kernel", HEALTH_BAD, "5.14", "5.15 is needed" },
        { "no number", "x", "", ROOT, NULL, "kernel", HEALTH_BAD, "x", "5.15 is needed" },

        { "udevd", LINUX, "/run/udev/control", ROOT, NULL, "udev", HEALTH_GOOD, "runs", NULL },
        { "no udevd", LINUX, "", ROOT, NULL, "udev", HEALTH_GOOD, "does not run", NULL },

        { "not WSL", LINUX, "", ROOT, NULL, "interop", HEALTH_WORKING, NULL, NULL },
        { "interop", WSL, "/proc/sys/fs/binfmt_misc/WSLInterop", ROOT, NULL, "interop", HEALTH_GOOD,
          "runs", NULL },
        { "late", WSL, "/proc/sys/fs/binfmt_misc/WSLInterop-late", ROOT, NULL, "interop",
          HEALTH_GOOD, "runs", NULL },
        { "no interop", WSL, "", ROOT, NULL, "interop", HEALTH_ODD, "WSLInterop is gone",
          "systemd-binfmt" },

        { "not WSL", LINUX, "", ROOT PRIVATE, NULL, "shared", HEALTH_WORKING, NULL, NULL },
        { "shared", WSL, "", ROOT SHARED, NULL, "shared", HEALTH_GOOD, "/mnt/wsl is shared", NULL },
        { "private", WSL, "", ROOT PRIVATE, NULL, "shared", HEALTH_ODD, "/mnt/wsl is not shared",
          "--make-shared /mnt/wsl" },
        { "not there", WSL, "", ROOT, NULL, "shared", HEALTH_ODD, "/mnt/wsl is not shared", "" },
        { "elsewhere", WSL, "/etc/wsl.conf=[automount]\nroot=/x", ROOT SHARED, NULL, "shared",
          HEALTH_ODD, "/x/wsl is not shared", "/x/wsl" },

        { "guard", WSL, "/run/systemd/system/wsl-mnt-guard.service", ROOT SHARED,
          "Where=/mnt/wsl/a\nKeepMounted=no", "guard", HEALTH_GOOD, "is there", NULL },
        { "generated guard", WSL, "/run/systemd/generator/wsl-mnt-guard.service", ROOT SHARED,
          "Where=/mnt/wsl/a\nKeepMounted=no", "guard", HEALTH_GOOD, "is there", NULL },
        { "no guard", WSL, "", ROOT SHARED, "Where=/mnt/wsl/a\nKeepMounted=no", "guard", HEALTH_ODD,
          "unmounts 'data'", "KeepMounted=no out of" },
        { "kept", WSL, "", ROOT SHARED, "Where=/mnt/wsl/a", "guard", HEALTH_GOOD, "makes up",
          NULL },
        { "not below", WSL, "", ROOT SHARED, "Where=/mnt/a\nKeepMounted=no", "guard", HEALTH_GOOD,
          "no volume", NULL },

        { "private", LINUX, "", ROOT, NULL, "propagation", HEALTH_GOOD, "private", NULL },
        { "shared", LINUX, "", "1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw\n", NULL, "propagation",
          HEALTH_GOOD, "/ is shared", NULL },

        { "no fstab", LINUX, "", ROOT, "Where=/mnt/a", "fstab", HEALTH_GOOD, "no volume", NULL },
        { "other", LINUX, "/etc/fstab=UUID=0123-ABCE_/mnt/b_ext4_defaults_0_2\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_GOOD, "no volume", NULL },
        { "same UUID", LINUX, "/etc/fstab=UUID=0123-abcd_/mnt/b_ext4_defaults_0_2\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_ODD,
          "mounts the filesystem of 'data' too: UUID=0123-abcd on /mnt/b", "noauto" },
        { "quoted", LINUX, "/etc/fstab=UUID=\"0123-ABCD\"_/mnt/b_ext4_defaults\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_ODD, "the filesystem of 'data'", "noauto" },
        { "longer", LINUX, "/etc/fstab=UUID=0123-ABCD0_/mnt/b_ext4_defaults\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_GOOD, "no volume", NULL },
        { "by path", LINUX, "/etc/fstab=/dev/disk/by-uuid/0123-ABCD_/mnt/b_ext4\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_ODD, "the filesystem of 'data'", "noauto" },
        { "same place", LINUX, "/etc/fstab=#_x\n/dev/sdb_/mnt/a_ext4_defaults_0_0\n", ROOT,
          "Where=/mnt/a", "fstab", HEALTH_ODD,
          "mounts the mount point of 'data' too: /dev/sdb on /mnt/a", "noauto" },
        { "noauto", LINUX, "/etc/fstab=/dev/sdb_/mnt/a_ext4_ro,noauto_0_0\n", ROOT, "Where=/mnt/a",
          "fstab", HEALTH_GOOD, "no volume", NULL },
        { "rubbish", LINUX, "/etc/fstab=\x01\xff_\n_\n/mnt/a\n", ROOT, "Where=/mnt/a", "fstab",
          HEALTH_GOOD, "no volume", NULL },
};

static void make_parents(char *path)
{
        for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                (void)mkdir(path, 0755);
                *p = '/';
        }
}

static void make_files(const char *root, const char *files)
{
        _cleanup_free_ char *copy = strdup(files);
        char *state = NULL;

        ASSERT(copy);
        for (char *file = strtok_r(copy, " ", &state); file; file = strtok_r(NULL, " ", &state)) {
                char *content = strchr(file, '=');
                _cleanup_free_ char *path = NULL;

                if (content)
                        *content++ = '\0';
                for (char *p = content; p && *p; p++)
                        if (*p == '_')
                                *p = ' ';
                path = text_format("%s%s", root, file);
                ASSERT(path);
                make_parents(path);
                test_write(root, file + 1, content ? content : "");
        }
}

static Config *configure(const char *root, const char *mount)
{
        _cleanup_free_ char *text =
                text_format("[Match]\nUUID=0123-abcd\n[Mount]\n%s\n", mount ? mount : "");
        _cleanup_free_ char *dir = text_format("%s/conf", root);
        Config *config;

        ASSERT(text && dir);
        (void)mkdir(dir, 0755);
        if (mount)
                test_write(root, "conf/data.conf", text);
        ASSERT_OK(config_load(&(ConfigSource){ (const char *const[]){ dir, NULL }, geteuid() },
                              &config));
        ASSERT_EQ(config->n_volumes, mount ? 1U : 0U);
        return config;
}

static void check(const Row *row, const char *root)
{
        _cleanup_(config_freep) Config *config = configure(root, row->volume);
        _cleanup_(mountinfo_freep) Mountinfo *mountinfo = NULL;
        Findings f = { 0 };
        unsigned n = 0;

        make_files(root, row->files);
        ASSERT_OK(mountinfo_parse(strdup(row->mounts), &mountinfo));
        ASSERT_OK(environment_examine(&(Environment){ root, row->kernel, mountinfo, config }, &f));
        for (size_t i = 0; i < f.n_items; i++) {
                if (!streq(f.items[i].subject, row->subject))
                        continue;
                ASSERT_EQ(f.items[i].health, row->health);
                ASSERT_CONTAINS(f.items[i].text, row->text);
                ASSERT_EQ(!f.items[i].cure, !row->cure);
                if (row->cure)
                        ASSERT_CONTAINS(f.items[i].cure, row->cure);
                n++;
        }
        ASSERT_EQ(n, row->text ? 1U : 0U);
        findings_done(&f);
}

static void test_rows(void)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *name = text_format("%zu", i);
                _cleanup_free_ char *root = text_format("%s/%zu", test_directory(), i);

                ASSERT(name && root);
                test_row(rows[i].what);
                ASSERT_OK(mkdir(root, 0755));
                check(&rows[i], root);
        }
}

/* A line that is longer than what reads it, and one without an end. */
static void test_long_fstab(void)
{
        const char *root = test_directory();
        _cleanup_(config_freep) Config *config = configure(root, "Where=/mnt/a");
        _cleanup_(mountinfo_freep) Mountinfo *mountinfo = NULL;
        _cleanup_free_ char *etc = text_format("%s/etc", root), *text = calloc(1, 100000);
        Findings f = { 0 };

        ASSERT(etc && text);
        ASSERT_OK(mkdir(etc, 0755));
        memset(text, 'x', 99000);
        memcpy(text + 50000, "\n/dev/sdb /mnt/a ext4\n", 22);
        test_write(root, "etc/fstab", text);
        ASSERT_OK(mountinfo_parse(strdup(ROOT), &mountinfo));
        ASSERT_OK(environment_examine(&(Environment){ root, LINUX, mountinfo, config }, &f));
        ASSERT_CONTAINS(f.items[f.n_items - 2].text, "/dev/sdb on /mnt/a");
        findings_done(&f);
}

TEST_MAIN(TEST(rows), TEST(long_fstab))
