/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus interfaces, without a bus: a connection to ourselves, on which the test also plays the
 * bus driver and polkit. */

#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "bus-manager.h"
#include "bus-volume.h"
#include "bus.h"
#include "gate.h"
#include "macro.h"
#include "manager.h"
#include "test.h"
#include "text.h"

typedef struct World {
        sd_event *event;
        Manager *manager;
        sd_bus *daemon; /* the side with the interfaces */
        sd_bus *caller;
        uint32_t uid;   /* whom the driver says the caller is */
        int polkit;     /* 1 allows, 0 denies, -1 is not there, 2 asks a person, who is out */
        unsigned asked; /* polkit */
        char *action;   /* that polkit was asked for */
} World;

static const char *const reading[] = { "ListVolumes", "GetVolume", "ListDevices", NULL };

static int on_driver(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        World *w = userdata;

        return sd_bus_reply_method_return(m, "u", w->uid);
}

static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        World *w = userdata;
        const char *kind, *action;

        w->asked++;
        ASSERT(sd_bus_message_enter_container(m, 'r', "sa{sv}") > 0);
        ASSERT(sd_bus_message_read(m, "s", &kind) > 0);
        ASSERT_STR(kind, "system-bus-name");
        ASSERT(sd_bus_message_skip(m, "a{sv}") > 0);
        ASSERT(sd_bus_message_exit_container(m) >= 0);
        ASSERT(sd_bus_message_read(m, "s", &action) > 0);
        free(w->action);
        w->action = strdup(action);
        if (w->polkit == 2)
                return 1;
        if (w->polkit < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_SERVICE_UNKNOWN, "no polkit");
        return sd_bus_reply_method_return(m, "(bba{ss})", w->polkit, 0, 0);
}

static const sd_bus_vtable driver_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetConnectionUnixUser", "s", "u", on_driver, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable polkit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_polkit,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static sd_bus *open_end(sd_event *event, int fd, bool server)
{
        sd_bus *bus = NULL;
        sd_id128_t id = { 0 };

        ASSERT(sd_id128_randomize(&id) >= 0);
        ASSERT(sd_bus_new(&bus) >= 0);
        ASSERT(sd_bus_set_fd(bus, fd, fd) >= 0);
        if (server)
                ASSERT(sd_bus_set_server(bus, true, id) >= 0);
        ASSERT(sd_bus_set_anonymous(bus, true) >= 0);
        ASSERT(sd_bus_start(bus) >= 0);
        ASSERT(sd_bus_attach_event(bus, event, 0) >= 0);
        return bus;
}

static void world_open(World *w)
{
        static char dir[4096];
        static const char *dirs[] = { dir, NULL };
        const ManagerOptions options = { .config = { .dirs = dirs, .owner = getuid() },
                                         .records = dir };
        int fds[2];

        *w = (World){ .uid = 1000, .polkit = -1 };
        snprintf(dir, sizeof(dir), "%s", test_directory());
        test_write(dir, "data.conf", "[Match]\nUUID=1\n[Mount]\nWhere=/mnt/data\n");
        test_write(dir, "bad.conf", "[Match]\nUUDI=1\n");
        ASSERT(sd_event_new(&w->event) >= 0);
        ASSERT_OK(manager_new(w->event, &options, &w->manager));
        ASSERT_OK(manager_load(w->manager));

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        w->daemon = open_end(w->event, fds[0], true);
        w->caller = open_end(w->event, fds[1], false);
        ASSERT(bus_manager_publish(w->daemon, w->manager) >= 0);
        ASSERT(bus_volume_publish(w->daemon, w->manager) >= 0);
        ASSERT(sd_bus_add_object_vtable(w->caller, NULL, "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", driver_vtable, w) >= 0);
        ASSERT(sd_bus_add_object_vtable(w->caller, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                        "org.freedesktop.PolicyKit1.Authority", polkit_vtable,
                                        w) >= 0);
        while (sd_event_run(w->event, 0) > 0) /* the round that publishes */
                ;
}

static void world_close(World *w)
{
        free(w->action);
        gate_drop_all(w->manager);
        sd_bus_flush_close_unref(w->caller);
        sd_bus_flush_close_unref(w->daemon);
        manager_free(w->manager);
        sd_event_unref(w->event);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

/* Sends M, and runs both ends until its reply is there. */
static sd_bus_message *call(World *w, sd_bus_message *m)
{
        sd_bus_message *reply = NULL;

        ASSERT(sd_bus_message_set_sender(m, ":1.7") >= 0);
        ASSERT(sd_bus_call_async(w->caller, NULL, m, on_reply, &reply, 0) >= 0);
        for (unsigned i = 0; !reply && i < 1000; i++)
                ASSERT(sd_event_run(w->event, 1000000) >= 0);
        ASSERT(reply);
        sd_bus_message_unref(m);
        return reply;
}

static sd_bus_message *new_call(World *w, const char *interface, const char *member)
{
        bool manager = streq(interface, MANAGER_INTERFACE);
        sd_bus_message *m = NULL;

        /* No mountd is there, and yet it was looked at. */
        volumes_find(manager_volumes(w->manager), "data")->dirty = false;
        ASSERT(sd_bus_message_new_method_call(w->caller, &m, BUS_NAME,
                                              manager ? BUS_ROOT : VOLUME_PREFIX "/data", interface,
                                              member) >= 0);
        return m;
}

static bool is_reading(const char *member)
{
        for (const char *const *r = reading; *r; r++)
                if (streq(*r, member))
                        return true;
        return false;
}

typedef void (*MethodCheck)(World *w, const char *interface, const sd_bus_vtable *method);

/* The vtables themselves say which methods there are, so that a new one cannot be forgotten here.
 */
static unsigned for_each_method(World *w, MethodCheck check)
{
        const struct {
                const char *interface;
                const sd_bus_vtable *vtable;
        } rows[] = {
                { MANAGER_INTERFACE, bus_manager_vtable },
                { VOLUME_INTERFACE, bus_volume_vtable },
        };
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (const sd_bus_vtable *v = rows[i].vtable; v->type != _SD_BUS_VTABLE_END; v++)
                        if (v->type == _SD_BUS_VTABLE_METHOD) {
                                check(w, rows[i].interface, v);
                                n++;
                        }
        return n;
}

static sd_bus_message *call_plainly(World *w, const char *interface, const sd_bus_vtable *method)
{
        sd_bus_message *m = new_call(w, interface, method->x.method.member);
        const char *signature = method->x.method.signature ? method->x.method.signature : "";

        if (streq(signature, "a{sv}"))
                ASSERT(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        else if (streq(signature, "s"))
                ASSERT(sd_bus_message_append(m, "s", "data") >= 0);
        else
                ASSERT_STR(signature, "");
        return call(w, m);
}

static bool is_denied(sd_bus_message *reply)
{
        return sd_bus_message_is_method_error(reply, SD_BUS_ERROR_ACCESS_DENIED) > 0;
}

static void check_denied(World *w, const char *interface, const sd_bus_vtable *method)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        test_row(method->x.method.member);
        ASSERT(method->flags &
               SD_BUS_VTABLE_UNPRIVILEGED); /* else sd-bus refuses before polkit is asked */
        reply = call_plainly(w, interface, method);
        ASSERT_EQ(is_denied(reply), !is_reading(method->x.method.member));
}

static void check_passed(World *w, const char *interface, const sd_bus_vtable *method)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        test_row(method->x.method.member);
        reply = call_plainly(w, interface, method);
        ASSERT(!is_denied(reply));
}

static void test_gate(void)
{
        World w;

        world_open(&w);
        ASSERT(for_each_method(&w, check_denied) >= 8); /* no polkit */
        w.polkit = 0;
        for_each_method(&w, check_denied);
        ASSERT_EQ(w.asked, 2 * 5); /* Reload, Rescan, Mount, Unmount, Eject */
        w.polkit = 1;
        for_each_method(&w, check_passed);
        world_close(&w);
}

static void test_root_needs_no_polkit(void)
{
        World w;

        world_open(&w);
        w.uid = 0;
        for_each_method(&w, check_passed);
        ASSERT_EQ(w.asked, 0);
        world_close(&w);
}

static void test_actions(void)
{
        static const struct {
                const char *interface;
                const char *member;
                const char *action;
        } rows[] = {
                { MANAGER_INTERFACE, "Reload", ACTION_MANAGE },
                { MANAGER_INTERFACE, "Rescan", ACTION_MANAGE },
                { VOLUME_INTERFACE, "Mount", ACTION_MOUNT },
                { VOLUME_INTERFACE, "Unmount", ACTION_UNMOUNT },
                { VOLUME_INTERFACE, "Eject", ACTION_UNMOUNT },
        };
        World w;

        world_open(&w);
        w.polkit = 0;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                sd_bus_message *m = new_call(&w, rows[i].interface, rows[i].member);

                test_row(rows[i].member);
                if (streq(rows[i].interface, VOLUME_INTERFACE))
                        ASSERT(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                reply = call(&w, m);
                ASSERT(is_denied(reply));
                ASSERT_STR(w.action, rows[i].action);
        }
        world_close(&w);
}

static void assert_error(sd_bus_message *reply, const char *name)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        ASSERT_STR(e ? e->name : NULL, name);
}

static void test_errors(void)
{
        static const struct {
                const char *row;
                const char *member;
                const char *option; /* NULL: none */
                const char *error;
        } rows[] = {
                { "absent", "Mount", NULL, BUS_ERROR_PREFIX "DeviceAbsent" },
                { "not mounted", "Unmount", NULL, BUS_ERROR_PREFIX "NotMounted" },
                { "known", "Unmount", "lazy", BUS_ERROR_PREFIX "NotMounted" },
                { "known to both", "Mount", "no_block", BUS_ERROR_PREFIX "DeviceAbsent" },
                { "unknown", "Mount", "lazy", SD_BUS_ERROR_INVALID_ARGS },
                { "unknown", "Unmount", "lazy ", SD_BUS_ERROR_INVALID_ARGS },
                { "absent", "Eject", NULL, BUS_ERROR_PREFIX "DeviceAbsent" },
                { "known", "Eject", "no_block", BUS_ERROR_PREFIX "DeviceAbsent" },
                { "unknown", "Eject", "lazy", SD_BUS_ERROR_INVALID_ARGS },
        };
        World w;

        world_open(&w);
        w.uid = 0;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                sd_bus_message *m = new_call(&w, VOLUME_INTERFACE, rows[i].member);

                test_row(rows[i].row);
                if (rows[i].option)
                        ASSERT(sd_bus_message_append(m, "a{sv}", 1, rows[i].option, "b", 1) >= 0);
                else
                        ASSERT(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                reply = call(&w, m);
                assert_error(reply, rows[i].error);
        }
        world_close(&w);
}

static void test_option_of_wrong_type(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus_message *m;
        World w;

        world_open(&w);
        w.uid = 0;
        m = new_call(&w, VOLUME_INTERFACE, "Unmount");
        ASSERT(sd_bus_message_append(m, "a{sv}", 1, "lazy", "s", "yes") >= 0);
        reply = call(&w, m);
        assert_error(reply, SD_BUS_ERROR_INVALID_ARGS);
        world_close(&w);
}

static int on_refusal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        assert_error(m, SD_BUS_ERROR_LIMITS_EXCEEDED);
        ++*(unsigned *)userdata;
        return 0;
}

static void send_reload(World *w, unsigned client, unsigned *n_refused)
{
        sd_bus_message *m = new_call(w, MANAGER_INTERFACE, "Reload");
        char sender[16];

        snprintf(sender, sizeof(sender), ":1.%u", client);
        ASSERT(sd_bus_message_set_sender(m, sender) >= 0);
        ASSERT(sd_bus_call_async(w->caller, NULL, m, on_refusal, n_refused, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
}

static void run(World *w)
{
        while (sd_event_run(w->event, 0) > 0)
                ;
}

/* Whoever fills the gate, with calls that a person would have to answer, is alone with that. */
static void test_flood_at_the_gate(void)
{
        static const struct {
                const char *row;
                unsigned n, n_clients, n_users;
                unsigned refused;
        } rows[] = {
                { "one connection", GATE_SENDER_MAX + 10, 1, 1, 10 },
                { "one user", GATE_USER_MAX + 10, 20, 1, 10 },
                { "many users", GATE_PENDING_MAX + 10, 100, 10, 10 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
                unsigned refused = 0;
                World w;

                test_row(rows[i].row);
                world_open(&w);
                w.polkit = 2;
                for (unsigned k = 0; k < rows[i].n; k++) {
                        w.uid = 1000 + k % rows[i].n_users;
                        send_reload(&w, 100 + k % rows[i].n_clients, &refused);
                        run(&w);
                }
                ASSERT_EQ(refused, rows[i].refused);
                ASSERT_EQ(w.asked, rows[i].n - rows[i].refused);
                w.uid = 0;
                reply = call(&w, new_call(&w, MANAGER_INTERFACE, "Reload"));
                ASSERT(!sd_bus_message_is_method_error(reply, NULL));
                gate_drop_all(w.manager);
                ASSERT(!*manager_gate(w.manager));
                world_close(&w);
        }
}

/* What is mounted somewhere may have a name that no message can hold. */
static void test_error_with_any_text(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)bus_error(&error, "MountFailed", "\x1b[2J\xff (fuse) is mounted, \xc3\xa4");
        ASSERT_STR(error.name, BUS_ERROR_PREFIX "MountFailed");
        ASSERT_STR(error.message, "\\x1b[2J\\xff (fuse) is mounted, \xc3\xa4");
}

/* What is told while there is no bus is not kept. */
static void test_no_bus(void)
{
        _cleanup_free_ char *address = text_format("unix:path=%s/nothing", test_directory());
        World w;
        Bus *b;

        world_open(&w);
        ASSERT_OK(bus_new(w.manager, &b));
        ASSERT_OK(bus_set_address(b, address));
        bus_start(b);
        run(&w);
        ASSERT(!bus_connection(b));
        bus_free(b);
        world_close(&w);
}

static char *introspect(World *w, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus_message *m = NULL;
        const char *xml;

        ASSERT(sd_bus_message_new_method_call(w->caller, &m, BUS_NAME, path,
                                              "org.freedesktop.DBus.Introspectable",
                                              "Introspect") >= 0);
        reply = call(w, m);
        ASSERT(sd_bus_message_read(reply, "s", &xml) > 0);
        return strdup(xml);
}

/* What is installed for programs to generate code from is what is there. */
static void test_xml(void)
{
        const struct {
                const char *interface;
                const char *path;
        } rows[] = {
                { MANAGER_INTERFACE, BUS_ROOT },
                { VOLUME_INTERFACE, VOLUME_PREFIX "/data" },
        };
        World w;

        world_open(&w);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *live = introspect(&w, rows[i].path),
                                    *open = text_format(" <interface name=\"%s\">",
                                                        rows[i].interface),
                                    *file = text_format("%s/conf/%s.xml", SOURCE_ROOT,
                                                        rows[i].interface);
                char text[16384] = "";
                char *from = strstr(live, open),
                     *to = from ? strstr(from, " </interface>\n") : NULL;
                FILE *f = fopen(file, "re");

                test_row(rows[i].interface);
                ASSERT(from && to);
                to[strlen(" </interface>\n")] = '\0';
                if (!f)
                        printf("# %s is missing; it would hold:\n%s", file, from);
                ASSERT(f);
                (void)fread(text, 1, sizeof(text) - 1, f);
                fclose(f);
                ASSERT_CONTAINS(text, from);
        }
        world_close(&w);
}

TEST_MAIN(TEST(gate), TEST(root_needs_no_polkit), TEST(actions), TEST(errors),
          TEST(option_of_wrong_type), TEST(flood_at_the_gate), TEST(error_with_any_text),
          TEST(no_bus), TEST(xml))
