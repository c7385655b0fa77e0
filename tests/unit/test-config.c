/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"
#include "macro.h"
#include "test.h"
#include "text.h"

#define MATCH "[Match]\nUUID=1234-ABCD\n"
#define MOUNT "[Mount]\nWhere=/mnt/data\n"
#define GOOD MATCH MOUNT
#define NOBODY 65534

/* Directories of a case, highest precedence first. */
typedef struct Dirs {
        char path[3][PATH_MAX];
        const char *list[4];
        ConfigSource source;
} Dirs;

static void dirs_init(Dirs *d, size_t n)
{
        *d = (Dirs){ .source = { .dirs = d->list, .owner = geteuid() } };
        for (size_t i = 0; i < n; i++) {
                snprintf(d->path[i], sizeof(d->path[i]), "%s", test_directory());
                d->list[i] = d->path[i];
        }
}

static void write_bytes(const char *dir, const char *name, const void *data, size_t size)
{
        char path[PATH_MAX + 64];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        (void)unlink(path); /* ext4 writes out a file that was truncated and closed */
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        ASSERT(fd >= 0);
        ASSERT_EQ(write(fd, data, size), size);
        close(fd);
}

static Config *load(const Dirs *d)
{
        Config *c;

        ASSERT_OK(config_load(&d->source, &c));
        return c;
}

/* All problems as "LINE severity text\n"; what holds always is checked on the way. */
static char *problems_of(const Config *c)
{
        char *all = strdup("");

        for (size_t i = 0; i < c->n_problems; i++) {
                const ConfigProblem *p = &c->problems[i];
                char *longer;

                ASSERT(*p->text && *p->file);
                ASSERT_EQ(text_valid_length(p->text, strlen(p->text)), strlen(p->text));
                ASSERT_EQ(text_valid_length(p->file, strlen(p->file)), strlen(p->file));
                longer = text_format("%s%u %s %s\n", all, p->line,
                                     p->severity == PROBLEM_ERROR ? "error" : "warning", p->text);
                free(all);
                all = longer;
        }
        return all;
}

static void test_sizes(void)
{
        size_t size = CONFIG_FILE_MAX + 1;
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *text = malloc(size);
        Dirs d;

        dirs_init(&d, 1);
        memset(text, '\n', size);
        memcpy(text, GOOD, strlen(GOOD));
        write_bytes(d.path[0], "fits.conf", text, size - 1);
        write_bytes(d.path[0], "large.conf", text, size);
        c = load(&d);
        ASSERT_EQ(c->n_volumes, 1);
        ASSERT_STR(c->volumes[0]->name, "fits");
        ASSERT_EQ(c->n_problems, 1);
        ASSERT_CONTAINS(c->problems[0].file, "/large.conf");
        ASSERT_CONTAINS(c->problems[0].text, "is larger than 65536 bytes");
}

static void test_order_and_names(void)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *all = NULL;
        Dirs d;

        dirs_init(&d, 1);
        test_write(d.path[0], "b.conf", MATCH "[Mount]\nWhere=none\n");
        test_write(d.path[0], "a-b.conf", MATCH "[Mount]\nWhere=/mnt/a\n");
        test_write(d.path[0], "a.conf", MATCH "[Mount]\nWhere=/mnt/a/below\n");
        test_write(d.path[0], "c.conf", MATCH "[Mount]\nWhere=none\n");
        test_write(d.path[0], "d.conf", MATCH "[Mount]\n#\n#\nWhere=/mnt/a\n");
        test_write(d.path[0], ".hidden.conf", "x");
        test_write(d.path[0], ".conf", "x");
        test_write(d.path[0], "a.conf~", "x");
        test_write(d.path[0], "a.conf.dpkg-new", "x");
        test_write(d.path[0], "README", "x");
        test_write(d.path[0], "my disk.conf", GOOD);
        test_write(d.path[0], "-x.conf", GOOD);
        test_write(d.path[0], "\xe4.conf", GOOD);
        test_write(d.path[0], "x\n.conf", GOOD);
        c = load(&d);
        all = problems_of(c);

        ASSERT_EQ(c->n_volumes, 4);
        ASSERT_STR(c->volumes[0]->name, "a");
        ASSERT_STR(c->volumes[1]->name, "a-b");
        ASSERT_STR(c->volumes[2]->name, "b");
        ASSERT_STR(c->volumes[3]->name, "c");
        ASSERT_EQ(c->n_problems, 5);
        ASSERT_CONTAINS(c->problems[0].file, "/-x.conf");
        ASSERT_CONTAINS(c->problems[0].text, "no volume name");
        ASSERT_EQ(c->problems[0].severity, PROBLEM_ERROR);
        ASSERT_CONTAINS(c->problems[1].file, "/d.conf");
        ASSERT_EQ(c->problems[1].line, 6);
        ASSERT_CONTAINS(c->problems[1].text, "Where=/mnt/a is the mount point of ");
        ASSERT_CONTAINS(c->problems[1].text, "/a-b.conf already");
        ASSERT_CONTAINS(c->problems[2].file, "/my disk.conf");
        ASSERT_CONTAINS(c->problems[3].file, "/x\\x0a.conf");
        ASSERT_CONTAINS(c->problems[4].file, "/\\xe4.conf");
        ASSERT(config_find_error(c, "d"));
        ASSERT(!config_find_error(c, "a"));
        ASSERT(!config_find_error(c, "conf"));
        ASSERT(config_find(c, "a-b") == c->volumes[1]);
        ASSERT(!config_find(c, "d"));
        ASSERT(!config_find(c, ""));
}

static void test_volume_name(void)
{
        static const struct {
                const char *name;
                bool valid;
        } rows[] = {
                { "data", true },
                { "9", true },
                { "A_b-c.d..", true },
                { "", false },
                { ".a", false },
                { "-a", false },
                { "_a", false },
                { "a b", false },
                { "a/b", false },
                { "../a", false },
                { "a\n", false },
                { "\xc3\xa4", false },
                { "a@b", false },
                { "0123456789012345678901234567890123456789012345678901234567890123", true },
                { "01234567890123456789012345678901234567890123456789012345678901234", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i].name);
                ASSERT_EQ(volume_name_is_valid(rows[i].name), rows[i].valid);
        }
}

static void test_link(const char *to, const char *dir, const char *name)
{
        char path[PATH_MAX + 64];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        ASSERT_OK(symlink(to, path));
}

/* What config_load_volume() says of NAME: the mount point, the problem, or strerror(). */
static void assert_volume(const Dirs *d, const char *name, const char *want)
{
        _cleanup_(volume_config_freep) VolumeConfig *v = NULL;
        _cleanup_free_ char *problem = NULL;
        int r;

        test_row(name);
        r = config_load_volume(&d->source, name, &v, &problem);
        ASSERT_EQ(!!problem, r == -EINVAL);
        ASSERT_EQ(!!v, r == 0);
        ASSERT_CONTAINS(r == 0 ? v->where : r == -EINVAL ? problem : strerror(-r), want);
        test_row(NULL);
}

static void test_precedence(void)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *all = NULL;
        Dirs d;

        dirs_init(&d, 3);
        test_write(d.path[1], "both.conf", MATCH "[Mount]\nWhere=/mnt/high\n");
        test_write(d.path[2], "both.conf", MATCH "[Mount]\nWhere=/mnt/low\n");
        test_write(d.path[2], "low.conf", MATCH "[Mount]\nWhere=/mnt/only\n");
        test_write(d.path[0], "bad.conf", "\n\nx\n");
        test_write(d.path[2], "bad.conf", MATCH "[Mount]\nWhere=/mnt/bad\n");
        test_write(d.path[0], "empty.conf", "");
        test_write(d.path[1], "empty.conf", MATCH "[Mount]\nWhere=/mnt/empty\n");
        test_link("/dev/null", d.path[0], "null.conf");
        test_write(d.path[1], "null.conf", MATCH "[Mount]\nWhere=/mnt/null\n");
        c = load(&d);
        all = problems_of(c);

        ASSERT_EQ(c->n_volumes, 2);
        ASSERT_STR(c->volumes[0]->where, "/mnt/high");
        ASSERT_STR(c->volumes[1]->where, "/mnt/only");
        ASSERT(config_find_error(c, "bad"));
        ASSERT_EQ(c->n_problems, 3);
        assert_volume(&d, "both", "/mnt/high");
        assert_volume(&d, "low", "/mnt/only");
        assert_volume(&d, "bad", "bad.conf: nothing says which device");
        assert_volume(&d, "empty", strerror(ENOENT));
        assert_volume(&d, "null", strerror(ENOENT));
        assert_volume(&d, "absent", strerror(ENOENT));
        assert_volume(&d, "../low", strerror(ENOENT));
        assert_volume(&d, "", strerror(ENOENT));
}

static void test_first_error_of_volume(void)
{
        Dirs d;

        dirs_init(&d, 1);
        test_write(d.path[0], "a.conf", GOOD "Options=nofail\nType=?\nAuto=?\n");
        test_write(d.path[0], "b.conf", GOOD "Options=nofail\n");
        assert_volume(&d, "a", "a.conf:6: Type=? is no filesystem type");
        assert_volume(&d, "b", "/mnt/data"); /* not known to be a's as well */
}

/* What was loaded before is there no more: why? */
static void test_refused(void)
{
        _cleanup_(config_freep) Config *before = NULL, *broken = NULL, *open = NULL, *gone = NULL;
        _cleanup_free_ char *path = NULL;
        Dirs d;

        dirs_init(&d, 2);
        test_write(d.path[0], "a.conf", MATCH "[Mount]\nWhere=/mnt/a\n");
        test_write(d.path[1], "b.conf", MATCH "[Mount]\nWhere=/mnt/b\n");
        before = load(&d);
        ASSERT_EQ(before->n_volumes, 2);
        ASSERT(!config_refuses(before, before->volumes[0]));

        test_write(d.path[0], "a.conf", "x\n");
        broken = load(&d);
        ASSERT(config_refuses(broken, before->volumes[0]));
        ASSERT(!config_refuses(broken, before->volumes[1]));

        ASSERT_OK(chmod(d.path[1], 0777));
        open = load(&d);
        ASSERT_OK(chmod(d.path[1], 0755));
        ASSERT_EQ(open->n_volumes, 0);
        ASSERT(config_refuses(open, before->volumes[1]));

        path = text_format("%s/a.conf", d.path[0]);
        ASSERT_OK(unlink(path));
        gone = load(&d);
        ASSERT(!config_refuses(gone, before->volumes[0]));
}

static void test_no_directory(void)
{
        static const char *const dirs[] = { "/nonexistent/a", "/nonexistent/b", NULL };
        _cleanup_(config_freep) Config *c = NULL;

        ASSERT_OK(config_load(&(ConfigSource){ .dirs = dirs, .owner = geteuid() }, &c));
        ASSERT_EQ(c->n_volumes, 0);
        ASSERT_EQ(c->n_problems, 0);
        ASSERT(!config_find(c, "a"));
        ASSERT(!config_find_error(c, "a"));
        ASSERT(!config_free(NULL));
        ASSERT(!volume_config_free(NULL));
}

static void test_kinds_of_files(void)
{
        static const char *const rows[][2] = {
                { "dangling", "is a link to a file that is not there" },
                { "directory", "is not a regular file" },
                { "fifo", "is not a regular file" },
                { "loop", "cannot be read: " },
                { "socket", "cannot be read: " },
                { "zero", "is not a regular file" },
        };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *all = NULL;
        _cleanup_close_ int fd = -1;
        char path[PATH_MAX + 64];
        Dirs d;

        dirs_init(&d, 2);
        test_write(d.path[1], "elsewhere/real", GOOD);
        snprintf(path, sizeof(path), "%s/elsewhere/real", d.path[1]);
        test_link(path, d.path[0], "followed.conf");
        test_link("/nonexistent", d.path[0], "dangling.conf");
        test_link("loop.conf", d.path[0], "loop.conf");
        test_link("/dev/zero", d.path[0], "zero.conf");
        test_write(d.path[0], "directory.conf/x.conf", GOOD);
        snprintf(path, sizeof(path), "%s/fifo.conf", d.path[0]);
        ASSERT_OK(mkfifo(path, 0644));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/socket.conf", d.path[0]);
        ASSERT_OK(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
        c = load(&d);
        all = problems_of(c);

        ASSERT_EQ(c->n_volumes, 1);
        ASSERT_STR(c->volumes[0]->name, "followed");
        ASSERT_CONTAINS(c->volumes[0]->path, "/followed.conf");
        ASSERT_EQ(c->n_problems, ELEMENTSOF(rows));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                test_row(rows[i][0]);
                ASSERT_CONTAINS(c->problems[i].file, rows[i][0]);
                ASSERT_CONTAINS(c->problems[i].text, rows[i][1]);
                assert_volume(&d, rows[i][0], rows[i][1]);
        }
}

static void test_linked_directory(void)
{
        _cleanup_(config_freep) Config *c = NULL;
        char link[PATH_MAX + 64], file[PATH_MAX + 64];
        Dirs d;

        dirs_init(&d, 2);
        test_write(d.path[0], "data.conf", GOOD);
        test_link(d.path[0], d.path[1], "link");
        snprintf(link, sizeof(link), "%s/link", d.path[1]);
        test_write(d.path[1], "file", "x");
        snprintf(file, sizeof(file), "%s/file", d.path[1]);
        d.list[0] = file;
        d.list[1] = link;
        c = load(&d);
        ASSERT_EQ(c->n_volumes, 1);
        ASSERT_CONTAINS(c->volumes[0]->path, "/link/data.conf");
        ASSERT_EQ(c->n_problems, 1);
        ASSERT_STR(c->problems[0].file, file);
}

/* Whether a file of this owner and mode is used. */
static const struct {
        const char *what;
        uid_t uid;
        gid_t gid;
        mode_t mode;
        const char *want; /* "": it is */
} owners[] = {
        { "root's", 0, 0, 0644, "" },
        { "root's, of another group", 0, 1000, 0644, "" },
        { "writable by root's group", 0, 0, 0664, "" },
        { "writable by another group", 0, 1000, 0664, "is not used; chmod go-w " },
        { "writable by all", 0, 0, 0646, "is not used; chmod go-w " },
        { "another user's", 1000, 0, 0644, "belongs to user 1000 instead of root" },
        { "another user's, unwritable", 1000, 1000, 0444, "chown root: " },
};

static void assert_owner(const char *path, const Dirs *d, size_t row, size_t n_loaded)
{
        _cleanup_(config_freep) Config *c = NULL;

        test_row(owners[row].what);
        ASSERT_OK(chown(path, owners[row].uid, owners[row].gid));
        ASSERT_OK(chmod(path, owners[row].mode));
        c = load(d);
        ASSERT_EQ(c->n_problems, !!*owners[row].want);
        ASSERT_EQ(c->n_volumes, *owners[row].want ? n_loaded : 1);
        if (c->n_problems > 0) {
                ASSERT_STR(c->problems[0].file, path);
                ASSERT_EQ(c->problems[0].line, 0);
                ASSERT_CONTAINS(c->problems[0].text, owners[row].want);
        }
}

static void test_owner_of_file(void)
{
        char path[PATH_MAX + 64];
        Dirs d;

        if (geteuid() != 0)
                test_skip("only root can give files away");
        dirs_init(&d, 2);
        test_write(d.path[0], "data.conf", GOOD);
        test_write(d.path[1], "data.conf", GOOD);
        snprintf(path, sizeof(path), "%s/data.conf", d.path[0]);
        for (size_t i = 0; i < ELEMENTSOF(owners); i++)
                assert_owner(path, &d, i, 0);

        test_row("an empty file masks only when it is root's");
        test_write(d.path[0], "data.conf", "");
        ASSERT_OK(chown(path, 1000, 0));
        assert_volume(&d, "data", "belongs to user 1000");
}

/* What a refused directory holds neither loads nor masks. */
static void test_owner_of_directory(void)
{
        Dirs d;

        if (geteuid() != 0)
                test_skip("only root can give files away");
        dirs_init(&d, 2);
        test_write(d.path[0], "data.conf", GOOD);
        test_write(d.path[1], "data.conf", MATCH "[Mount]\nWhere=/mnt/low\n");
        for (size_t i = 0; i < ELEMENTSOF(owners); i++) {
                assert_owner(d.path[0], &d, i, 1);
                assert_volume(&d, "data", *owners[i].want ? "/mnt/low" : "/mnt/data");
        }
}

static void test_owner_of_tests(void)
{
        _cleanup_(config_freep) Config *c = NULL;
        Dirs d;

        dirs_init(&d, 1);
        test_write(d.path[0], "data.conf", GOOD);
        d.source.owner = geteuid() + 1;
        c = load(&d);
        ASSERT_EQ(c->n_volumes, 0);
        ASSERT_EQ(c->n_problems, 1);
        ASSERT_STR(c->problems[0].file, d.path[0]);
}

/* wslbared is not root. */
static void test_unreadable(void)
{
        _cleanup_(config_freep) Config *c = NULL;
        char path[PATH_MAX + 64];
        Dirs d;
        int r;

        if (geteuid() != 0)
                test_skip("only root can become somebody else");
        dirs_init(&d, 3);
        snprintf(path, sizeof(path), "%s/..", d.path[0]);
        ASSERT_OK(chmod(path, 0755));
        test_write(d.path[0], "data.conf", GOOD);
        test_write(d.path[0], "other.conf", MATCH "[Mount]\nWhere=none\n");
        test_write(d.path[2], "data.conf", GOOD);
        snprintf(path, sizeof(path), "%s/data.conf", d.path[0]);
        ASSERT_OK(chmod(path, 0600));
        ASSERT_OK(chmod(d.path[1], 0700));

        ASSERT_OK(seteuid(NOBODY));
        r = config_load(&d.source, &c);
        ASSERT_OK(seteuid(0));
        ASSERT_OK(r);
        ASSERT_EQ(c->n_volumes, 1);
        ASSERT_STR(c->volumes[0]->name, "other");
        ASSERT_EQ(c->n_problems, 2);
        ASSERT_STR(c->problems[0].file, d.path[1]);
        ASSERT_CONTAINS(c->problems[0].text, "user wslbare must be able to read it");
        ASSERT_CONTAINS(c->problems[0].text, "chmod a+rx /");
        ASSERT_STR(c->problems[1].file, path);
        ASSERT_CONTAINS(c->problems[1].text, "chmod a+r /");
}

static char *fingerprint_of(const Dirs *d)
{
        _cleanup_(volume_config_freep) VolumeConfig *v = NULL;
        _cleanup_free_ char *problem = NULL;

        ASSERT_OK(config_load_volume(&d->source, "data", &v, &problem));
        return TAKE_PTR(v->fingerprint);
}

static void test_fingerprint(void)
{
        const struct timespec times[] = { { 1, 2 }, { 1234567890, 12345 } };
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *d = NULL, *want = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        char path[PATH_MAX + 64];
        struct stat st;
        Dirs dirs;

        dirs_init(&dirs, 1);
        test_write(dirs.path[0], "data.conf", GOOD);
        snprintf(path, sizeof(path), "%s/data.conf", dirs.path[0]);
        ASSERT_OK(utimensat(AT_FDCWD, path, times, 0));
        ASSERT_OK(stat(path, &st));
        want = text_format("%ju:%ju:%zu:1234567890.000012345:%jd.%09ld", (uintmax_t)st.st_dev,
                           (uintmax_t)st.st_ino, strlen(GOOD), (intmax_t)st.st_ctim.tv_sec,
                           st.st_ctim.tv_nsec);
        a = fingerprint_of(&dirs);
        ASSERT_STR(a, want);
        b = fingerprint_of(&dirs);
        ASSERT_STR(b, want);
        config = load(&dirs);
        ASSERT_STR(config->volumes[0]->fingerprint, want);

        test_write(dirs.path[0], "data.conf", GOOD "\n");
        ASSERT_OK(utimensat(AT_FDCWD, path, times, 0));
        c = fingerprint_of(&dirs);
        ASSERT(!streq(a, c));
        ASSERT_OK(unlink(path));
        test_write(dirs.path[0], "data.conf", GOOD);
        d = fingerprint_of(&dirs);
        ASSERT(!streq(a, d) && !streq(c, d));
}

static void test_problem_to_string(void)
{
        _cleanup_free_ char *with_line = config_problem_to_string(
                &(ConfigProblem){ .file = (char[]){ "/a" }, .line = 3, .text = (char[]){ "x" } });
        _cleanup_free_ char *without = config_problem_to_string(
                &(ConfigProblem){ .file = (char[]){ "/a" }, .text = (char[]){ "x" } });

        ASSERT_STR(with_line, "/a:3: x");
        ASSERT_STR(without, "/a: x");
}

static uint32_t next_random(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

/* One change to the SIZE bytes at TEXT, of which ROOM may be used; the new size. */
static size_t mutate(char *text, size_t size, size_t room, uint32_t *state)
{
        static const char *const pieces[] = {
                "\n",
                "\r",
                "=",
                ":",
                ";",
                " ;",
                "#",
                "[",
                "]",
                "\t",
                " ",
                "\\",
                "\xff",
                "\xc3",
                "\xef\xbb\xbf",
                "\x01",
                "\n[Match]\n",
                "\n[Mount]\n",
                "\nWhere=",
                "\nUUID=",
                "\nOptions=",
                ",",
                "..",
                "/",
                "infinity",
                "99999999999999999999",
                "\"",
                "\\x41",
                "{",
                "}",
                "%s%n",
                "none",
        };
        size_t at = next_random(state) % (size + 1), n = next_random(state) % 12;
        const char *piece = pieces[next_random(state) % ELEMENTSOF(pieces)];

        n = n < size - at ? n : size - at;
        switch (next_random(state) % 5) {
        case 0: /* any byte */
                if (at < size)
                        text[at] = (char)next_random(state);
                return size;
        case 1: /* cut out */
                memmove(text + at, text + at + n, size - at - n);
                return size - n;
        case 2: /* cut off */
                return at;
        case 3: /* repeat what follows */
                piece = text + at;
                break;
        default:
                n = strlen(piece);
        }
        if (size + n > room)
                return size;
        memmove(text + at + n, text + at, size - at);
        if (piece != text + at)
                memcpy(text + at, piece, n);
        return size + n;
}

/* What holds of every configuration. */
static void assert_sound(const Config *c)
{
        free(problems_of(c));
        for (size_t i = 0; i < c->n_volumes; i++) {
                const VolumeConfig *v = c->volumes[i];

                ASSERT(i == 0 || strcmp(c->volumes[i - 1]->name, v->name) < 0);
                ASSERT(volume_name_is_valid(v->name));
                ASSERT(!config_find_error(c, v->name));
                ASSERT(v->match.uuid || v->match.label || match_is_by_hardware(&v->match));
                ASSERT(!v->where || v->where[0] == '/');
                ASSERT(v->options && v->options_text && v->fingerprint);
                ASSERT_EQ(v->read_only, v->options->read_only);
                ASSERT(v->mount_timeout_usec >= USEC_PER_SEC);
                ASSERT(config_find(c, v->name) == v);
        }
        for (size_t i = 1; i < c->n_problems; i++)
                ASSERT(!streq(c->problems[i - 1].file, c->problems[i].file) ||
                       c->problems[i - 1].line <= c->problems[i].line);
}

static void test_mutations(void)
{
        static const char seed_text[] =
                "# x\n[Match]\nUUID=0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11\nLabel=D\xc3\xa4ta\n"
                "ById=usb-*\nType=ext4\n\n[Mount]\nWhere=/mnt/data\nOptions=noatime,x=y;z\n"
                "ReadOnly=no\nAuto=yes\nMountTimeoutSec=1min 30s\nRetryLimit=5\nRetrySec=1\n"
                "DirectoryMode=0755\n";
        char text[4096];
        uint32_t state = 20240229;
        unsigned n_loaded = 0, n_refused = 0;
        Dirs d;

        dirs_init(&d, 1);
        test_write(d.path[0], "a.conf", MATCH "[Mount]\nWhere=/mnt/a\n");
        for (unsigned i = 0; i < 5000; i++) {
                _cleanup_(config_freep) Config *c = NULL;
                unsigned n_changes = 1 + next_random(&state) % 2;
                size_t size = strlen(seed_text);

                memcpy(text, seed_text, size);
                while (n_changes-- > 0)
                        size = mutate(text, size, sizeof(text), &state);
                write_bytes(d.path[0], "b.conf", text, size);
                c = load(&d);
                assert_sound(c);
                ASSERT(config_find(c, "a"));
                if (config_find(c, "b"))
                        n_loaded++;
                else if (size > 0) {
                        ASSERT(config_find_error(c, "b"));
                        n_refused++;
                }
        }
        /* Neither of them all: then nothing would have been tried. */
        printf("# %u loaded, %u refused\n", n_loaded, n_refused);
        ASSERT(n_loaded > 500 && n_refused > 500);
}

TEST_MAIN(TEST(sizes), TEST(order_and_names), TEST(volume_name), TEST(precedence),
          TEST(first_error_of_volume), TEST(refused), TEST(no_directory), TEST(kinds_of_files),
          TEST(linked_directory), TEST(owner_of_file), TEST(owner_of_directory),
          TEST(owner_of_tests), TEST(unreadable), TEST(fingerprint), TEST(problem_to_string),
          TEST(mutations))
