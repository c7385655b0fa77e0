/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "macro.h"
#include "report.h"
#include "text.h"

/* The packet's first byte, so that a report without entries is a packet too. */
#define PACKET_REPORT 'r'

typedef struct ReportKey {
        const char *name;
        char type; /* s, b, i, u, t as in D-Bus; A: as, and H: a(us), an entry each time it is added
                    */
} ReportKey;

static const ReportKey keys[] = {
        /* a failure */
        { "Error", 's' },
        { "Step", 's' },
        { "Errno", 'i' },
        { "Message", 's' },
        { "Warnings", 'A' },
        /* a device */
        { "Node", 's' },
        { "DeviceNumber", 't' },
        { "DiskSequence", 't' },
        { "Content", 'u' },
        { "UUID", 's' },
        { "UUIDSub", 's' }, /* of this one of the devices that it is on */
        { "Label", 's' },
        { "Type", 's' },
        { "Usage", 's' },
        { "Version", 's' },
        { "PartUUID", 's' },
        { "PartLabel", 's' },
        { "DiskGUID", 's' },
        { "Size", 't' },
        { "SectorSize", 'u' },
        { "Clean", 'b' }, /* unmounted; this and the next two only where the superblock tells */
        { "Errors", 'b' },
        { "CheckDue", 'b' },
        { "Checked", 's' }, /* what came of it */
        /* a mount */
        { "MountId", 'i' },
        { "Target", 's' },
        { "MountDevice", 't' }, /* as mountinfo has it */
        { "Options", 's' },
        { "ReadOnly", 'b' },
        { "MadeReadOnly", 'b' },
        { "FilesystemId", 't' },
        { "FilesystemError", 'i' },
        { "Stale", 'b' },
        { "Shared", 's' },
        { "Holders", 'H' }, /* "PID COMMAND" */
        /* an ejection */
        { "Removed", 'b' },
};

typedef struct ReportEntry {
        const ReportKey *key;
        char *value;
} ReportEntry;

struct Report {
        ReportEntry *entries;
        size_t n_entries;
        bool incomplete; /* memory was short */
};

Report *report_new(void)
{
        return calloc(1, sizeof(Report));
}

Report *report_free(Report *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_entries; i++)
                free(r->entries[i].value);
        free(r->entries);
        free(r);
        return NULL;
}

static const ReportKey *find_key(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

/* VALUE is taken. */
static int add_value(Report *r, const char *name, char *value)
{
        const ReportKey *key = find_key(name);
        ReportEntry *entries;

        if (!key || !value) {
                free(value);
                return key ? -ENOMEM : -EBADMSG;
        }
        entries = reallocarray(r->entries, r->n_entries + 1, sizeof(*entries));
        if (!entries) {
                free(value);
                return -ENOMEM;
        }
        r->entries = entries;
        r->entries[r->n_entries++] = (ReportEntry){ key, value };
        return 0;
}

__attribute__((format(printf, 1, 0))) static char *format_value(const char *format, va_list ap)
{
        char *raw = NULL, *shown;

        if (vasprintf(&raw, format, ap) < 0)
                return NULL;
        shown = text_escape(raw, strlen(raw)); /* one raw byte makes a whole message invalid */
        free(raw);
        return shown;
}

void report_add(Report *r, const char *key, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (add_value(r, key, format_value(format, ap)) < 0)
                r->incomplete = true;
        va_end(ap);
}

int report_fail(Report *r, const char *error, FailureStep step, int errnum, const char *format, ...)
{
        va_list ap;

        errnum = errnum < 0 ? -errnum : errnum;
        if (!report_get(r, "Error")) {
                report_add(r, "Error", "%s", error);
                report_add(r, "Step", "%s", failure_step_to_string(step));
                report_add(r, "Errno", "%d", errnum);
                va_start(ap, format);
                if (add_value(r, "Message", format_value(format, ap)) < 0)
                        r->incomplete = true;
                va_end(ap);
        }
        return errnum > 0 ? -errnum : -EIO;
}

const char *report_get(const Report *r, const char *key)
{
        for (size_t i = 0; i < r->n_entries; i++)
                if (streq(r->entries[i].key->name, key))
                        return r->entries[i].value;
        return NULL;
}

int report_send(const Report *r, int fd)
{
        _cleanup_free_ char *packet = malloc(REPORT_SIZE_MAX);
        size_t n = 1;

        if (!packet || r->incomplete)
                return -ENOMEM;
        packet[0] = PACKET_REPORT;
        for (size_t i = 0; i < r->n_entries; i++) {
                const ReportEntry *e = &r->entries[i];
                size_t k = strlen(e->key->name) + 1, v = strlen(e->value) + 1;

                if (n + k + v > REPORT_SIZE_MAX)
                        return -EMSGSIZE;
                memcpy(packet + n, e->key->name, k);
                memcpy(packet + n + k, e->value, v);
                n += k + v;
        }
        if (send(fd, packet, n, MSG_NOSIGNAL) < 0)
                return -errno;
        return 0;
}

static const char *next_string(const char **p, const char *end)
{
        const char *s = *p, *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

        if (nul)
                *p = nul + 1;
        return nul ? s : NULL;
}

int report_parse(const char *data, size_t size, Report **ret)
{
        _cleanup_(report_freep) Report *r = report_new();
        const char *p = data + 1, *end = data + size;

        if (!r)
                return -ENOMEM;
        if (size < 1 || data[0] != PACKET_REPORT)
                return -EBADMSG;
        while (p < end) {
                const char *key = next_string(&p, end);
                const char *value = key ? next_string(&p, end) : NULL;
                int k;

                if (!value)
                        return -EBADMSG;
                k = add_value(r, key, text_escape(value, strlen(value)));
                if (k < 0)
                        return k;
        }
        *ret = TAKE_PTR(r);
        return 0;
}

static int append_holder(sd_bus_message *m, const char *value)
{
        const char *command = strchr(value, ' ');

        return sd_bus_message_append(m, "(us)", (uint32_t)strtoul(value, NULL, 10),
                                     command ? command + 1 : "");
}

static int append_array(const Report *r, const ReportKey *key, sd_bus_message *m)
{
        bool holders = key->type == 'H';
        int k = sd_bus_message_open_container(m, 'v', holders ? "a(us)" : "as");

        if (k >= 0)
                k = sd_bus_message_open_container(m, 'a', holders ? "(us)" : "s");
        for (size_t i = 0; k >= 0 && i < r->n_entries; i++) {
                const char *value = r->entries[i].value;

                if (r->entries[i].key == key)
                        k = holders ? append_holder(m, value)
                                    : sd_bus_message_append(m, "s", value);
        }
        if (k >= 0)
                k = sd_bus_message_close_container(m);
        if (k >= 0)
                k = sd_bus_message_close_container(m);
        return k;
}

static int append_value(const Report *r, const ReportEntry *e, sd_bus_message *m)
{
        switch (e->key->type) {
        case 's':
                return sd_bus_message_append(m, "v", "s", e->value);
        case 'b':
                return sd_bus_message_append(m, "v", "b", streq(e->value, "yes"));
        case 'i':
                return sd_bus_message_append(m, "v", "i", (int32_t)strtol(e->value, NULL, 10));
        case 'u':
                return sd_bus_message_append(m, "v", "u", (uint32_t)strtoul(e->value, NULL, 10));
        case 't':
                return sd_bus_message_append(m, "v", "t", (uint64_t)strtoull(e->value, NULL, 10));
        case 'A':
        case 'H':
                return append_array(r, e->key, m);
        }
        return -EINVAL;
}

static bool seen_before(const Report *r, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (r->entries[k].key == r->entries[i].key)
                        return true;
        return false;
}

int report_append(const Report *r, sd_bus_message *m)
{
        int k = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t i = 0; k >= 0 && i < r->n_entries; i++) {
                if (seen_before(r, i))
                        continue;
                k = sd_bus_message_open_container(m, 'e', "sv");
                if (k >= 0)
                        k = sd_bus_message_append(m, "s", r->entries[i].key->name);
                if (k >= 0)
                        k = append_value(r, &r->entries[i], m);
                if (k >= 0)
                        k = sd_bus_message_close_container(m);
        }
        return k < 0 ? k : sd_bus_message_close_container(m);
}
