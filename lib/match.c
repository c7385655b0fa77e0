/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fnmatch.h>
#include <strings.h>

#include "macro.h"
#include "match.h"
#include "text.h"

typedef enum MatchSource {
        MATCH_SOURCE_CONTENT,  /* what the superblock says */
        MATCH_SOURCE_TABLE,    /* the partition table */
        MATCH_SOURCE_HARDWARE, /* the disk, udev */
} MatchSource;

typedef struct MatchKey {
        const char *name;
        size_t wanted; /* offset of the string in Match */
        size_t actual; /* and in Device */
        MatchSource source;
} MatchKey;

static const MatchKey keys[] = {
        { "UUID", offsetof(Match, uuid), offsetof(Device, uuid), MATCH_SOURCE_CONTENT },
        { "Label", offsetof(Match, label), offsetof(Device, label), MATCH_SOURCE_CONTENT },
        { "Type", offsetof(Match, type), offsetof(Device, type), MATCH_SOURCE_CONTENT },
        { "PartUUID", offsetof(Match, part_uuid), offsetof(Device, part_uuid), MATCH_SOURCE_TABLE },
        { "PartLabel", offsetof(Match, part_label), offsetof(Device, part_label),
          MATCH_SOURCE_TABLE },
        { "DiskGUID", offsetof(Match, disk_guid), offsetof(Device, disk_guid), MATCH_SOURCE_TABLE },
        { "Serial", offsetof(Match, serial), offsetof(Device, serial), MATCH_SOURCE_HARDWARE },
        { "WWN", offsetof(Match, wwn), offsetof(Device, wwn), MATCH_SOURCE_HARDWARE },
};

static const char *string_at(const void *base, size_t offset)
{
        return *(char *const *)(const void *)((const char *)base + offset);
}

static bool key_holds(const MatchKey *k, const Match *m, const Device *d)
{
        const char *wanted = string_at(m, k->wanted), *actual = string_at(d, k->actual);

        return !wanted || (actual && streq(wanted, actual));
}

static bool by_id_holds(const Match *m, const Device *d)
{
        if (!m->by_id)
                return true;
        for (char **name = d->by_id; name && *name; name++)
                if (fnmatch(m->by_id, *name, 0) == 0)
                        return true;
        return false;
}

bool match_device(const Match *m, const Device *d, const char **ret_key)
{
        const char *key = NULL;

        for (size_t i = 0; !key && i < ELEMENTSOF(keys); i++)
                if (!key_holds(&keys[i], m, d))
                        key = keys[i].name;
        if (!key && !by_id_holds(m, d))
                key = "ById";

        if (key && ret_key)
                *ret_key = key;
        return !key;
}

bool match_device_but_content(const Match *m, const Device *d)
{
        if (d->content != DEVICE_CONTENT_UNKNOWN && d->content != DEVICE_CONTENT_AMBIVALENT)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i].source != MATCH_SOURCE_CONTENT && !key_holds(&keys[i], m, d))
                        return false;
        return by_id_holds(m, d);
}

/* Whether the key may turn out to hold. */
static bool key_may_hold(const MatchKey *k, const Match *m, const Device *d)
{
        bool is_known = k->source == MATCH_SOURCE_HARDWARE || string_at(d, k->actual);

        return (!is_known && (k->source == MATCH_SOURCE_CONTENT || d->is_partition)) ||
               key_holds(k, m, d);
}

static bool is_only_a_table(const Device *d)
{
        return d->content == DEVICE_CONTENT_NONE && !d->is_partition && d->outer == 0 &&
               d->disk_guid;
}

bool match_fits(const Match *m, const Device *d)
{
        if (!d->ready || d->size == 0 || is_only_a_table(d))
                return false;
        return match_device(m, d, NULL) ||
               (match_is_by_hardware(m) && match_device_but_content(m, d));
}

bool match_device_unseen(const Match *m, const Device *d)
{
        if (d->content != DEVICE_CONTENT_UNKNOWN)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (!key_may_hold(&keys[i], m, d))
                        return false;
        return by_id_holds(m, d);
}

bool match_is_by_hardware(const Match *m)
{
        return m->part_uuid || m->part_label || m->disk_guid || m->serial || m->wwn || m->by_id;
}

const char *match_confused_key(const Match *m, const Device *d)
{
        const struct {
                const char *key;
                const char *actual;
                const char *wanted;
        } rows[] = {
                { "PartUUID", d->part_uuid, m->part_uuid },
                { "DiskGUID", d->disk_guid, m->disk_guid },
                { "UUID", d->uuid, m->uuid },
        };
        const char *const given[] = { m->uuid, m->part_uuid, m->disk_guid };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (size_t k = 0; k < ELEMENTSOF(given); k++)
                        if (rows[i].actual && given[k] && given[k] != rows[i].wanted &&
                            streq(rows[i].actual, given[k]))
                                return rows[i].key;
        return NULL;
}

char *match_explain(const Match *m, const Device *d)
{
        const char *key = match_confused_key(m, d), *wanted = m->by_id, *actual = NULL;

        if (key)
                return text_format("what [Match] gives is its %s, so write %s= there", key, key);
        if (match_device(m, d, &key))
                return strdup(is_only_a_table(d) ? "it holds only a partition table, so one of its "
                                                   "partitions is meant"
                                                 : "it fits");
        if (streq(key, "ById"))
                return text_format("ById= wants %s, and it has no such name", wanted);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].name, key)) {
                        wanted = string_at(m, keys[i].wanted);
                        actual = string_at(d, keys[i].actual);
                }
        if (!actual)
                return text_format("%s= wants %s, and it has none", key, wanted);
        return text_format("%s= wants %s, and it is %s", key, wanted, actual);
}

bool match_is_near(const Match *m, const Device *d)
{
        if (match_confused_key(m, d) || (m->by_id && by_id_holds(m, d)))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *wanted = string_at(m, keys[i].wanted);
                const char *const actual[] = { string_at(d, keys[i].actual), NULL };

                if (wanted && !streq(keys[i].name, "Type") && text_nearest(wanted, actual))
                        return true;
        }
        return false;
}

void match_done(Match *m)
{
        free(m->uuid);
        free(m->label);
        free(m->part_uuid);
        free(m->part_label);
        free(m->disk_guid);
        free(m->serial);
        free(m->wwn);
        free(m->by_id);
        free(m->type);
        *m = (Match){ 0 };
}
