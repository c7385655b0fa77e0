/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "client.h"
#include "config.h"
#include "macro.h"
#include "term.h"
#include "text.h"

#define ERROR_PREFIX "org.wslbare1.Error."

bool client_is_absence(const sd_bus_error *error)
{
        /* Starting again, it may take the question with it. */
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
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
