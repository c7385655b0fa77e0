/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "blank.h"
#include "client-objects.h"
#include "client.h"
#include "config.h"
#include "ctl.h"
#include "macro.h"
#include "syntax.h"
#include "text.h"
#include "usage.h"

enum {
        NODE,
        SIZE,
        TYPE,
        LABEL,
        UUID,
        DISK_GUID,
        SERIAL,
        VOLUMES,
        USE,
        WHY,
        PART_UUID,
        PART_LABEL,
        WWN,
        BY_ID,
        CONTENT,
        READ_ONLY,
        BLANK,
        WSL,
        _COLUMN_MAX,
};

static const TableColumn columns[_COLUMN_MAX + 1] = {
        [NODE] = { "NODE", "of the device", TABLE_TEXT, TABLE_SHOWN },
        [SIZE] = { "SIZE", "of the device", TABLE_SIZE, TABLE_SHOWN },
        [TYPE] = { "TYPE", "of what is on it", TABLE_TEXT, TABLE_SHOWN },
        [LABEL] = { "LABEL", "of the filesystem", TABLE_TEXT, TABLE_SHOWN_IF_ANY },
        [UUID] = { "UUID", "of the filesystem", TABLE_TEXT, TABLE_SHOWN },
        [DISK_GUID] = { "DISKGUID", "UUID of the partition table", TABLE_TEXT, TABLE_SHOWN_IF_ANY },
        [SERIAL] = { "SERIAL", "number of the disk", TABLE_TEXT, TABLE_SHOWN_IF_ANY },
        [VOLUMES] = { "VOLUMES", "that it fits", TABLE_LINES, TABLE_SHOWN },
        [USE] = { "USE", "what it is used for, or whether it is blank", TABLE_TEXT, TABLE_SHOWN },
        [WHY] = { "WHY", "volumes that it nearly fits, and why it does not", TABLE_LINES,
                  TABLE_SHOWN_IF_ANY },
        [PART_UUID] = { "PARTUUID", "UUID of the partition", TABLE_TEXT },
        [PART_LABEL] = { "PARTLABEL", "name of the partition", TABLE_TEXT },
        [WWN] = { "WWN", "world wide name of the disk", TABLE_TEXT },
        [BY_ID] = { "BYID", "names below /dev/disk/by-id", TABLE_LINES },
        [CONTENT] = { "CONTENT", "kind of what is on it", TABLE_TEXT },
        [READ_ONLY] = { "RO", "cannot be written to", TABLE_BOOLEAN },
        [BLANK] = { "BLANK", "was looked at by root, and is empty", TABLE_BOOLEAN },
        [WSL] = { "WSL", "belongs to WSL itself", TABLE_BOOLEAN },
};

typedef struct List {
        TableOptions table;
        bool all;
        char **nodes;
        int n_nodes;
        ClientDevice *devices;
        size_t n_devices;
        ClientState state;
        Config *config;
        Usage *usage;
} List;

/* What is found out about a device. */
typedef struct Finding {
        char *use; /* NULL: nothing is known */
        char *why;
        UsageKind kind;
        bool is_blank;
} Finding;

static void finding_done(Finding *f)
{
        free(f->use);
        free(f->why);
}

static const ClientVolume *find_mounted(const List *l, const Device *d)
{
        for (size_t i = 0; i < l->state.n_volumes; i++) {
                const ClientVolume *v = &l->state.volumes[i];

                if (streq(v->state, "mounted") && streq(v->device, d->node))
                        return v;
        }
        return NULL;
}

static int describe_unused(const Device *d, Finding *f)
{
        Blank blank = { .node = d->node };

        if (!blank_is_possible(d)) {
                if (!d->is_partition && d->content == DEVICE_CONTENT_NONE)
                        f->use = strdup("has a partition table");
                return 0;
        }
        blank_look(&blank, 1);
        f->is_blank = blank.is_known && blank.is_blank;
        f->use = strdup(f->is_blank ? "blank" : "holds nothing that is known");
        return f->use ? 0 : -ENOMEM;
}

static int describe_use(const List *l, const Device *d, Finding *f)
{
        const ClientVolume *v = find_mounted(l, d);
        _cleanup_free_ char *use = NULL;
        int r;

        if (v) {
                f->use = text_format("mounted on %s", v->where);
                return f->use ? 0 : -ENOMEM;
        }
        r = usage_describe(l->usage, d, &use, &f->kind);
        if (r < 0)
                return r;
        if (!use)
                return describe_unused(d, f);
        f->use = f->kind == USAGE_WSL ? text_format("WSL's own: %s", use) : TAKE_PTR(use);
        return f->use ? 0 : -ENOMEM;
}

/* Of a device that was asked for, all volumes; else those that may be meant. */
static int explain(const List *l, const ClientDevice *device, Finding *f)
{
        const Device *d = &device->device;
        _cleanup_(strv_freep) char **lines = NULL;

        for (size_t i = 0; i < l->config->n_volumes; i++) {
                const VolumeConfig *c = l->config->volumes[i];
                _cleanup_free_ char *why = NULL;

                if (strv_contains(device->volumes, c->name) ||
                    (l->n_nodes == 0 &&
                     (match_device(&c->match, d, NULL) || !match_is_near(&c->match, d))))
                        continue;
                why = match_explain(&c->match, d);
                if (!why || strv_take(&lines, text_format("%s: %s", c->name, why)) < 0)
                        return -ENOMEM;
        }
        f->why = strv_join(lines, "\n");
        return f->why ? 0 : -ENOMEM;
}

static int add_device(const List *l, Table *t, const ClientDevice *c)
{
        const Device *d = &c->device;
        _cleanup_(finding_done) Finding f = { 0 };
        _cleanup_free_ char *volumes = strv_join(c->volumes, "\n"),
                            *by_id = strv_join(d->by_id, "\n");
        char size[24];
        const char *values[_COLUMN_MAX] = {
                [NODE] = d->node,
                [SIZE] = size,
                [TYPE] = d->type,
                [LABEL] = d->label,
                [UUID] = d->uuid,
                [DISK_GUID] = d->disk_guid,
                [SERIAL] = d->serial,
                [VOLUMES] = volumes,
                [PART_UUID] = d->part_uuid,
                [PART_LABEL] = d->part_label,
                [WWN] = d->wwn,
                [BY_ID] = by_id,
                [CONTENT] = device_content_to_string(d->content),
                [READ_ONLY] = table_boolean(d->read_only),
        };
        int r = describe_use(l, d, &f);

        if (r >= 0)
                r = explain(l, c, &f);
        if (r < 0)
                return r;
        (void)snprintf(size, sizeof(size), "%" PRIu64, d->size);
        values[USE] = f.use;
        values[WHY] = f.why;
        values[BLANK] = table_boolean(f.is_blank);
        values[WSL] = table_boolean(f.kind == USAGE_WSL);
        r = table_add(t, values);
        if (r >= 0 && f.is_blank)
                table_set_color(t, USE, TERM_YELLOW);
        if (r >= 0 && (f.kind == USAGE_WSL || f.kind == USAGE_ELSEWHERE))
                table_set_color(t, USE, TERM_RED);
        return r;
}

static const ClientDevice *find_device(const List *l, const char *node)
{
        struct stat st;

        for (size_t i = 0; i < l->n_devices && stat(node, &st) >= 0 && S_ISBLK(st.st_mode); i++)
                if (l->devices[i].device.devnum == st.st_rdev)
                        return &l->devices[i];
        term_line(stderr, "wslbarectl: '%s' is no block device that wslbared has seen", node);
        return NULL;
}

static int add_devices(const List *l, Table *t)
{
        int r = 0;

        for (int i = 0; r >= 0 && i < l->n_nodes; i++) {
                const ClientDevice *d = find_device(l, l->nodes[i]);

                r = d ? add_device(l, t, d) : -ENODEV;
        }
        for (size_t i = 0; r >= 0 && l->n_nodes == 0 && i < l->n_devices; i++)
                if (l->all || !startswith(l->devices[i].device.node, "/dev/ram"))
                        r = add_device(l, t, &l->devices[i]);
        return r;
}

static int collect(List *l)
{
        const ConfigSource source = { config_default_dirs, 0 };
        Client client = { 0 };
        int r = client_open(&client);

        if (r >= 0)
                r = client_list_devices(&client, &l->devices, &l->n_devices);
        if (r >= 0)
                r = client_get_state(&client, &l->state);
        if (r >= 0)
                r = config_load(&source, &l->config);
        if (r >= 0)
                r = usage_new("", &l->usage);
        client_close(&client);
        return r;
}

static int list(List *l)
{
        _cleanup_(table_freep) Table *t = NULL;
        int r = table_new("devices", columns, &l->table, &t);

        if (r == -EINVAL)
                return CTL_USAGE;
        if (r >= 0)
                r = collect(l);
        if (r >= 0)
                r = add_devices(l, t);
        if (r >= 0)
                r = table_print(t);
        return ctl_status_of(r);
}

int ctl_devices(int argc, char *argv[])
{
        static const SyntaxOption options[] = {
                { "all", 'a', NULL, syntax_take_true, offsetof(List, all), "RAM disks too" },
                { 0 },
        };
        static const Syntax syntax = {
                .verb = "devices",
                .words = "[NODE…]",
                .help = "Shows block devices that were seen, what they hold and are used for, and "
                        "which volume\n"
                        "they fit: those that nearly do, with the reason why not; of devices that "
                        "are named, all.",
                .options = options,
                .columns = columns,
                .table = offsetof(List, table),
        };
        List l = { 0 };
        int status, first = syntax_parse(&syntax, argc, argv, &l, &status);

        if (first <= 0)
                return status;
        l.nodes = argv + first;
        l.n_nodes = argc - first;
        status = list(&l);
        client_devices_free(l.devices, l.n_devices);
        client_state_done(&l.state);
        config_free(l.config);
        usage_free(l.usage);
        return status;
}
