/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fuzz.h"
#include "macro.h"
#include "record.h"
#include "test.h"

/* A record of mountd, as one that was half written or is an older version's. */

static const char *directory(void)
{
        static char path[64];

        if (path[0] == '\0')
                (void)snprintf(path, sizeof(path), "%s", test_directory());
        return path;
}

static void check_same(const Record *a, const Record *b)
{
        CHECK(a->phase == b->phase);
        CHECK(streq(a->target, b->target));
        CHECK(a->devnum == b->devnum && a->diskseq == b->diskseq && a->mount_id == b->mount_id);
        CHECK(a->mount_devnum == b->mount_devnum && a->unique_id == b->unique_id);
        CHECK(streq_ptr(a->source, b->source) && streq_ptr(a->fsid, b->fsid));
        CHECK(streq_ptr(a->asked, b->asked));
        CHECK(a->directory_made == b->directory_made && a->read_only == b->read_only);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(record_freep) Record *r = NULL, *again = NULL;
        _cleanup_free_ char *text = fuzz_string(data, size);
        const char *dir = directory();
        int k;

        test_write(dir, "a", text);
        k = record_load(dir, "a", &r);
        CHECK(k == 0 || k == -EBADMSG);
        CHECK((k == 0) == (r != NULL));
        if (!r)
                return 0;
        CHECK(r->devnum != 0 && r->target);
        CHECK(record_save(dir, "b", r) == 0);
        CHECK(record_load(dir, "b", &again) == 0);
        check_same(r, again);
        return 0;
}
