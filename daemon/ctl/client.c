/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "client.h"
#include "config.h"
#include "macro.h"
#include "no-volume.h"
#include "term.h"
#include "text.h"

#define ERROR_PREFIX "org.wslbare1.Error."

/* Values, by tables. */

typedef int (*Reader)(sd_bus_message *m, void *target);

typedef struct Property {
        const char *name;
        const char *type;
        Reader read;
        size_t offset;
} Property;

static int read_string(sd_bus_message *m, void *target)
{
        const char *s;
        int r = sd_bus_message_read(m, "s", &s);

        if (r < 0)
                return r;
        free(*(char **)target);
        *(char **)target = strdup(s);
        return *(char **)target ? 0 : -ENOMEM;
}

static int read_bool(sd_bus_message *m, void *target)
{
        int b, r = sd_bus_message_read(m, "b", &b);

        if (r >= 0)
                *(bool *)target = b;
        return r;
}

static int read_u32(sd_bus_message *m, void *target)
{
        return sd_bus_message_read(m, "u", target);
}

static int read_u64(sd_bus_message *m, void *target)
{
        return sd_bus_message_read(m, "t", target);
}

static int read_strings(sd_bus_message *m, void *target)
{
        return sd_bus_message_read_strv(m, target);
}

/* An element more, zeroed, of a list of N of SIZE bytes; NULL when out of memory. */
static void *grow(void *list, size_t *n, size_t size)
{
        char **items = list, *grown = reallocarray(*items, *n + 1, size);

        if (!grown)
                return NULL;
        *items = grown;
        return memset(grown + (*n)++ * size, 0, size);
}

static int read_failure(sd_bus_message *m, void *target)
{
        ClientVolume *v = target;
        int r = sd_bus_message_enter_container(m, 'r', "sis");

        if (r >= 0)
                r = read_string(m, &v->failure_step);
        if (r >= 0)
                r = sd_bus_message_read(m, "i", &v->failure_errno);
        if (r >= 0)
                r = read_string(m, &v->failure_message);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_holders(sd_bus_message *m, void *target)
{
        ClientVolume *v = target;
        int r = sd_bus_message_enter_container(m, 'a', "(us)");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "us")) > 0) {
                ClientHolder *h = grow(&v->holders, &v->n_holders, sizeof(*h));

                r = h ? read_u32(m, &h->pid) : -ENOMEM;
                if (r >= 0)
                        r = read_string(m, &h->command);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_problems(sd_bus_message *m, void *target)
{
        ClientManager *manager = target;
        int r = sd_bus_message_enter_container(m, 'a', "(suss)");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "suss")) > 0) {
                ClientProblem *p = grow(&manager->problems, &manager->n_problems, sizeof(*p));

                r = p ? read_string(m, &p->file) : -ENOMEM;
                if (r >= 0)
                        r = read_u32(m, &p->line);
                if (r >= 0)
                        r = read_string(m, &p->severity);
                if (r >= 0)
                        r = read_string(m, &p->text);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

#define VOLUME(member) offsetof(ClientVolume, member)
static const Property volume_properties[] = {
        { "Name", "s", read_string, VOLUME(name) },
        { "ConfigPath", "s", read_string, VOLUME(config_path) },
        { "State", "s", read_string, VOLUME(state) },
        { "Auto", "b", read_bool, VOLUME(automatic) },
        { "Device", "s", read_string, VOLUME(device) },
        { "DiskSequence", "t", read_u64, VOLUME(diskseq) },
        { "UUID", "s", read_string, VOLUME(uuid) },
        { "Label", "s", read_string, VOLUME(label) },
        { "Type", "s", read_string, VOLUME(type) },
        { "Where", "s", read_string, VOLUME(where) },
        { "Options", "s", read_string, VOLUME(options) },
        { "MountedOptions", "s", read_string, VOLUME(mounted_options) },
        { "ReadOnly", "b", read_bool, VOLUME(read_only) },
        { "Stale", "b", read_bool, VOLUME(stale) },
        { "Candidates", "as", read_strings, VOLUME(candidates) },
        { "Attempts", "u", read_u32, VOLUME(attempts) },
        { "NextRetryTimestampMonotonic", "t", read_u64, VOLUME(next_retry_usec) },
        { "StateChangeTimestamp", "t", read_u64, VOLUME(state_change_usec) },
        { "StateChangeTimestampMonotonic", "t", read_u64, VOLUME(state_change_monotonic_usec) },
        { "LatencyUSec", "t", read_u64, VOLUME(latency_usec) },
        { "Failure", "(sis)", read_failure, 0 },
        { "Holders", "a(us)", read_holders, 0 },
        {},
};

#define MANAGER(member) offsetof(ClientManager, member)
static const Property manager_properties[] = {
        { "Version", "s", read_string, MANAGER(version) },
        { "State", "s", read_string, MANAGER(state) },
        { "Ready", "b", read_bool, MANAGER(ready) },
        { "EventSource", "s", read_string, MANAGER(event_source) },
        { "NVolumes", "u", read_u32, MANAGER(n_volumes) },
        { "NMounted", "u", read_u32, MANAGER(n_mounted) },
        { "NFailed", "u", read_u32, MANAGER(n_failed) },
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
        { "Node", "s", read_string, DEVICE(node) },
        { "UUID", "s", read_string, DEVICE(uuid) },
        { "UUIDSub", "s", read_string, DEVICE(uuid_sub) },
        { "Label", "s", read_string, DEVICE(label) },
        { "Type", "s", read_string, DEVICE(type) },
        { "PartUUID", "s", read_string, DEVICE(part_uuid) },
        { "PartLabel", "s", read_string, DEVICE(part_label) },
        { "DiskGUID", "s", read_string, DEVICE(disk_guid) },
        { "Serial", "s", read_string, DEVICE(serial) },
        { "WWN", "s", read_string, DEVICE(wwn) },
        { "ById", "as", read_strings, DEVICE(by_id) },
        { "Content", "s", read_content, DEVICE(content) },
        { "Ready", "b", read_bool, DEVICE(ready) },
        { "Size", "t", read_u64, DEVICE(size) },
        { "Volumes", "as", read_strings, offsetof(ClientDevice, volumes) },
        {},
};

static int read_property(sd_bus_message *m, const Property *properties, void *target)
{
        const char *name;
        int r = sd_bus_message_read(m, "s", &name);

        if (r < 0)
                return r;
        for (const Property *p = properties; p->name; p++) {
                if (!streq(p->name, name))
                        continue;
                r = sd_bus_message_enter_container(m, 'v', p->type);
                if (r >= 0)
                        r = p->read(m, (char *)target + p->offset);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        return sd_bus_message_skip(m, "v"); /* of a later version */
}

static int read_properties(sd_bus_message *m, const Property *properties, void *target)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(m, properties, target);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

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

/* Objects. */

static int read_volume(sd_bus_message *m, const char *path, ClientState *s)
{
        ClientVolume *v = grow(&s->volumes, &s->n_volumes, sizeof(*v));

        if (!v)
                return -ENOMEM;
        v->path = strdup(path);
        return v->path ? read_properties(m, volume_properties, v) : -ENOMEM;
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

/* A property that an older wslbared does not have is "". */
static int fill_in(const Property *properties, void *target)
{
        for (const Property *p = properties; p->name; p++) {
                char **s = (void *)((char *)target + p->offset);

                if (p->read == read_string && !*s && !(*s = strdup("")))
                        return -ENOMEM;
        }
        return 0;
}

static int complete(ClientState *s)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_volumes; i++) {
                ClientVolume *v = &s->volumes[i];

                r = fill_in(volume_properties, v);
                if (!v->failure_step)
                        v->failure_step = strdup("");
                if (!v->failure_message)
                        v->failure_message = strdup("");
                if (!v->failure_step || !v->failure_message)
                        r = -ENOMEM;
        }
        return r;
}

bool client_is_absence(const sd_bus_error *error)
{
        /* Starting again, it may take the question with it. */
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
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

int client_call_manager(Client *c, const char *what, const char *method)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(c->bus, &m, CLIENT_SERVICE, CLIENT_ROOT,
                                               CLIENT_MANAGER, method);

        if (r >= 0)
                r = sd_bus_call(c->bus, m, UINT64_MAX, &error, NULL);
        if (client_is_absence(&error))
                r = -ESRCH;
        return r < 0 ? client_explain(what, r, &error) : 0;
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
        r = read_properties(m, manager_properties, &manager);
        if (r >= 0)
                r = fill_in(manager_properties, &manager);
        if (r < 0) {
                client_manager_done(&manager);
                return client_explain("understand what wslbared says", r, NULL);
        }
        *ret = manager;
        return 0;
}

/* Devices. */

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
                ClientDevice *d = grow(devices, n, sizeof(*d));

                r = d ? read_properties(m, device_properties, d) : -ENOMEM;
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

bool client_check_names(char *const *names, int n)
{
        for (int i = 0; i < n; i++)
                if (!volume_name_is_valid(names[i])) {
                        term_line(stderr,
                                  "wslbarectl: '%s' is no volume's name: letters, digits, '_', '.' "
                                  "and '-', at most %d",
                                  names[i], VOLUME_NAME_MAX);
                        return false;
                }
        return true;
}

/* The connection. */

int client_open(Client *c)
{
        int r = sd_bus_open_system(&c->bus);

        if (r < 0) {
                fprintf(stderr,
                        "wslbarectl: cannot connect to the system bus: %s; is dbus running?\n",
                        strerror(-r));
                return r == -ENOMEM ? r : -ENOTCONN;
        }
        /* Where polkit can ask somebody, it may. */
        return sd_bus_set_allow_interactive_authorization(c->bus, true);
}

void client_close(Client *c)
{
        c->bus = sd_bus_flush_close_unref(c->bus);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Client *c = userdata;

        c->is_news = true;
        return 0;
}

int client_watch(Client *c)
{
        static const char *const rules[] = {
                "type='signal',sender='" CLIENT_SERVICE "',"
                "interface='org.freedesktop.DBus.Properties',path_namespace='" CLIENT_ROOT "'",
                "type='signal',sender='" CLIENT_SERVICE "',"
                "interface='org.freedesktop.DBus.ObjectManager'",
                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                "arg0='" CLIENT_SERVICE "'",
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rules); i++)
                r = sd_bus_add_match(c->bus, NULL, rules[i], on_signal, c);
        return r < 0 ? client_explain("watch wslbared", r, NULL) : 0;
}

uint64_t client_now(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

int client_wait(Client *c, uint64_t until_usec)
{
        for (;;) {
                uint64_t now = client_now();
                int r = sd_bus_process(c->bus, NULL);

                if (r == 0 && c->is_news) {
                        c->is_news = false;
                        return 1;
                }
                if (r == 0 && now >= until_usec)
                        return 0;
                if (r == 0)
                        r = sd_bus_wait(c->bus, until_usec == USEC_INFINITY ? UINT64_MAX
                                                                            : until_usec - now);
                if (r < 0 && r != -EINTR)
                        return client_explain("hear of wslbared", r, NULL);
        }
}

/* Errors. */

#define SYSTEMD \
        "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

int client_get_systemd_version(Client *c, char **ret)
{
        return sd_bus_get_property_string(c->bus, SYSTEMD, "Version", NULL, ret);
}

int client_get_unit_file_state(Client *c, const char *unit, char **ret)
{
        sd_bus_message *reply = NULL;
        const char *state = "";
        int r = sd_bus_call_method(c->bus, SYSTEMD, "GetUnitFileState", NULL, &reply, "s", unit);

        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &state);
        if (r >= 0 || r == -ENOENT) {
                *ret = strdup(state);
                r = *ret ? 0 : -ENOMEM;
        }
        sd_bus_message_unref(reply);
        return r;
}

int client_get_unit_state(Client *c, const char *unit, char **ret)
{
        _cleanup_free_ char *path = NULL;
        int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

        if (r < 0)
                return r;
        return sd_bus_get_property_string(c->bus, "org.freedesktop.systemd1", path,
                                          "org.freedesktop.systemd1.Unit", "ActiveState", NULL,
                                          ret);
}

const char *client_error_name(const sd_bus_error *error)
{
        if (!error || !error->name || !startswith(error->name, ERROR_PREFIX))
                return NULL;
        return error->name + strlen(ERROR_PREFIX);
}

#define NOT_THERE                                                                                  \
        "wslbared does not run; `systemctl enable --now wslbared` starts it (if it does run, the " \
        "bus does not know it yet: `systemctl reload dbus`)"

static const char *cure_of(const sd_bus_error *error)
{
        static const struct {
                const char *name, *cure;
        } cures[] = {
                { SD_BUS_ERROR_SERVICE_UNKNOWN, NOT_THERE },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, NOT_THERE },
                { SD_BUS_ERROR_NO_REPLY, "wslbared ended, or hung, before it answered; `journalctl "
                                         "-u wslbared` may say why" },
                { SD_BUS_ERROR_ACCESS_DENIED, "that is not allowed; try it with sudo" },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                  "that is not allowed without a password; try it with sudo" },
        };

        for (size_t i = 0; error && i < ELEMENTSOF(cures); i++)
                if (sd_bus_error_has_name(error, cures[i].name))
                        return cures[i].cure;
        return NULL;
}

int client_explain(const char *what, int r, const sd_bus_error *error)
{
        const char *why = cure_of(error);

        if (!why)
                why = error && error->message ? error->message : strerror(r < 0 ? -r : r);
        term_line(stderr, "wslbarectl: cannot %s: %s", what, why);
        return r;
}
