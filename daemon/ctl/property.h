/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* The properties of an object as members of a struct, by tables. */

/* Reads one value of M into TARGET: 0, -errno. */
typedef int (*PropertyReader)(sd_bus_message *m, void *target);

typedef struct Property {
        const char *name; /* NULL: the end of the table */
        const char *type;
        PropertyReader read;
        size_t offset; /* of what is read into, in the struct */
} Property;

/* Into a char *, bool, uint32_t, uint64_t, char **. */
int property_read_string(sd_bus_message *m, void *target);
int property_read_bool(sd_bus_message *m, void *target);
int property_read_u32(sd_bus_message *m, void *target);
int property_read_u64(sd_bus_message *m, void *target);
int property_read_strings(sd_bus_message *m, void *target);

/* Reads an a{sv} into the struct TARGET; what the table does not have is passed over. */
int property_read_all(sd_bus_message *m, const Property *properties, void *target);

/* What was not read, as an older wslbared does not have it, is "" where it is a string. */
int property_fill_in(const Property *properties, void *target);

/* An element more, zeroed, of the list, whose address is LIST, of N of SIZE bytes; NULL when out of
 * memory. */
void *property_grow(void *list, size_t *n, size_t size);
