/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "macro.h"
#include "test.h"
#include "text.h"

/* What is written about the keys, against those that there are. SOURCE_ROOT is where this
 * repository is. */

#define MAN_PAGE SOURCE_ROOT "/conf/man/wslbare.d.5"
#define EXAMPLE SOURCE_ROOT "/conf/data.conf.example"

static char *read_whole(const char *path)
{
        FILE *f = fopen(path, "re");
        char *text = NULL;
        size_t size = 0;

        ASSERT(f);
        ASSERT(getdelim(&text, &size, '\0', f) > 0);
        fclose(f);
        return text;
}

static void append(char **list, const char *section, const char *key, size_t key_size)
{
        char *longer = text_format("%s[%s] %.*s\n", *list, section, (int)key_size, key);

        ASSERT(longer);
        free(*list);
        *list = longer;
}

/* The name in PREFIX NAME SUFFIX, if LINE is that; *ret_size is its length. */
static const char *between(const char *line, const char *prefix, const char *suffix,
                           size_t *ret_size)
{
        size_t size = strlen(line);

        if (!startswith(line, prefix) || size <= strlen(prefix) + strlen(suffix) ||
            !streq(line + size - strlen(suffix), suffix))
                return NULL;
        *ret_size = size - strlen(prefix) - strlen(suffix);
        return line + strlen(prefix);
}

/* "[SECTION] KEY\n" for each key that begins a paragraph of the man page, in its order. */
static char *keys_of_man_page(char *text)
{
        char *list = strdup(""), section[32] = "", *line;
        bool begins = false;

        while ((line = strsep(&text, "\n"))) {
                size_t size;
                const char *name = between(line, ".SS [", "]", &size);

                if (name)
                        snprintf(section, sizeof(section), "%.*s", (int)size, name);
                else if (startswith(line, ".SS ") || startswith(line, ".SH "))
                        section[0] = '\0';
                name = begins ? between(line, ".B ", "=", &size) : NULL;
                if (name && section[0])
                        append(&list, section, name, size);
                begins = streq(line, ".TP");
        }
        return list;
}

static char *keys_there_are(void)
{
        char *list = strdup("");

        for (const ConfigKey *k = config_keys(); k->key; k++)
                append(&list, k->section, k->key, strlen(k->key));
        return list;
}

static void test_man_page(void)
{
        _cleanup_free_ char *text = read_whole(MAN_PAGE);
        _cleanup_free_ char *described = keys_of_man_page(text), *are = keys_there_are();

        ASSERT_STR(described, are);
}

/* Takes away the mark of comments before what could be an assignment. */
static void uncomment(char *text)
{
        char *to = text;

        for (const char *p = text; *p; p++)
                if (*p != '#' || (p > text && p[-1] != '\n') || p[1] == ' ')
                        *to++ = *p;
        *to = '\0';
}

static Config *load_example(const char *text)
{
        const char *dirs[] = { test_directory(), NULL };
        const ConfigSource source = { .dirs = dirs, .owner = geteuid() };
        Config *c;

        test_write(dirs[0], "data.conf", text);
        ASSERT_OK(config_load(&source, &c));
        test_row(c->n_problems > 0 ? c->problems[0].text : NULL);
        ASSERT_EQ(c->n_problems, 0);
        ASSERT_EQ(c->n_volumes, 1);
        return c;
}

/* The example is good as it stands, and what is commented out there is the default. */
static void test_example(void)
{
        _cleanup_free_ char *text = read_whole(EXAMPLE);
        _cleanup_(config_freep) Config *c = load_example(text), *d = NULL;
        const VolumeConfig *v = c->volumes[0], *w;

        uncomment(text);
        ASSERT_CONTAINS(text, "\nDirectoryMode=");
        d = load_example(text);
        w = d->volumes[0];

        ASSERT_STR(v->match.uuid, w->match.uuid);
        ASSERT_STR(v->match.label, w->match.label);
        ASSERT_STR(v->match.part_uuid, w->match.part_uuid);
        ASSERT_STR(v->match.part_label, w->match.part_label);
        ASSERT_STR(v->match.disk_guid, w->match.disk_guid);
        ASSERT_STR(v->match.serial, w->match.serial);
        ASSERT_STR(v->match.wwn, w->match.wwn);
        ASSERT_STR(v->match.by_id, w->match.by_id);
        ASSERT_STR(v->match.type, w->match.type);
        ASSERT_STR(v->where, w->where);
        ASSERT_STR(v->type, w->type);
        ASSERT_STR(v->options_text, w->options_text);
        ASSERT_EQ(v->read_only, w->read_only);
        ASSERT_EQ(v->automatic, w->automatic);
        ASSERT_EQ(v->check, w->check);
        ASSERT_EQ(v->check_failure, w->check_failure);
        ASSERT_EQ(v->keep_mounted, w->keep_mounted);
        ASSERT_EQ(v->members, w->members);
        ASSERT_EQ(v->mount_timeout_usec, w->mount_timeout_usec);
        ASSERT_EQ(v->retry_limit, w->retry_limit);
        ASSERT_EQ(v->retry_usec, w->retry_usec);
        ASSERT_EQ(v->directory_mode, w->directory_mode);
}

TEST_MAIN(TEST(man_page), TEST(example))
