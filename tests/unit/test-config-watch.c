/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "config-watch.h"
#include "macro.h"
#include "test.h"
#include "text.h"

typedef struct Watching {
        sd_event *event;
        ConfigWatch *watch;
        char *top;      /* a directory of our own */
        char *paths[2]; /* TOP/a and TOP/deep/below/b, not there before somebody makes them */
        const char *dirs[3];
        unsigned n_calls;
} Watching;

static void on_changed(void *userdata)
{
        Watching *w = userdata;

        w->n_calls++;
}

static char *join(const char *dir, const char *name)
{
        char *path = text_format("%s/%s", dir, name);

        ASSERT(path);
        return path;
}

static void make_directory(const Watching *w, const char *name)
{
        _cleanup_free_ char *path = join(w->top, name);

        ASSERT_OK(mkdir(path, 0755));
}

static void move(const Watching *w, const char *from, const char *to)
{
        _cleanup_free_ char *a = join(w->top, from), *b = join(w->top, to);

        ASSERT_OK(rename(a, b));
}

static void delete (const Watching *w, const char *name)
{
        _cleanup_free_ char *path = join(w->top, name);

        ASSERT_OK(remove(path));
}

static void open_watch(Watching *w)
{
        *w = (Watching){ .top = strdup(test_directory()) };
        ASSERT(w->top);
        w->paths[0] = join(w->top, "a");
        w->paths[1] = join(w->top, "deep/below/b");
        w->dirs[0] = w->paths[0];
        w->dirs[1] = w->paths[1];
        ASSERT(sd_event_new(&w->event) >= 0);
}

static void start_watch(Watching *w)
{
        ASSERT_OK(config_watch_new(w->event, w->dirs, on_changed, w, &w->watch));
}

static void close_watch(Watching *w)
{
        config_watch_free(w->watch);
        sd_event_unref(w->event);
        free(w->paths[0]);
        free(w->paths[1]);
        free(w->top);
}

static uint64_t now(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static void run_for(Watching *w, uint64_t usec)
{
        uint64_t end = now() + usec;

        for (uint64_t t = now(); t < end; t = now())
                ASSERT(sd_event_run(w->event, end - t) >= 0);
}

/* Reads what has happened, without waiting. */
static void notice(Watching *w)
{
        while (sd_event_run(w->event, 0) > 0)
                ;
}

/* Until it is quiet, and a bit. However late we come: first all is read that happened, and last
 * what is due. */
static unsigned calls(Watching *w)
{
        unsigned before = w->n_calls;

        notice(w);
        run_for(w, CONFIG_WATCH_QUIET_USEC + 200 * USEC_PER_MSEC);
        notice(w);
        return w->n_calls - before;
}

/* Writes again and again, with pauses that are no quiet: whether these were as short as they should
 * be. */
static bool write_with_pauses(Watching *w)
{
        bool in_time = true;

        for (unsigned i = 0; i < 4; i++) {
                uint64_t begin = now();

                test_write(w->top, "a/data.conf", "");
                run_for(w, CONFIG_WATCH_QUIET_USEC / 2);
                /* Of two in a row, up to the moment at which the second write is noticed. */
                in_time = in_time && now() - begin < CONFIG_WATCH_QUIET_USEC * 7 / 10;
        }
        return in_time;
}

static void test_files(void)
{
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        test_write(w.top, "a/old.conf", "");
        start_watch(&w);
        ASSERT_EQ(calls(&w), 0); /* what was there is no change */
        test_write(w.top, "a/data.conf", "[Match]\n");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "a/data.conf", "[Mount]\n");
        ASSERT_EQ(calls(&w), 1);
        move(&w, "a/data.conf", "a/other.conf");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "new", "[Match]\n"); /* as editors do */
        move(&w, "new", "a/other.conf");
        ASSERT_EQ(calls(&w), 1);
        move(&w, "a/other.conf", "away");
        ASSERT_EQ(calls(&w), 1);
        delete (&w, "a/old.conf");
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

static void test_modes_and_links(void)
{
        _cleanup_free_ char *file = NULL, *link = NULL;
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        test_write(w.top, "a/data.conf", "");
        file = join(w.top, "a/data.conf");
        link = join(w.top, "a/mask.conf");
        start_watch(&w);
        ASSERT_OK(chmod(file, 0666)); /* refused from now on */
        ASSERT_EQ(calls(&w), 1);
        ASSERT_OK(symlink("/dev/null", link));
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

static void test_reading_is_no_change(void)
{
        _cleanup_free_ char *file = NULL;
        char buffer[16];
        Watching w;
        FILE *f;

        open_watch(&w);
        make_directory(&w, "a");
        test_write(w.top, "a/data.conf", "text");
        start_watch(&w);
        file = join(w.top, "a/data.conf");
        f = fopen(file, "re");
        ASSERT(f);
        ASSERT_EQ(fread(buffer, 1, sizeof(buffer), f), 4);
        fclose(f);
        ASSERT_EQ(calls(&w), 0); /* else each reload would lead to the next */
        close_watch(&w);
}

static void test_a_burst_is_one_call(void)
{
        Watching w;
        char name[32];

        open_watch(&w);
        make_directory(&w, "a");
        start_watch(&w);
        for (unsigned i = 0; i < 50; i++) {
                (void)snprintf(name, sizeof(name), "a/v%u.conf", i);
                test_write(w.top, name, "");
        }
        ASSERT_EQ(calls(&w), 1);

        /* And it is half a second after the last of them. */
        for (unsigned tries = 0; !write_with_pauses(&w); tries++) {
                if (tries == 20)
                        test_skip("the machine is too slow to tell");
                (void)calls(&w);
                w.n_calls = 1;
        }
        ASSERT_EQ(w.n_calls, 1);
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

static void test_directory_comes_later(void)
{
        Watching w;

        open_watch(&w);
        start_watch(&w);
        ASSERT_EQ(calls(&w), 0);
        make_directory(&w, "a");
        test_write(w.top, "a/data.conf", "");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "a/data.conf", "again");
        ASSERT_EQ(calls(&w), 1);

        make_directory(&w, "deep");
        notice(&w);
        make_directory(&w, "deep/below");
        notice(&w);
        make_directory(&w, "deep/below/b");
        notice(&w);
        test_write(w.top, "deep/below/b/data.conf", "");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "deep/below/b/data.conf", "again");
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

/* All at once, as a package does. */
static void test_directories_come_at_once(void)
{
        Watching w;

        open_watch(&w);
        start_watch(&w);
        test_write(w.top, "deep/below/b/data.conf", "");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "deep/below/b/data.conf", "again");
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

static void test_directory_goes_and_comes_back(void)
{
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        test_write(w.top, "a/data.conf", "");
        start_watch(&w);
        move(&w, "a", "away");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "away/data.conf", "not ours any more");
        ASSERT_EQ(calls(&w), 0);
        make_directory(&w, "a");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "a/data.conf", "again");
        ASSERT_EQ(calls(&w), 1);
        delete (&w, "a/data.conf");
        delete (&w, "a");
        make_directory(&w, "a"); /* often with the number of the old one */
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "a/data.conf", "and again");
        ASSERT_EQ(calls(&w), 1);
        close_watch(&w);
}

/* As on NixOS. */
static void test_directory_is_a_link(void)
{
        _cleanup_free_ char *link = NULL;
        Watching w;

        open_watch(&w);
        make_directory(&w, "one");
        make_directory(&w, "two");
        link = join(w.top, "a");
        ASSERT_OK(symlink("one", link));
        start_watch(&w);
        test_write(w.top, "one/data.conf", "");
        ASSERT_EQ(calls(&w), 1);
        link = (free(link), join(w.top, "new"));
        ASSERT_OK(symlink("two", link));
        move(&w, "new", "a");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "two/data.conf", "");
        ASSERT_EQ(calls(&w), 1);
        test_write(w.top, "one/data.conf", "");
        ASSERT_EQ(calls(&w), 0);
        close_watch(&w);
}

static void test_neighbours(void)
{
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        make_directory(&w, "deep");
        start_watch(&w);
        test_write(w.top, "file", "");
        make_directory(&w, "aa");
        test_write(w.top, "aa/data.conf", "");
        test_write(w.top, "deep/file", "");
        delete (&w, "file");
        ASSERT_EQ(calls(&w), 0);
        close_watch(&w);
}

/* What editors leave beside a file is never loaded. */
static void test_files_that_are_none(void)
{
        static const char *const names[] = { "a/.data.conf.swp", "a/data.conf~", "a/4913",
                                             "a/README" };
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        start_watch(&w);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                test_write(w.top, names[i], "");
                delete (&w, names[i]);
        }
        ASSERT_EQ(calls(&w), 0);
        close_watch(&w);
}

static void test_end_while_waiting(void)
{
        Watching w;

        open_watch(&w);
        make_directory(&w, "a");
        start_watch(&w);
        test_write(w.top, "a/data.conf", "");
        notice(&w);
        w.watch = config_watch_free(w.watch);
        ASSERT_EQ(calls(&w), 0);
        close_watch(&w);
}

TEST_MAIN(TEST(files), TEST(modes_and_links), TEST(reading_is_no_change), TEST(a_burst_is_one_call),
          TEST(directory_comes_later), TEST(directories_come_at_once),
          TEST(directory_goes_and_comes_back), TEST(directory_is_a_link), TEST(neighbours),
          TEST(files_that_are_none), TEST(end_while_waiting))
