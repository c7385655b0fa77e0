/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "bus-manager.h"
#include "bus-volume.h"
#include "bus.h"
#include "gate.h"
#include "log.h"
#include "macro.h"
#include "text.h"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define RECONNECT_MIN_USEC (100 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (5 * USEC_PER_SEC)

struct Bus {
        Manager *manager;
        char *address;
        sd_bus *connection;
        sd_event_source *reconnect;
        uint64_t pause_usec;
        bool complained; /* that the name cannot be had: once is enough */
};

sd_bus *bus_connection(const Bus *b)
{
        /* While it waits for the bus, it would keep all that it is told. */
        return b && sd_bus_is_ready(b->connection) > 0 ? b->connection : NULL;
}

int bus_error(sd_bus_error *error, const char *name, const char *message)
{
        _cleanup_free_ char *shown = text_escape(message, strlen(message));
        char full[128];

        (void)snprintf(full, sizeof(full), BUS_ERROR_PREFIX "%s", name);
        return sd_bus_error_set(error, full, shown);
}

static int on_reconnect(sd_event_source *s, uint64_t usec, void *userdata)
{
        Bus *b = userdata;

        b->reconnect = sd_event_source_disable_unref(b->reconnect);
        bus_start(b);
        return 0;
}

static void connect_later(Bus *b)
{
        int r = sd_event_add_time_relative(manager_event(b->manager), &b->reconnect,
                                           CLOCK_MONOTONIC, b->pause_usec, 0, on_reconnect, b);

        b->pause_usec *= 2;
        if (b->pause_usec > RECONNECT_MAX_USEC)
                b->pause_usec = RECONNECT_MAX_USEC;
        if (r < 0)
                (void)log_error(r, "Cannot connect to the system bus again: %s", strerror(-r));
}

static void drop(Bus *b)
{
        gate_drop_all(b->manager);
        b->connection = sd_bus_close_unref(b->connection);
        connect_later(b);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        log_notice("The system bus went away; connecting again when it is back");
        drop(userdata);
        return 0;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *b = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        uint32_t result = 0;

        if (!e)
                (void)sd_bus_message_read(m, "u", &result);
        if (result == 1) {
                b->pause_usec = RECONNECT_MIN_USEC;
                log_debug("Took the name %s", BUS_NAME);
                b->complained = false;
                return 0;
        }
        /* The policy may have been installed just now, and the bus not know it yet. */
        if (!b->complained)
                log_warning("Cannot take the name %s on the system bus: %s; trying on", BUS_NAME,
                            e ? e->message : "somebody else has it; is another wslbared running?");
        b->complained = true;
        drop(b);
        return 0;
}

static int set_up(Bus *b, sd_bus *connection)
{
        int r = sd_bus_set_description(connection, "system");

        if (r >= 0)
                r = sd_bus_set_address(connection, b->address ? b->address : SYSTEM_BUS_ADDRESS);
        if (r >= 0)
                r = sd_bus_set_bus_client(connection, true);
        /* Where there is no socket yet, it waits for it. */
        if (r >= 0)
                r = sd_bus_set_watch_bind(connection, true);
        if (r >= 0)
                r = sd_bus_match_signal(connection, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, b);
        if (r >= 0)
                r = bus_manager_publish(connection, b->manager);
        if (r >= 0)
                r = bus_volume_publish(connection, b->manager);
        if (r >= 0)
                r = sd_bus_start(connection);
        if (r >= 0)
                r = sd_bus_request_name_async(connection, NULL, BUS_NAME, 0, on_name, b);
        /* After the round: whoever floods us with calls delays answers, and never a mount. */
        if (r >= 0)
                r = sd_bus_attach_event(connection, manager_event(b->manager),
                                        SD_EVENT_PRIORITY_IDLE + 10);
        return r;
}

void bus_start(Bus *b)
{
        _cleanup_(sd_bus_unrefp) sd_bus *connection = NULL;
        int r = sd_bus_new(&connection);

        if (r >= 0)
                r = set_up(b, connection);
        if (r < 0) {
                log_full(LOG_DEBUG, r, NULL, "Cannot connect to the system bus: %s", strerror(-r));
                connect_later(b);
                return;
        }
        b->connection = TAKE_PTR(connection);
}

int bus_set_address(Bus *b, const char *address)
{
        free(b->address);
        b->address = strdup(address);
        return b->address ? 0 : -ENOMEM;
}

int bus_new(Manager *m, Bus **ret)
{
        Bus *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        b->manager = m;
        b->pause_usec = RECONNECT_MIN_USEC;
        *ret = b;
        return 0;
}

Bus *bus_free(Bus *b)
{
        if (!b)
                return NULL;
        sd_event_source_disable_unref(b->reconnect);
        sd_bus_flush_close_unref(b->connection);
        free(b->address);
        free(b);
        return NULL;
}
