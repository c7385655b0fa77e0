/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>

#include "macro.h"
#include "table.h"
#include "text.h"

struct Table {
        struct libscols_table *table;
        struct libscols_line *line; /* the latest */
        const TableColumn *columns;
        size_t n_columns;
        struct libscols_column **shown; /* one for each of ->columns, NULL: not shown */
        bool *dropped; /* likewise: is not shown after all, as no line has anything there */
        bool json;
};

void table_print_columns(const TableColumn *columns)
{
        puts("\nColumns:");
        for (const TableColumn *c = columns; c->name; c++)
                if (*c->name)
                        printf("  %-15s %s\n", c->name, c->help);
}

static int flags_of(TableKind kind)
{
        switch (kind) {
        case TABLE_NUMBER:
        case TABLE_SIZE:
        case TABLE_RATE:
        case TABLE_PERCENT:
                return SCOLS_FL_RIGHT;
        case TABLE_LINES:
                return SCOLS_FL_WRAP;
        case TABLE_TEXT:
        case TABLE_BOOLEAN:
                break;
        }
        return 0;
}

static int add_column(Table *t, size_t i)
{
        const TableColumn *column = &t->columns[i];
        int flags = flags_of(column->kind);
        struct libscols_column *c;
        char *p, name[64];

        if (t->shown[i])
                return 0; /* named twice */
        (void)snprintf(name, sizeof(name), "%s", column->name);
        for (p = name; t->json && *p; p++)
                *p = text_lower(*p);
        c = scols_table_new_column(t->table, name, 0, flags);
        if (!c)
                return -ENOMEM;
        t->shown[i] = c;
        /* What was escaped is not to be escaped again. */
        (void)scols_column_set_safechars(c, column->kind == TABLE_LINES ? "\n\\" : "\\");
        switch (column->kind) {
        case TABLE_TEXT:
                return 0;
        case TABLE_NUMBER:
        case TABLE_SIZE:
        case TABLE_RATE:
        case TABLE_PERCENT:
                return scols_column_set_json_type(c, SCOLS_JSON_NUMBER);
        case TABLE_BOOLEAN:
                return scols_column_set_json_type(c, SCOLS_JSON_BOOLEAN);
        case TABLE_LINES:
                (void)scols_column_set_wrapfunc(c, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
                                                NULL);
                return scols_column_set_json_type(c, SCOLS_JSON_ARRAY_STRING);
        }
        return -EINVAL;
}

static bool is_called(const TableColumn *c, const char *name, size_t length)
{
        size_t i = 0;

        while (i < length && c->name[i] && text_lower(c->name[i]) == text_lower(name[i]))
                i++;
        return length > 0 && i == length && !c->name[i];
}

static int add_named(Table *t, const char *name, size_t length)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (is_called(&t->columns[i], name, length)) {
                        t->dropped[i] = false;
                        return add_column(t, i);
                }
        term_line(stderr, "wslbarectl: there is no column '%.*s'; see --help", (int)length, name);
        return -EINVAL;
}

/* Whether a column is there when none is named. */
static bool is_usual(const TableColumn *c, const TableOptions *options)
{
        if (!*c->name && (options->json || options->no_signs))
                return false;
        return options->json || c->shown != TABLE_HIDDEN;
}

static int add_columns(Table *t, const TableOptions *options)
{
        const char *output = options->output;
        bool usual = !output || *output == '+';
        int r = 0;

        for (size_t i = 0; r >= 0 && usual && i < t->n_columns; i++)
                if (is_usual(&t->columns[i], options)) {
                        t->dropped[i] = !t->json && t->columns[i].shown == TABLE_SHOWN_IF_ANY;
                        r = add_column(t, i);
                }
        for (const char *p = output ? output + (*output == '+') : ""; r >= 0 && *p;) {
                size_t length = strcspn(p, ",");

                r = add_named(t, p, length);
                p += length + (p[length] == ',');
        }
        return r;
}

int table_new(const char *name, const TableColumn *columns, const TableOptions *options,
              Table **ret)
{
        _cleanup_(table_freep) Table *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        t->columns = columns;
        while (columns[t->n_columns].name)
                t->n_columns++;
        t->table = scols_new_table();
        t->shown = calloc(t->n_columns, sizeof(struct libscols_column *));
        t->dropped = calloc(t->n_columns, sizeof(bool));
        if (!t->table || !t->shown || !t->dropped)
                return -ENOMEM;
        t->json = options->json;
        r = scols_table_set_name(t->table, name);
        if (r >= 0)
                r = scols_table_enable_json(t->table, t->json);
        if (r >= 0)
                r = scols_table_enable_noheadings(t->table, options->no_legend);
        if (r >= 0)
                r = scols_table_enable_colors(t->table, term_has_colors());
        if (r >= 0)
                r = add_columns(t, options);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        scols_unref_table(t->table);
        free(t->shown);
        free(t->dropped);
        free(t);
        return NULL;
}

/* As it is shown where that is not VALUE itself. */
static const char *present(const Table *t, TableKind kind, const char *value,
                           char buffer[TERM_RATE_MAX])
{
        if (t->json) {
                if (kind == TABLE_BOOLEAN)
                        return streq(value, "yes") ? "1" : "0";
                return value;
        }
        if (kind == TABLE_SIZE)
                return term_size(strtoull(value, NULL, 10), buffer);
        if (kind == TABLE_RATE)
                return term_rate(strtod(value, NULL), buffer);
        if (kind == TABLE_PERCENT)
                (void)snprintf(buffer, TERM_RATE_MAX, "%s%%", value);
        return kind == TABLE_PERCENT ? buffer : value;
}

static char *escape_lines(const char *lines)
{
        _cleanup_(strv_freep) char **escaped = NULL;
        size_t n;

        for (const char *p = lines; *p; p += n + (p[n] == '\n')) {
                n = strcspn(p, "\n");
                if (strv_take(&escaped, text_escape(p, n)) < 0)
                        return NULL;
        }
        return strv_join(escaped, "\n");
}

/* As a terminal may have it, and JSON, which is UTF-8. */
static int set_cell(Table *t, size_t i, const char *value)
{
        _cleanup_free_ char *shown = t->columns[i].kind == TABLE_LINES
                                             ? escape_lines(value)
                                             : text_escape(value, strlen(value));

        return shown ? scols_line_set_column_data(t->line, t->shown[i], shown) : -ENOMEM;
}

int table_add(Table *t, const char *const *values)
{
        char buffer[TERM_RATE_MAX];
        int r = 0;

        t->line = scols_table_new_line(t->table, NULL);
        if (!t->line)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < t->n_columns; i++) {
                const char *value = values[i];

                if (!t->shown[i] || !value || !*value)
                        continue;
                t->dropped[i] = false;
                r = set_cell(t, i, present(t, t->columns[i].kind, value, buffer));
        }
        return r;
}

void table_set_color(Table *t, size_t column, TermColor color)
{
        struct libscols_cell *cell =
                t->shown[column] ? scols_line_get_column_cell(t->line, t->shown[column]) : NULL;

        if (cell && term_has_colors())
                (void)scols_cell_set_color(cell, term_color(color));
}

int table_print(Table *t)
{
        int r = 0;

        if (!t->json && scols_table_is_empty(t->table))
                return 0;
        for (size_t i = 0; r >= 0 && i < t->n_columns; i++)
                if (t->shown[i] && t->dropped[i])
                        r = scols_column_set_flags(t->shown[i], SCOLS_FL_HIDDEN);
        return r < 0 ? r : scols_print_table(t->table);
}

/* What is between the braces of an object. */
static void print_members(const char *object)
{
        const char *begin = strchr(object, '{') + 1, *end = strrchr(object, '}');

        while (end > begin && strchr(" \n", end[-1]))
                end--;
        (void)fwrite(begin, 1, (size_t)(end - begin), stdout);
}

int table_print_object(Table *const *tables, size_t n)
{
        int r = 0;

        putchar('{');
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_free_ char *object = NULL;

                r = scols_print_table_to_string(tables[i]->table, &object);
                if (r < 0)
                        break;
                if (i > 0)
                        putchar(',');
                print_members(object);
        }
        puts("\n}");
        return r;
}
