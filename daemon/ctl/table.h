/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "term.h"

/* Tables, as util-linux prints them: the one home of libsmartcols. */

typedef enum TableKind {
        TABLE_TEXT,
        TABLE_NUMBER,  /* right-aligned; a number in JSON */
        TABLE_SIZE,    /* in bytes, and a number in JSON; shown as term_size() does */
        TABLE_RATE,    /* in bytes a second, likewise; shown as term_rate() does */
        TABLE_PERCENT, /* a number in JSON, shown with a sign */
        TABLE_BOOLEAN, /* "yes" or "no"; true or false in JSON */
        TABLE_LINES, /* TABLE_TEXT in which '\n' separates the elements: lines, an array in JSON */
} TableKind;

typedef enum TableShown {
        TABLE_HIDDEN,
        TABLE_SHOWN,
        TABLE_SHOWN_IF_ANY, /* line has something there */
} TableShown;

/* One of a list that a row of NULLs ends. */
typedef struct TableColumn {
        const char *name; /* upper case; in lower case, JSON has it, and -o takes either. "": a sign
                             before the line, which neither does */
        const char *help;
        TableKind kind;
        TableShown shown; /* unless -o says otherwise; JSON then has all */
} TableColumn;

/* Options that every verb with a table has. */
typedef struct TableOptions {
        bool json;
        bool no_legend;
        bool no_signs;
        const char *output; /* list of columns, or +LIST beside those that are shown anyway */
} TableOptions;

/* Prints the names and the help of COLUMNS, for --help. */
void table_print_columns(const TableColumn *columns);

typedef struct Table Table;

/* NAME: of the list in JSON. COLUMNS must live as long. -EINVAL: there is no such column, which was
 * said; -ENOMEM. */
int table_new(const char *name, const TableColumn *columns, const TableOptions *options,
              Table **ret);
Table *table_free(Table *t);
static inline void table_freep(Table **t)
{
        table_free(*t);
}

static inline const char *table_boolean(bool b)
{
        return b ? "yes" : "no";
}

/* Adds a line. VALUES, one for each column, are copied; NULL and "": nothing, null in JSON. */
int table_add(Table *t, const char *const *values);
/* The colour of a cell of the latest line. */
void table_set_color(Table *t, size_t column, TermColor color);

/* 0, -errno. */
int table_print(Table *t);
/* The N TABLES, which are in JSON, as one object. */
int table_print_object(Table *const *tables, size_t n);
