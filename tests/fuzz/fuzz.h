/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A target is a file fuzz-NAME.c that defines this: it is given bytes of which nothing is known,
 * and ends the program where what must always hold does not. Linked with libFuzzer it is searched
 * for such bytes, with replay.c it runs those of its corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                              \
        do                                                                                    \
                if (!(x)) {                                                                   \
                        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x); \
                        abort();                                                              \
                }                                                                             \
        while (0)

/* A copy of SIZE bytes with a NUL behind them, and none within: what follows one is left out. The
 * caller's to free. */
char *fuzz_string(const uint8_t *data, size_t size);

/* Fails unless S is text that D-Bus, the journal and a terminal can show. */
void fuzz_check_text(const char *s);

/* Cuts the next line off the input, as fuzz_string() does; NULL when there is none left. */
char *fuzz_line(const uint8_t **data, size_t *size);
