/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/types.h>

#include "config-keys.h"
#include "macro.h"
#include "parse.h"
#include "text.h"
#include "volume-config.h"

#define TYPE_MAX 64U
#define MEMBERS_MAX 256U
#define RETRY_LIMIT_MAX 1000U
#define USEC_PER_DAY (86400 * USEC_PER_SEC)

#define add_problem(a, severity, format, ...)                                               \
        config_problems_add((a)->problems, (a)->file, (a)->line, severity, "%s=%s " format, \
                            (a)->key, (a)->value, ##__VA_ARGS__)
#define refuse(a, ...) add_problem(a, PROBLEM_ERROR, __VA_ARGS__)
#define warn(a, ...) add_problem(a, PROBLEM_WARNING, __VA_ARGS__)

static int set_string(void *target, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*(char **)target); /* the default */
        *(char **)target = copy;
        return 0;
}

static char *print_string(const void *target)
{
        const char *s = *(char *const *)target;

        return strdup(s ? s : "");
}

static int parse_uuid(const ConfigAssignment *a, void *target)
{
        int r;

        r = parse_identifier(a->value, target);
        if (r != -EINVAL)
                return r;
        return refuse(a, "is no identifier; write its letters, digits and '-' alone, at most 64, "
                         "as `lsblk -o +UUID,PARTUUID,PTUUID` shows them");
}

/* What people take for the way to write a value, and is not. */
static int warn_of_disguise(const ConfigAssignment *a)
{
        _cleanup_free_ char *decoded = text_from_udev(a->value);
        size_t size = strlen(a->value);

        if (!decoded)
                return -ENOMEM;
        if (!streq(decoded, a->value))
                return warn(a,
                            "is compared with its backslash as it stands; where that is udev's "
                            "encoding, write '%s'",
                            decoded);
        if (size > 1 && strchr("'\"", a->value[0]) && a->value[size - 1] == a->value[0])
                return warn(a, "is compared with its quotes; leave them out unless they are part "
                               "of it");
        return 0;
}

static int parse_text(const ConfigAssignment *a, void *target)
{
        if (strchr(a->value, '\t'))
                return refuse(a, "holds a tab; write it as \\x09");
        return set_string(target, a->value);
}

/* A string of the device, written as text_escape() shows it. */
static int parse_displayed(const ConfigAssignment *a, void *target)
{
        int r;

        r = parse_text(a, target);
        if (r < 0 || strchr(a->value, '\t'))
                return r;
        return warn_of_disguise(a);
}

static int parse_by_id(const ConfigAssignment *a, void *target)
{
        int r = 0;

        if (startswith(a->value, "/dev/disk/by-id/"))
                return refuse(a, "names the directory too; leave out /dev/disk/by-id/");
        if (strchr(a->value, '/'))
                return refuse(a, "holds a slash; give the name below /dev/disk/by-id alone");
        if (strstr(a->value, "\\x") && !strstr(a->value, "\\\\x"))
                r = warn(a,
                         "is a pattern, in which a backslash stands for nothing; write two where "
                         "the name has one");
        return r < 0 ? r : parse_text(a, target);
}

static int parse_type(const ConfigAssignment *a, void *target)
{
        size_t size = strlen(a->value);

        if (streq(a->value, "auto"))
                return refuse(a, "is no type; leave the line out, which means the same");
        if (size > TYPE_MAX || !strchr(LETTERS DIGITS, a->value[0]) ||
            strspn(a->value, LETTERS DIGITS "_.+-") < size)
                return refuse(a, "is no filesystem type; write one, such as ext4");
        return set_string(target, a->value);
}

/* PATH without empty and "." components; NULL when out of memory. */
static char *simplify(const char *path)
{
        char *simple = malloc(strlen(path) + 2), *end = simple;

        if (!simple)
                return NULL;
        while (*path) {
                size_t size = strcspn(path, "/");

                if (size > 0 && !(size == 1 && path[0] == '.')) {
                        *end++ = '/';
                        end = mempcpy(end, path, size);
                }
                path += size + (path[size] == '/');
        }
        if (end == simple)
                *end++ = '/';
        *end = '\0';
        return simple;
}

static bool has_dots(const char *path)
{
        for (const char *p = path; (p = strstr(p, "/..")); p += strlen("/.."))
                if (p[3] == '/' || p[3] == '\0')
                        return true;
        return false;
}

static int refuse_unnormalized(const ConfigAssignment *a)
{
        _cleanup_free_ char *simple = simplify(a->value);

        if (!simple)
                return -ENOMEM;
        if (has_dots(simple))
                return refuse(a, "holds '..'; write the path that it leads to");
        if (!streq(simple, a->value))
                return refuse(a, "is not normalised; write %s", simple);
        return refuse(a, "cannot be named by a mount unit of systemd (at most 255 bytes, four for "
                         "each unusual character, no tab); choose a plainer or shorter path");
}

static bool is_reserved(const char *path)
{
        static const char *const themselves[] = {
                "/", "/run", "/etc", "/usr", "/boot", "/nix/store"
        };
        static const char *const trees[] = { "/proc", "/sys", "/dev" };

        for (size_t i = 0; i < ELEMENTSOF(themselves); i++)
                if (streq(path, themselves[i]))
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(trees); i++)
                if (path_is_below(path, trees[i]))
                        return true;
        return false;
}

static int parse_where(const ConfigAssignment *a, void *target)
{
        if (streq(a->value, "none"))
                return 0;
        if (a->value[0] != '/')
                return refuse(a, "is not absolute; write the whole path, as in /mnt/data, or none");
        if (!path_is_normalized(a->value))
                return refuse_unnormalized(a);
        if (is_reserved(a->value))
                return refuse(a, "is a directory of the system, which must not be covered; "
                                 "choose another, such as /mnt/data");
        return set_string(target, a->value);
}

static char *print_where(const void *target)
{
        const char *where = *(char *const *)target;

        return strdup(where ? where : "none");
}

/* Options are taken apart when all keys are known. */
static int parse_verbatim(const ConfigAssignment *a, void *target)
{
        return set_string(target, a->value);
}

static int parse_yes_no(const ConfigAssignment *a, void *target)
{
        if (parse_boolean(a->value, target) < 0)
                return refuse(a, "is neither yes nor no");
        return 0;
}

static char *print_yes_no(const void *target)
{
        return strdup(*(const bool *)target ? "yes" : "no");
}

/* The place of VALUE among the N of NAMES; -1: it is none of them. */
static int find_name(const char *value, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], value))
                        return (int)i;
        return -1;
}

static const char *const check_names[] = {
        [CHECK_AUTO] = "auto",
        [CHECK_NEVER] = "never",
        [CHECK_ALWAYS] = "always",
};

static int parse_check(const ConfigAssignment *a, void *target)
{
        int i = find_name(a->value, check_names, ELEMENTSOF(check_names));

        if (i < 0)
                return refuse(a, "is neither auto, always nor never");
        *(CheckWhen *)target = (CheckWhen)i;
        return 0;
}

static char *print_check(const void *target)
{
        return strdup(check_names[*(const CheckWhen *)target]);
}

static const char *const check_failure_names[] = {
        [CHECK_FAILURE_REFUSE] = "refuse",
        [CHECK_FAILURE_READ_ONLY] = "read-only",
        [CHECK_FAILURE_IGNORE] = "ignore",
};

static int parse_check_failure(const ConfigAssignment *a, void *target)
{
        int i = find_name(a->value, check_failure_names, ELEMENTSOF(check_failure_names));

        if (i < 0)
                return refuse(a, "is neither refuse, read-only nor ignore");
        *(CheckFailure *)target = (CheckFailure)i;
        return 0;
}

static char *print_check_failure(const void *target)
{
        return strdup(check_failure_names[*(const CheckFailure *)target]);
}

static int parse_keep_mounted(const ConfigAssignment *a, void *target)
{
        KeepMounted *keep = target;
        bool yes;

        if (streq(a->value, "auto")) {
                *keep = KEEP_MOUNTED_AUTO;
                return 0;
        }
        if (parse_boolean(a->value, &yes) < 0)
                return refuse(a, "is neither yes, no nor auto");
        *keep = yes ? KEEP_MOUNTED_YES : KEEP_MOUNTED_NO;
        return 0;
}

static char *print_keep_mounted(const void *target)
{
        static const char *const names[] = {
                [KEEP_MOUNTED_AUTO] = "auto",
                [KEEP_MOUNTED_NO] = "no",
                [KEEP_MOUNTED_YES] = "yes",
        };

        return strdup(names[*(const KeepMounted *)target]);
}

static char *print_number(const void *target)
{
        return text_format("%u", *(const unsigned *)target);
}

static char *print_span(const void *target)
{
        return timespan_to_string(*(const uint64_t *)target);
}

static char *print_mode(const void *target)
{
        return text_format("%04o", (unsigned)*(const mode_t *)target);
}

/* RANGE says MIN to MAX in words. */
static int parse_span(const ConfigAssignment *a, uint64_t min, uint64_t max, const char *range,
                      uint64_t *ret)
{
        uint64_t usec;
        int r;

        r = parse_timespan(a->value, &usec);
        if (r == -EINVAL)
                return refuse(a, "is no time span; write seconds, or such as '1min 30s'");
        if (r < 0 || usec < min || usec > max)
                return refuse(a, "is out of range; write %s", range);
        *ret = usec;
        return 0;
}

static int parse_members(const ConfigAssignment *a, void *target)
{
        if (parse_unsigned(a->value, 1, MEMBERS_MAX, target) < 0)
                return refuse(a, "is no number of devices; write 1 to %u", MEMBERS_MAX);
        return 0;
}

/* Neither 0 nor infinity: a disk that hangs has to be given up. */
static int parse_mount_timeout(const ConfigAssignment *a, void *target)
{
        return parse_span(a, USEC_PER_SEC, USEC_PER_DAY,
                          "1s to 1day, after which a disk that hangs is given up", target);
}

static int parse_retry_pause(const ConfigAssignment *a, void *target)
{
        return parse_span(a, 100 * USEC_PER_MSEC, USEC_PER_DAY, "100ms to 1day", target);
}

static int parse_retry_limit(const ConfigAssignment *a, void *target)
{
        if (parse_unsigned(a->value, 0, RETRY_LIMIT_MAX, target) < 0)
                return refuse(a, "is no number of attempts; write 0 to %u", RETRY_LIMIT_MAX);
        return 0;
}

static int parse_directory_mode(const ConfigAssignment *a, void *target)
{
        if (parse_mode(a->value, target) < 0)
                return refuse(a, "is no octal mode; write up to 7777, as in 0755");
        return 0;
}

#define TARGET(member) offsetof(VolumeConfig, member)
static const ConfigKey keys[] = {
        { "Match", "UUID", parse_uuid, print_string, TARGET(match.uuid), "UUID of the filesystem" },
        { "Match", "Label", parse_displayed, print_string, TARGET(match.label),
          "label of the filesystem" },
        { "Match", "PartUUID", parse_uuid, print_string, TARGET(match.part_uuid),
          "UUID of the partition" },
        { "Match", "PartLabel", parse_displayed, print_string, TARGET(match.part_label),
          "label of the partition" },
        { "Match", "DiskGUID", parse_uuid, print_string, TARGET(match.disk_guid),
          "UUID of the partition table" },
        { "Match", "Serial", parse_displayed, print_string, TARGET(match.serial),
          "serial number of the disk, udev's short one" },
        { "Match", "WWN", parse_displayed, print_string, TARGET(match.wwn),
          "World Wide Name of the disk" },
        { "Match", "ById", parse_by_id, print_string, TARGET(match.by_id),
          "glob on a name below /dev/disk/by-id" },
        { "Match", "Type", parse_type, print_string, TARGET(match.type),
          "filesystem expected; another one is not mounted" },
        { "Mount", "Where", parse_where, print_where, TARGET(where),
          "mount point, or none; required" },
        { "Mount", "Type", parse_type, print_string, TARGET(type),
          "filesystem driver to mount with; by default what was probed" },
        { "Mount", "Options", parse_verbatim, print_string, TARGET(options_text),
          "mount options, as in fstab's fourth column" },
        { "Mount", "ReadOnly", parse_yes_no, print_yes_no, TARGET(read_only),
          "mount read-only; by default no" },
        { "Mount", "Auto", parse_yes_no, print_yes_no, TARGET(automatic),
          "mount when the device appears; by default yes" },
        { "Mount", "Check", parse_check, print_check, TARGET(check),
          "check the filesystem before it is mounted: always, never, or auto, where it needs it; "
          "by "
          "default auto" },
        { "Mount", "CheckFailure", parse_check_failure, print_check_failure, TARGET(check_failure),
          "what errors that a check leaves lead to: refuse, read-only or ignore; by default "
          "refuse" },
        { "Mount", "KeepMounted", parse_keep_mounted, print_keep_mounted, TARGET(keep_mounted),
          "mount again what somebody else unmounted: yes, no, or auto, only below WSL's shared "
          "directory; by default auto" },
        { "Mount", "Members", parse_members, print_number, TARGET(members),
          "devices that a btrfs on several needs before it is mounted; by default 1" },
        { "Mount", "MountTimeoutSec", parse_mount_timeout, print_span, TARGET(mount_timeout_usec),
          "time limit for the check and for the mount, each; by default 90" },
        { "Mount", "RetryLimit", parse_retry_limit, print_number, TARGET(retry_limit),
          "attempts after a failure; by default 5" },
        { "Mount", "RetrySec", parse_retry_pause, print_span, TARGET(retry_usec),
          "pause before the first of them, doubling up to a minute; by default 1" },
        { "Mount", "DirectoryMode", parse_directory_mode, print_mode, TARGET(directory_mode),
          "mode of a mount point that has to be made; by default 0755" },
        {},
};

const ConfigKey *config_keys(void)
{
        return keys;
}

const char *const *config_key_sections(void)
{
        static const char *const sections[] = { "Match", "Mount", NULL };

        return sections;
}

/* The key nearest to NAME; SECTION NULL: of any section. */
static const ConfigKey *nearest_key(const char *section, const char *name)
{
        const char *names[ELEMENTSOF(keys)] = {};
        const char *nearest;
        size_t n = 0;

        for (const ConfigKey *k = keys; k->key; k++)
                if (!section || streq(k->section, section))
                        names[n++] = k->key;
        nearest = text_nearest(name, names);
        for (const ConfigKey *k = keys; nearest && k->key; k++)
                if (k->key == nearest && (!section || streq(k->section, section)))
                        return k;
        return NULL;
}

static char *list_keys(const char *section)
{
        char *list = strdup("");

        for (const ConfigKey *k = keys; list && k->key; k++) {
                char *longer;

                if (!streq(k->section, section))
                        continue;
                longer = text_format("%s%s%s", list, *list ? ", " : "", k->key);
                free(list);
                list = longer;
        }
        return list;
}

static int refuse_key(const ConfigAssignment *a)
{
        _cleanup_free_ char *list = NULL;
        const ConfigKey *nearest;

        for (const ConfigKey *k = keys; k->key; k++)
                if (streq(k->key, a->key))
                        return config_problems_add(a->problems, a->file, a->line, PROBLEM_ERROR,
                                                   "'%s' belongs in [%s], not [%s]", a->key,
                                                   k->section, a->section);
        nearest = nearest_key(a->section, a->key);
        if (nearest)
                return config_problems_add(a->problems, a->file, a->line, PROBLEM_ERROR,
                                           "unknown key '%s' in [%s]; did you mean '%s'?", a->key,
                                           a->section, nearest->key);
        nearest = nearest_key(NULL, a->key);
        if (nearest)
                return config_problems_add(a->problems, a->file, a->line, PROBLEM_ERROR,
                                           "unknown key '%s' in [%s]; did you mean '%s', which "
                                           "belongs in [%s]?",
                                           a->key, a->section, nearest->key, nearest->section);
        list = list_keys(a->section);
        if (!list)
                return -ENOMEM;
        return config_problems_add(a->problems, a->file, a->line, PROBLEM_ERROR,
                                   "unknown key '%s' in [%s]; there are %s", a->key, a->section,
                                   list);
}

int config_key_find(const ConfigAssignment *a, const ConfigKey **ret)
{
        for (const ConfigKey *k = keys; k->key; k++)
                if (streq(k->section, a->section) && streq(k->key, a->key)) {
                        *ret = k;
                        return 0;
                }
        *ret = NULL;
        return refuse_key(a);
}
