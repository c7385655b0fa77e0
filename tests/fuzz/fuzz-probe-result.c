/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "check.h"
#include "fuzz.h"
#include "macro.h"
#include "probe.h"

/* What the probing child, which has read hostile bytes, writes into the pipe. The input has a line
 * for each string of it, then one with the numbers: verdict, flags of the state, time of the next
 * check. */

/* A string that fills its field has no NUL behind it. */
static void read_result(const uint8_t *data, size_t size, ProbeResult *r)
{
        char *const fields[] = { r->usage, r->type,      r->version,    r->uuid,
                                 r->label, r->part_uuid, r->part_label, r->table_uuid };
        _cleanup_free_ char *numbers = NULL;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                _cleanup_free_ char *line = fuzz_line(&data, &size);

                if (line)
                        memcpy(fields[i], line, strnlen(line, PROBE_VALUE_MAX));
        }
        numbers = fuzz_string(data, size);
        (void)sscanf(numbers, "%" SCNu32 " %" SCNu64 " %" SCNu64, &r->verdict, &r->state.flags,
                     &r->state.due_sec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(device_freep) Device *d = NULL;
        ProbeResult r = { 0 };

        read_result(data, size, &r);
        if (!probe_result_is_valid(&r))
                return 0;
        CHECK(device_new(1, &d) == 0);
        for (unsigned i = 0; i < 2; i++) {
                const char *const texts[] = { d->uuid,      d->label,      d->type,
                                              d->part_uuid, d->part_label, d->disk_guid };

                for (size_t k = 0; k < ELEMENTSOF(texts); k++)
                        if (texts[k]) {
                                fuzz_check_text(texts[k]);
                                CHECK(texts[k][0] != '\0');
                        }
                CHECK(probe_result_describe(&r, d) == 0);
        }
        CHECK(check_need(CHECK_NEVER, &r.state, 0) == CHECK_NEED_NONE);
        CHECK(check_need(CHECK_ALWAYS, &r.state, 0) != CHECK_NEED_NONE);
        CHECK(check_need_to_string(check_need(CHECK_AUTO, &r.state, 1)));
        CHECK((d->content == DEVICE_CONTENT_AMBIVALENT) == (r.verdict == PROBE_AMBIVALENT));
        CHECK(d->content != DEVICE_CONTENT_FILESYSTEM || streq(r.usage, "filesystem"));
        CHECK(d->content != DEVICE_CONTENT_UNKNOWN);
        return 0;
}
