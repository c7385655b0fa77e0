/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <getopt.h>
#include <stdio.h>

#include "client.h"
#include "ctl.h"
#include "macro.h"
#include "syntax.h"

#define NO_LETTER 0x100 /* and the option's number: above all letters */

static bool take_output(const char *argument, void *target)
{
        *(const char **)target = argument;
        if (!*argument)
                fputs("wslbarectl: --output= names no column; see --help\n", stderr);
        return *argument;
}

bool syntax_take_true(const char *argument, void *target)
{
        *(bool *)target = true;
        return true;
}

static const SyntaxOption help_option = { "help", 'h', NULL, NULL, 0, "Show this help" };

static const SyntaxOption table_options[] = {
        { "json", 'J', NULL, syntax_take_true, offsetof(TableOptions, json),
          "Print JSON, with all columns" },
        { "no-legend", 0, NULL, syntax_take_true, offsetof(TableOptions, no_legend),
          "Leave out the heading" },
        { "output", 'o', "LIST", take_output, offsetof(TableOptions, output),
          "Columns to print; +LIST adds to the usual ones" },
};

static bool is_of_table(const SyntaxOption *o)
{
        return o >= table_options && o < table_options + ELEMENTSOF(table_options);
}

/* First --help, then the verb's own, then the table's; NULL behind the last. */
static const SyntaxOption *option_at(const Syntax *s, size_t i)
{
        size_t n = 0;

        if (i-- == 0)
                return &help_option;
        while (s->options && s->options[n].name)
                n++;
        if (i < n)
                return &s->options[i];
        return s->columns && i - n < ELEMENTSOF(table_options) ? &table_options[i - n] : NULL;
}

static int code_of(const SyntaxOption *o, size_t i)
{
        return o->letter ? o->letter : NO_LETTER + (int)i;
}

static const SyntaxOption *find_option(const Syntax *s, int code)
{
        const SyntaxOption *o;

        for (size_t i = 0; (o = option_at(s, i)); i++)
                if (code_of(o, i) == code)
                        return o;
        return NULL;
}

/* As getopt_long() wants it. */
static void describe(const Syntax *s, struct option longs[SYNTAX_OPTIONS_MAX + 1],
                     char shorts[2 * SYNTAX_OPTIONS_MAX + 1])
{
        const SyntaxOption *o;
        size_t i;

        for (i = 0; i < SYNTAX_OPTIONS_MAX && (o = option_at(s, i)); i++) {
                longs[i] = (struct option){
                        .name = o->name,
                        .has_arg = o->argument ? required_argument : no_argument,
                        .val = code_of(o, i),
                };
                if (!o->letter)
                        continue;
                *shorts++ = o->letter;
                if (o->argument)
                        *shorts++ = ':';
        }
        longs[i] = (struct option){ 0 };
        *shorts = '\0';
}

static int width_of(const SyntaxOption *o)
{
        return (int)(strlen(o->name) + (o->argument ? 1 + strlen(o->argument) : 0));
}

static void print_options(const Syntax *s)
{
        const SyntaxOption *o;
        int width = 0;

        for (size_t i = 0; (o = option_at(s, i)); i++)
                if (width_of(o) > width)
                        width = width_of(o);
        for (size_t i = 0; (o = option_at(s, i)); i++)
                printf("  %c%c --%s%s%s%*s  %s\n", o->letter ? '-' : ' ',
                       o->letter ? o->letter : ' ', o->name, o->argument ? "=" : "",
                       o->argument ? o->argument : "", width - width_of(o), "", o->help);
}

static int print_help(const Syntax *s)
{
        printf("wslbarectl %s%s%s%s\n\n%s\n\n", s->verb,
               s->options || s->columns ? " [OPTIONS…]" : "", s->words ? " " : "",
               s->words ? s->words : "", s->help);
        print_options(s);
        if (s->end)
                printf("\n%s\n", s->end);
        if (s->columns)
                table_print_columns(s->columns);
        return ferror(stdout) ? CTL_FAILED : CTL_OK;
}

static bool check_words(const Syntax *s, char *const *words, int n)
{
        if (!s->words && n > 0) {
                fprintf(stderr, "wslbarectl: %s takes no arguments; see --help\n", s->verb);
                return false;
        }
        if (n < s->min_words || (s->max_words > 0 && n > s->max_words)) {
                fprintf(stderr, "wslbarectl: %s wants %s; %s\n", s->verb, s->words,
                        s->are_names ? "`wslbarectl` lists the volumes" : "see --help");
                return false;
        }
        return !s->are_names || client_check_names(words, n);
}

int syntax_parse(const Syntax *s, int argc, char *argv[], void *target, int *ret_status)
{
        struct option longs[SYNTAX_OPTIONS_MAX + 1];
        char shorts[2 * SYNTAX_OPTIONS_MAX + 1];
        int c;

        describe(s, longs, shorts);
        *ret_status = CTL_USAGE;
        argv[0] = (char *)"wslbarectl"; /* who complains */
        optind = 0;                     /* the verb's own arguments: getopt begins anew */
        while ((c = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
                const SyntaxOption *o = find_option(s, c);

                if (o == &help_option)
                        *ret_status = print_help(s);
                if (!o || o == &help_option ||
                    !o->take(optarg, (char *)target + (is_of_table(o) ? s->table : 0) + o->offset))
                        return 0;
        }
        return check_words(s, argv + optind, argc - optind) ? optind : 0;
}
