/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "bus-manager.h"
#include "bus-volume.h"
#include "bus.h"
#include "gate.h"
#include "log.h"
#include "macro.h"
#include "text.h"

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

static int append_volume(sd_bus_message *reply, const Volume *v)
{
        const VolumeView *w = &v->view;
        _cleanup_free_ char *path = NULL;
        int r = bus_volume_path(w->name, &path);

        return r < 0 ? r
                     : sd_bus_message_append(reply, "(sssso)", w->name, w->state, w->where,
                                             or_empty(w->device), path);
}

static int method_list_volumes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Volumes *volumes = manager_volumes(userdata);
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssso)");
        for (size_t i = 0; r >= 0 && i < volumes_count(volumes); i++)
                if (volumes_get(volumes, i)->is_published)
                        r = append_volume(reply, volumes_get(volumes, i));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_get_volume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL;
        const Volume *v;
        const char *name;
        int r = sd_bus_message_read(m, "s", &name);

        if (r < 0)
                return r;
        v = volumes_find(manager_volumes(userdata), name);
        if (!v || !v->is_published)
                return bus_error(error, "NoSuchVolume", "There is no volume of this name");
        r = bus_volume_path(name, &path);
        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static int append_strings(sd_bus_message *reply, const char *key, char **strings)
{
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, strings);
        for (int i = 0; r >= 0 && i < 2; i++)
                r = sd_bus_message_close_container(reply);
        return r;
}

/* Volumes that the device fits. */
static int append_fitting(sd_bus_message *reply, const Volumes *volumes, const Device *d)
{
        _cleanup_(strv_freep) char **names = NULL;

        for (size_t i = 0; i < volumes_count(volumes); i++) {
                const Volume *v = volumes_get(volumes, i);

                if (match_fits(&v->config->match, d) && strv_push(&names, v->config->name) < 0)
                        return -ENOMEM;
        }
        return append_strings(reply, "Volumes", names);
}

static int append_device(sd_bus_message *reply, const Volumes *volumes, const Device *d)
{
        const struct {
                const char *key;
                const char *value;
        } rows[] = {
                { "Node", d->node },
                { "UUID", d->uuid },
                { "UUIDSub", d->uuid_sub },
                { "Label", d->label },
                { "Type", d->type },
                { "PartUUID", d->part_uuid },
                { "DiskGUID", d->disk_guid },
                { "Serial", d->serial },
                { "WWN", d->wwn },
                { "PartLabel", d->part_label },
                { "Content", device_content_to_string(d->content) },
        };
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rows); i++)
                if (rows[i].value)
                        r = sd_bus_message_append(reply, "{sv}", rows[i].key, "s", rows[i].value);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "Ready", "b", d->ready);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "Size", "t", d->size);
        if (r >= 0 && d->by_id)
                r = append_strings(reply, "ById", d->by_id);
        if (r >= 0)
                r = append_fitting(reply, volumes, d);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_list_devices(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Devices *devices = manager_devices(userdata);
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < devices_count(devices); i++)
                r = append_device(reply, manager_volumes(userdata),
                                  seen_known(devices_get(devices, i)));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int reload(sd_bus_message *m, Manager *manager, sd_bus_error *error)
{
        manager_reload(manager);
        return sd_bus_reply_method_return(m, "");
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return gate_enter(m, userdata, ACTION_MANAGE, NULL, reload, error);
}

static int rescan(sd_bus_message *m, Manager *manager, sd_bus_error *error)
{
        int r = manager_rescan(manager);

        return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

static int method_rescan(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return gate_enter(m, userdata, ACTION_MANAGE, NULL, rescan, error);
}

/* Properties. */

static int get_view(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const ManagerView *w = manager_view(userdata);

        if (streq(property, "Version"))
                return sd_bus_message_append(reply, "s", WSLBARE_VERSION);
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s", manager_state_to_string(w->state));
        if (streq(property, "Ready"))
                return sd_bus_message_append(reply, "b", w->ready);
        if (streq(property, "EventSource"))
                return sd_bus_message_append(reply, "s", hotplug_source_to_string(w->event_source));
        if (streq(property, "NVolumes"))
                return sd_bus_message_append(reply, "u", w->n_volumes);
        if (streq(property, "NMounted"))
                return sd_bus_message_append(reply, "u", w->n_mounted);
        if (streq(property, "NFailed"))
                return sd_bus_message_append(reply, "u", w->n_failed);
        return -EINVAL;
}

static int get_problems(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Config *config = volumes_config(manager_volumes(userdata));
        int r = sd_bus_message_open_container(reply, 'a', "(suss)");

        for (size_t i = 0; config && r >= 0 && i < config->n_problems; i++) {
                const ConfigProblem *p = &config->problems[i];

                r = sd_bus_message_append(reply, "(suss)", p->file, p->line,
                                          p->severity == PROBLEM_ERROR ? "error" : "warning",
                                          p->text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListVolumes", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssso)", volumes),
                                method_list_volumes, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetVolume", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", path),
                                method_get_volume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListDevices", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", devices),
                                method_list_devices, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rescan", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_rescan,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_view, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("Ready", "b", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("EventSource", "s", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("NVolumes", "u", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("NMounted", "u", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("NFailed", "u", get_view, 0, CHANGES),
        SD_BUS_PROPERTY("ConfigProblems", "a(suss)", get_problems, 0, CHANGES),
        SD_BUS_VTABLE_END,
};

int bus_manager_publish(sd_bus *bus, Manager *m)
{
        int r = sd_bus_add_object_vtable(bus, NULL, BUS_ROOT, MANAGER_INTERFACE, bus_manager_vtable,
                                         m);

        return r < 0 ? r : sd_bus_add_object_manager(bus, NULL, BUS_ROOT);
}

void bus_manager_changed(sd_bus *bus, const ManagerView *before, const ManagerView *after,
                         bool problems)
{
        const struct {
                const char *name;
                bool is_changed;
        } rows[] = {
                { "State", before->state != after->state },
                { "Ready", before->ready != after->ready },
                { "EventSource", before->event_source != after->event_source },
                { "NVolumes", before->n_volumes != after->n_volumes },
                { "NMounted", before->n_mounted != after->n_mounted },
                { "NFailed", before->n_failed != after->n_failed },
                { "ConfigProblems", problems },
        };
        char *names[ELEMENTSOF(rows) + 1] = { NULL };
        size_t n = 0;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].is_changed)
                        names[n++] = (char *)rows[i].name;
        if (!bus || n == 0)
                return;
        r = sd_bus_emit_properties_changed_strv(bus, BUS_ROOT, MANAGER_INTERFACE, names);
        if (r < 0 && r != -ENOTCONN)
                (void)log_error(r, "Cannot say on the bus what happened: %s", strerror(-r));
}
