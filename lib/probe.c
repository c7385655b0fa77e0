/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <blkid/blkid.h>
#include <ctype.h>

#include "macro.h"
#include "probe.h"
#include "text.h"

static const int superblock_flags = BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE |
                                    BLKID_SUBLKS_USAGE | BLKID_SUBLKS_VERSION;

static void free_probe(blkid_probe *pr)
{
        if (*pr)
                blkid_free_probe(*pr);
}

/* libblkid does not set errno for every failure. */
static int errno_or_eio(void)
{
        return errno > 0 ? -errno : -EIO;
}

static int open_probe(int fd, blkid_probe *ret)
{
        blkid_probe pr;

        errno = 0;
        pr = blkid_new_probe();
        if (!pr)
                return -ENOMEM;
        if (blkid_probe_set_device(pr, fd, 0, 0) != 0) {
                int r = errno_or_eio();

                blkid_free_probe(pr);
                return r;
        }
        *ret = pr;
        return 0;
}

static void copy_bytes(char dest[PROBE_VALUE_MAX], const char *data, size_t size)
{
        size_t n = strnlen(data, size < PROBE_VALUE_MAX ? size : PROBE_VALUE_MAX - 1);

        memcpy(dest, data, n);
        dest[n] = '\0';
}

static void copy_string(char dest[PROBE_VALUE_MAX], const char *s)
{
        if (s)
                copy_bytes(dest, s, strlen(s));
}

static void copy_value(blkid_probe pr, const char *name, char dest[PROBE_VALUE_MAX])
{
        const char *data;
        size_t size;

        if (blkid_probe_lookup_value(pr, name, &data, &size) == 0)
                copy_bytes(dest, data, size);
}

static int safeprobe(blkid_probe pr, ProbeVerdict *ret)
{
        errno = 0;
        switch (blkid_do_safeprobe(pr)) {
        case 0:
                *ret = PROBE_FOUND;
                return 0;
        case 1:
                *ret = PROBE_NOTHING;
                return 0;
        case -2:
                *ret = PROBE_AMBIVALENT;
                return 0;
        default:
                return errno_or_eio();
        }
}

/* A superblock whose checksum is wrong is none, for `blkid -p` and udev too; and counting it would
 * make the remains of an older filesystem contradict the one that is there. But that it is there
 * explains to a person why nothing was found. */
static int probe_bad_checksum(blkid_probe pr, ProbeResult *result)
{
        ProbeVerdict verdict;
        int r;

        blkid_probe_set_superblocks_flags(pr, superblock_flags | BLKID_SUBLKS_BADCSUM);
        r = safeprobe(pr, &verdict);
        if (r < 0)
                return r;
        if (verdict == PROBE_FOUND)
                copy_value(pr, "TYPE", result->type);
        return 0;
}

static int probe_superblocks(blkid_probe pr, ProbeResult *result)
{
        ProbeVerdict verdict;
        int r;

        blkid_probe_enable_superblocks(pr, 1);
        blkid_probe_set_superblocks_flags(pr, superblock_flags);
        r = safeprobe(pr, &verdict);
        if (r < 0)
                return r;
        result->verdict = verdict;
        if (verdict == PROBE_NOTHING)
                return probe_bad_checksum(pr, result);
        if (verdict == PROBE_FOUND) {
                copy_value(pr, "USAGE", result->usage);
                copy_value(pr, "TYPE", result->type);
                copy_value(pr, "VERSION", result->version);
                copy_value(pr, "UUID", result->uuid);
                copy_value(pr, "UUID_SUB", result->uuid_sub);
                copy_value(pr, "LABEL", result->label);
        }
        return 0;
}

/* Takes the list instead of the PART_ENTRY values, for which libblkid would look up and open the
 * whole disk itself. */
static int probe_partitions(blkid_probe pr, unsigned part_number, ProbeResult *result)
{
        blkid_partition partition = NULL;
        blkid_parttable table;
        blkid_partlist list;
        ProbeVerdict verdict;
        int r;

        blkid_probe_enable_superblocks(pr, 0);
        blkid_probe_enable_partitions(pr, 1);
        /* Tells a disk without a table from one that cannot be read, which the list does not. */
        r = safeprobe(pr, &verdict);
        if (r < 0 || verdict != PROBE_FOUND)
                return r;
        errno = 0;
        list = blkid_probe_get_partitions(pr);
        if (!list)
                return errno_or_eio();

        table = blkid_partlist_get_table(list);
        if (table)
                copy_string(result->table_uuid, blkid_parttable_get_id(table));
        if (part_number > 0)
                partition = blkid_partlist_get_partition_by_partno(list, (int)part_number);
        if (partition) {
                copy_string(result->part_uuid, blkid_partition_get_uuid(partition));
                copy_string(result->part_label, blkid_partition_get_name(partition));
        }
        return 0;
}

static int probe_disk(int fd, unsigned part_number, ProbeResult *result)
{
        _cleanup_(free_probe) blkid_probe pr = NULL;
        int r = open_probe(fd, &pr);

        return r < 0 ? r : probe_partitions(pr, part_number, result);
}

int probe_fd(int fd, int disk_fd, unsigned part_number, ProbeResult *ret)
{
        _cleanup_(free_probe) blkid_probe pr = NULL;
        ProbeResult result;
        int r;

        memset(&result, 0, sizeof(result)); /* the padding too: it goes through a pipe */
        r = open_probe(fd, &pr);
        if (r < 0)
                return r;
        result.size = (uint64_t)blkid_probe_get_size(pr);
        result.sector_size = blkid_probe_get_sectorsize(pr);

        r = probe_superblocks(pr, &result);
        if (r < 0)
                return r;
        if (result.verdict == PROBE_FOUND) {
                r = fs_state_read(fd, result.type, &result.state);
                if (r < 0)
                        return r;
        }
        r = probe_disk(disk_fd >= 0 ? disk_fd : fd, part_number, &result);
        if (r < 0)
                return r;

        memcpy(ret, &result, sizeof(result));
        return 0;
}

static bool is_terminated(const char value[PROBE_VALUE_MAX])
{
        return memchr(value, '\0', PROBE_VALUE_MAX) != NULL;
}

/* It chooses what mounts: a module, or a program that runs as root. So it is one that a superblock
 * could have as well. */
static bool has_type(const ProbeResult *r)
{
        if (r->type[0] == '\0')
                return r->verdict != PROBE_FOUND;
        return blkid_known_fstype(r->type);
}

bool probe_result_is_valid(const ProbeResult *r)
{
        return r->verdict < _PROBE_VERDICT_MAX && fs_state_is_valid(&r->state) &&
               is_terminated(r->usage) && is_terminated(r->type) && is_terminated(r->version) &&
               is_terminated(r->uuid) && is_terminated(r->uuid_sub) && is_terminated(r->label) &&
               is_terminated(r->part_uuid) && is_terminated(r->part_label) &&
               is_terminated(r->table_uuid) && has_type(r);
}

static int set_text(char **field, const char *value, bool lower)
{
        char *s = NULL;

        if (value[0] != '\0') {
                s = text_escape(value, strlen(value));
                if (!s)
                        return -ENOMEM;
        }
        for (char *p = s; lower && p && *p; p++)
                *p = (char)tolower((unsigned char)*p);
        free(*field);
        *field = s;
        return 0;
}

static DeviceContent content_of(const ProbeResult *r)
{
        switch ((ProbeVerdict)r->verdict) {
        case PROBE_NOTHING:
                return DEVICE_CONTENT_NONE;
        case PROBE_FOUND:
                if (streq(r->usage, "filesystem"))
                        return DEVICE_CONTENT_FILESYSTEM;
                return r->type[0] != '\0' ? DEVICE_CONTENT_OTHER : DEVICE_CONTENT_NONE;
        case PROBE_AMBIVALENT:
                return DEVICE_CONTENT_AMBIVALENT;
        case _PROBE_VERDICT_MAX:
                break;
        }
        return DEVICE_CONTENT_UNKNOWN;
}

int probe_result_describe(const ProbeResult *r, Device *d)
{
        const struct {
                char **field;
                const char *value;
                bool lower;
        } rows[] = {
                { &d->uuid, r->uuid, true },
                { &d->uuid_sub, r->uuid_sub, true },
                { &d->label, r->label, false },
                { &d->type, r->type, false },
                { &d->part_uuid, r->part_uuid, true },
                { &d->part_label, r->part_label, false },
                { &d->disk_guid, r->table_uuid, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (set_text(rows[i].field, rows[i].value, rows[i].lower) < 0)
                        return -ENOMEM;
        d->content = content_of(r);
        return 0;
}
