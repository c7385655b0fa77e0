/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sys/stat.h>

#include "client-objects.h"
#include "macro.h"
#include "no-volume.h"
#include "property.h"
#include "text.h"

static int read_failure(sd_bus_message *m, void *target)
{
        ClientVolume *v = target;
        int r = sd_bus_message_enter_container(m, 'r', "sis");

        if (r >= 0)
                r = property_read_string(m, &v->failure_step);
        if (r >= 0)
                r = sd_bus_message_read(m, "i", &v->failure_errno);
        if (r >= 0)
                r = property_read_string(m, &v->failure_message);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_holders(sd_bus_message *m, void *target)
{
        ClientVolume *v = target;
        int r = sd_bus_message_enter_container(m, 'a', "(us)");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "us")) > 0) {
                ClientHolder *h = property_grow(&v->holders, &v->n_holders, sizeof(*h));

                r = h ? property_read_u32(m, &h->pid) : -ENOMEM;
                if (r >= 0)
                        r = property_read_string(m, &h->command);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define VOLUME(member) offsetof(ClientVolume, member)
static const Property volume_properties[] = {
        { "Name", "s", property_read_string, VOLUME(name) },
        { "ConfigPath", "s", property_read_string, VOLUME(config_path) },
        { "State", "s", property_read_string, VOLUME(state) },
        { "Auto", "b", property_read_bool, VOLUME(automatic) },
        { "Device", "s", property_read_string, VOLUME(device) },
        { "DiskSequence", "t", property_read_u64, VOLUME(diskseq) },
        { "UUID", "s", property_read_string, VOLUME(uuid) },
        { "Label", "s", property_read_string, VOLUME(label) },
        { "Type", "s", property_read_string, VOLUME(type) },
        { "Where", "s", property_read_string, VOLUME(where) },
        { "Options", "s", property_read_string, VOLUME(options) },
        { "MountedOptions", "s", property_read_string, VOLUME(mounted_options) },
        { "ReadOnly", "b", property_read_bool, VOLUME(read_only) },
        { "Stale", "b", property_read_bool, VOLUME(stale) },
        { "Candidates", "as", property_read_strings, VOLUME(candidates) },
        { "Attempts", "u", property_read_u32, VOLUME(attempts) },
        { "NextRetryTimestampMonotonic", "t", property_read_u64, VOLUME(next_retry_usec) },
        { "StateChangeTimestamp", "t", property_read_u64, VOLUME(state_change_usec) },
        { "StateChangeTimestampMonotonic", "t", property_read_u64,
          VOLUME(state_change_monotonic_usec) },
        { "LatencyUSec", "t", property_read_u64, VOLUME(latency_usec) },
        { "Failure", "(sis)", read_failure, 0 },
        { "Holders", "a(us)", read_holders, 0 },
        {},
};

static int read_problems(sd_bus_message *m, void *target)
{
        ClientManager *manager = target;
        int r = sd_bus_message_enter_container(m, 'a', "(suss)");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "suss")) > 0) {
                ClientProblem *p =
                        property_grow(&manager->problems, &manager->n_problems, sizeof(*p));

                r = p ? property_read_string(m, &p->file) : -ENOMEM;
                if (r >= 0)
                        r = property_read_u32(m, &p->line);
                if (r >= 0)
                        r = property_read_string(m, &p->severity);
                if (r >= 0)
                        r = property_read_string(m, &p->text);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define MANAGER(member) offsetof(ClientManager, member)
static const Property manager_properties[] = {
        { "Version", "s", property_read_string, MANAGER(version) },
        { "State", "s", property_read_string, MANAGER(state) },
        { "Ready", "b", property_read_bool, MANAGER(ready) },
        { "EventSource", "s", property_read_string, MANAGER(event_source) },
        { "NVolumes", "u", property_read_u32, MANAGER(n_volumes) },
        { "NMounted", "u", property_read_u32, MANAGER(n_mounted) },
        { "NFailed", "u", property_read_u32, MANAGER(n_failed) },
        { "ConfigProblems", "a(suss)", read_problems, 0 },
        {},
};

static int read_content(sd_bus_message *m, void *target)
{
        const char *s;
        int r = sd_bus_message_read(m, "s", &s);

        if (r >= 0)
                *(DeviceContent *)target = device_content_from_string(s);
        return r;
}

#define DEVICE(member) offsetof(ClientDevice, device.member)
static const Property device_properties[] = {
        { "Node", "s", property_read_string, DEVICE(node) },
        { "UUID", "s", property_read_string, DEVICE(uuid) },
        { "UUIDSub", "s", property_read_string, DEVICE(uuid_sub) },
        { "Label", "s", property_read_string, DEVICE(label) },
        { "Type", "s", property_read_string, DEVICE(type) },
        { "PartUUID", "s", property_read_string, DEVICE(part_uuid) },
        { "PartLabel", "s", property_read_string, DEVICE(part_label) },
        { "DiskGUID", "s", property_read_string, DEVICE(disk_guid) },
        { "Serial", "s", property_read_string, DEVICE(serial) },
        { "WWN", "s", property_read_string, DEVICE(wwn) },
        { "ById", "as", property_read_strings, DEVICE(by_id) },
        { "Content", "s", read_content, DEVICE(content) },
        { "Ready", "b", property_read_bool, DEVICE(ready) },
        { "Size", "t", property_read_u64, DEVICE(size) },
        { "Volumes", "as", property_read_strings, offsetof(ClientDevice, volumes) },
        {},
};

static void volume_done(ClientVolume *v)
{
        char **const strings[] = {
                &v->path,           &v->name,    &v->config_path,     &v->state,
                &v->device,         &v->uuid,    &v->label,           &v->type,
                &v->where,          &v->options, &v->mounted_options, &v->failure_step,
                &v->failure_message
        };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(*strings[i]);
        strv_free(v->candidates);
        for (size_t i = 0; i < v->n_holders; i++)
                free(v->holders[i].command);
        free(v->holders);
}

void client_manager_done(ClientManager *m)
{
        for (size_t i = 0; i < m->n_problems; i++) {
                free(m->problems[i].file);
                free(m->problems[i].severity);
                free(m->problems[i].text);
        }
        free(m->problems);
        free(m->version);
        free(m->state);
        free(m->event_source);
        *m = (ClientManager){ 0 };
}

void client_state_done(ClientState *s)
{
        for (size_t i = 0; i < s->n_volumes; i++)
                volume_done(&s->volumes[i]);
        free(s->volumes);
        *s = (ClientState){ 0 };
}

static int read_volume(sd_bus_message *m, const char *path, ClientState *s)
{
        ClientVolume *v = property_grow(&s->volumes, &s->n_volumes, sizeof(*v));

        if (!v)
                return -ENOMEM;
        v->path = strdup(path);
        return v->path ? property_read_all(m, volume_properties, v) : -ENOMEM;
}

static int read_interface(sd_bus_message *m, const char *path, ClientState *s)
{
        const char *interface;
        int r = sd_bus_message_read(m, "s", &interface);

        if (r < 0)
                return r;
        if (streq(interface, CLIENT_VOLUME))
                return read_volume(m, path, s);
        return sd_bus_message_skip(m, "a{sv}");
}

static int read_object(sd_bus_message *m, ClientState *s)
{
        const char *path;
        int r = sd_bus_message_read(m, "o", &path);

        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = read_interface(m, path, s);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_objects(sd_bus_message *m, ClientState *s)
{
        int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = read_object(m, s);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int complete(ClientState *s)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_volumes; i++) {
                ClientVolume *v = &s->volumes[i];

                r = property_fill_in(volume_properties, v);
                if (!v->failure_step)
                        v->failure_step = strdup("");
                if (!v->failure_message)
                        v->failure_message = strdup("");
                if (!v->failure_step || !v->failure_message)
                        r = -ENOMEM;
        }
        return r;
}

/* What became of asking wslbared for something: 0, -errno after it was said, or -ESRCH, which was
 * not. */
static int take_reply(int r, const sd_bus_error *error)
{
        if (client_is_absence(error))
                return -ESRCH;
        return r < 0 ? client_explain("ask wslbared", r, error) : 0;
}

static int explain_absence(int r)
{
        static const sd_bus_error unknown =
                SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_SERVICE_UNKNOWN, "");

        return r == -ESRCH ? client_explain("ask wslbared", r, &unknown) : r;
}

int client_get_manager(Client *c, ClientManager *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        ClientManager manager = { 0 };
        int r = sd_bus_call_method(c->bus, CLIENT_SERVICE, CLIENT_ROOT,
                                   "org.freedesktop.DBus.Properties", "GetAll", &error, &m, "s",
                                   CLIENT_MANAGER);

        r = explain_absence(take_reply(r, &error));
        if (r < 0)
                return r;
        r = property_read_all(m, manager_properties, &manager);
        if (r >= 0)
                r = property_fill_in(manager_properties, &manager);
        if (r < 0) {
                client_manager_done(&manager);
                return client_explain("understand what wslbared says", r, NULL);
        }
        *ret = manager;
        return 0;
}

static void device_done(ClientDevice *d)
{
        char **const strings[] = {
                &d->device.node,       &d->device.uuid,      &d->device.uuid_sub,
                &d->device.label,      &d->device.type,      &d->device.part_uuid,
                &d->device.part_label, &d->device.disk_guid, &d->device.serial,
                &d->device.wwn,
        };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(*strings[i]);
        strv_free(d->device.by_id);
        strv_free(d->volumes);
}

ClientDevice *client_devices_free(ClientDevice *devices, size_t n)
{
        for (size_t i = 0; i < n; i++)
                device_done(&devices[i]);
        free(devices);
        return NULL;
}

static int compare_nodes(const void *a, const void *b)
{
        return strverscmp(((const ClientDevice *)a)->device.node,
                          ((const ClientDevice *)b)->device.node);
}

static void look_up(Device *d)
{
        struct stat st;

        if (stat(d->node, &st) < 0 || !S_ISBLK(st.st_mode))
                return;
        d->devnum = st.st_rdev;
        (void)device_read_sysfs(d);
}

static int read_devices(sd_bus_message *m, ClientDevice **devices, size_t *n)
{
        int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                ClientDevice *d = property_grow(devices, n, sizeof(*d));

                r = d ? property_read_all(m, device_properties, d) : -ENOMEM;
                if (r < 0)
                        break;
                if (d->device.node && d->device.size > 0)
                        look_up(&d->device);
                else
                        device_done(&(*devices)[--*n]);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int client_list_devices(Client *c, ClientDevice **ret, size_t *ret_n)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        ClientDevice *devices = NULL;
        size_t n = 0;
        int r = sd_bus_call_method(c->bus, CLIENT_SERVICE, CLIENT_ROOT, CLIENT_MANAGER,
                                   "ListDevices", &error, &m, NULL);

        r = explain_absence(take_reply(r, &error));
        if (r < 0)
                return r;
        r = read_devices(m, &devices, &n);
        if (r < 0) {
                client_devices_free(devices, n);
                return client_explain("understand what wslbared says", r, NULL);
        }
        if (n > 0)
                qsort(devices, n, sizeof(*devices), compare_nodes);
        *ret = devices;
        *ret_n = n;
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const ClientVolume *)a)->name, ((const ClientVolume *)b)->name);
}

int client_try_state(Client *c, ClientState *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        ClientState s = { 0 };
        int r = sd_bus_call_method(c->bus, CLIENT_SERVICE, CLIENT_ROOT,
                                   "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                                   &error, &m, NULL);

        r = take_reply(r, &error);
        if (r < 0)
                return r;
        r = read_objects(m, &s);
        if (r >= 0)
                r = complete(&s);
        if (r < 0) {
                client_state_done(&s);
                return client_explain("understand what wslbared says", r, NULL);
        }
        if (s.n_volumes > 0)
                qsort(s.volumes, s.n_volumes, sizeof(*s.volumes), compare_names);
        *ret = s;
        return 0;
}

int client_get_state(Client *c, ClientState *ret)
{
        return explain_absence(client_try_state(c, ret));
}

const ClientVolume *client_try_find(const ClientState *s, const char *name)
{
        for (size_t i = 0; i < s->n_volumes; i++)
                if (streq(s->volumes[i].name, name))
                        return &s->volumes[i];
        return NULL;
}

int client_find(const ClientState *s, const char *name, const ClientVolume **ret)
{
        *ret = client_try_find(s, name);
        return *ret ? 0 : no_volume_say(name);
}

int client_select(const ClientState *s, char *const *names, int n, const ClientVolume ***ret,
                  size_t *ret_n)
{
        size_t count = n > 0 ? (size_t)n : s->n_volumes;
        _cleanup_free_ const ClientVolume **found = calloc(count + 1, sizeof(*found));

        if (!found)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                int r = 0;

                if (n > 0)
                        r = client_find(s, names[i], &found[i]);
                else
                        found[i] = &s->volumes[i];
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(found);
        *ret_n = count;
        return 0;
}
