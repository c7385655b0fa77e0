/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static jmp_buf escape;
static const char *row;
static char directory[] = "/tmp/wslbare-test-XXXXXX";
static bool directory_made;
static pid_t directory_owner;

enum {
        RESULT_PASSED,
        RESULT_FAILED,
        RESULT_SKIPPED
};
static char skip_reason[256];

void test_row(const char *r)
{
        row = r;
}

void test_fail(const char *file, int line, const char *format, ...)
{
        va_list ap;

        printf("# %s:%d: ", file, line);
        if (row)
                printf("[%s] ", row);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
        longjmp(escape, RESULT_FAILED);
}

void test_skip(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(skip_reason, sizeof(skip_reason), format, ap);
        va_end(ap);
        longjmp(escape, RESULT_SKIPPED);
}

void test_assert_int(const char *file, int line, const char *expr, intmax_t is, intmax_t want)
{
        if (is != want)
                test_fail(file, line, "%s is %jd, not %jd", expr, is, want);
}

void test_assert_str(const char *file, int line, const char *expr, const char *is, const char *want)
{
        if (is && want ? strcmp(is, want) != 0 : is != want)
                test_fail(file, line, "%s is \"%s\", not \"%s\"", expr, is ? is : "(null)",
                          want ? want : "(null)");
}

void test_assert_contains(const char *file, int line, const char *text, const char *part)
{
        if (!text || !strstr(text, part))
                test_fail(file, line, "\"%s\" does not contain \"%s\"", text ? text : "(null)",
                          part);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st, (void)type, (void)ftw;
        return remove(path);
}

static void remove_directory(void)
{
        if (directory_made && directory_owner == getpid())
                (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const char *test_directory(void)
{
        static char child[PATH_MAX]; /* of the latest call */
        static unsigned n;

        if (!directory_made) {
                if (!mkdtemp(directory))
                        test_fail(__FILE__, __LINE__, "mkdtemp: %s", strerror(errno));
                directory_made = true;
                directory_owner = getpid();
                (void)atexit(remove_directory);
        }
        snprintf(child, sizeof(child), "%s/%u", directory, n++);
        if (mkdir(child, 0755) < 0)
                test_fail(__FILE__, __LINE__, "mkdir %s: %s", child, strerror(errno));
        return child;
}

void test_write(const char *dir, const char *name, const char *text)
{
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        test_fail(__FILE__, __LINE__, "mkdir %s: %s", path, strerror(errno));
                *p = '/';
        }
        f = fopen(path, "we");
        if (!f)
                test_fail(__FILE__, __LINE__, "fopen %s: %s", path, strerror(errno));
        fputs(text, f);
        if (fclose(f) != 0)
                test_fail(__FILE__, __LINE__, "fclose %s: %s", path, strerror(errno));
}

static bool wanted(const char *name, int argc, char *argv[])
{
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], name) == 0)
                        return true;
        return argc < 2;
}

/* Apart from the loop over all, whose variables longjmp() would spoil. */
static int run_one(const Test *test)
{
        row = NULL;
        switch (setjmp(escape)) {
        case 0:
                test->run();
                return RESULT_PASSED;
        case RESULT_SKIPPED:
                return RESULT_SKIPPED;
        default:
                return RESULT_FAILED;
        }
}

int test_main(int argc, char *argv[], const Test *tests, unsigned n_tests)
{
        unsigned n = 0, failed = 0;

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        (void)umask(022);
        for (unsigned i = 0; i < n_tests; i++)
                n += wanted(tests[i].name, argc, argv);
        printf("1..%u\n", n);

        n = 0;
        for (unsigned i = 0; i < n_tests; i++) {
                int result;

                if (!wanted(tests[i].name, argc, argv))
                        continue;
                result = run_one(&tests[i]);
                failed += result == RESULT_FAILED;
                printf("%s %u - %s%s%s\n", result == RESULT_FAILED ? "not ok" : "ok", ++n,
                       tests[i].name, result == RESULT_SKIPPED ? " # SKIP " : "",
                       result == RESULT_SKIPPED ? skip_reason : "");
        }
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
