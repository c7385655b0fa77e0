/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/mount.h>

#include "fuzz.h"
#include "macro.h"
#include "missing.h"
#include "options.h"
#include "text.h"

/* Options= of a volume: goes to the kernel and to mount helpers. */

static MountOptions *parse(const char *words)
{
        _cleanup_free_ char *error = NULL;
        MountOptions *o = NULL;
        int r = mount_options_parse(words, &o, &error);

        CHECK(r == 0 || r == -EINVAL);
        CHECK((r == 0) == (o != NULL));
        CHECK((r == 0) == (error == NULL));
        if (r < 0) {
                fuzz_check_text(error);
                CHECK(error[0] != '\0');
        }
        return o;
}

/* Words that mean O again; what the helper is given lacks the two that undo what is always asked
 * for. */
static char *print(const MountOptions *o)
{
        _cleanup_free_ char *words = mount_options_to_string(o);
        char *all;

        CHECK(words);
        all = text_format("%s%s%s", words, o->attr_set & MOUNT_ATTR_NOSUID ? "" : ",suid",
                          o->attr_set & MOUNT_ATTR_NODEV ? "" : ",dev");
        CHECK(all);
        return all;
}

static void check_same(const MountOptions *a, const MountOptions *b)
{
        CHECK(a->attr_set == b->attr_set);
        CHECK(a->read_only == b->read_only);
        CHECK(a->n_params == b->n_params);
        for (size_t i = 0; i < a->n_params; i++) {
                CHECK(streq(a->params[i].key, b->params[i].key));
                CHECK(streq_ptr(a->params[i].value, b->params[i].value));
        }
}

static void check_params(const MountOptions *o)
{
        for (size_t i = 0; i < o->n_params; i++) {
                const MountParam *p = &o->params[i];

                CHECK(p->key[0] != '\0' && !strpbrk(p->key, ",= \t\n\\\""));
                CHECK(!p->value || (strlen(p->value) <= 255 && !strpbrk(p->value, ", \t\n\\\"")));
        }
        CHECK(o->read_only == !!(o->attr_set & MOUNT_ATTR_RDONLY));
}

/* A later word beats an earlier one, whatever that was. */
static void check_last_word(const char *words)
{
        static const struct {
                const char *word;
                uint64_t set;
                uint64_t clear;
        } rows[] = {
                { "suid", 0, MOUNT_ATTR_NOSUID },
                { "nosuid", MOUNT_ATTR_NOSUID, 0 },
                { "dev", 0, MOUNT_ATTR_NODEV },
                { "exec", 0, MOUNT_ATTR_NOEXEC },
                { "noexec", MOUNT_ATTR_NOEXEC, 0 },
                { "ro", MOUNT_ATTR_RDONLY, 0 },
                { "rw", 0, MOUNT_ATTR_RDONLY },
                { "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *more = text_format("%s,%s", words, rows[i].word);
                _cleanup_(mount_options_freep) MountOptions *o = NULL;

                CHECK(more);
                o = parse(more);
                CHECK(o);
                CHECK((o->attr_set & rows[i].set) == rows[i].set);
                CHECK(!(o->attr_set & rows[i].clear));
        }
}

/* All of them are in force where all of them are shown. */
static void check_missing(const MountOptions *o, const char *shown)
{
        char **missing = NULL;

        if (text_has_word(shown, "sync", 4) || text_has_word(shown, "lazytime", 8) ||
            text_has_word(shown, "mand", 4)) /* and with their contraries they contradict */
                return;
        CHECK(mount_options_missing(o, shown, &missing) == 0);
        CHECK(!missing);
        CHECK(mount_options_missing(o, "", &missing) == 0);
        CHECK(strv_length(missing) <= o->n_params);
        strv_free(missing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *words = fuzz_string(data, size), *printed = NULL;
        _cleanup_(mount_options_freep) MountOptions *o = parse(words), *again = NULL;

        if (!o)
                return 0;
        check_params(o);
        check_last_word(words);
        printed = print(o);
        check_missing(o, printed);
        again = parse(printed);
        CHECK(again);
        check_same(o, again);

        CHECK(mount_options_add_defaults(o, "ext4") == 0);
        CHECK(mount_options_add_defaults(again, "ext4") == 0);
        CHECK(mount_options_add_defaults(again, "ext4") == 0);
        check_same(o, again);
        mount_options_set_read_only(o);
        check_params(o);
        return 0;
}
