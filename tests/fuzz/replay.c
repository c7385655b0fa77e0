/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>

#include "fuzz.h"
#include "macro.h"
#include "text.h"

/* Runs a target's corpus, DIRECTORY, and prints TAP: one case a file, and one of no bytes at all.
 */

#define INPUT_SIZE_MAX (1024U * 1024U)

static void replay(const char *path)
{
        FILE *f = fopen(path, "re");
        /* Of exactly its size, so that the sanitizer sees what reads beyond. */
        uint8_t *data = malloc(INPUT_SIZE_MAX), *exact;
        size_t n;

        CHECK(f);
        CHECK(data);
        n = fread(data, 1, INPUT_SIZE_MAX, f);
        CHECK(!ferror(f));
        (void)fclose(f);
        exact = malloc(n > 0 ? n : 1);
        CHECK(exact);
        memcpy(exact, data, n);
        free(data);
        (void)LLVMFuzzerTestOneInput(exact, n);
        free(exact);
}

static int is_input(const struct dirent *e)
{
        return e->d_name[0] != '.';
}

int main(int argc, char *argv[])
{
        struct dirent **entries;
        int n;

        if (argc != 2)
                return EXIT_FAILURE;
        n = scandir(argv[1], &entries, is_input, alphasort);
        if (n < 0) {
                perror(argv[1]);
                return EXIT_FAILURE;
        }
        (void)setvbuf(stdout, NULL, _IOLBF, 0); /* the last line tells which one it was */
        printf("1..%d\n", n + 1);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        printf("ok 1 - nothing\n");
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", argv[1], entries[i]->d_name);

                CHECK(path);
                printf("# %s\n", path);
                replay(path);
                printf("ok %d - %s\n", i + 2, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return EXIT_SUCCESS;
}
