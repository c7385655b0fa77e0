/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/sysmacros.h>

#include "fuzz.h"
#include "macro.h"
#include "mountinfo.h"
#include "text.h"

/* /proc/PID/mountinfo: names in it are chosen by whoever mounts. */

#define LOOKED_UP_MAX 32 /* finding a target takes time by the square of the entries */

/* As the kernel writes a name: what would end the field is escaped. */
static void print_name(FILE *f, const char *name)
{
        for (; *name; name++)
                if (strchr(" \t\n\\#", *name))
                        fprintf(f, "\\%03o", (unsigned char)*name);
                else
                        fputc(*name, f);
}

static char *print(const Mountinfo *m)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        CHECK(f);
        for (size_t i = 0; i < m->n_entries; i++) {
                const MountEntry *e = &m->entries[i];

                fprintf(f, "%d %d %u:%u ", e->id, e->parent_id, major(e->devnum), minor(e->devnum));
                print_name(f, e->root);
                fputc(' ', f);
                print_name(f, e->target);
                fprintf(f, " %s%s%s%s - %s ", e->options, e->shared ? " shared:1" : "",
                        e->slave ? " master:2" : "", e->unbindable ? " unbindable" : "", e->type);
                print_name(f, e->source);
                fprintf(f, " %s\n", e->super_options);
        }
        CHECK(fclose(f) == 0);
        CHECK(text);
        return text;
}

static void check_same(const Mountinfo *a, const Mountinfo *b)
{
        CHECK(a->n_entries == b->n_entries);
        for (size_t i = 0; i < a->n_entries; i++) {
                const MountEntry *x = &a->entries[i], *y = &b->entries[i];

                CHECK(x->id == y->id && x->parent_id == y->parent_id && x->devnum == y->devnum);
                CHECK(x->shared == y->shared && x->slave == y->slave &&
                      x->unbindable == y->unbindable);
                CHECK(streq(x->root, y->root));
                CHECK(streq(x->target, y->target));
                CHECK(streq(x->options, y->options));
                CHECK(streq(x->type, y->type));
                CHECK(streq(x->source, y->source));
                CHECK(streq(x->super_options, y->super_options));
        }
}

static void check_options(const MountEntry *e)
{
        _cleanup_free_ char *options = mount_entry_options(e);

        CHECK(options);
        CHECK(startswith(options, mount_entry_is_read_only(e) ? "ro" : "rw"));
        CHECK(options[2] == '\0' || options[2] == ',');
        /* Either one is in it once, at its beginning. */
        CHECK(!text_has_word(options + 2, "ro", 2) && !text_has_word(options + 2, "rw", 2));
        CHECK(strlen(options) <= strlen(e->options) + strlen(e->super_options) + 4);
}

static void check_entry(const Mountinfo *m, const MountEntry *e)
{
        const MountEntry *found = mountinfo_find_target(m, e->target);
        char node[] = "/dev/sda";
        const Device d = { .devnum = e->devnum, .node = node };

        CHECK(!found || streq(found->target, e->target));
        CHECK(mountinfo_find_id(m, e->id)->id == e->id);
        CHECK(e->target[0] == '/' && e->root[0] != '\0' && e->type[0] != '\0');
        CHECK(mount_entry_is_device(e, &d) == (major(e->devnum) != 0 || streq(e->source, node)));
        check_options(e);
}

/* Any names at all, as the kernel writes them, come back as they were. */
static void check_names(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *root = fuzz_line(&data, &size), *target = fuzz_line(&data, &size),
                            *source = fuzz_string(data, size);
        const MountEntry e = { .id = 1,
                               .root = root && *root ? root : "/",
                               .target = "/",
                               .options = "rw",
                               .type = "tmpfs",
                               .source = source,
                               .super_options = "rw" };
        const MountEntry below = { .id = 2,
                                   .parent_id = 1,
                                   .root = "/",
                                   .target = target && *target == '/' ? target : "/a",
                                   .options = "ro",
                                   .type = "tmpfs",
                                   .source = "",
                                   .super_options = "ro" };
        MountEntry entries[] = { e, below };
        Mountinfo in = { .entries = entries, .n_entries = ELEMENTSOF(entries) };
        _cleanup_(mountinfo_freep) Mountinfo *out = NULL;

        CHECK(mountinfo_parse(print(&in), &out) == 0);
        check_same(&in, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(mountinfo_freep) Mountinfo *m = NULL, *again = NULL;

        CHECK(mountinfo_parse(fuzz_string(data, size), &m) == 0);
        for (size_t i = 0; i < m->n_entries && i < LOOKED_UP_MAX; i++)
                check_entry(m, &m->entries[i]);
        CHECK(mountinfo_parse(print(m), &again) == 0);
        check_same(m, again);
        check_names(data, size);
        return 0;
}
