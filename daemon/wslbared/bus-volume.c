/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "bus-volume.h"
#include "bus.h"
#include "gate.h"
#include "log.h"
#include "macro.h"
#include "text.h"
#include "volume-request.h"

int bus_volume_path(const char *name, char **ret)
{
        return sd_bus_path_encode(VOLUME_PREFIX, name, ret);
}

static Volume *find_by_path(Manager *m, const char *path)
{
        _cleanup_free_ char *name = NULL;

        return sd_bus_path_decode(path, VOLUME_PREFIX, &name) > 0
                       ? volumes_find(manager_volumes(m), name)
                       : NULL;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                sd_bus_error *error)
{
        Volume *v = find_by_path(userdata, path);

        /* What has no view yet is announced at the end of the round. */
        if (!v || !v->is_published)
                return 0;
        *ret = v;
        return 1;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                     sd_bus_error *error)
{
        _cleanup_(strv_freep) char **paths = NULL;
        const Volumes *volumes = manager_volumes(userdata);

        for (size_t i = 0; i < volumes_count(volumes); i++) {
                const Volume *v = volumes_get(volumes, i);
                char *path = NULL;

                if (!v->is_published)
                        continue;
                if (bus_volume_path(v->config->name, &path) < 0 || strv_take(&paths, path) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(paths);
        return 1;
}

static int get_failure(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const VolumeView *w = userdata;

        return sd_bus_message_append(reply, "(sis)", w->failure_step ? w->failure_step : "",
                                     w->failure_errno,
                                     w->failure_message ? w->failure_message : "");
}

static int get_holders(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const VolumeView *w = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "(us)");

        for (size_t i = 0; r >= 0 && i < w->n_holders; i++)
                r = sd_bus_message_append(reply, "(us)", w->holders[i].pid, w->holders[i].command);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Options: a{sv}, in which each must be known. */

#define OPTIONS_MAX 2 /* there are no more to know */

typedef struct Options {
        bool no_block;
        bool lazy;
        unsigned n; /* given */
} Options;

static int read_option(sd_bus_message *m, const char *key, VolumeVerb verb, Options *ret,
                       sd_bus_error *error)
{
        bool allow_lazy = verb == VERB_UNMOUNT;
        bool *field = streq(key, "no_block")             ? &ret->no_block
                      : allow_lazy && streq(key, "lazy") ? &ret->lazy
                                                         : NULL;
        int value, r;

        if (!field)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_INVALID_ARGS, "There is no option '%s'; %s", key,
                        allow_lazy ? "no_block and lazy are known" : "no_block is known");
        r = sd_bus_message_read(m, "v", "b", &value);
        if (r < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Option '%s' is a boolean", key);
        *field = value;
        return 0;
}

static int read_options(sd_bus_message *m, VolumeVerb verb, Options *ret, sd_bus_error *error)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0) {
                const char *key;

                r = sd_bus_message_enter_container(m, 'e', "sv");
                if (r <= 0)
                        break;
                if (++ret->n > OPTIONS_MAX)
                        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                                "An option is given twice");
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = read_option(m, key, verb, ret, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Requests. */

static void on_done(const char *error_name, const char *message, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!error_name)
                (void)sd_bus_reply_method_return(m, "");
        else
                (void)sd_bus_reply_method_errno(m, bus_error(&error, error_name, message), &error);
}

static int request(sd_bus_message *m, Manager *manager, VolumeVerb verb, sd_bus_error *error)
{
        _cleanup_(volume_refusal_done) VolumeRefusal why = { 0 };
        Volume *v = find_by_path(manager, sd_bus_message_get_path(m));
        VolumeRequest q = { .verb = verb };
        Options options = { 0 };
        int r;

        if (!v)
                return bus_error(error, "NoSuchVolume", "The volume is not configured any more");
        r = read_options(m, verb, &options, error);
        if (r < 0)
                return r;
        q.lazy = options.lazy;
        if (!options.no_block) {
                q.done = on_done;
                q.userdata = sd_bus_message_ref(m);
        }
        r = volume_request(v, &q, &why);
        if (r < 0) {
                sd_bus_message_unref(q.userdata);
                return why.error ? bus_error(error, why.error, why.message) : r;
        }
        return options.no_block ? sd_bus_reply_method_return(m, "") : 1;
}

static int do_mount(sd_bus_message *m, Manager *manager, sd_bus_error *error)
{
        return request(m, manager, VERB_MOUNT, error);
}

static int do_unmount(sd_bus_message *m, Manager *manager, sd_bus_error *error)
{
        return request(m, manager, VERB_UNMOUNT, error);
}

static int do_eject(sd_bus_message *m, Manager *manager, sd_bus_error *error)
{
        return request(m, manager, VERB_EJECT, error);
}

static int enter(sd_bus_message *m, const Volume *v, VolumeVerb verb, const char *action,
                 GateMethod method, sd_bus_error *error)
{
        Options options = { 0 };
        /* What is refused anyway need not wait at the gate, where its message would be kept. */
        int r = read_options(m, verb, &options, error);

        return r < 0 ? r : gate_enter(m, v->manager, action, v->config->name, method, error);
}

static int method_mount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return enter(m, userdata, VERB_MOUNT, ACTION_MOUNT, do_mount, error);
}

static int method_unmount(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return enter(m, userdata, VERB_UNMOUNT, ACTION_UNMOUNT, do_unmount, error);
}

static int method_eject(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return enter(m, userdata, VERB_EJECT, ACTION_UNMOUNT, do_eject, error);
}

#define VIEW(field) offsetof(Volume, view.field)
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST SD_BUS_VTABLE_PROPERTY_CONST

const sd_bus_vtable bus_volume_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Mount", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_mount, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unmount", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_unmount, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Eject", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_eject, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", NULL, VIEW(name), CONST),
        SD_BUS_PROPERTY("ConfigPath", "s", NULL, VIEW(config_path), CHANGES),
        SD_BUS_PROPERTY("State", "s", NULL, VIEW(state), CHANGES),
        SD_BUS_PROPERTY("Auto", "b", NULL, VIEW(automatic), CHANGES),
        SD_BUS_PROPERTY("Device", "s", NULL, VIEW(device), CHANGES),
        SD_BUS_PROPERTY("DiskSequence", "t", NULL, VIEW(diskseq), CHANGES),
        SD_BUS_PROPERTY("UUID", "s", NULL, VIEW(uuid), CHANGES),
        SD_BUS_PROPERTY("Label", "s", NULL, VIEW(label), CHANGES),
        SD_BUS_PROPERTY("Type", "s", NULL, VIEW(type), CHANGES),
        SD_BUS_PROPERTY("Where", "s", NULL, VIEW(where), CHANGES),
        SD_BUS_PROPERTY("Options", "s", NULL, VIEW(options), CHANGES),
        SD_BUS_PROPERTY("MountedOptions", "s", NULL, VIEW(mounted_options), CHANGES),
        SD_BUS_PROPERTY("ReadOnly", "b", NULL, VIEW(read_only), CHANGES),
        SD_BUS_PROPERTY("Stale", "b", NULL, VIEW(stale), CHANGES),
        SD_BUS_PROPERTY("Candidates", "as", NULL, VIEW(candidates), CHANGES),
        SD_BUS_PROPERTY("Attempts", "u", NULL, VIEW(attempts), CHANGES),
        SD_BUS_PROPERTY("NextRetryTimestampMonotonic", "t", NULL, VIEW(next_retry_usec), CHANGES),
        SD_BUS_PROPERTY("StateChangeTimestamp", "t", NULL, VIEW(state_change_usec), CHANGES),
        SD_BUS_PROPERTY("StateChangeTimestampMonotonic", "t", NULL,
                        VIEW(state_change_monotonic_usec), CHANGES),
        SD_BUS_PROPERTY("LatencyUSec", "t", NULL, VIEW(latency_usec), CHANGES),
        SD_BUS_PROPERTY("Failure", "(sis)", get_failure, offsetof(Volume, view), CHANGES),
        SD_BUS_PROPERTY("Holders", "a(us)", get_holders, offsetof(Volume, view), CHANGES),
        SD_BUS_VTABLE_END,
};

int bus_volume_publish(sd_bus *bus, Manager *m)
{
        int r = sd_bus_add_fallback_vtable(bus, NULL, VOLUME_PREFIX, VOLUME_INTERFACE,
                                           bus_volume_vtable, find, m);

        return r < 0 ? r : sd_bus_add_node_enumerator(bus, NULL, VOLUME_PREFIX, enumerate, m);
}

static void complain(const Volume *v, int error)
{
        if (error < 0 && error != -ENOTCONN)
                (void)log_error(error, "%s: cannot say on the bus what happened: %s",
                                v->config->name, strerror(-error));
}

static void say_added(sd_bus *bus, const Volume *v)
{
        _cleanup_free_ char *path = NULL;

        if (bus && bus_volume_path(v->config->name, &path) >= 0)
                complain(v, sd_bus_emit_object_added(bus, path));
}

static void say_changed(sd_bus *bus, const Volume *v, char **properties)
{
        _cleanup_free_ char *path = NULL;

        if (bus && bus_volume_path(v->config->name, &path) >= 0)
                complain(v, sd_bus_emit_properties_changed_strv(bus, path, VOLUME_INTERFACE,
                                                                properties));
}

void bus_volume_update(sd_bus *bus, Volume *v)
{
        char *names[VIEW_PROPERTIES_MAX];
        VolumeView view;
        unsigned n;

        v->is_changed = false;
        if (view_build(v, &view) < 0) {
                log_oom();
                return;
        }
        n = view_compare(&v->view, &view, names);
        view_done(&v->view);
        v->view = view;
        if (v->is_published && n > 0)
                say_changed(bus, v, names);
        if (!v->is_published) {
                v->is_published = true;
                say_added(bus, v);
        }
}

void bus_volume_removed(sd_bus *bus, const Volume *v)
{
        _cleanup_free_ char *path = NULL;

        if (bus && bus_volume_path(v->config->name, &path) >= 0)
                complain(v, sd_bus_emit_object_removed(bus, path));
}
