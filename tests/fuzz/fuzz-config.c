/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "config-keys.h"
#include "fuzz.h"
#include "macro.h"
#include "parse.h"
#include "text.h"
#include "volume-config.h"

/* One configuration file: its bytes. */

typedef struct Outcome {
        int r;
        VolumeConfig *config;
        ConfigProblems problems;
} Outcome;

static void outcome_done(Outcome *o)
{
        volume_config_free(o->config);
        config_problems_done(&o->problems);
}

static void parse(const char *text, size_t size, Outcome *o)
{
        char path[] = "/etc/wslbare.d/data.conf", print[] = "1:2:3:4.5:6.7";
        const ConfigFile file = {
                .path = path, .text = (char *)text, .size = size, .fingerprint = print
        };

        o->r = volume_config_parse("data", &file, &o->problems, &o->config);
}

static unsigned count_lines(const char *text, size_t size)
{
        unsigned n = 1;

        for (size_t i = 0; i < size; i++)
                n += text[i] == '\n';
        return n;
}

/* The problems are for people: they can be shown, point into the file, and are there when it is
 * refused. */
static void check_problems(const Outcome *o, unsigned n_lines)
{
        unsigned line = 0;

        CHECK(!config_problems_first_error(&o->problems, 0) == (o->r == 0));
        for (size_t i = 0; i < o->problems.n; i++) {
                const ConfigProblem *p = &o->problems.items[i];

                CHECK(p->line <= n_lines);
                CHECK(p->line >= line);
                line = p->line;
                fuzz_check_text(p->text);
                CHECK(p->text[0] != '\0');
        }
}

static void check_config(const VolumeConfig *c)
{
        const char *const values[] = {
                c->match.uuid,      c->match.label,  c->match.part_uuid, c->match.part_label,
                c->match.disk_guid, c->match.serial, c->match.wwn,       c->match.by_id,
                c->match.type,      c->type,
        };

        CHECK(c->match.uuid || c->match.label || match_is_by_hardware(&c->match));
        CHECK(!c->where || path_is_normalized(c->where));
        CHECK(!c->where || (!path_is_below(c->where, "/proc") && !path_is_below(c->where, "/sys") &&
                            !path_is_below(c->where, "/dev")));
        CHECK(c->options && c->options_text);
        CHECK(c->read_only == c->options->read_only);
        CHECK(c->mount_timeout_usec > 0);
        CHECK((c->directory_mode & ~07777U) == 0);
        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                if (values[i]) {
                        fuzz_check_text(values[i]);
                        CHECK(values[i][0] != '\0');
                }
}

static size_t print(const VolumeConfig *c, char **ret)
{
        const char *section = "";
        size_t size;
        FILE *f = open_memstream(ret, &size);

        CHECK(f);
        for (const ConfigKey *k = config_keys(); k->key; k++) {
                _cleanup_free_ char *value = k->print((const char *)c + k->offset);

                CHECK(value);
                if (!streq(section, k->section))
                        fprintf(f, "[%s]\n", k->section);
                fprintf(f, "%s=%s\n", k->key, value);
                section = k->section;
        }
        CHECK(fclose(f) == 0);
        return size;
}

/* All of it as one file means the same. */
static void check_printed(const VolumeConfig *c)
{
        _cleanup_(outcome_done) Outcome o = { 0 };
        _cleanup_free_ char *text = NULL, *again = NULL;
        size_t size = print(c, &text);

        parse(text, size, &o);
        CHECK(o.r == 0);
        CHECK(print(o.config, &again) == size);
        CHECK(streq(text, again));
}

/* As an editor of Windows saves it. */
static char *with_carriage_returns(const char *text, size_t size, size_t *ret_size)
{
        static const char mark[] = "\xef\xbb\xbf";
        char *s = malloc(2 * size + strlen(mark)), *out = s;

        CHECK(s);
        out = mempcpy(out, mark, strlen(mark));
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '\n')
                        *out++ = '\r';
                *out++ = text[i];
        }
        *ret_size = (size_t)(out - s);
        return s;
}

static void check_same(const Outcome *a, const Outcome *b)
{
        CHECK(a->r == b->r);
        CHECK(a->problems.n == b->problems.n);
        for (size_t i = 0; i < a->problems.n; i++) {
                CHECK(a->problems.items[i].line == b->problems.items[i].line);
                CHECK(streq(a->problems.items[i].text, b->problems.items[i].text));
        }
        if (a->r < 0)
                return;
        CHECK(streq_ptr(a->config->where, b->config->where));
        CHECK(streq_ptr(a->config->match.label, b->config->match.label));
        CHECK(streq(a->config->options_text, b->config->options_text));
        CHECK(a->config->retry_usec == b->config->retry_usec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(outcome_done) Outcome o = { 0 }, other = { 0 };
        const char *text = (const char *)data;
        _cleanup_free_ char *copy = NULL;
        size_t copy_size;

        if (size > CONFIG_FILE_MAX)
                return 0;
        parse(text, size, &o);
        CHECK(o.r == 0 || o.r == -EINVAL);
        CHECK(o.r == 0 || !o.config);
        check_problems(&o, count_lines(text, size));
        if (o.r == 0) {
                check_config(o.config);
                check_printed(o.config);
        }

        /* A mark that is there already would be a second one; UTF-16 is only known by its own. */
        if (size > 0 && data[0] >= 0xef)
                return 0;
        copy = with_carriage_returns(text, size, &copy_size);
        parse(copy, copy_size, &other);
        check_same(&o, &other);
        return 0;
}
