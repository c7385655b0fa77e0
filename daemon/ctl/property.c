/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "macro.h"
#include "property.h"
#include "text.h"

int property_read_string(sd_bus_message *m, void *target)
{
        const char *s;
        int r = sd_bus_message_read(m, "s", &s);

        if (r < 0)
                return r;
        free(*(char **)target);
        *(char **)target = strdup(s);
        return *(char **)target ? 0 : -ENOMEM;
}

int property_read_bool(sd_bus_message *m, void *target)
{
        int b, r = sd_bus_message_read(m, "b", &b);

        if (r >= 0)
                *(bool *)target = b;
        return r;
}

int property_read_u32(sd_bus_message *m, void *target)
{
        return sd_bus_message_read(m, "u", target);
}

int property_read_u64(sd_bus_message *m, void *target)
{
        return sd_bus_message_read(m, "t", target);
}

int property_read_strings(sd_bus_message *m, void *target)
{
        return sd_bus_message_read_strv(m, target);
}

void *property_grow(void *list, size_t *n, size_t size)
{
        char **items = list, *grown = reallocarray(*items, *n + 1, size);

        if (!grown)
                return NULL;
        *items = grown;
        return memset(grown + (*n)++ * size, 0, size);
}

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

int property_read_all(sd_bus_message *m, const Property *properties, void *target)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(m, properties, target);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int property_fill_in(const Property *properties, void *target)
{
        for (const Property *p = properties; p->name; p++) {
                char **s = (void *)((char *)target + p->offset);

                if (p->read == property_read_string && !*s && !(*s = strdup("")))
                        return -ENOMEM;
        }
        return 0;
}
