/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bench-file.h"
#include "bench-result.h"
#include "client-objects.h"
#include "client.h"
#include "ctl.h"
#include "fio.h"
#include "macro.h"
#include "parse.h"
#include "syntax.h"
#include "text.h"

#define SIZE_DEFAULT (UINT64_C(256) << 20)
#define SIZE_MIN (UINT64_C(16) << 20) /* the largest block */
#define SIZE_MAX_ (UINT64_C(64) << 30)
#define SECONDS_DEFAULT 3U
#define SECONDS_MAX 3600U
#define BAR_WIDTH 20U

typedef struct Bench {
        TableOptions table;
        uint64_t size;
        unsigned seconds;
        char **paths; /* the first is what the others are compared with */
        size_t n_paths;
        BenchFile *files;
        BenchResult *results;
} Bench;

enum {
        OPERATION,
        BLOCK,
        PATH,
        RATE,
        GAP,
        BAR,
        _COLUMN_MAX,
};

static const TableColumn columns[_COLUMN_MAX + 1] = {
        [OPERATION] = { "OPERATION", "read or write, one block after the other", TABLE_TEXT,
                        TABLE_SHOWN },
        [BLOCK] = { "BLOCK", "size of a block", TABLE_SIZE, TABLE_SHOWN },
        [PATH] = { "PATH", "where", TABLE_TEXT, TABLE_SHOWN },
        [RATE] = { "RATE", "bytes a second", TABLE_RATE, TABLE_SHOWN },
        [GAP] = { "GAP", "percent more, or less, than the first path", TABLE_PERCENT, TABLE_SHOWN },
        [BAR] = { "", NULL, TABLE_TEXT, TABLE_SHOWN },
};

static const char *const operation_names[_BENCH_OPERATION_MAX] = {
        [BENCH_READ] = "read",
        [BENCH_WRITE] = "write",
};

/* The root filesystem, where everybody may write; the VHDX in WSL. */
static const char *root_path(void)
{
        struct stat root, tmp;

        if (stat("/", &root) >= 0 && stat("/var/tmp", &tmp) >= 0 && root.st_dev == tmp.st_dev)
                return "/var/tmp";
        return "/";
}

/* The paths where none were given; *RET_STATUS is the exit status of a failure. */
static int choose_paths(Bench *b)
{
        ClientState state = { 0 };
        Client client = { 0 };
        int r = strv_push(&b->paths, root_path());

        if (r >= 0)
                r = client_open(&client);
        if (r >= 0)
                r = client_get_state(&client, &state);
        for (size_t i = 0; r >= 0 && i < state.n_volumes; i++)
                if (streq(state.volumes[i].state, "mounted") && !state.volumes[i].read_only)
                        r = strv_push(&b->paths, state.volumes[i].where);
        if (r >= 0 && strv_length(b->paths) < 2)
                fputs("No volume is mounted to be compared; give paths to measure others.\n",
                      stderr);
        client_state_done(&state);
        client_close(&client);
        return r;
}

static void say_progress(const char *what, const char *path, unsigned done, unsigned all)
{
        if (isatty(STDERR_FILENO)) {
                fprintf(stderr, "\r\x1b[K%3u%% ", done * 100 / all);
                term_put(stderr, path);
                fprintf(stderr, ": %s\r", what);
        }
}

static void end_progress(void)
{
        if (isatty(STDERR_FILENO))
                fputs("\r\x1b[K", stderr);
}

static int make_files(Bench *b)
{
        unsigned n = (unsigned)b->n_paths;

        for (unsigned i = 0; i < n; i++) {
                int r;

                say_progress("writing what is to be read", b->paths[i], 0, 1);
                r = bench_file_open(b->paths[i], b->size, &b->files[i]);
                if (r < 0)
                        return r;
                b->results[i] = (BenchResult){
                        .path = b->paths[i],
                        .request_kib = b->files[i].request_kib,
                        .request_limit_kib = b->files[i].request_limit_kib,
                };
        }
        return 0;
}

/* One path after the other for each block, so that what else the machine does meets them all. */
static int measure(Bench *b)
{
        unsigned n = (unsigned)b->n_paths, all = _BENCH_OPERATION_MAX * BENCH_BLOCKS * n;

        for (unsigned i = 0; i < all; i++) {
                unsigned path = i % n, block = i / n % BENCH_BLOCKS,
                         operation = i / n / BENCH_BLOCKS;
                FioJob job = {
                        .fd = b->files[path].fd,
                        .size = b->size,
                        .block = bench_blocks[block],
                        .is_write = operation == BENCH_WRITE,
                        .seconds = b->seconds,
                };
                int r;

                say_progress(operation_names[operation], b->paths[path], i, all);
                r = fio_measure(&job, &b->results[path].rates[operation][block]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A bar of up to BAR_WIDTH columns. */
static char *draw(double part)
{
        unsigned n = (unsigned)(part * BAR_WIDTH + 0.5);
        const char *sign = term_is_utf8() ? "█" : "#";
        size_t length = strlen(sign);
        char *bar = calloc(BAR_WIDTH + 1, length + 1);

        for (unsigned i = 0; bar && i < n; i++)
                memcpy(bar + i * length, sign, length);
        return bar;
}

static int add_row(const Bench *b, Table *t, unsigned operation, unsigned block, unsigned path)
{
        double rate = b->results[path].rates[operation][block], most = rate;
        double base = b->results[0].rates[operation][block];
        _cleanup_free_ char *bytes = text_format("%" PRIu64, bench_blocks[block]);
        _cleanup_free_ char *per_second = text_format("%.0f", rate);
        _cleanup_free_ char *gap = path > 0 ? text_format("%.1f", bench_gap(base, rate)) : NULL;
        _cleanup_free_ char *bar = NULL;

        for (size_t i = 0; i < b->n_paths; i++)
                if (b->results[i].rates[operation][block] > most)
                        most = b->results[i].rates[operation][block];
        bar = draw(rate / most);
        if (!bytes || !per_second || !bar)
                return -ENOMEM;
        return table_add(t, (const char *const[_COLUMN_MAX]){
                                    [OPERATION] = operation_names[operation],
                                    [BLOCK] = bytes,
                                    [PATH] = b->paths[path],
                                    [RATE] = per_second,
                                    [GAP] = gap,
                                    [BAR] = bar,
                            });
}

static int print_advice(const Bench *b)
{
        for (size_t i = 1; i < b->n_paths; i++) {
                _cleanup_free_ char *text = bench_advise(&b->results[0], &b->results[i]);

                if (!text)
                        return -ENOMEM;
                putchar('\n');
                term_line(stdout, "%s", text);
        }
        return 0;
}

static int print(const Bench *b, Table *t)
{
        int r = 0;

        for (unsigned operation = 0; r >= 0 && operation < _BENCH_OPERATION_MAX; operation++)
                for (unsigned block = 0; r >= 0 && block < BENCH_BLOCKS; block++)
                        for (unsigned path = 0; r >= 0 && path < b->n_paths; path++)
                                r = add_row(b, t, operation, block, path);
        if (r >= 0)
                r = table_print(t);
        if (r >= 0 && !b->table.json && !b->table.no_legend)
                r = print_advice(b);
        return r;
}

static int bench(Bench *b)
{
        _cleanup_(table_freep) Table *table = NULL;
        /* First, so that a wrong --output= costs no minute. */
        int r = table_new("bench", columns, &b->table, &table);

        if (r == -EINVAL)
                return CTL_USAGE;
        if (r >= 0 && !b->paths)
                r = choose_paths(b);
        if (r < 0)
                return ctl_status_of(r);
        b->n_paths = strv_length(b->paths);
        b->files = calloc(b->n_paths, sizeof(BenchFile));
        b->results = calloc(b->n_paths, sizeof(BenchResult));
        if (!b->files || !b->results)
                return ctl_status_of(-ENOMEM);
        for (size_t i = 0; i < b->n_paths; i++)
                b->files[i].fd = -1;
        r = make_files(b);
        if (r >= 0)
                r = measure(b);
        end_progress();
        if (r >= 0)
                r = print(b, table);
        for (size_t i = 0; i < b->n_paths; i++)
                bench_file_close(&b->files[i]);
        if (r == -ENOMEM)
                return ctl_status_of(r);
        return r < 0 ? CTL_FAILED : CTL_OK;
}

static bool take_size(const char *argument, void *target)
{
        uint64_t size;

        if (parse_size(argument, &size) < 0 || size < SIZE_MIN || size > SIZE_MAX_) {
                fprintf(stderr, "wslbarectl: --size=%s is not a size from 16M to 64G\n", argument);
                return false;
        }
        *(uint64_t *)target = size / SIZE_MIN * SIZE_MIN; /* whole blocks of each size */
        return true;
}

static bool take_time(const char *argument, void *target)
{
        uint64_t usec;

        if (parse_timespan(argument, &usec) < 0 || usec < USEC_PER_SEC ||
            usec > SECONDS_MAX * USEC_PER_SEC) {
                fprintf(stderr, "wslbarectl: --time=%s is not a time span from 1s to 1h\n",
                        argument);
                return false;
        }
        *(unsigned *)target = (unsigned)(usec / USEC_PER_SEC);
        return true;
}

int ctl_bench(int argc, char *argv[])
{
        static const SyntaxOption options[] = {
                { "size", 0, "SIZE", take_size, offsetof(Bench, size),
                  "Of the file that is written, for each path (256M)" },
                { "time", 0, "TIME", take_time, offsetof(Bench, seconds),
                  "For each of eight measurements of a path (3s)" },
                { 0 },
        };
        static const Syntax syntax = {
                .verb = "bench",
                .words = "[PATH…]",
                .help = "Measures how fast files below the directories are read and written, by "
                        "the size of\n"
                        "blocks, and compares the others with the first; by default each mounted "
                        "volume with\n"
                        "the root filesystem, which in WSL is a VHDX. Leaves no file behind.",
                .options = options,
                .columns = columns,
                .table = offsetof(Bench, table),
        };
        Bench b = { .size = SIZE_DEFAULT, .seconds = SECONDS_DEFAULT };
        int status, r = 0, first = syntax_parse(&syntax, argc, argv, &b, &status);

        if (first <= 0)
                return status;
        for (int i = first; r >= 0 && i < argc; i++)
                r = strv_push(&b.paths, argv[i]);
        status = r < 0 ? ctl_status_of(r) : bench(&b);
        strv_free(b.paths);
        free(b.files);
        free(b.results);
        return status;
}
