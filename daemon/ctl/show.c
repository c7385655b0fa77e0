/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "client-objects.h"
#include "config.h"
#include "ctl.h"
#include "detail.h"
#include "forecast.h"
#include "macro.h"
#include "no-volume.h"
#include "origins.h"
#include "parse.h"
#include "syntax.h"
#include "text.h"

typedef struct Show {
        TableOptions table;
        const char *name;
        Config *installed;
        VolumeConfig *config;
        Origins origins;
        char **files; /* all that would make it; the first wins */
        ClientState state;
        const ClientVolume *volume; /* NULL: not loaded */
        ClientDevice *devices;
        size_t n_devices;
        Forecast forecast;
        const char *type; /* that it would be mounted as; NULL: its device will tell */
        char *options;    /* that it would be mounted with */
        bool is_planned;
} Show;

static void show_done(Show *s)
{
        config_free(s->installed);
        volume_config_free(s->config);
        origins_done(&s->origins);
        strv_free(s->files);
        client_state_done(&s->state);
        client_devices_free(s->devices, s->n_devices);
        forecast_done(&s->forecast);
        free(s->options);
}

enum {
        SECTION,
        KEY,
        VALUE,
        ORIGIN,
        FILE_,
        LINE,
        _SETTING_MAX,
};

static const TableColumn setting_columns[_SETTING_MAX + 1] = {
        [SECTION] = { "SECTION", "of the file", TABLE_TEXT, TABLE_SHOWN },
        [KEY] = { "KEY", "in that section", TABLE_TEXT, TABLE_SHOWN },
        [VALUE] = { "VALUE", "in force", TABLE_TEXT, TABLE_SHOWN },
        [ORIGIN] = { "ORIGIN", "the line that says so, or default", TABLE_TEXT, TABLE_SHOWN },
        [FILE_] = { "FILE", "that line's", TABLE_TEXT },
        [LINE] = { "LINE", "its number", TABLE_NUMBER },
};

enum {
        STATE,
        ACTION,
        DEVICE,
        WHY,
        TYPE,
        OPTIONS,
        _PLAN_MAX,
};

/* In JSON only. */
static const TableColumn plan_columns[_PLAN_MAX + 1] = {
        [STATE] = { "STATE", "", TABLE_TEXT },   [ACTION] = { "ACTION", "", TABLE_TEXT },
        [DEVICE] = { "DEVICE", "", TABLE_TEXT }, [WHY] = { "WHY", "", TABLE_TEXT },
        [TYPE] = { "TYPE", "", TABLE_TEXT },     [OPTIONS] = { "OPTIONS", "", TABLE_TEXT },
};

static const TableColumn file_columns[] = {
        { "FILE", "", TABLE_TEXT },
        { "USED", "", TABLE_BOOLEAN },
        { 0 },
};

/* The configuration. */

static int find_files(const char *name, char ***ret)
{
        int r = 0;

        for (const char *const *dir = config_default_dirs; r >= 0 && *dir; dir++) {
                _cleanup_free_ char *path = text_format("%s/%s.conf", *dir, name);

                if (!path)
                        return -ENOMEM;
                if (access(path, F_OK) == 0)
                        r = strv_push(ret, path);
        }
        return r;
}

static int load(Show *s)
{
        static const ConfigSource source = { config_default_dirs, 0 };
        ConfigProblems said = { 0 };
        const VolumeConfig *found;
        int r = config_load(&source, &s->installed);

        if (r >= 0)
                r = find_files(s->name, &s->files);
        if (r < 0)
                return ctl_status_of(r);
        found = config_find(s->installed, s->name);
        if (!found)
                return ctl_status_of(no_volume_say(s->name));
        r = origins_load(found->path, &said, &s->config, &s->origins);
        if (r <= 0 && r != -ENOMEM)
                term_line(stderr, "wslbarectl: %s was changed just now; try again", found->path);
        config_problems_done(&said);
        return r > 0 ? CTL_OK : r == -ENOMEM ? ctl_status_of(r) : CTL_FAILED;
}

/* The line that sets K; 0: none does. */
static unsigned line_of(const Show *s, const ConfigKey *k)
{
        const Origin *o = origins_find(&s->origins, k->section, k->key);
        bool yes = false;

        if (streq(k->key, "ReadOnly") && s->config->read_only &&
            !(o->value && parse_boolean(o->value, &yes) >= 0 && yes))
                o = origins_find(&s->origins, "Mount", "Options"); /* ro stands there */
        return o->line;
}

static int add_setting(const Show *s, Table *t, const ConfigKey *k)
{
        _cleanup_free_ char *value = k->print((const char *)s->config + k->offset), *line = NULL,
                            *origin = NULL;
        unsigned n = line_of(s, k);
        int r;

        if (!value)
                return -ENOMEM;
        if (!*value && !s->table.json)
                return 0;
        line = text_format("%u", n);
        origin = n > 0 ? text_format("%s:%u", s->config->path, n) : strdup("default");
        if (!line || !origin)
                return -ENOMEM;
        r = table_add(t, (const char *const[_SETTING_MAX]){
                                 [SECTION] = k->section,
                                 [KEY] = k->key,
                                 [VALUE] = value,
                                 [ORIGIN] = origin,
                                 [FILE_] = n > 0 ? s->config->path : NULL,
                                 [LINE] = n > 0 ? line : NULL,
                         });
        if (r >= 0 && n == 0)
                table_set_color(t, ORIGIN, TERM_GREY);
        return r;
}

/* The plan. */

/* As mountd does it. */
static int choose_options(Show *s)
{
        const Device *d = s->forecast.device;
        MountOptions *o = s->config->options;
        int r;

        s->type = s->config->type ? s->config->type
                  : d && d->type  ? d->type
                                  : s->config->match.type;
        r = s->type ? mount_options_add_defaults(o, s->type) : 0;
        if (d && d->read_only)
                mount_options_set_read_only(o);
        if (r >= 0)
                s->options = mount_options_to_string(o);
        return s->options ? 0 : -ENOMEM;
}

static int see(Show *s, Client *c)
{
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        int r = client_try_state(c, &s->state);

        if (r >= 0)
                r = client_list_devices(c, &s->devices, &s->n_devices);
        if (r >= 0)
                r = mountinfo_read_self(&mounts);
        if (r < 0)
                return r;
        s->volume = client_try_find(&s->state, s->name);
        return forecast_make(
                &(ForecastInput){
                        .config = s->config,
                        .volume = s->volume,
                        .devices = s->devices,
                        .n_devices = s->n_devices,
                        .mounts = mounts,
                        .now_usec = client_now(),
                },
                &s->forecast);
}

/* What is configured can be told without wslbared. */
static int plan(Show *s)
{
        Client client = { 0 };
        int r = client_open(&client);

        if (r >= 0)
                r = see(s, &client);
        client_close(&client);
        s->is_planned = r >= 0;
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                s->forecast.why =
                        r == -ESRCH ? strdup("wslbared does not run")
                                    : text_format("wslbared does not answer: %s", strerror(-r));
        return choose_options(s);
}

static const char *action_of(const Show *s)
{
        return s->is_planned ? plan_action_to_string(s->forecast.action) : "unknown";
}

static const char *device_of(const Show *s)
{
        return s->forecast.device ? s->forecast.device->node : NULL;
}

static bool is_used(const Show *s, const char *file)
{
        return streq(file, s->config->path);
}

static void print_plan(const Show *s)
{
        putchar('\n');
        for (char **file = s->files; file && *file; file++)
                if (!is_used(s, *file))
                        detail_print_text("Overrides", *file);
        if (s->volume)
                detail_print_state(s->volume);
        else
                detail_print_text("State", s->forecast.state);
        detail_print_text("Device", device_of(s));
        detail_print_text("Type", s->type);
        detail_print_text("Options", s->options);
        detail_print_text("Plan", action_of(s));
        detail_print_text("Why", s->forecast.why);
}

static int add_plan(const Show *s, Table *t)
{
        return table_add(t, (const char *const[_PLAN_MAX]){
                                    [STATE] = s->forecast.state,
                                    [ACTION] = action_of(s),
                                    [DEVICE] = device_of(s),
                                    [WHY] = s->forecast.why,
                                    [TYPE] = s->type,
                                    [OPTIONS] = s->options,
                            });
}

static int print_json(const Show *s, Table *settings)
{
        const TableOptions options = { .json = true };
        _cleanup_(table_freep) Table *files = NULL, *plans = NULL;
        int r = table_new("files", file_columns, &options, &files);

        for (char **file = s->files; r >= 0 && file && *file; file++)
                r = table_add(files,
                              (const char *const[]){ *file, table_boolean(is_used(s, *file)) });
        if (r >= 0)
                r = table_new("plan", plan_columns, &options, &plans);
        if (r >= 0)
                r = add_plan(s, plans);
        return r < 0 ? r : table_print_object((Table *const[]){ files, settings, plans }, 3);
}

static int print(const Show *s, Table *t)
{
        int r = 0;

        for (const ConfigKey *k = config_keys(); r >= 0 && k->key; k++)
                r = add_setting(s, t, k);
        if (r < 0 || s->table.json)
                return r < 0 ? r : print_json(s, t);
        r = table_print(t);
        if (r >= 0 && !s->table.no_legend)
                print_plan(s);
        return r;
}

static int show(Show *s)
{
        _cleanup_(table_freep) Table *t = NULL;
        int status, r = table_new("settings", setting_columns, &s->table, &t);

        if (r < 0)
                return r == -EINVAL ? CTL_USAGE : ctl_status_of(r);
        status = load(s);
        if (status != CTL_OK)
                return status;
        r = plan(s);
        return ctl_status_of(r < 0 ? r : print(s, t));
}

int ctl_show(int argc, char *argv[])
{
        static const Syntax syntax = {
                .verb = "show",
                .words = "NAME",
                .min_words = 1,
                .max_words = 1,
                .are_names = true,
                .help = "Shows what is in force for a volume, and which line of which file says "
                        "so, and what\n"
                        "would be done now. Does nothing of it. Without wslbared, only what is "
                        "configured is known.",
                .end = "Ends with 1 when the file has errors, 5 when there is no such volume.",
                .columns = setting_columns,
                .table = offsetof(Show, table),
        };
        _cleanup_(show_done) Show s = { 0 };
        int status, first = syntax_parse(&syntax, argc, argv, &s, &status);

        if (first <= 0)
                return status;
        s.name = argv[first];
        return show(&s);
}
