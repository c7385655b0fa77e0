/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

/* What a verb may be given, in a table: options, then words. It is what is parsed, and what --help
 * shows. */

typedef struct SyntaxOption {
        const char *name;     /* the long one */
        char letter;          /* 0: there is none */
        const char *argument; /* what the help calls it; NULL: it takes none */
        /* Puts ARGUMENT where TARGET is. False: it makes no sense, which was said. */
        bool (*take)(const char *argument, void *target);
        size_t offset; /* of the target in the object that syntax_parse() is given */
        const char *help;
} SyntaxOption;

#define SYNTAX_OPTIONS_MAX 16 /* of a verb, with --help and those of its table */

typedef struct Syntax {
        const char *verb;
        const char *words;           /* what the help calls them; NULL: there are none */
        int min_words, max_words;    /* 0: any number */
        bool are_names;              /* the words: of volumes */
        const char *help;            /* what the verb does */
        const char *end;             /* what is to be said behind the options; NULL: nothing */
        const SyntaxOption *options; /* its own, ended by a row of NULLs; NULL: none */
        const TableColumn *columns;  /* of the table that it prints; NULL: none */
        size_t table; /* offset of the TableOptions, where it prints one: those are options too */
} Syntax;

/* Takes the arguments of a verb, of which ARGV[0] is its name. The index of the first word, to
 * which it moved them; 0: it ends here, with *RET_STATUS. */
int syntax_parse(const Syntax *s, int argc, char *argv[], void *target, int *ret_status);

/* For options that set a bool. */
bool syntax_take_true(const char *argument, void *target);
