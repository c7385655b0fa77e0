/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "mountinfo.h"
#include "test.h"
#include "text.h"

static Mountinfo *parse(const char *text)
{
        char *copy = strdup(text);
        Mountinfo *m;

        ASSERT(copy);
        ASSERT_OK(mountinfo_parse(copy, &m));
        return m;
}

static void test_fields(void)
{
        static const struct {
                const char *line;
                MountEntry want;
        } rows[] = {
                { "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
                  { 36, 35, 0, "/mnt1", "/mnt2", "rw,noatime", false, true, false, "ext3",
                    "/dev/root", "rw,errors=continue" } },
                { "1 1 0:1 / / rw shared:7 - tmpfs none rw",
                  { 1, 1, 0, "/", "/", "rw", true, false, false, "tmpfs", "none", "rw" } },
                { "1 2 0:1 / /a rw shared:7 master:3 propagate_from:2 news:4 - tmpfs none rw",
                  { 1, 2, 0, "/", "/a", "rw", true, true, false, "tmpfs", "none", "rw" } },
                { "1 2 0:1 / /a rw unbindable - tmpfs none rw",
                  { 1, 2, 0, "/", "/a", "rw", false, false, true, "tmpfs", "none", "rw" } },
                { "1 2 0:1 /a\\040b /c\\011d\\012e\\134f\\043g rw - tmpfs h\\040i rw,o=\\040",
                  { 1, 2, 0, "/a b", "/c\td\ne\\f#g", "rw", false, false, false, "tmpfs", "h i",
                    "rw,o=\\040" } },
                /* What looks like an escape and is none; bytes above 0x7f. */
                { "1 2 0:1 / /\\04 rw - tmpfs \\000\\400\\08\\x41\\303\\244\303\244\\ rw",
                  { 1, 2, 0, "/", "/\\04", "rw", false, false, false, "tmpfs",
                    "\\000\\400\\08\\x41\303\244\303\244\\", "rw" } },
                { "1 2 0:1 / /a rw - tmpfs  rw",
                  { 1, 2, 0, "/", "/a", "rw", false, false, false, "tmpfs", "", "rw" } },
                { "1 2 0:4 net:[4026531840] /run/netns/x rw - nsfs nsfs rw",
                  { 1, 2, 0, "net:[4026531840]", "/run/netns/x", "rw", false, false, false, "nsfs",
                    "nsfs", "rw" } },
                /* A filesystem that does not escape its own options. */
                { "1 2 0:1 / /a rw - odd none rw,name=x y",
                  { 1, 2, 0, "/", "/a", "rw", false, false, false, "odd", "none", "rw,name=x y" } },
                { "2147483647 0 4294967295:4294967295 / /a rw - t s rw",
                  { INT_MAX, 0, 0, "/", "/a", "rw", false, false, false, "t", "s", "rw" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
                const MountEntry *want = &rows[i].want, *e;

                test_row(rows[i].line);
                m = parse(rows[i].line);
                ASSERT_EQ(m->n_entries, 1);
                e = &m->entries[0];
                ASSERT_EQ(e->id, want->id);
                ASSERT_EQ(e->parent_id, want->parent_id);
                ASSERT_STR(e->root, want->root);
                ASSERT_STR(e->target, want->target);
                ASSERT_STR(e->options, want->options);
                ASSERT_EQ(e->shared, want->shared);
                ASSERT_EQ(e->slave, want->slave);
                ASSERT_EQ(e->unbindable, want->unbindable);
                ASSERT_STR(e->type, want->type);
                ASSERT_STR(e->source, want->source);
                ASSERT_STR(e->super_options, want->super_options);
        }
}

static void test_devnum(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m =
                parse("1 2 98:1234567 / /a rw - t s rw\n1 2 0:7 / /a rw - t s rw\n");

        ASSERT_EQ(m->n_entries, 2);
        ASSERT_EQ(m->entries[0].devnum, makedev(98, 1234567));
        ASSERT_EQ(m->entries[1].devnum, makedev(0, 7));
}

static void test_malformed(void)
{
        static const char *const rows[] = {
                "",
                " ",
                "36",
                "36 35",
                "36 35 98:0 / /a rw",
                "36 35 98:0 / /a rw -",
                "36 35 98:0 / /a rw - ext4",
                "36 35 98:0 / /a rw - ext4 /dev/sda",
                "36 35 98:0 / /a rw - ext4 /dev/sda ",
                "36 35 98:0 / /a rw -  /dev/sda rw",
                "36 35 98:0 / /a rw shared:1 ext4 /dev/sda rw",
                "36 35 98:0 / /a  - ext4 /dev/sda rw",
                "36 35 98:0 / a rw - ext4 /dev/sda rw",
                "36 35 98:0 /  rw - ext4 /dev/sda rw",
                "36 35 98:0  /a rw - ext4 /dev/sda rw",
                "36 35 98 / /a rw - ext4 /dev/sda rw",
                "36 35 :0 / /a rw - ext4 /dev/sda rw",
                "36 35 98: / /a rw - ext4 /dev/sda rw",
                "36 35 98:0:1 / /a rw - ext4 /dev/sda rw",
                "36 35 98:4294967296 / /a rw - ext4 /dev/sda rw",
                "-1 35 98:0 / /a rw - ext4 /dev/sda rw",
                "36 +35 98:0 / /a rw - ext4 /dev/sda rw",
                "36 0x35 98:0 / /a rw - ext4 /dev/sda rw",
                "2147483648 35 98:0 / /a rw - ext4 /dev/sda rw",
                "99999999999999999999 35 98:0 / /a rw - ext4 /dev/sda rw",
                " 36 35 98:0 / /a rw - ext4 /dev/sda rw",
                "36  35 98:0 / /a rw - ext4 /dev/sda rw",
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *text = text_format("1 0 0:1 / /first rw - t s rw\n%s\n"
                                                        "3 0 0:1 / /last rw - t s rw\n",
                                                        rows[i]);
                _cleanup_(mountinfo_freep) Mountinfo *m = NULL;

                test_row(rows[i]);
                m = parse(text);
                ASSERT_EQ(m->n_entries, 2);
                ASSERT_STR(m->entries[0].target, "/first");
                ASSERT_STR(m->entries[1].target, "/last");
        }
}

static void test_empty(void)
{
        static const char *const rows[] = { "", "\n", "\n\n\n" };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mountinfo_freep) Mountinfo *m = parse(rows[i]);

                ASSERT_EQ(m->n_entries, 0);
                ASSERT(!mountinfo_find_target(m, "/"));
                ASSERT(!mountinfo_find_id(m, 0));
        }
        ASSERT(!mountinfo_free(NULL));
}

static void test_find_id(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m =
                parse("7 1 0:1 / /a rw - t s rw\n8 7 0:1 / /a/b rw - t s rw\n");

        ASSERT_STR(mountinfo_find_id(m, 8)->target, "/a/b");
        ASSERT(!mountinfo_find_id(m, 1));
}

static void test_find_target(void)
{
        static const struct {
                const char *name;
                const char *text; /* ID PARENT TARGET … */
                const char *target;
                int want; /* ID, 0 none */
        } rows[] = {
                { "plain", "1 0 /,2 1 /a", "/a", 2 },
                { "the root", "1 0 /,2 1 /a", "/", 1 },
                { "no mount point", "1 0 /,2 1 /a", "/b", 0 },
                { "below a mount point", "1 0 /,2 1 /a", "/a/b", 0 },
                { "prefix of a name", "1 0 /,2 1 /ab", "/a", 0 },
                { "stacked", "1 0 /,2 1 /a,3 2 /a,4 3 /a", "/a", 4 },
                { "stacked, listed upside down", "4 3 /a,3 2 /a,2 1 /a,1 0 /", "/a", 4 },
                { "stacked root", "1 0 /,2 1 /,3 2 /a", "/a", 3 },
                { "stacked root hides", "1 0 /,2 1 /,3 1 /a", "/a", 0 },
                { "hidden by a parent mounted later", "1 0 /,2 1 /a,3 2 /a/b,4 2 /a", "/a/b", 0 },
                { "seen again on top of that", "1 0 /,2 1 /a,3 2 /a/b,4 2 /a,5 4 /a/b", "/a/b", 5 },
                { "hidden by a mount further up", "1 0 /,3 1 /a/b/c,4 1 /a", "/a/b/c", 0 },
                { "chroot without a root mount", "5 4 /a,6 5 /a/b", "/a/b", 6 },
                { "two children on one place", "1 0 /,2 1 /a,3 1 /a", "/a", 3 },
                { "own parent", "1 1 /,2 1 /a", "/a", 2 },
                { "a ring of parents", "1 2 /,2 1 /,3 2 /a", "/a", 0 },
                { "a ring below the root", "1 0 /,2 3 /a,3 2 /a", "/a", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *copy = strdup(rows[i].text), *text = strdup("");
                _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
                const MountEntry *e;
                char *rest = copy, *word;

                test_row(rows[i].name);
                while ((word = strsep(&rest, ","))) {
                        _cleanup_free_ char *before = TAKE_PTR(text);
                        char target[16];
                        int id, parent;

                        ASSERT_EQ(sscanf(word, "%d %d %15s", &id, &parent, target), 3);
                        text = text_format("%s%d %d 0:1 / %s rw - t s rw\n", before, id, parent,
                                           target);
                }
                m = parse(text);
                e = mountinfo_find_target(m, rows[i].target);
                ASSERT_EQ(e ? e->id : 0, rows[i].want);
        }
}

static void test_is_device(void)
{
        static const struct {
                const char *line;
                const char *node;
                bool want;
        } rows[] = {
                { "1 2 8:17 / /a rw - ext4 /dev/sdb1 rw", "/dev/sdb1", true },
                { "1 2 8:17 / /a rw - ext4 /dev/disk/by-label/x rw", "/dev/sdb1", true },
                { "1 2 8:17 / /a rw - ext4 /dev/root rw", NULL, true },
                { "1 2 8:18 / /a rw - ext4 /dev/sdb1 rw", "/dev/sdb1", false },
                { "1 2 0:40 / /a rw - btrfs /dev/sdb1 rw", "/dev/sdb1", true },
                { "1 2 0:40 / /a rw - btrfs /dev/sdb2 rw", "/dev/sdb1", false },
                { "1 2 0:40 / /a rw - btrfs /dev/sdb1 rw", NULL, false },
                { "1 2 0:40 / /a rw - tmpfs none rw", "/dev/sdb1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(mountinfo_freep) Mountinfo *m = parse(rows[i].line);
                Device d = { .devnum = makedev(8, 17), .node = (char *)rows[i].node };

                test_row(rows[i].line);
                ASSERT_EQ(m->n_entries, 1);
                ASSERT_EQ(mount_entry_is_device(&m->entries[0], &d), rows[i].want);
        }
}

static void test_options(void)
{
        static const struct {
                const char *options;
                const char *super_options;
                const char *want;
                bool read_only;
        } rows[] = {
                { "rw", "rw", "rw", false },
                { "rw,nosuid,nodev,noatime", "rw,errors=remount-ro",
                  "rw,nosuid,nodev,noatime,errors=remount-ro", false },
                { "ro,relatime", "rw,discard", "ro,relatime,discard", true },
                { "rw,relatime", "ro,discard", "ro,relatime,discard", true },
                { "ro", "ro", "ro", true },
                { "rw,noatime", "rw,noatime,sync", "rw,noatime,sync", false },
                { "rw", "rw,errors=remount-ro,ro_compat,pro", "rw,errors=remount-ro,ro_compat,pro",
                  false },
                { "nosuid", "a,,b,", "rw,nosuid,a,b", false },
                { ",", ",ro", "ro", true },
                { "rw,a", "aa,a,b=a", "rw,a,aa,b=a", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                MountEntry e = { .options = rows[i].options,
                                 .super_options = rows[i].super_options };
                _cleanup_free_ char *options = mount_entry_options(&e);

                test_row(rows[i].super_options);
                ASSERT_STR(options, rows[i].want);
                ASSERT_EQ(mount_entry_is_read_only(&e), rows[i].read_only);
        }
}

/* What kernels write after an error, and what is as it was mounted. */
static void test_trouble(void)
{
        static const struct {
                const char *options;
                const char *super_options;
                bool read_only;
                bool turned;
                bool shut_down;
        } rows[] = {
                { "rw", "rw,errors=remount-ro", false, false, false },
                { "ro,relatime", "ro,errors=remount-ro", true, false, false },
                { "rw,relatime", "ro,errors=remount-ro", true, true, false },
                { "rw,relatime", "rw,errors=remount-ro,emergency_ro", true, true, false },
                { "ro", "rw,emergency_ro", true, false, false },
                { "rw", "rw,shutdown", false, false, true },
                { "rw", "rw,shutdown_x,no_emergency_ro", false, false, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                MountEntry e = { .options = rows[i].options,
                                 .super_options = rows[i].super_options };

                test_row(rows[i].super_options);
                ASSERT_EQ(mount_entry_is_read_only(&e), rows[i].read_only);
                ASSERT_EQ(mount_entry_is_turned_read_only(&e), rows[i].turned);
                ASSERT_EQ(mount_entry_is_shut_down(&e), rows[i].shut_down);
        }
}

static int file_of(const char *text, size_t size)
{
        int fd = memfd_create("mountinfo", MFD_CLOEXEC);

        ASSERT(fd >= 0);
        ASSERT_EQ(write(fd, text, size), size);
        return fd;
}

static void test_read_big(void)
{
        static const char line[] = "36 35 98:0 / /a rw - ext4 /dev/root rw\n";
        enum {
                LINES = 100000,
                SIZE = LINES * (sizeof(line) - 1),
        };
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL, *again = NULL;
        _cleanup_free_ char *text = malloc(SIZE);
        _cleanup_close_ int fd = -1;

        ASSERT(text);
        for (size_t i = 0; i < LINES; i++)
                memcpy(text + i * strlen(line), line, strlen(line));
        fd = file_of(text, SIZE);
        ASSERT_OK(mountinfo_read(fd, &m)); /* FD is at its end, and again after this */
        ASSERT_EQ(m->n_entries, LINES);
        ASSERT_OK(mountinfo_read(fd, &again));
        ASSERT_EQ(again->n_entries, LINES);
}

/* Around the sizes at which the buffer grows. */
static void test_read_sizes(void)
{
        static const char head[] = "36 35 98:0 / /", tail[] = " rw - ext4 /dev/root rw\n";
        char text[3 * 4096];

        for (size_t size = 4090; size < sizeof(text); size += size == 4102 ? 4082 : 1) {
                _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
                _cleanup_close_ int fd = -1;

                memset(text, 'x', size);
                memcpy(text, head, strlen(head));
                memcpy(text + size - strlen(tail), tail, strlen(tail));
                fd = file_of(text, size);
                ASSERT_OK(mountinfo_read(fd, &m));
                ASSERT_EQ(m->n_entries, 1);
                ASSERT_EQ(strlen(m->entries[0].target) + strlen(head) + strlen(tail) - 1, size);
        }
}

static void test_read_errors(void)
{
        _cleanup_close_ int dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Mountinfo *m = NULL;
        int pipe_fds[2];
        int r;

        ASSERT_EQ(mountinfo_read(-1, &m), -EBADF);
        ASSERT_EQ(mountinfo_read(dir_fd, &m), -EISDIR);
        ASSERT_OK(pipe2(pipe_fds, O_CLOEXEC));
        r = mountinfo_read(pipe_fds[0], &m);
        close_fd(pipe_fds[0]);
        close_fd(pipe_fds[1]);
        ASSERT_EQ(r, -ESPIPE);
        ASSERT(!m);
}

static void test_read_self(void)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const MountEntry *proc;

        ASSERT_OK(mountinfo_read_self(&m));
        proc = mountinfo_find_target(m, "/proc");
        ASSERT(proc);
        ASSERT_STR(proc->type, "proc");
        ASSERT(mountinfo_find_id(m, proc->id) == proc);
}

static unsigned count_below(const Mountinfo *m, const char *prefix)
{
        unsigned n = 0;

        for (size_t i = 0; i < m->n_entries; i++)
                n += startswith(m->entries[i].target, prefix);
        return n;
}

/* The kernel's own file, of many pages. */
static void test_read_seq_file(void)
{
        enum {
                MOUNTS = 300
        };
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
        const char *dir = test_directory();
        unsigned n = 0;

        if (unshare(CLONE_NEWNS) < 0)
                test_skip("no mount namespace: %m");
        ASSERT_OK(mount("none", "/", "", MS_REC | MS_PRIVATE, NULL));
        for (; n < MOUNTS; n++)
                if (mount("none", dir, "tmpfs", 0, "size=4k") < 0)
                        break;
        (void)mountinfo_read_self(&m);
        for (unsigned i = 0; i < n; i++)
                (void)umount2(dir, MNT_DETACH);
        ASSERT_EQ(n, MOUNTS);
        ASSERT(m);
        ASSERT_EQ(count_below(m, dir), MOUNTS);
        ASSERT_EQ(mountinfo_find_target(m, dir)->id, m->entries[m->n_entries - 1].id);
}

static uint32_t next_random(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

/* Whatever bytes change, every entry is whole and every function comes back. */
static void test_mutations(void)
{
        static const char seed[] =
                "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,resuid=65534\n"
                "36 27 98:0 /a\\040b /mnt/c\\134d ro master:1 unbindable - btrfs /dev/sdb1 ro,x=y\n"
                "37 36 98:0 / /mnt/c\\134d rw - tmpfs  rw\n";
        static const char alphabet[] = "\n  ::-//\\\\0123456789,,=a\x01\xff";
        uint32_t state = 2463534242;

        for (unsigned round = 0; round < 50000; round++) {
                _cleanup_(mountinfo_freep) Mountinfo *m = NULL;
                Device d = { .devnum = makedev(8, 17), .node = (char *)"/dev/sdb1" };
                char text[sizeof(seed)];

                memcpy(text, seed, sizeof(seed));
                for (unsigned n = next_random(&state) % 8 + 1; n > 0; n--)
                        text[next_random(&state) % (sizeof(seed) - 1)] =
                                alphabet[next_random(&state) % (sizeof(alphabet) - 1)];
                if (round % 16 == 0)
                        text[next_random(&state) % sizeof(seed)] = '\0';
                m = parse(text);
                (void)mountinfo_find_target(m, "/mnt/c\\d");
                for (size_t i = 0; i < m->n_entries; i++) {
                        const MountEntry *e = &m->entries[i];
                        _cleanup_free_ char *options = mount_entry_options(e);

                        ASSERT(options);
                        ASSERT(startswith(options, mount_entry_is_read_only(e) ? "ro" : "rw"));
                        ASSERT(e->id >= 0 && e->parent_id >= 0);
                        ASSERT(e->target[0] == '/' && e->root[0] && e->type[0]);
                        (void)mount_entry_is_device(e, &d);
                }
        }
}

TEST_MAIN(TEST(fields), TEST(devnum), TEST(malformed), TEST(empty), TEST(find_id),
          TEST(find_target), TEST(is_device), TEST(options), TEST(trouble), TEST(read_big),
          TEST(read_sizes), TEST(read_errors), TEST(read_self), TEST(read_seq_file),
          TEST(mutations))
