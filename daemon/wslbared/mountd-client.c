/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>

#include "log.h"
#include "macro.h"
#include "mountd-client.h"
#include "text.h"

#define MOUNTD_PATH "/org/wslbare1/mountd"
#define MOUNTD_INTERFACE "org.wslbare1.Mountd"
#define ERROR_PREFIX "org.wslbare1.Error."

/* mountd ends every request by its own deadline; this is for a mountd that does not. */
#define CALL_GRACE_USEC (30 * USEC_PER_SEC)
#define CALL_TIMEOUT_USEC (120 * USEC_PER_SEC)

/* The first pause before connecting again, doubling to the last. PID 1 holds the socket, so that
 * even a mountd that has to be started first takes the first attempt. */
#define RECONNECT_MIN_USEC (20 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (5 * USEC_PER_SEC)

/* PID 1 starts it within a moment; what takes longer than this is not going to be soon. */
#define PATIENCE_USEC (10 * USEC_PER_SEC)

struct MountdClient {
        sd_event *event;
        MountdClientHandler handler;
        sd_bus *bus;
        sd_event_source *reconnect;
        sd_event_source *patience; /* while it is not connected, and not away yet */
        uint64_t patience_usec;
        bool is_away;
        uint64_t pause_usec;
        bool persistent; /* connects again */
        bool connected;  /* and mountinfo is there */
        bool complained; /* that it cannot be connected: once is enough */
};

struct MountdCall {
        sd_bus_slot *slot;
        MountdCallback callback;
        void *userdata;
};

MountdHolder *mountd_holders_free(MountdHolder *holders, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(holders[i].command);
        free(holders);
        return NULL;
}

MountdHolder *mountd_result_take_holders(MountdResult *r, size_t *ret_n)
{
        *ret_n = r->n_holders;
        r->n_holders = 0;
        return TAKE_PTR(r->holders);
}

static void result_done(MountdResult *r)
{
        char **const strings[] = { &r->error,      &r->message,   &r->node,   &r->uuid,
                                   &r->uuid_sub,   &r->label,     &r->type,   &r->part_uuid,
                                   &r->part_label, &r->disk_guid, &r->target, &r->options,
                                   &r->shared,     &r->checked };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(*strings[i]);
        strv_free(r->warnings);
        mountd_holders_free(r->holders, r->n_holders);
}

static int read_string(sd_bus_message *m, char **ret)
{
        const char *s;
        int r = sd_bus_message_read(m, "v", "s", &s);

        if (r < 0)
                return r;
        free(*ret);
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int read_warnings(sd_bus_message *m, char ***ret)
{
        int r = sd_bus_message_enter_container(m, 'v', "as");

        strv_free(*ret);
        *ret = NULL;
        if (r >= 0)
                r = sd_bus_message_read_strv(m, ret);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_holder(sd_bus_message *m, MountdResult *r)
{
        MountdHolder *grown = reallocarray(r->holders, r->n_holders + 1, sizeof(*grown));
        const char *command;
        uint32_t pid;
        int k;

        if (!grown)
                return -ENOMEM;
        r->holders = grown;
        k = sd_bus_message_read(m, "(us)", &pid, &command);
        if (k <= 0)
                return k;
        grown[r->n_holders] = (MountdHolder){ pid, strdup(command) };
        if (!grown[r->n_holders].command)
                return -ENOMEM;
        r->n_holders++;
        return 1;
}

static int read_holders(sd_bus_message *m, MountdResult *r)
{
        int k = sd_bus_message_enter_container(m, 'v', "a(us)");

        if (k >= 0)
                k = sd_bus_message_enter_container(m, 'a', "(us)");
        if (k >= 0)
                do
                        k = read_holder(m, r);
                while (k > 0);
        if (k >= 0)
                k = sd_bus_message_exit_container(m);
        return k < 0 ? k : sd_bus_message_exit_container(m);
}

static int read_flag(sd_bus_message *m, bool *ret)
{
        int b, r = sd_bus_message_read(m, "v", "b", &b);

        if (r >= 0)
                *ret = b;
        return r;
}

static int read_step(sd_bus_message *m, FailureStep *ret)
{
        const char *s;
        int r = sd_bus_message_read(m, "v", "s", &s);

        if (r >= 0)
                *ret = failure_step_from_string(s);
        return r;
}

static int read_value(sd_bus_message *m, const char *key, MountdResult *r)
{
        const struct {
                const char *key;
                char **field;
        } strings[] = {
                { "Error", &r->error },
                { "Message", &r->message },
                { "Node", &r->node },
                { "UUID", &r->uuid },
                { "UUIDSub", &r->uuid_sub },
                { "Label", &r->label },
                { "Type", &r->type },
                { "PartUUID", &r->part_uuid },
                { "PartLabel", &r->part_label },
                { "DiskGUID", &r->disk_guid },
                { "Target", &r->target },
                { "Options", &r->options },
                { "Shared", &r->shared },
                { "Checked", &r->checked },
        };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                if (streq(key, strings[i].key))
                        return read_string(m, strings[i].field);
        if (streq(key, "Warnings"))
                return read_warnings(m, &r->warnings);
        if (streq(key, "Holders"))
                return read_holders(m, r);
        if (streq(key, "Step"))
                return read_step(m, &r->step);
        if (streq(key, "Errno"))
                return sd_bus_message_read(m, "v", "i", &r->errnum);
        if (streq(key, "MountId"))
                return sd_bus_message_read(m, "v", "i", &r->mount_id);
        if (streq(key, "DeviceNumber"))
                return sd_bus_message_read(m, "v", "t", &r->devnum);
        if (streq(key, "DiskSequence"))
                return sd_bus_message_read(m, "v", "t", &r->diskseq);
        if (streq(key, "MountDevice"))
                return sd_bus_message_read(m, "v", "t", &r->mount_devnum);
        if (streq(key, "Content"))
                return sd_bus_message_read(m, "v", "u", &r->content);
        if (streq(key, "FilesystemId"))
                return sd_bus_message_read(m, "v", "t", &r->fsid);
        if (streq(key, "FilesystemError"))
                return sd_bus_message_read(m, "v", "i", &r->fs_error);
        if (streq(key, "ReadOnly"))
                return read_flag(m, &r->read_only);
        if (streq(key, "MadeReadOnly"))
                return read_flag(m, &r->made_read_only);
        if (streq(key, "Stale"))
                return read_flag(m, &r->stale);
        if (streq(key, "Removed"))
                return read_flag(m, &r->removed);
        return sd_bus_message_skip(m, "v");
}

static int read_result(sd_bus_message *m, MountdResult *ret)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0) {
                const char *key;

                r = sd_bus_message_enter_container(m, 'e', "sv");
                if (r <= 0)
                        break;
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = read_value(m, key, ret);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool is_lost(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED);
}

static void read_error(const sd_bus_error *e, MountdResult *r)
{
        const char *name = e->name;

        r->lost = is_lost(e);
        if (startswith(name, ERROR_PREFIX))
                name += sizeof(ERROR_PREFIX) - 1;
        r->error = strdup(name);
        r->message = e->message ? strdup(e->message) : NULL;
        r->errnum = sd_bus_error_get_errno(e);
        r->step = STEP_MOUNT;
        if (streq(name, "ConfigInvalid") || streq(name, "NoSuchVolume"))
                r->step = STEP_CONFIG;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        MountdCall *call = userdata;
        _cleanup_(result_done) MountdResult result = { 0 };
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                read_error(e, &result);
        else if (read_result(m, &result) < 0) {
                result_done(&result); /* what was understood of it is not believed either */
                result = (MountdResult){ 0 };
                result.error = strdup("MountFailed");
                result.message = strdup("wslbare-mountd gave an answer that cannot be understood");
                result.errnum = EBADMSG;
                result.step = STEP_MOUNT;
        }
        call->callback(&result, call->userdata);
        return 0;
}

MountdCall *mountd_call_free(MountdCall *call)
{
        if (!call)
                return NULL;
        sd_bus_slot_unref(call->slot);
        free(call);
        return NULL;
}

static int new_message(MountdClient *c, const char *method, sd_bus_message **ret)
{
        if (!c->connected)
                return -ENOTCONN;
        return sd_bus_message_new_method_call(c->bus, ret, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                              method);
}

static int send_call(MountdClient *c, sd_bus_message *m, uint64_t timeout_usec,
                     MountdCallback callback, void *userdata, MountdCall **ret)
{
        MountdCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        call->callback = callback;
        call->userdata = userdata;
        r = sd_bus_call_async(c->bus, &call->slot, m, on_reply, call, timeout_usec);
        if (r < 0) {
                mountd_call_free(call);
                return r;
        }
        *ret = call;
        return 0;
}

int mountd_client_probe(MountdClient *c, dev_t devnum, uint64_t diskseq, MountdCallback callback,
                        void *userdata, MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "Probe", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "tt", (uint64_t)devnum, diskseq);
        return r < 0 ? r : send_call(c, m, CALL_TIMEOUT_USEC, callback, userdata, ret);
}

int mountd_client_mount(MountdClient *c, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                        MountdCallback callback, void *userdata, MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "Mount", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "stts", config->name, (uint64_t)devnum, diskseq,
                                          config->fingerprint);
        /* The time is for what is before the check, for that, and for what is after it, each. */
        return r < 0 ? r
                     : send_call(c, m, 3 * config->mount_timeout_usec + CALL_GRACE_USEC, callback,
                                 userdata, ret);
}

int mountd_client_adopt(MountdClient *c, const VolumeConfig *config, dev_t devnum, uint64_t diskseq,
                        MountdCallback callback, void *userdata, MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "Adopt", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "stt", config->name, (uint64_t)devnum, diskseq);
        return r < 0 ? r
                     : send_call(c, m, config->mount_timeout_usec + CALL_GRACE_USEC, callback,
                                 userdata, ret);
}

int mountd_client_unmount(MountdClient *c, const char *name, bool lazy, MountdCallback callback,
                          void *userdata, MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "Unmount", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sb", name, lazy);
        return r < 0 ? r : send_call(c, m, CALL_TIMEOUT_USEC, callback, userdata, ret);
}

int mountd_client_eject(MountdClient *c, const char *name, MountdCallback callback, void *userdata,
                        MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "Eject", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        return r < 0 ? r : send_call(c, m, CALL_TIMEOUT_USEC, callback, userdata, ret);
}

int mountd_client_set_target(MountdClient *c, const char *name, bool active,
                             MountdCallback callback, void *userdata, MountdCall **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = new_message(c, "SetTarget", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sb", name, active);
        return r < 0 ? r : send_call(c, m, CALL_TIMEOUT_USEC, callback, userdata, ret);
}

/* The connection. */

static void connect_later(MountdClient *c);

static void complain(MountdClient *c, const char *what)
{
        if (!c->complained)
                log_warning("Cannot connect to wslbare-mountd at %s: %s; `systemctl status "
                            "wslbare-mountd.socket wslbare-mountd.service` may say why. Trying on",
                            MOUNTD_SOCKET, what);
        c->complained = true;
}

static int on_patience(sd_event_source *s, uint64_t usec, void *userdata)
{
        MountdClient *c = userdata;

        c->patience = sd_event_source_disable_unref(c->patience);
        c->is_away = true;
        c->handler.away(c->handler.userdata);
        return 0;
}

static void begin_to_wait(MountdClient *c)
{
        int r = sd_event_add_time_relative(c->event, &c->patience, CLOCK_MONOTONIC,
                                           c->patience_usec, 0, on_patience, c);

        if (r < 0)
                (void)log_error(r, "Cannot set a timer: %s", strerror(-r));
}

static void disconnect(MountdClient *c)
{
        bool was_connected = c->connected;

        c->connected = false;
        c->bus = sd_bus_close_unref(c->bus);
        if (was_connected) {
                begin_to_wait(c);
                c->handler.disconnected(c->handler.userdata);
        }
        if (c->persistent)
                connect_later(c);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        disconnect(userdata);
        return 0;
}

static int on_mountinfo(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        MountdClient *c = userdata;
        int fd, own;

        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "h", &fd) < 0) {
                complain(c, "gave no view of the mounts");
                disconnect(c);
                return 0;
        }
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0) {
                complain(c, strerror(errno));
                disconnect(c);
                return 0;
        }
        c->connected = true;
        c->is_away = false;
        c->patience = sd_event_source_disable_unref(c->patience);
        c->complained = false;
        c->pause_usec = RECONNECT_MIN_USEC;
        c->handler.connected(own, c->handler.userdata);
        return 0;
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        MountdClient *c = userdata;
        const char *name, *step;

        if (sd_bus_message_read(m, "ss", &name, &step) >= 0)
                c->handler.progress(name, failure_step_from_string(step), c->handler.userdata);
        return 0;
}

static int on_percent(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        MountdClient *c = userdata;
        const char *name;
        uint32_t percent;

        if (sd_bus_message_read(m, "su", &name, &percent) >= 0 && percent <= 100)
                c->handler.percent(name, percent, c->handler.userdata);
        return 0;
}

static int on_trouble(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        MountdClient *c = userdata;
        uint64_t fsid;
        int32_t errnum;

        if (sd_bus_message_read(m, "ti", &fsid, &errnum) >= 0)
                c->handler.trouble(fsid, errnum, c->handler.userdata);
        return 0;
}

static int start_bus(MountdClient *c, sd_bus *bus)
{
        int r = sd_bus_negotiate_fds(bus, true);

        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, c);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Progress",
                                        on_progress, c);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Percent",
                                        on_percent, c);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE, "Trouble",
                                        on_trouble, c);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, c->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_call_method_async(bus, NULL, NULL, MOUNTD_PATH, MOUNTD_INTERFACE,
                                             "Mountinfo", on_mountinfo, c, "");
        if (r >= 0)
                c->bus = sd_bus_ref(bus);
        return r;
}

static int connect_now(MountdClient *c)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_description(bus, "mountd");
        if (r >= 0)
                r = sd_bus_set_address(bus, "unix:path=" MOUNTD_SOCKET);
        return r < 0 ? r : start_bus(c, bus);
}

static void try_to_connect(MountdClient *c);

static int on_reconnect(sd_event_source *s, uint64_t usec, void *userdata)
{
        MountdClient *c = userdata;

        c->reconnect = sd_event_source_unref(c->reconnect);
        try_to_connect(c);
        return 0;
}

static void connect_later(MountdClient *c)
{
        int r = sd_event_add_time_relative(c->event, &c->reconnect, CLOCK_MONOTONIC, c->pause_usec,
                                           USEC_PER_MSEC, on_reconnect, c);

        c->pause_usec *= 2;
        if (c->pause_usec > RECONNECT_MAX_USEC)
                c->pause_usec = RECONNECT_MAX_USEC;
        if (r < 0)
                (void)log_error(r, "Cannot connect to wslbare-mountd again: %s", strerror(-r));
}

static void try_to_connect(MountdClient *c)
{
        int r = connect_now(c);

        if (r >= 0)
                return;
        complain(c, strerror(-r));
        connect_later(c);
}

void mountd_client_connect(MountdClient *c)
{
        c->persistent = true;
        begin_to_wait(c);
        try_to_connect(c);
}

int mountd_client_attach(MountdClient *c, int fd)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        return start_bus(c, bus);
}

bool mountd_client_is_connected(const MountdClient *c)
{
        return c->connected;
}

bool mountd_client_is_away(const MountdClient *c)
{
        return c->is_away;
}

void mountd_client_set_patience(MountdClient *c, uint64_t usec)
{
        c->patience_usec = usec;
}

int mountd_client_new(sd_event *event, const MountdClientHandler *handler, MountdClient **ret)
{
        MountdClient *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->event = sd_event_ref(event);
        c->handler = *handler;
        c->pause_usec = RECONNECT_MIN_USEC;
        c->patience_usec = PATIENCE_USEC;
        *ret = c;
        return 0;
}

MountdClient *mountd_client_free(MountdClient *c)
{
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->reconnect);
        sd_event_source_disable_unref(c->patience);
        sd_bus_close_unref(c->bus);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}
