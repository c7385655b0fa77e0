/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-config.h"
#include "config-keys.h"
#include "config-reader.h"
#include "macro.h"
#include "text.h"

typedef struct KeyUse {
        unsigned line; /* where it was given; 0: it was not */
        bool has_value;
} KeyUse;

typedef struct Parser {
        VolumeConfig *config;
        KeyUse *uses; /* one for each of config_keys() */
        ConfigProblems *problems;
} Parser;

VolumeConfig *volume_config_free(VolumeConfig *c)
{
        if (!c)
                return NULL;
        free(c->name);
        free(c->path);
        free(c->fingerprint);
        match_done(&c->match);
        free(c->where);
        free(c->type);
        free(c->options_text);
        mount_options_free(c->options);
        free(c);
        return NULL;
}

static int volume_config_new(const char *name, const ConfigFile *file, VolumeConfig **ret)
{
        _cleanup_(volume_config_freep) VolumeConfig *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->name = strdup(name);
        c->path = strdup(file->path);
        c->fingerprint = strdup(file->fingerprint);
        c->options_text = strdup("");
        if (!c->name || !c->path || !c->fingerprint || !c->options_text)
                return -ENOMEM;
        c->automatic = true;
        c->members = 1;
        c->mount_timeout_usec = 90 * USEC_PER_SEC;
        c->retry_limit = 5;
        c->retry_usec = USEC_PER_SEC;
        c->directory_mode = 0755;
        *ret = TAKE_PTR(c);
        return 0;
}

static size_t count_keys(void)
{
        size_t n = 0;

        while (config_keys()[n].key)
                n++;
        return n;
}

static int assign(const ConfigAssignment *a, void *userdata)
{
        Parser *p = userdata;
        const ConfigKey *key;
        KeyUse *use;
        int r;

        r = config_key_find(a, &key);
        if (r < 0 || !key)
                return r;
        use = &p->uses[key - config_keys()];
        if (use->line > 0)
                return config_problems_add(p->problems, a->file, a->line, PROBLEM_ERROR,
                                           "key '%s' given twice, first on line %u; remove one",
                                           a->key, use->line);
        use->line = a->line;
        use->has_value = *a->value;
        return use->has_value ? key->parse(a, (char *)p->config + key->offset) : 0;
}

static const KeyUse *use_of(const Parser *p, const char *section, const char *key)
{
        const ConfigKey *k = config_keys();

        while (!streq(k->section, section) || !streq(k->key, key))
                k++;
        return &p->uses[k - config_keys()];
}

/* Whether something in the file was meant to say which device it is; bad values were reported. */
static bool is_identifying(const Parser *p)
{
        for (const ConfigKey *k = config_keys(); k->key; k++)
                if (streq(k->section, "Match") && !streq(k->key, "Type") &&
                    p->uses[k - config_keys()].has_value)
                        return true;
        return false;
}

static int check_required(Parser *p)
{
        int r = 0;

        if (!is_identifying(p))
                r = config_problems_add(p->problems, p->config->path, 0, PROBLEM_ERROR,
                                        "nothing says which device it is; write UUID= or another "
                                        "identifying key in [Match]");
        if (r >= 0 && !use_of(p, "Mount", "Where")->has_value)
                r = config_problems_add(p->problems, p->config->path, 0, PROBLEM_ERROR,
                                        "there is no mount point; write Where= in [Mount], with "
                                        "'none' where only attaching is wanted");
        return r;
}

static int parse_options(Parser *p, unsigned line)
{
        VolumeConfig *c = p->config;
        _cleanup_free_ char *error = NULL;
        int r;

        r = mount_options_parse(c->options_text, &c->options, &error);
        if (r == -EINVAL)
                return config_problems_add(p->problems, c->path, line, PROBLEM_ERROR, "Options: %s",
                                           error);
        if (r < 0)
                return r;
        for (char **word = c->options->ignored; word && *word; word++) {
                r = config_problems_add(p->problems, c->path, line, PROBLEM_WARNING,
                                        "option '%s' has no effect here; %s", *word,
                                        streq(*word, "noauto") ? "write Auto=no instead"
                                                               : "leave it out");
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_option(const char *words, const char *word)
{
        size_t size = strlen(word);

        for (const char *p = words; p; p = strchr(p, ',')) {
                p += *p == ',';
                if (startswith(p, word) && (p[size] == ',' || p[size] == '\0'))
                        return true;
        }
        return false;
}

/* ReadOnly= against Options=: what harms less wins. */
static int settle_read_only(Parser *p)
{
        VolumeConfig *c = p->config;
        const KeyUse *use = use_of(p, "Mount", "ReadOnly");
        int r = 0;

        if (!c->options) /* bad ones, which was said */
                return 0;
        if (c->read_only && has_option(c->options_text, "rw"))
                r = config_problems_add(p->problems, c->path, use->line, PROBLEM_WARNING,
                                        "ReadOnly=yes wins over the option 'rw'; leave one out");
        else if (!c->read_only && use->has_value && c->options->read_only)
                r = config_problems_add(p->problems, c->path, use->line, PROBLEM_WARNING,
                                        "the option 'ro' wins over ReadOnly=no; leave one out");
        if (c->read_only)
                mount_options_set_read_only(c->options);
        c->read_only = c->options->read_only;
        return r;
}

static int finish(Parser *p)
{
        int r;

        p->config->where_line = use_of(p, "Mount", "Where")->line;
        r = check_required(p);
        if (r < 0)
                return r;
        r = parse_options(p, use_of(p, "Mount", "Options")->line);
        if (r < 0)
                return r;
        return settle_read_only(p);
}

int volume_config_parse(const char *name, const ConfigFile *file, ConfigProblems *problems,
                        VolumeConfig **ret)
{
        _cleanup_(volume_config_freep) VolumeConfig *c = NULL;
        _cleanup_free_ KeyUse *uses = calloc(count_keys(), sizeof(*uses));
        size_t n_before = problems->n;
        int r;

        if (!uses)
                return -ENOMEM;
        r = volume_config_new(name, file, &c);
        if (r < 0)
                return r;
        Parser p = { .config = c, .uses = uses, .problems = problems };
        r = config_reader_run(file->path, file->text, file->size, config_key_sections(), assign, &p,
                              problems);
        if (r < 0)
                return r;
        r = finish(&p);
        if (r < 0)
                return r;
        if (config_problems_first_error(problems, n_before))
                return -EINVAL;
        *ret = TAKE_PTR(c);
        return 0;
}
