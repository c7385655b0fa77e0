/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "adoption.h"
#include "advice.h"
#include "blank.h"
#include "client-objects.h"
#include "client.h"
#include "config.h"
#include "ctl.h"
#include "macro.h"
#include "parse.h"
#include "problems.h"
#include "syntax.h"
#include "term.h"
#include "text.h"
#include "usage.h"

#define DIRECTORY "/etc/wslbare.d"

typedef struct Adopt {
        const char *device; /* as it was given */
        const char *where;  /* NULL: below /mnt, by its name */
        const char *name;   /* NULL: by its label */
        bool dry_run;
        Client client;
        ClientDevice *devices;
        size_t n_devices;
        ClientState state;
        size_t n_errors; /* in the configuration as it was before */
} Adopt;

static int refuse(const char *node, int status, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static int refuse(const char *node, int status, const char *format, ...)
{
        _cleanup_free_ char *why = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&why, format, ap) < 0)
                why = NULL;
        va_end(ap);
        term_line(stderr, "wslbarectl: %s %s", node, why ? why : "cannot be adopted");
        return status;
}

/* A link, as those below /dev/disk, is as good as what it leads to. */
static const ClientDevice *find_device(const Adopt *a)
{
        _cleanup_free_ char *node = realpath(a->device, NULL);

        for (size_t i = 0; i < a->n_devices; i++)
                if (streq(a->devices[i].device.node, node ? node : a->device))
                        return &a->devices[i];
        return NULL;
}

static int advise_blank(const char *path)
{
        _cleanup_free_ char *node = text_escape(path, strlen(path));

        if (!node)
                return ctl_status_of(-ENOMEM);
        printf("%s is blank, and was left so. To make a filesystem on it, one of\n\n"
               "    mkfs.ext4 -L data %s\n"
               "    mkfs.ext4 -O ^has_journal -L data %s\n\n"
               "The second one has no journal and is faster to write to; when WSL ends while it "
               "is\n"
               "written, all of it has to be checked before it is mounted again, and what was\n"
               "written last may be lost. Then `wslbarectl adopt %s`.\n",
               node, node, node, node);
        return CTL_FAILED;
}

static int refuse_content(const Device *d)
{
        Blank blank = { .node = d->node };
        _cleanup_free_ char *advice = NULL;

        if (blank_is_possible(d)) {
                blank_look(&blank, 1);
                if (blank.is_known && blank.is_blank)
                        return advise_blank(d->node);
        }
        if (d->content == DEVICE_CONTENT_NONE && !d->is_partition && d->disk_guid)
                return refuse(d->node, CTL_FAILED,
                              "has a partition table: adopt one of its partitions, which "
                              "`wslbarectl devices` shows");
        (void)advice_on_device(d, &advice);
        return refuse(d->node, CTL_FAILED, "holds no filesystem to be mounted: %s",
                      advice ? advice : "nothing that is known is on it");
}

/* CTL_OK: nothing speaks against it. */
static int check(const ClientDevice *device)
{
        const Device *d = &device->device;
        _cleanup_(usage_freep) Usage *usage = NULL;
        _cleanup_free_ char *use = NULL;
        UsageKind kind;
        int r = usage_new("", &usage);

        if (r >= 0)
                r = usage_describe(usage, d, &use, &kind);
        if (r < 0)
                return r == -ENOMEM ? ctl_status_of(r) : CTL_FAILED;
        if (kind == USAGE_WSL)
                return refuse(d->node, CTL_FAILED, "belongs to WSL itself: %s", use);
        if (device->volumes && *device->volumes)
                return refuse(d->node, CTL_VOLUME, "is what volume '%s' means already",
                              *device->volumes);
        if (d->content != DEVICE_CONTENT_FILESYSTEM || !d->type)
                return refuse_content(d);
        if (!d->uuid && !d->part_uuid)
                return refuse(
                        d->node, CTL_FAILED,
                        "has no UUID to be known by; tune2fs -U, or its like for %s, gives it "
                        "one",
                        d->type);
        if (kind == USAGE_ELSEWHERE)
                term_line(stderr, "wslbarectl: be sure that you mean %s: it is %s", d->node, use);
        return CTL_OK;
}

/* CTL_OK: nobody has the name or the mount point, and the file would be loaded. */
static int check_file(const Adopt *a, const char *name, const char *where, const char *text)
{
        const ConfigSource source = { config_default_dirs, 0 };
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *path = text_format("%s/%s.conf", DIRECTORY, name), *problem = NULL;
        int r;

        for (size_t i = 0; i < a->state.n_volumes; i++) {
                const ClientVolume *v = &a->state.volumes[i];

                if (streq(v->name, name)) {
                        term_line(stderr,
                                  "wslbarectl: there is a volume '%s' already, by %s; give another "
                                  "--name=",
                                  name, v->config_path);
                        return CTL_VOLUME;
                }
                if (streq(v->where, where))
                        return refuse(where, CTL_VOLUME,
                                      "is the mount point of volume '%s' already, by %s; choose "
                                      "another",
                                      v->name, v->config_path);
        }
        r = path ? config_load(&source, &config) : -ENOMEM;
        if (r >= 0)
                r = adoption_check(path, name, text, config, &problem);
        if (problem)
                term_line(stderr, "wslbarectl: not written, as it would be refused: %s", problem);
        return r == -EEXIST ? CTL_VOLUME : ctl_status_of(r);
}

static int write_file(const char *name, const char *text)
{
        int r = adoption_write(DIRECTORY, name, text);

        if (r >= 0)
                return CTL_OK;
        fprintf(stderr, "wslbarectl: %s/%s.conf cannot be written: %s%s\n", DIRECTORY, name,
                strerror(-r),
                r == -EEXIST                  ? "; give another --name="
                : r == -EACCES || r == -EPERM ? "; use sudo"
                                              : "");
        return r == -EEXIST ? CTL_VOLUME : ctl_status_of(r);
}

static void print_file(const char *name, const char *text)
{
        printf("# %s/%s.conf\n", DIRECTORY, name);
        while (*text) {
                size_t n = strcspn(text, "\n");

                term_line(stdout, "%.*s", (int)n, text);
                text += n + (text[n] == '\n');
        }
}

/* What is wrong with other files, and was before, is no failure. */
static int load(Adopt *a)
{
        int r = client_call_manager(&a->client, "reload", "Reload");

        return r < 0 ? ctl_status_of(r) : problems_tell(&a->client, a->n_errors);
}

static int adopt_device(Adopt *a, const ClientDevice *device)
{
        _cleanup_free_ char *chosen = NULL, *below = NULL, *text = NULL;
        const char *name = a->name, *where = a->where;
        int status = check(device);

        if (status != CTL_OK)
                return status;
        if (!name)
                name = chosen = adoption_name(&device->device);
        if (name && !where)
                where = below = text_format("/mnt/%s", name);
        if (name && where)
                text = adoption_text(&device->device, where);
        if (!text)
                return ctl_status_of(-ENOMEM);
        status = check_file(a, name, where, text);
        if (status == CTL_OK && !a->dry_run)
                status = write_file(name, text);
        if (status != CTL_OK)
                return status;
        print_file(name, text);
        if (a->dry_run)
                return CTL_OK;
        fflush(stdout);
        return load(a);
}

static int count_errors(Adopt *a)
{
        ClientManager manager = { 0 };
        int r = client_get_manager(&a->client, &manager);

        a->n_errors = problems_count_errors(&manager);
        client_manager_done(&manager);
        return r;
}

static int adopt(Adopt *a)
{
        const ClientDevice *device;
        int r = client_open(&a->client);

        if (r >= 0)
                r = client_get_state(&a->client, &a->state);
        if (r >= 0)
                r = client_list_devices(&a->client, &a->devices, &a->n_devices);
        if (r >= 0)
                r = count_errors(a);
        if (r < 0)
                return ctl_status_of(r);
        device = find_device(a);
        if (!device)
                return refuse(a->device, CTL_FAILED,
                              "is no block device that wslbared sees; `wslbarectl devices` lists "
                              "them");
        return adopt_device(a, device);
}

static bool take_name(const char *argument, void *target)
{
        *(const char **)target = argument;
        return client_check_names((char *const *)&argument, 1);
}

int ctl_adopt(int argc, char *argv[])
{
        static const SyntaxOption options[] = {
                { "name", 0, "NAME", take_name, offsetof(Adopt, name),
                  "Of the volume; by default from the filesystem's label" },
                { "dry-run", 'n', NULL, syntax_take_true, offsetof(Adopt, dry_run),
                  "Only show the file" },
                { 0 },
        };
        static const Syntax syntax = {
                .verb = "adopt",
                .words = "DEVICE [WHERE]",
                .min_words = 1,
                .max_words = 2,
                .help = "Writes a configuration file for the filesystem on DEVICE, to be mounted "
                        "on WHERE, shows\n"
                        "it, and loads it. Overwrites nothing. Of a blank disk, says how to make a "
                        "filesystem on\n"
                        "it, and does nothing.",
                .end = "Ends with 4 when the name, the mount point or the device is a volume's "
                       "already.",
                .options = options,
        };
        Adopt a = { 0 };
        int status, first = syntax_parse(&syntax, argc, argv, &a, &status);

        if (first <= 0)
                return status;
        a.device = argv[first];
        a.where = argv[first + 1]; /* or NULL, which ends them */
        if (a.where && !path_is_normalized(a.where)) {
                fprintf(stderr, "wslbarectl: %s is not a mount point; /mnt/data would be one\n",
                        a.where);
                return CTL_USAGE;
        }
        status = adopt(&a);
        client_devices_free(a.devices, a.n_devices);
        client_state_done(&a.state);
        client_close(&a.client);
        return status;
}
