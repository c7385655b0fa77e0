/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

/* A test program is a list of named cases, printed as TAP. A case that fails leaves by longjmp, the
 * rest still run; `test-x NAME…` runs only those. */

typedef struct Test {
        const char *name;
        void (*run)(void);
} Test;

#define TEST(f)              \
        {                    \
#f, test_##f \
        }

/* Runs them and returns what main() should: 0 when none failed. */
int test_main(int argc, char *argv[], const Test *tests, unsigned n_tests);
#define TEST_MAIN(...)                                                                 \
        int main(int argc, char *argv[])                                               \
        {                                                                              \
                static const Test tests[] = { __VA_ARGS__ };                           \
                return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0])); \
        }

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Ends the case as skipped, with the reason. */
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

void test_assert_int(const char *file, int line, const char *expr, intmax_t is, intmax_t want);
void test_assert_str(const char *file, int line, const char *expr, const char *is,
                     const char *want);

#define ASSERT(x) ((x) ? (void)0 : test_fail(__FILE__, __LINE__, "%s is false", #x))
#define ASSERT_EQ(is, want) \
        test_assert_int(__FILE__, __LINE__, #is, (intmax_t)(is), (intmax_t)(want))
#define ASSERT_OK(x) test_assert_int(__FILE__, __LINE__, #x, (intmax_t)(x), 0)
/* NULL equals only NULL. */
#define ASSERT_STR(is, want) test_assert_str(__FILE__, __LINE__, #is, (is), (want))
/* Fails with TEXT unless it contains PART. */
void test_assert_contains(const char *file, int line, const char *text, const char *part);
#define ASSERT_CONTAINS(text, part) test_assert_contains(__FILE__, __LINE__, (text), (part))

/* Says which row of a table a failure comes from; NULL ends it. */
void test_row(const char *row);

/* A new directory below /tmp, removed with all that is in it when the program ends; the string
 * lives until the next call. */
const char *test_directory(void);
/* Writes TEXT to DIR/NAME (NAME may hold slashes; directories are made). */
void test_write(const char *dir, const char *name, const char *text);
