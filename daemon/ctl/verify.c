/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "config.h"
#include "ctl.h"
#include "lint.h"
#include "macro.h"
#include "syntax.h"

typedef struct File {
        const char *path;
        VolumeConfig *config; /* NULL: has errors, or is a mask */
        Origins origins;
} File;

typedef struct Verify {
        Lint *lint;
        Config *installed;
        File *files; /* those that are looked at */
        size_t n_files;
        const VolumeConfig **volumes; /* all, as they would be together */
        size_t n_volumes;
        ConfigProblems problems;
} Verify;

static void verify_done(Verify *v)
{
        for (size_t i = 0; i < v->n_files; i++) {
                volume_config_free(v->files[i].config);
                origins_done(&v->files[i].origins);
        }
        free(v->files);
        free(v->volumes);
        config_free(v->installed);
        config_problems_done(&v->problems);
        lint_free(v->lint);
}

/* Everything that is in force, and what was wrong with the rest. */
static int take_installed(Verify *v)
{
        const Config *c = v->installed;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n_problems; i++) {
                const ConfigProblem *p = &c->problems[i];

                r = config_problems_add(&v->problems, p->file, p->line, p->severity, "%s", p->text);
        }
        for (size_t i = 0; i < c->n_volumes; i++)
                v->files[v->n_files++].path = c->volumes[i]->path;
        return r;
}

static int load_files(Verify *v, bool was_said)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < v->n_files; i++) {
                ConfigProblems said = { 0 };

                r = origins_load(v->files[i].path, was_said ? &said : &v->problems,
                                 &v->files[i].config, &v->files[i].origins);
                config_problems_done(&said);
                if (r == -EINVAL)
                        r = 0;
        }
        return r < 0 ? r : 0;
}

static const VolumeConfig *find_file(const Verify *v, const char *name)
{
        for (size_t i = 0; i < v->n_files; i++)
                if (v->files[i].config && streq(v->files[i].config->name, name))
                        return v->files[i].config;
        return NULL;
}

/* A file that is looked at takes the place of the one that is in force. */
static void gather_volumes(Verify *v)
{
        for (size_t i = 0; i < v->installed->n_volumes; i++)
                if (!find_file(v, v->installed->volumes[i]->name))
                        v->volumes[v->n_volumes++] = v->installed->volumes[i];
        for (size_t i = 0; i < v->n_files; i++)
                if (v->files[i].config)
                        v->volumes[v->n_volumes++] = v->files[i].config;
}

static int lint_files(Verify *v)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < v->n_files; i++)
                if (v->files[i].config)
                        r = lint_volume(v->lint, v->files[i].config, &v->files[i].origins,
                                        v->volumes, v->n_volumes, &v->problems);
        return r;
}

static int look(Verify *v, char *const *paths, size_t n_paths)
{
        const ConfigSource source = { config_default_dirs, 0 };
        int r = config_load(&source, &v->installed);

        if (r >= 0)
                r = lint_new("", &v->lint);
        if (r < 0)
                return r;
        v->files = calloc(n_paths + v->installed->n_volumes + 1, sizeof(*v->files));
        v->volumes = calloc(n_paths + v->installed->n_volumes + 1, sizeof(*v->volumes));
        if (!v->files || !v->volumes)
                return -ENOMEM;
        if (n_paths == 0)
                r = take_installed(v);
        for (size_t i = 0; i < n_paths; i++)
                v->files[v->n_files++].path = paths[i];
        if (r >= 0)
                r = load_files(v, n_paths == 0);
        if (r >= 0) {
                gather_volumes(v);
                r = lint_files(v);
        }
        return r;
}

static int print(const ConfigProblems *problems)
{
        for (size_t i = 0; i < problems->n; i++) {
                const ConfigProblem *p = &problems->items[i];

                fputs(p->file, stdout);
                if (p->line > 0)
                        printf(":%u", p->line);
                printf(": %s: %s\n", p->severity == PROBLEM_ERROR ? "error" : "warning", p->text);
        }
        return config_problems_first_error(problems, 0) ? CTL_FAILED : CTL_OK;
}

int ctl_verify(int argc, char *argv[])
{
        static const Syntax syntax = {
                .verb = "verify",
                .words = "[FILE…]",
                .help = "Says what is wrong with the configuration, or with files that are named, "
                        "and what is\n"
                        "allowed there and would hurt. It does not need wslbared. As root it asks "
                        "the kernel\n"
                        "about mount options.",
                .end = "Ends with 0 when there are no errors, 1 when there are.",
        };
        _cleanup_(verify_done) Verify v = { 0 };
        int r, status, first = syntax_parse(&syntax, argc, argv, NULL, &status);

        if (first <= 0)
                return status;
        r = look(&v, argv + first, (size_t)(argc - first));
        return r < 0 ? ctl_status_of(r) : print(&v.problems);
}
