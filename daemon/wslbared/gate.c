/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "gate.h"
#include "log.h"
#include "macro.h"
#include "manager.h"

#define POLKIT_SERVICE "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_INTERACTION 1U
/* A person has to type a password; polkit's own agents give up sooner. */
#define POLKIT_TIMEOUT_USEC (5 * 60 * USEC_PER_SEC)

struct GateCall {
        Manager *manager;
        sd_bus_message *message;
        sd_bus_slot *slot; /* of the question that is asked now */
        const char *action;
        char *volume;
        GateMethod method;
        bool at_polkit;
        uint32_t uid; /* once it is AT_POLKIT */
        GateCall *next;
};

static GateCall *call_free(GateCall *c)
{
        if (!c)
                return NULL;
        sd_bus_slot_unref(c->slot);
        sd_bus_message_unref(c->message);
        free(c->volume);
        free(c);
        return NULL;
}

DEFINE_CLEANUP(GateCall *, call_free)

static void unlink_call(GateCall *c)
{
        for (GateCall **p = manager_gate(c->manager); *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        return;
                }
}

static bool has_enough(Manager *m, const char *sender)
{
        unsigned n = 0;

        for (GateCall *c = *manager_gate(m); c; c = c->next)
                n += streq_ptr(sd_bus_message_get_sender(c->message), sender);
        return n >= GATE_SENDER_MAX;
}

/* Nobody else's calls stand in the way of root's, which do not wait here. */
static bool is_crowded(Manager *m, uint32_t uid)
{
        unsigned n = 0, n_user = 0;

        for (GateCall *c = *manager_gate(m); c; c = c->next) {
                n += c->at_polkit;
                n_user += c->at_polkit && c->uid == uid;
        }
        return n >= GATE_PENDING_MAX || n_user >= GATE_USER_MAX;
}

static void refuse(GateCall *c)
{
        log_debug("Refused %s.%s to %s", sd_bus_message_get_interface(c->message),
                  sd_bus_message_get_member(c->message), sd_bus_message_get_sender(c->message));
        (void)sd_bus_reply_method_errorf(c->message, SD_BUS_ERROR_ACCESS_DENIED,
                                         "Only root may do this, or who polkit says may %s",
                                         c->action);
}

static void refuse_crowd(GateCall *c)
{
        (void)sd_bus_reply_method_errorf(c->message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "Too many calls wait already");
}

static void pass(GateCall *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_message_rewind(c->message, true);

        if (r >= 0)
                r = c->method(c->message, c->manager, &error);
        if (sd_bus_error_is_set(&error))
                (void)sd_bus_reply_method_error(c->message, &error);
        else if (r < 0)
                (void)sd_bus_reply_method_errno(c->message, r, NULL);
}

static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(call_freep) GateCall *c = userdata;
        int allowed = false;

        unlink_call(c);
        if (!sd_bus_message_is_method_error(m, NULL) &&
            sd_bus_message_enter_container(m, 'r', "bba{ss}") > 0)
                (void)sd_bus_message_read(m, "b", &allowed);
        if (allowed)
                pass(c);
        else
                refuse(c);
        return 0;
}

static int ask_polkit(GateCall *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = sd_bus_message_get_bus(c->message);
        uint32_t flags = 0;
        int r;

        if (sd_bus_message_get_allow_interactive_authorization(c->message) > 0)
                flags |= POLKIT_ALLOW_INTERACTION;
        r = sd_bus_message_new_method_call(bus, &m, POLKIT_SERVICE, POLKIT_PATH, POLKIT_INTERFACE,
                                           "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(c->message), c->action);
        if (r >= 0 && c->volume)
                r = sd_bus_message_append(m, "a{ss}", 1, "volume", c->volume);
        else if (r >= 0)
                r = sd_bus_message_append(m, "a{ss}", 0);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", flags, "");
        c->slot = sd_bus_slot_unref(c->slot);
        return r < 0 ? r : sd_bus_call_async(bus, &c->slot, m, on_polkit, c, POLKIT_TIMEOUT_USEC);
}

static int on_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        GateCall *c = userdata;
        uint32_t uid = UINT32_MAX;
        bool crowded;

        if (!sd_bus_message_is_method_error(m, NULL))
                (void)sd_bus_message_read(m, "u", &uid);
        crowded = uid != 0 && is_crowded(c->manager, uid);
        c->uid = uid;
        c->at_polkit = uid != 0 && !crowded && ask_polkit(c) >= 0;
        if (c->at_polkit)
                return 0;
        unlink_call(c);
        if (uid == 0)
                pass(c);
        else if (crowded)
                refuse_crowd(c);
        else
                refuse(c);
        call_free(c);
        return 0;
}

int gate_enter(sd_bus_message *m, Manager *manager, const char *action, const char *volume,
               GateMethod method, sd_bus_error *error)
{
        _cleanup_(call_freep) GateCall *c = NULL;
        int r;

        if (has_enough(manager, sd_bus_message_get_sender(m)))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many calls wait already");
        c = calloc(1, sizeof(*c));
        if (!c || (volume && !(c->volume = strdup(volume))))
                return -ENOMEM;
        c->manager = manager;
        c->message = sd_bus_message_ref(m);
        c->action = action;
        c->method = method;
        /* Asked for, and not taken from the message: what a message says of its sender is not
         * proven. */
        r = sd_bus_call_method_async(sd_bus_message_get_bus(m), &c->slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "GetConnectionUnixUser", on_user, c, "s",
                                     sd_bus_message_get_sender(m));
        if (r < 0)
                return r;
        c->next = *manager_gate(manager);
        *manager_gate(manager) = c;
        TAKE_PTR(c);
        return 1;
}

void gate_drop_all(Manager *manager)
{
        GateCall **head = manager_gate(manager);

        while (*head) {
                GateCall *c = *head;

                *head = c->next;
                call_free(c);
        }
}
