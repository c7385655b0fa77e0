/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "device.h"
#include "health.h"
#include "macro.h"
#include "mountinfo.h"
#include "text.h"
#include "volumes.h"

enum {
        SIGN,
        NAME,
        STATE,
        DEVICE,
        SIZE,
        FSUSE,
        TARGET,
        SINCE,
        FSSIZE,
        FSUSED,
        FSAVAIL,
        TYPE,
        LABEL,
        UUID,
        OPTIONS,
        IN_FORCE,
        READ_ONLY,
        STALE,
        AUTO,
        STEP,
        REASON,
        CURE,
        ATTEMPTS,
        CANDIDATES,
        HOLDERS,
        LATENCY,
        FILE_,
        _COLUMN_MAX,
};

const TableColumn volumes_columns[_COLUMN_MAX + 1] = {
        [SIGN] = { "", NULL, TABLE_TEXT, TABLE_SHOWN },
        [NAME] = { "NAME", "of the volume", TABLE_TEXT, TABLE_SHOWN },
        [STATE] = { "STATE", "see wslbared(8)", TABLE_TEXT, TABLE_SHOWN },
        [DEVICE] = { "DEVICE", "its device", TABLE_TEXT, TABLE_SHOWN },
        [SIZE] = { "SIZE", "of the device", TABLE_SIZE, TABLE_SHOWN },
        [FSUSE] = { "FSUSE%", "how full the filesystem is", TABLE_PERCENT, TABLE_SHOWN },
        [TARGET] = { "TARGET", "where it is, or would be, mounted", TABLE_TEXT, TABLE_SHOWN },
        [SINCE] = { "SINCE", "how long it has been in this state", TABLE_TEXT, TABLE_SHOWN },
        [FSSIZE] = { "FSSIZE", "size of the filesystem", TABLE_SIZE },
        [FSUSED] = { "FSUSED", "used of it", TABLE_SIZE },
        [FSAVAIL] = { "FSAVAIL", "available to ordinary users", TABLE_SIZE },
        [TYPE] = { "TYPE", "of the filesystem", TABLE_TEXT },
        [LABEL] = { "LABEL", "of the filesystem", TABLE_TEXT },
        [UUID] = { "UUID", "of the filesystem", TABLE_TEXT },
        [OPTIONS] = { "OPTIONS", "mount options that are asked for", TABLE_TEXT },
        [IN_FORCE] = { "MOUNTED-OPTIONS", "mount options that are in force", TABLE_TEXT },
        [READ_ONLY] = { "RO", "mounted read-only", TABLE_BOOLEAN },
        [STALE] = { "STALE", "its file says something else by now", TABLE_BOOLEAN },
        [AUTO] = { "AUTO", "mounted when its device appears", TABLE_BOOLEAN },
        [STEP] = { "STEP", "at which it failed", TABLE_TEXT },
        [REASON] = { "REASON", "why it failed", TABLE_TEXT },
        [CURE] = { "CURE", "what can be done about it", TABLE_TEXT },
        [ATTEMPTS] = { "ATTEMPTS", "that failed", TABLE_NUMBER },
        [CANDIDATES] = { "CANDIDATES", "devices that fit", TABLE_LINES },
        [HOLDERS] = { "HOLDERS", "processes that kept it from being unmounted", TABLE_LINES },
        [LATENCY] = { "LATENCY", "microseconds from the event to the mount", TABLE_NUMBER },
        [FILE_] = { "FILE", "its configuration", TABLE_TEXT },
};

/* What this process sees of a volume may be something else: a shell of another session, or a
 * sandboxed one, has mounts of its own. */
static bool is_seen_mounted(const Mountinfo *mounts, const ClientVolume *v)
{
        const MountEntry *e = mountinfo_find_target(mounts, v->where);
        struct stat st;

        return e && stat(v->device, &st) == 0 && S_ISBLK(st.st_mode) &&
               (e->devnum == st.st_rdev || major(e->devnum) == 0);
}

Space *volumes_measure(const ClientVolume *const *volumes, size_t n)
{
        _cleanup_(mountinfo_freep) Mountinfo *mounts = NULL;
        Space *spaces = calloc(n + 1, sizeof(*spaces)); /* + 1: there may be none */

        if (!spaces || mountinfo_read_self(&mounts) < 0)
                return spaces;
        for (size_t i = 0; i < n; i++)
                if (streq(volumes[i]->state, "mounted") && is_seen_mounted(mounts, volumes[i]))
                        spaces[i].path = volumes[i]->where;
        space_measure(spaces, n);
        return spaces;
}

uint64_t volumes_device_size(const ClientVolume *v)
{
        _cleanup_(device_freep) Device *d = NULL;
        struct stat st;

        if (!*v->device || stat(v->device, &st) < 0 || !S_ISBLK(st.st_mode) ||
            device_new(st.st_rdev, &d) < 0 || device_read_sysfs(d) < 0)
                return 0;
        return d->size;
}

static bool local_time(uint64_t usec, struct tm *ret)
{
        time_t t = (time_t)(usec / USEC_PER_SEC);

        return usec > 0 && localtime_r(&t, ret);
}

const char *volumes_time(uint64_t usec, char buffer[VOLUMES_TIME_MAX])
{
        struct tm tm;

        buffer[0] = '\0';
        if (local_time(usec, &tm))
                (void)strftime(buffer, VOLUMES_TIME_MAX, "%a %F %T %Z", &tm);
        return buffer;
}

static const char *since_when(const ClientVolume *v, char buffer[VOLUMES_TIME_MAX])
{
        struct tm tm;

        buffer[0] = '\0';
        if (local_time(v->state_change_usec, &tm))
                (void)strftime(buffer, VOLUMES_TIME_MAX, "%FT%T%z", &tm);
        return buffer;
}

/* By the clock that nobody sets. */
static const char *since_how_long(const ClientVolume *v, char buffer[VOLUMES_TIME_MAX])
{
        uint64_t since = v->state_change_monotonic_usec, now = client_now();
        char span[TERM_SPAN_MAX];

        buffer[0] = '\0';
        if (since > 0 && since <= now)
                (void)snprintf(buffer, VOLUMES_TIME_MAX, "%s ago", term_span(now - since, span));
        return buffer;
}

static char *join_holders(const ClientVolume *v)
{
        _cleanup_(strv_freep) char **holders = NULL;

        for (size_t i = 0; i < v->n_holders; i++)
                if (strv_take(&holders, text_format("%" PRIu32 " %s", v->holders[i].pid,
                                                    v->holders[i].command)) < 0)
                        return NULL;
        return strv_join(holders, "\n");
}

#define NUMBER_MAX 24 /* of 64 bits, in decimal */

/* In BUFFER, where it is worth telling. */
static const char *number(uint64_t n, bool is_known, char buffer[NUMBER_MAX])
{
        if (!is_known)
                return NULL;
        (void)snprintf(buffer, NUMBER_MAX, "%" PRIu64, n);
        return buffer;
}

static int add_volume(Table *t, const ClientVolume *v, const Space *space, bool json)
{
        _cleanup_free_ char *cure = health_cure(v), *candidates = strv_join(v->candidates, "\n"),
                            *holders = join_holders(v);
        Health health = health_of(v);
        uint64_t size = volumes_device_size(v);
        char numbers[7][NUMBER_MAX], since[VOLUMES_TIME_MAX];
        const char *const values[_COLUMN_MAX] = {
                [SIGN] = health_sign(health),
                [NAME] = v->name,
                [STATE] = v->state,
                [DEVICE] = v->device,
                [SIZE] = number(size, size > 0, numbers[0]),
                [FSUSE] = number(space_percent(space), space->is_known, numbers[1]),
                [TARGET] = streq(v->where, "none") ? NULL : v->where,
                [SINCE] = json ? since_when(v, since) : since_how_long(v, since),
                [FSSIZE] = number(space->size, space->is_known, numbers[2]),
                [FSUSED] = number(space->used, space->is_known, numbers[3]),
                [FSAVAIL] = number(space->available, space->is_known, numbers[4]),
                [TYPE] = v->type,
                [LABEL] = v->label,
                [UUID] = v->uuid,
                [OPTIONS] = v->options,
                [IN_FORCE] = v->mounted_options,
                [READ_ONLY] = table_boolean(v->read_only),
                [STALE] = table_boolean(v->stale),
                [AUTO] = table_boolean(v->automatic),
                [STEP] = v->failure_step,
                [REASON] = v->failure_message,
                [CURE] = cure,
                [ATTEMPTS] = number(v->attempts, true, numbers[5]),
                [CANDIDATES] = candidates,
                [HOLDERS] = holders,
                [LATENCY] = number(v->latency_usec, v->latency_usec > 0, numbers[6]),
                [FILE_] = v->config_path,
        };
        int r;

        r = table_add(t, values);
        if (r >= 0) {
                table_set_color(t, SIGN, health_color(health));
                table_set_color(t, STATE, health_color(health));
        }
        return r;
}

int volumes_print(const ClientVolume *const *volumes, size_t n, const TableOptions *options)
{
        _cleanup_(table_freep) Table *t = NULL;
        _cleanup_free_ Space *spaces = NULL;
        int r = table_new("volumes", volumes_columns, options, &t);

        if (r < 0)
                return r;
        spaces = volumes_measure(volumes, n);
        if (!spaces)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_volume(t, volumes[i], &spaces[i], options->json);
        return r < 0 ? r : table_print(t);
}
