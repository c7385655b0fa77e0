/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "call.h"
#include "macro.h"

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Call *call = userdata;

        call->is_done = true;
        call->client->is_news = true;
        (void)sd_bus_error_copy(&call->error, sd_bus_message_get_error(m));
        return 1;
}

static int append_option(sd_bus_message *m, const char *key, bool set)
{
        return set ? sd_bus_message_append(m, "{sv}", key, "b", true) : 0;
}

static int make(Call *call, const char *method, const CallOptions *options, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r = sd_bus_path_encode(CLIENT_ROOT "/volume", call->name, &path);

        if (r >= 0)
                r = sd_bus_message_new_method_call(call->client->bus, &m, CLIENT_SERVICE, path,
                                                   CLIENT_VOLUME, method);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_option(m, "lazy", options->lazy);
        if (r >= 0)
                r = append_option(m, "no_block", options->no_block);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                *ret = TAKE_PTR(m);
        return r;
}

int call_start(Call *call, Client *client, const char *name, const char *method,
               const CallOptions *options)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        *call = (Call){ .client = client, .name = name };
        r = make(call, method, options, &m);
        /* wslbared has deadlines of its own, and a person may be typing a password. */
        if (r >= 0)
                r = sd_bus_call_async(client->bus, &call->slot, m, on_reply, call, UINT64_MAX);
        return r < 0 ? client_explain("ask wslbared", r, NULL) : 0;
}

void call_end(Call *call)
{
        call->slot = sd_bus_slot_unref(call->slot);
        sd_bus_error_free(&call->error);
}
