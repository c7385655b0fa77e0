/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config-keys.h"
#include "macro.h"
#include "test.h"
#include "text.h"
#include "volume-config.h"

#define MATCH "[Match]\nUUID=1234-ABCD\n"
#define MOUNT "[Mount]\nWhere=/mnt/data\n"
#define GOOD MATCH MOUNT
#define NAME64 "0123456789012345678901234567890123456789012345678901234567890123"

/* What TEXT wants; NULL when it has errors. All problems are added to PROBLEMS. */
static VolumeConfig *parse(const char *text, size_t size, ConfigProblems *problems)
{
        /* On the heap and without a NUL, so that reading past the end is seen. */
        _cleanup_free_ char *copy = memcpy(malloc(size), text, size);
        const ConfigFile file = {
                .path = (char[]){ "/d/v.conf" },
                .text = copy,
                .size = size,
                .fingerprint = (char[]){ "f" },
        };
        VolumeConfig *v = NULL;
        int r;

        r = volume_config_parse("v", &file, problems, &v);
        ASSERT_EQ(r, v ? 0 : -EINVAL);
        ASSERT_EQ(!v, !!config_problems_first_error(problems, 0));
        return v;
}

static VolumeConfig *parse_good(const char *text)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        VolumeConfig *v = parse(text, strlen(text), &problems);

        ASSERT_EQ(problems.n, 0);
        return v;
}

/* All problems as "LINE severity text\n". */
static char *problems_to_string(const ConfigProblems *problems)
{
        char *all = strdup("");

        for (size_t i = 0; i < problems->n; i++) {
                const ConfigProblem *p = &problems->items[i];
                char *longer =
                        text_format("%s%u %s %s\n", all, p->line,
                                    p->severity == PROBLEM_ERROR ? "error" : "warning", p->text);

                ASSERT_STR(p->file, "/d/v.conf");
                free(all);
                all = longer;
        }
        return all;
}

/* That TEXT has exactly the problems WANT, as of problems_to_string(); a line of it that ends with
 * "…" is the beginning of one. */
static void assert_problems(const char *text, size_t size, const char *want)
{
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_(volume_config_freep) __attribute__((unused)) VolumeConfig *v =
                parse(text, size, &problems);
        _cleanup_free_ char *all = problems_to_string(&problems);
        const char *is = all, *next;

        for (const char *p = want; *p; p = next, is += *is == '\n') {
                size_t n = strcspn(p, "\n");
                const char *more = memmem(p, n, "…", strlen("…"));

                next = p + n + (p[n] == '\n');
                if (more)
                        n = (size_t)(more - p);
                if (strncmp(is, p, n) != 0 || (!more && is[n] != '\n'))
                        ASSERT_STR(all, want);
                is += strcspn(is, "\n");
        }
        if (*is)
                ASSERT_STR(all, want);
}

static void test_everything(void)
{
        static const char text[] = "# comment\n"
                                   "; another\n"
                                   "[Match]\n"
                                   "UUID={0B5E2A6C-3A57-4C0E-9A3E-5D7A3F0E9C11}\n"
                                   "Label = My D\xc3\xa4ta \\xff\n"
                                   "PartUUID=DFE5B1E4-02\n"
                                   "\tPartLabel=Basic data partition\n"
                                   "DiskGUID=AB\n"
                                   "Serial=S3R1 AL\n"
                                   "WWN=0x5000C500\n"
                                   "ById=usb-*[0-9]\n"
                                   "Type=ext4\n"
                                   "\n"
                                   "[Mount]\n"
                                   "Where=/mnt/My Data\n"
                                   "Type=fuse.ntfs-3g\n"
                                   "Options=noatime,compress=zstd:3\n"
                                   "ReadOnly=yes\n"
                                   "Auto=no\n"
                                   "Check=always\n"
                                   "CheckFailure=read-only\n"
                                   "KeepMounted=yes\n"
                                   "Members=3\n"
                                   "MountTimeoutSec=2min 30s\n"
                                   "RetryLimit=0\n"
                                   "RetrySec=100ms\n"
                                   "DirectoryMode=0700";
        _cleanup_(volume_config_freep) VolumeConfig *v = parse_good(text);

        ASSERT_STR(v->name, "v");
        ASSERT_STR(v->path, "/d/v.conf");
        ASSERT_STR(v->fingerprint, "f");
        ASSERT_STR(v->match.uuid, "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11");
        ASSERT_STR(v->match.label, "My D\xc3\xa4ta \\xff");
        ASSERT_STR(v->match.part_uuid, "dfe5b1e4-02");
        ASSERT_STR(v->match.part_label, "Basic data partition");
        ASSERT_STR(v->match.disk_guid, "ab");
        ASSERT_STR(v->match.serial, "S3R1 AL");
        ASSERT_STR(v->match.wwn, "0x5000C500");
        ASSERT_STR(v->match.by_id, "usb-*[0-9]");
        ASSERT_STR(v->match.type, "ext4");
        ASSERT_STR(v->where, "/mnt/My Data");
        ASSERT_EQ(v->where_line, 15);
        ASSERT_STR(v->type, "fuse.ntfs-3g");
        ASSERT_STR(v->options_text, "noatime,compress=zstd:3");
        ASSERT_EQ(v->options->n_params, 1);
        ASSERT(v->read_only && v->options->read_only);
        ASSERT(!v->automatic);
        ASSERT_EQ(v->check, CHECK_ALWAYS);
        ASSERT_EQ(v->check_failure, CHECK_FAILURE_READ_ONLY);
        ASSERT_EQ(v->keep_mounted, KEEP_MOUNTED_YES);
        ASSERT_EQ(v->members, 3);
        ASSERT_EQ(v->mount_timeout_usec, 150 * USEC_PER_SEC);
        ASSERT_EQ(v->retry_limit, 0);
        ASSERT_EQ(v->retry_usec, 100 * USEC_PER_MSEC);
        ASSERT_EQ(v->directory_mode, 0700);
}

static void assert_defaults(const char *text)
{
        _cleanup_(volume_config_freep) VolumeConfig *v = parse_good(text);

        ASSERT_STR(v->match.uuid, "1234-abcd");
        ASSERT_STR(v->match.label, NULL);
        ASSERT_STR(v->match.type, NULL);
        ASSERT_STR(v->where, "/mnt/data");
        ASSERT_STR(v->type, NULL);
        ASSERT_STR(v->options_text, "");
        ASSERT(v->options && !v->read_only && v->automatic);
        ASSERT_EQ(v->check, CHECK_AUTO);
        ASSERT_EQ(v->check_failure, CHECK_FAILURE_REFUSE);
        ASSERT_EQ(v->keep_mounted, KEEP_MOUNTED_AUTO);
        ASSERT_EQ(v->members, 1);
        ASSERT_EQ(v->mount_timeout_usec, 90 * USEC_PER_SEC);
        ASSERT_EQ(v->retry_limit, 5);
        ASSERT_EQ(v->retry_usec, USEC_PER_SEC);
        ASSERT_EQ(v->directory_mode, 0755);
}

static void test_defaults(void)
{
        assert_defaults(GOOD);
        assert_defaults(MATCH
                        "Label=\nType=\n" MOUNT "Type=\nOptions =\nReadOnly= \nAuto=\n"
                        "Members=\nMountTimeoutSec=\nRetryLimit=\nRetrySec=\nDirectoryMode=\n");
}

/* Lines after "[Match]\nUUID=1234-ABCD\n[Mount]\nWhere=/mnt/data\n", so the first has number 5. */
static const char *const mount_values[][2] = {
        { "Type=ext4", "" },
        { "Type=9p", "" },
        { "Type=" NAME64, "" },
        { "Type=" NAME64 "5", "5 error…" },
        { "Type=auto", "5 error Type=auto is no type;…" },
        { "Type=ext4,xfs", "5 error Type=ext4,xfs is no filesystem type…" },
        { "Type=.ext4", "5 error…" },
        { "Type=-t", "5 error…" },
        { "Type=../../bin/sh", "5 error…" },
        { "Type=a b", "5 error…" },
        { "Options=a:b;c=d #e", "5 error Options: option 'a:b;c=d #e' holds a blank…" },
        { "Options=a:b;c=d#e", "" },
        { "Options=bind", "5 error Options: option 'bind' asks for a bind mount…" },
        { "Options=nofail,noauto", "5 warning option 'nofail' has no effect here; leave it out\n"
                                   "5 warning option 'noauto' has no effect here; write Auto=no…" },
        { "ReadOnly=yes\nOptions=noatime,rw", "5 warning ReadOnly=yes wins over the option 'rw'…" },
        { "ReadOnly=yes\nOptions=rwx", "" },
        { "ReadOnly=no\nOptions=ro", "5 warning the option 'ro' wins over ReadOnly=no…" },
        { "ReadOnly=\nOptions=ro", "" },
        { "ReadOnly=maybe", "5 error ReadOnly=maybe is neither yes nor no" },
        { "Auto=YES", "" },
        { "Auto=2", "5 error…" },
        { "Members=256", "" },
        { "Members=0", "5 error Members=0 is no number of devices; write 1 to 256" },
        { "Members=257", "5 error…" },
        { "Members=all", "5 error…" },
        { "MountTimeoutSec=1", "" },
        { "MountTimeoutSec=1day", "" },
        { "MountTimeoutSec=0", "5 error MountTimeoutSec=0 is out of range; write 1s to 1day,…" },
        { "MountTimeoutSec=999ms", "5 error…" },
        { "MountTimeoutSec=86401", "5 error…" },
        { "MountTimeoutSec=infinity", "5 error MountTimeoutSec=infinity is out of range…" },
        { "MountTimeoutSec=99999999999y", "5 error MountTimeoutSec=99999999999y is out of range…" },
        { "MountTimeoutSec=soon", "5 error MountTimeoutSec=soon is no time span…" },
        { "MountTimeoutSec=-1", "5 error…" },
        { "RetryLimit=1000", "" },
        { "RetryLimit=1001", "5 error RetryLimit=1001 is no number of attempts; write 0 to 1000" },
        { "RetryLimit=-1", "5 error…" },
        { "RetrySec=99ms", "5 error RetrySec=99ms is out of range; write 100ms to 1day" },
        { "RetrySec=1day", "" },
        { "RetrySec=infinity", "5 error…" },
        { "DirectoryMode=01777", "" },
        { "DirectoryMode=0999", "5 error DirectoryMode=0999 is no octal mode…" },
        { "DirectoryMode=rwx", "5 error…" },
        { "DirectoryMode=17777", "5 error…" },
        { "Optoins=ro", "5 error unknown key 'Optoins' in [Mount]; did you mean 'Options'?" },
        { "options=ro", "5 error unknown key 'options' in [Mount]; did you mean 'Options'?" },
        { "Labl=x", "5 error unknown key 'Labl' in [Mount]; did you mean 'Label', which belongs in "
                    "[Match]?" },
        { "Frobnicate=1", "5 error unknown key 'Frobnicate' in [Mount]; there are Where, Type,…" },
        { "UUID=1", "5 error 'UUID' belongs in [Match], not [Mount]" },
        { "Options:ro=x", "5 error unknown key 'Options:ro' in [Mount]…" },
        { "Auto;x=no", "5 error unknown key 'Auto;x' in [Mount]…" },
        { "Where=/mnt/data", "5 error key 'Where' given twice, first on line 4; remove one" },
        { "Type=ext4\nType=", "6 error key 'Type' given twice, first on line 5; remove one" },
        { "Type=\nType=ext4", "6 error key 'Type' given twice…" },
        { "Check=auto\nCheckFailure=refuse", "" },
        { "Check=never\nCheckFailure=ignore", "" },
        { "Check=yes", "5 error Check=yes is neither auto, always nor never" },
        { "CheckFailure=read_only",
          "5 error CheckFailure=read_only is neither refuse, read-only nor ignore" },
        /* Of design.md, but not built. */
        { "KeepMounted=maybe", "5 error KeepMounted=maybe is neither yes, no nor auto" },
        { "[Windows]\nVHD=C:\\a.vhdx", "5 error unknown section [Windows]; there are [Match],…" },
};

static const char *const match_values[][2] = {
        { "UUID=1234-ABCD", "" },
        { "UUID={ABC}", "" },
        { "UUID=\"1234-ABCD\"", "2 error UUID=\"1234-ABCD\" is no identifier…" },
        { "UUID=1234_ABCD", "2 error…" },
        { "PartUUID=a b", "2 error…" },
        { "DiskGUID={", "2 error…" },
        { "Label=My Disk", "" },
        { "Label=a;b ;c #d : e = f", "" },
        { "Label=\\xff", "" },
        { "Label=My\\x20Disk", "2 warning Label=My\\x20Disk is compared with its backslash as it "
                               "stands; where that is udev's encoding, write 'My Disk'" },
        { "Label=\\xFF", "2 warning Label=\\xFF is compared with its backslash as it stands;…" },
        { "Label=C:\\Users", "" },
        { "Label=\"My Disk\"", "2 warning Label=\"My Disk\" is compared with its quotes;…" },
        { "Label=\"", "" },
        { "Label=a\tb", "2 error Label=a\\x09b holds a tab; write it as \\x09" },
        { "PartLabel=a\tb", "2 error…" },
        { "Serial=a\tb", "2 error…" },
        { "WWN=naa.5000c500", "" },
        { "ById=usb-*", "" },
        { "ById=usb-a\\x20b", "2 warning ById=usb-a\\x20b is a pattern, in which a backslash…" },
        { "ById=usb-a\\\\x20b", "" },
        { "ById=/dev/disk/by-id/usb-*", "2 error ById=/dev/disk/by-id/usb-* names the directory…" },
        { "ById=by-id/usb-*", "2 error ById=by-id/usb-* holds a slash; give the name below…" },
        { "ById=a\tb", "2 error…" },
        { "Type=ext4", "0 error nothing says which device it is;…" },
        { "Label=", "0 error nothing says which device it is;…" },
        { "Serial=x\nType=ext4;", "3 error Type=ext4; is no filesystem type…" },
        { "# Label=x", "0 error nothing says which device it is;…" },
        { "Where=/x\nUUID=1", "2 error 'Where' belongs in [Mount], not [Match]" },
        { "Unknown=/x\nUUID=1",
          "2 error unknown key 'Unknown' in [Match]; there are UUID, Label,…" },
};

/* KEY=VALUE lines between HEAD and TAIL. */
static void assert_row(const char *head, const char *const row[2], const char *tail)
{
        _cleanup_free_ char *text = text_format("%s%s\n%s", head, row[0], tail);

        test_row(row[0]);
        assert_problems(text, strlen(text), row[1]);
}

static void test_values(void)
{
        for (size_t i = 0; i < ELEMENTSOF(mount_values); i++)
                assert_row(GOOD, mount_values[i], "");
        for (size_t i = 0; i < ELEMENTSOF(match_values); i++)
                assert_row("[Match]\n", match_values[i], MOUNT);
}

static void test_where(void)
{
        static const char *const rows[][2] = {
                { "none", "" },
                { "/mnt/a;b ;c #d:e=f", "" },
                { "/mnt/wsl/data", "" },
                { "/run/media", "" },
                { "/etc/x", "" },
                { "/nix/store/x", "" },
                { "/process", "" },
                { "/mnt/50%", "" },
                { "", "0 error there is no mount point; write Where= in [Mount]…" },
                { "mnt/x", "4 error Where=mnt/x is not absolute;…" },
                { "\"/mnt/x\"", "4 error Where=\"/mnt/x\" is not absolute;…" },
                { "None", "4 error…" },
                { "/mnt/x/", "4 error Where=/mnt/x/ is not normalised; write /mnt/x" },
                { "/./mnt//x/.", "4 error Where=/./mnt//x/. is not normalised; write /mnt/x" },
                { "//", "4 error Where=// is not normalised; write /" },
                { "/mnt/../x", "4 error Where=/mnt/../x holds '..'…" },
                { "/mnt/..", "4 error Where=/mnt/.. holds '..'…" },
                { "/mnt/..a/", "4 error Where=/mnt/..a/ is not normalised; write /mnt/..a" },
                { "/mnt/a\tb", "4 error Where=/mnt/a\\x09b cannot be named by a mount unit…" },
                { "/mnt/€€€€€€€€€€€€€€€€€€€€€€€", "4 error…" },
                { "/", "4 error Where=/ is a directory of the system…" },
                { "/run", "4 error…" },
                { "/etc", "4 error…" },
                { "/usr", "4 error…" },
                { "/boot", "4 error…" },
                { "/nix/store", "4 error…" },
                { "/proc", "4 error…" },
                { "/proc/x", "4 error…" },
                { "/sys/fs/x", "4 error…" },
                { "/dev", "4 error…" },
                { "/dev/shm/x", "4 error…" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_row(MATCH "[Mount]\nWhere=", rows[i], "");
}

static void test_where_is_kept(void)
{
        _cleanup_(volume_config_freep) VolumeConfig *a =
                parse_good(MATCH "[Mount]\nWhere=/mnt/a;b ;c #d:e=f\n");
        _cleanup_(volume_config_freep) VolumeConfig *b = parse_good(MATCH "[Mount]\nWhere=none\n");

        ASSERT_STR(a->where, "/mnt/a;b ;c #d:e=f");
        ASSERT_STR(b->where, NULL);
}

/* Whole files. */
static const struct {
        const char *text;
        size_t size; /* 0: as long as the string is */
        const char *want;
} syntax[] = {
        { GOOD, 0, "" },
        { MOUNT MATCH, 0, "" },
        { "[Match]\r\nUUID=1\r\n\r\n[Mount]\r\nWhere=/x\r\n", 0, "" },
        { "\xef\xbb\xbf[Match]\nUUID=1\n[Mount]\nWhere=/x", 0, "" },
        { "\xef\xbb\xbf# x\n[Match]\nUUID=1\n[Mount]\nWhere=/x", 0, "" },
        { "[Match]\nUUID=1\n[Mount]\nAuto=no\n[Match]\nLabel=x\n[Mount]\nWhere=/x\n", 0, "" },
        { "  [Match]  \n  UUID=1\n\t Label = x\n[Mount]\n   Where=/x\n", 0, "" },
        { "[Match]\nUUID=1\n[Mount]\nUUID=2\nWhere=/x\n[Match]\nUUID=3\n", 0,
          "4 error 'UUID' belongs in [Match]…\n7 error key 'UUID' given twice, first on line 2…" },
        { "\n", 0, "0 error nothing says which…\n0 error there is no mount point…" },
        { "\xef\xbb\xbf", 0, "0 error nothing says which…\n0 error there is no mount point…" },
        { "UUID=1\n" GOOD, 0, "1 error 'UUID=1' stands before the first section;…" },
        { "\xef\xbb\xbf\xef\xbb\xbf" GOOD, 0, "0 error…\n1 error…\n2 error…" },
        { "[Mounts]\nX=1\nY=2\n" GOOD, 0,
          "1 error unknown section [Mounts]; did you mean [Mount]?" },
        { "[mount]\n" GOOD, 0, "1 error unknown section [mount]; did you mean [Mount]?" },
        { "[ Match ]\n" GOOD, 0, "1 error unknown section [ Match ];…" },
        { "[]\nX=1\n" GOOD, 0, "1 error unknown section []; there are [Match], [Mount]" },
        { GOOD "[X]\nnonsense\n", 0,
          "5 error unknown section [X]…\n6 error 'nonsense' is neither…" },
        { GOOD "[Match\nType=ext4\nType=\n", 0, "5 error the section's name does not end…" },
        { GOOD "[Match] ; x\n", 0, "5 error the section's name does not end…" },
        { GOOD "[Match]]\n", 0, "5 error the section's name does not end…" },
        { GOOD "[\n", 0, "5 error the section's name does not end…" },
        { GOOD "]\n", 0, "5 error ']' is neither KEY=VALUE nor [SECTION]…" },
        { GOOD "Auto\n", 0, "5 error 'Auto' is neither KEY=VALUE nor [SECTION]…" },
        { GOOD "Auto:no\n", 0, "5 error 'Auto:no' is neither KEY=VALUE nor [SECTION]…" },
        { GOOD "Options=ro\n  ,noexec\n", 0, "6 error ',noexec' is neither KEY=VALUE…" },
        { GOOD "Options=ro\\\nType=ext4\n", 0,
          "5 error Options: option 'ro\\' holds a backslash…" },
        { GOOD "=x\n", 0, "5 error there is no key before the '='…" },
        { GOOD "=\n", 0, "5 error there is no key before the '='…" },
        { GOOD "# \x01\n", 0, "5 error the line holds the control character \\x01…" },
        { GOOD "#\rAuto=no\n", 0, "5 error the line holds the control character \\x0d…" },
        { GOOD "Type=ext4\x01\n", 0, "5 error the line holds the control character \\x01…" },
        { GOOD "Auto=no\f\n", 0, "5 error the line holds the control character \\x0c…" },
        { GOOD "\x1b[31m=1\n", 0, "5 error the line holds the control character \\x1b…" },
        { GOOD "# caf\xe9\n", 0, "" },
        { GOOD "Type=\xe9\n", 0, "5 error the line holds the byte \\xe9, which is not UTF-8…" },
        { GOOD "\xe9=1\n", 0, "5 error the line holds the byte \\xe9…" },
        { GOOD "[\xe9]\nUUID=1\n", 0, "5 error the line holds the byte \\xe9…" },
        { GOOD "Type=\xc2\x85\n", 0, "5 error the line holds the byte \\xc2…" },
        { GOOD "\nX=1\n\n# \nY=2\nWhere=/x\n", 0,
          "6 error unknown key 'X'…\n9 error unknown key 'Y'…\n10 error key 'Where' given twice…" },
        { GOOD "#\0", sizeof(GOOD "#"), "0 error the file holds NUL bytes…" },
        { "\0", 1, "0 error the file holds NUL bytes…" },
        { "\xff\xfe[\0M\0", 6, "0 error the file was saved as UTF-16; save it as UTF-8" },
        { "\xfe\xff\0[\0M", 6, "0 error the file was saved as UTF-16; save it as UTF-8" },
};

static void test_syntax(void)
{
        for (size_t i = 0; i < ELEMENTSOF(syntax); i++) {
                char row[16];

                snprintf(row, sizeof(row), "syntax %zu", i);
                test_row(row);
                assert_problems(syntax[i].text,
                                syntax[i].size > 0 ? syntax[i].size : strlen(syntax[i].text),
                                syntax[i].want);
        }
}

/* The line PREFIX, made N bytes long with C, then "\r\n". */
static void assert_long_line(const char *prefix, char c, size_t n, const char *want)
{
        _cleanup_free_ char *fill = calloc(1, n + 1), *text = NULL;

        memset(fill, c, n - strlen(prefix));
        text = text_format("%s  %s%s\r\n", GOOD, prefix, fill);
        test_row(prefix);
        assert_problems(text, strlen(text), want);
}

static void test_long_lines(void)
{
        assert_long_line("Type=ext4", ' ', 60000, "");
        assert_long_line("#", 'x', 60000, "");
        assert_long_line("Options=", 'x', 198, "");
        assert_long_line("Options=", 'x', 199,
                         "5 error the line is 199 bytes long; shorten it to at most 198");
        assert_long_line("Options=", 'x', 60000,
                         "5 error the line is 60000 bytes long; shorten it to at most 198");
        assert_long_line("Options=", ';', 199, "5 error the line is 199 bytes long…");
        assert_long_line("[", 'x', 300, "5 error the line is 300 bytes long…");
        assert_long_line("", 'x', 300, "5 error the line is 300 bytes long…");
}

/* inih keeps 49 bytes of a name. */
static void test_long_names(void)
{
        static const char section[] =
                GOOD "[Match567890123456789012345678901234567890123456789]\nType=ext4";
        static const char key[] = GOOD "Type567890123456789012345678901234567890123456789=1";

        assert_problems(section, strlen(section), "5 error unknown section [Match567890…");
        assert_problems(key, strlen(key), "5 error unknown key 'Type567890…");
}

static void test_keys(void)
{
        size_t n = 0;

        for (const ConfigKey *k = config_keys(); k->key; k++, n++) {
                test_row(k->key);
                ASSERT(streq(k->section, "Match") || streq(k->section, "Mount"));
                ASSERT(*k->help && !strchr(k->help, '\n'));
                for (const ConfigKey *other = config_keys(); other != k; other++)
                        ASSERT(!streq(other->key, k->key) || !streq(other->section, k->section));
        }
        ASSERT(n > 18);
}

/* C as a file that says all of it. */
static char *print(const VolumeConfig *c)
{
        char *text = strdup("");
        const char *section = "";

        for (const ConfigKey *k = config_keys(); k->key; k++) {
                _cleanup_free_ char *value = k->print((const char *)c + k->offset);
                char *longer =
                        streq(section, k->section)
                                ? text_format("%s%s=%s\n", text, k->key, value)
                                : text_format("%s[%s]\n%s=%s\n", text, k->section, k->key, value);

                section = k->section;
                free(text);
                text = longer;
        }
        return text;
}

static void test_print(void)
{
        static const struct {
                const char *text, *printed;
        } rows[] = {
                { GOOD, "UUID=1234-abcd\nLabel=\n" },
                { GOOD, "Where=/mnt/data\nType=\nOptions=\nReadOnly=no\nAuto=yes\nCheck=auto\n"
                        "CheckFailure=refuse\nKeepMounted=auto\nMembers=1\n"
                        "MountTimeoutSec=1min 30s\nRetryLimit=5\nRetrySec=1s\n"
                        "DirectoryMode=0755\n" },
                { MATCH "Label=a  b\n[Mount]\nWhere=none\n", "Label=a  b\n" },
                { MATCH "[Mount]\nWhere=none\n", "Where=none\n" },
                { GOOD "Options=noatime,commit=30\n", "Options=noatime,commit=30\n" },
                { GOOD "Options=ro\n", "ReadOnly=yes\n" },
                { GOOD "ReadOnly=on\n", "ReadOnly=yes\n" },
                { GOOD "Auto=0\n", "Auto=no\n" },
                { GOOD "Check=always\nCheckFailure=read-only\n",
                  "Check=always\nCheckFailure=read-only\n" },
                { GOOD "Check=never\nCheckFailure=ignore\n", "Check=never\nCheckFailure=ignore\n" },
                { GOOD "KeepMounted=true\n", "KeepMounted=yes\n" },
                { GOOD "KeepMounted=off\nMembers=2\n", "KeepMounted=no\nMembers=2\n" },
                { GOOD "MountTimeoutSec=90min\nRetrySec=1.5\n", "MountTimeoutSec=1h 30min\n" },
                { GOOD "RetryLimit=0\nRetrySec=1.5\n", "RetryLimit=0\nRetrySec=1s 500ms\n" },
                { GOOD "DirectoryMode=7\n", "DirectoryMode=0007\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(volume_config_freep) VolumeConfig *c = NULL, *again = NULL;
                _cleanup_free_ char *text = NULL, *same = NULL;

                test_row(rows[i].text);
                c = parse_good(rows[i].text);
                text = print(c);
                ASSERT_CONTAINS(text, rows[i].printed);
                again = parse_good(text);
                same = print(again);
                ASSERT_STR(same, text);
        }
        test_row(NULL);
}

TEST_MAIN(TEST(everything), TEST(defaults), TEST(values), TEST(where), TEST(where_is_kept),
          TEST(syntax), TEST(long_lines), TEST(long_names), TEST(keys), TEST(print))
