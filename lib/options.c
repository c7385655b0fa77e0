/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "options.h"
#include "macro.h"
#include "missing.h"
#include "text.h"

#define FSCONFIG_MAX 255U /* bytes of a key and of a value: fsconfig(2) reads 256 with the NUL */

/* Words of mount(8) that are of the mount, not of the filesystem. In this order they are written
 * out, where they set something. */
static const struct {
        const char *word;
        uint64_t clear;
        uint64_t set;
} attributes[] = {
        { "ro", 0, MOUNT_ATTR_RDONLY },
        { "rw", MOUNT_ATTR_RDONLY, 0 },
        { "nosuid", 0, MOUNT_ATTR_NOSUID },
        { "suid", MOUNT_ATTR_NOSUID, 0 },
        { "nodev", 0, MOUNT_ATTR_NODEV },
        { "dev", MOUNT_ATTR_NODEV, 0 },
        { "noexec", 0, MOUNT_ATTR_NOEXEC },
        { "exec", MOUNT_ATTR_NOEXEC, 0 },
        { "nosymfollow", 0, MOUNT_ATTR_NOSYMFOLLOW },
        { "symfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
        { "nodiratime", 0, MOUNT_ATTR_NODIRATIME },
        { "diratime", MOUNT_ATTR_NODIRATIME, 0 },
        { "noatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME },
        { "atime", MOUNT_ATTR_NOATIME, 0 },
        { "strictatime", MOUNT_ATTR__ATIME, MOUNT_ATTR_STRICTATIME },
        { "nostrictatime", MOUNT_ATTR_STRICTATIME, 0 },
        { "relatime", MOUNT_ATTR__ATIME, 0 },
        { "norelatime", 0, 0 }, /* the kernel has no such state: relatime is its default */
};

static const char *const ignored[] = {
        "_netdev", "auto",   "comment", "group", "loud",   "noauto", "nofail", "nogroup",
        "noowner", "nouser", "nousers", "owner", "silent", "user",   "users",  NULL,
};

static const struct {
        const char *key;
        const char *why;
} refused[] = {
        { "bind", "asks for a bind mount; write a .mount unit bound to wslbare@NAME.target" },
        { "rbind", "asks for a bind mount; write a .mount unit bound to wslbare@NAME.target" },
        { "move", "asks for moving a mount; Where= says where it is mounted" },
        { "remount", "asks for changing a mount; change the file and mount again" },
        { "loop", "asks for a loop device; wslbare mounts block devices" },
        { "offset", "asks for a loop device; wslbare mounts block devices" },
        { "sizelimit", "asks for a loop device; wslbare mounts block devices" },
        { "source", "names a device; [Match] says which one is mounted" },
        { "helper", "names a mount helper; Type= says which driver mounts" },
        { "uhelper", "names a mount helper; Type= says which driver mounts" },
        { "private", "asks for a change of propagation, which is not the filesystem's" },
        { "rprivate", "asks for a change of propagation, which is not the filesystem's" },
        { "shared", "asks for a change of propagation, which is not the filesystem's" },
        { "rshared", "asks for a change of propagation, which is not the filesystem's" },
        { "slave", "asks for a change of propagation, which is not the filesystem's" },
        { "rslave", "asks for a change of propagation, which is not the filesystem's" },
        { "unbindable", "asks for a change of propagation, which is not the filesystem's" },
        { "runbindable", "asks for a change of propagation, which is not the filesystem's" },
};

MountOptions *mount_options_free(MountOptions *o)
{
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_params; i++) {
                free(o->params[i].key);
                free(o->params[i].value);
        }
        free(o->params);
        strv_free(o->ignored);
        free(o);
        return NULL;
}

/* VALUE may be NULL: a flag. */
static int add_param(MountOptions *o, const char *key, const char *value)
{
        _cleanup_free_ char *k = strdup(key), *v = value ? strdup(value) : NULL;
        MountParam *grown;

        if (!k || (value && !v))
                return -ENOMEM;
        grown = reallocarray(o->params, o->n_params + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        o->params = grown;
        o->params[o->n_params++] = (MountParam){ .key = TAKE_PTR(k), .value = TAKE_PTR(v) };
        return 0;
}

static int refuse(char **ret_error, const char *word, const char *why)
{
        _cleanup_free_ char *shown = text_escape(word, strlen(word));

        if (!shown)
                return -ENOMEM;
        *ret_error = text_format("option '%s' %s", shown, why);
        return *ret_error ? -EINVAL : -ENOMEM;
}

static bool is_control(char c)
{
        return (unsigned char)c < 0x20 || c == 0x7f;
}

/* What keeps WORD from being handed to fsconfig(2) or to a mount helper; NULL: nothing. */
static const char *malformed(const char *word)
{
        const char *value = strchr(word, '=');

        for (const char *p = word; *p; p++) {
                if (*p == ' ' || *p == '\t')
                        return "holds a blank; options are separated by commas alone";
                if (*p == '\\' || is_control(*p))
                        return "holds a backslash or a control character, which no option takes";
                if (*p == '"')
                        return "holds a quote; nothing is quoted here, and a comma always ends it";
        }
        if (value == word)
                return "has nothing before its '='";
        if ((value ? (size_t)(value - word) : strlen(word)) > FSCONFIG_MAX)
                return "is too long; the kernel takes 255 bytes";
        if (value && strlen(value + 1) > FSCONFIG_MAX)
                return "has too long a value; the kernel takes 255 bytes";
        return NULL;
}

static const char *refusal(const char *key)
{
        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                if (streq(key, refused[i].key))
                        return refused[i].why;
        return startswith(key, "X-mount.") ? "asks mount(8) for something; it is not used here"
                                           : NULL;
}

static bool is_ignored(const char *key)
{
        for (const char *const *word = ignored; *word; word++)
                if (streq(key, *word))
                        return true;
        return startswith(key, "x-") || startswith(key, "X-");
}

/* Whether KEY is a word of the mount; then it is applied. */
static bool apply_attribute(MountOptions *o, const char *key)
{
        for (size_t i = 0; i < ELEMENTSOF(attributes); i++)
                if (streq(key, attributes[i].word)) {
                        o->attr_set = (o->attr_set & ~attributes[i].clear) | attributes[i].set;
                        return true;
                }
        return false;
}

/* WORD is cut at its '='. */
static int parse_word(MountOptions *o, char *word, char **ret_error)
{
        _cleanup_free_ char *whole = NULL;
        const char *why = malformed(word);
        char *value;

        if (why)
                return refuse(ret_error, word, why);
        whole = strdup(word);
        if (!whole)
                return -ENOMEM;
        value = strchr(word, '=');
        if (value)
                *value++ = '\0';

        why = refusal(word);
        if (why)
                return refuse(ret_error, whole, why);
        if (is_ignored(word))
                return strv_take(&o->ignored, TAKE_PTR(whole));
        if (apply_attribute(o, word) || streq(word, "defaults"))
                return value ? refuse(ret_error, whole, "takes no value") : 0;
        return add_param(o, word, value);
}

int mount_options_parse(const char *words, MountOptions **ret, char **ret_error)
{
        _cleanup_(mount_options_freep) MountOptions *o = calloc(1, sizeof(*o));
        _cleanup_free_ char *copy = strdup(words ? words : "");
        char *rest = copy, *word;

        if (!o || !copy)
                return -ENOMEM;
        o->attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
        while ((word = strsep(&rest, ","))) {
                int r;

                if (!*word)
                        continue;
                r = parse_word(o, word, ret_error);
                if (r < 0)
                        return r;
        }
        o->read_only = o->attr_set & MOUNT_ATTR_RDONLY;
        *ret = TAKE_PTR(o);
        return 0;
}

int mount_options_add_defaults(MountOptions *o, const char *type)
{
        if (!streq(type, "ext2") && !streq(type, "ext3") && !streq(type, "ext4"))
                return 0;
        for (size_t i = 0; i < o->n_params; i++)
                if (streq(o->params[i].key, "errors"))
                        return 0;
        return add_param(o, "errors", "remount-ro");
}

void mount_options_set_read_only(MountOptions *o)
{
        o->read_only = true;
        o->attr_set |= MOUNT_ATTR_RDONLY;
}

static char *param_to_word(const MountParam *p)
{
        return p->value ? text_format("%s=%s", p->key, p->value) : strdup(p->key);
}

static int append_word(char **s, const char *word)
{
        char *joined;

        if (!word)
                return -ENOMEM;
        joined = text_format("%s,%s", *s, word);
        if (!joined)
                return -ENOMEM;
        free(*s);
        *s = joined;
        return 0;
}

char *mount_options_to_string(const MountOptions *o)
{
        _cleanup_free_ char *s = strdup(o->read_only ? "ro" : "rw");

        if (!s)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(attributes); i++) {
                uint64_t set = attributes[i].set & ~(uint64_t)MOUNT_ATTR_RDONLY;

                if (set && (o->attr_set & set) && append_word(&s, attributes[i].word) < 0)
                        return NULL;
        }
        for (size_t i = 0; i < o->n_params; i++) {
                _cleanup_free_ char *word = param_to_word(&o->params[i]);

                if (append_word(&s, word) < 0)
                        return NULL;
        }
        return TAKE_PTR(s);
}

/* "subvol=@a" and "subvol=/@a" are the same, and shown is the latter. */
static bool is_same_subvolume(const char *shown, size_t length, const char *word)
{
        static const char key[] = "subvol=";
        const char *end = shown + length;

        if (!startswith(shown, key) || !startswith(word, key))
                return false;
        shown += strlen(key);
        shown += strspn(shown, "/");
        word += strlen(key);
        word += strspn(word, "/");
        return strlen(word) == (size_t)(end - shown) && memcmp(shown, word, strlen(word)) == 0;
}

/* "compress" is shown as "compress=zlib:3", and "compress=zstd" as "compress=zstd:3". */
static bool is_compression(const char *shown, size_t length, const char *word)
{
        size_t n = strlen(word);

        return startswith(word, "compress") && n < length && memcmp(shown, word, n) == 0 &&
               shown[n] == (strchr(word, '=') ? ':' : '=');
}

/* Whether a btrfs shows WORD in another form. */
static bool is_shown_otherwise(const char *mounted, const char *word)
{
        while (*mounted) {
                size_t n = strcspn(mounted, ",");

                if (is_same_subvolume(mounted, n, word) || is_compression(mounted, n, word))
                        return true;
                mounted += n;
                mounted += *mounted == ',';
        }
        return false;
}

/* Whether WORD would be in force: the kernel shows words that turn something off by not showing
 * what they turn off. */
static bool is_in_force(const char *mounted, const char *word)
{
        static const struct {
                const char *word;
                const char *contrary;
        } unseen[] = {
                { "async", "sync" },
                { "nolazytime", "lazytime" },
                { "nomand", "mand" },
        };

        /* ext4 shows it only where it is not what its superblock says anyway. */
        if (startswith(word, "errors="))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(unseen); i++)
                if (streq(word, unseen[i].word))
                        return !text_has_word(mounted, unseen[i].contrary,
                                              strlen(unseen[i].contrary));
        return text_has_word(mounted, word, strlen(word)) || is_shown_otherwise(mounted, word);
}

const char *mount_options_other_subvolume(const MountOptions *o, const char *mounted)
{
        for (size_t i = 0; i < o->n_params; i++) {
                const MountParam *p = &o->params[i];
                _cleanup_free_ char *word = NULL;

                if (!p->value || !(streq(p->key, "subvol") || streq(p->key, "subvolid")))
                        continue;
                word = param_to_word(p);
                if (word && !is_in_force(mounted, word))
                        return p->value;
        }
        return NULL;
}

int mount_options_missing(const MountOptions *o, const char *mounted, char ***missing)
{
        for (size_t i = 0; i < o->n_params; i++) {
                _cleanup_free_ char *word = param_to_word(&o->params[i]);
                int r;

                if (!word)
                        return -ENOMEM;
                if (is_in_force(mounted, word))
                        continue;
                r = strv_take(missing, TAKE_PTR(word));
                if (r < 0)
                        return r;
        }
        return 0;
}
