/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/inotify.h>

#include "macro.h"
#include "served-data.h"
#include "served.h"
#include "test.h"

void data_begin(void)
{
        served_begin_with_disks();
        served_configure("data", served.where, "");
        served_start();
}

Record *record_of(const char *name)
{
        Record *r = NULL;

        (void)record_load(served.records, name, &r);
        return r;
}

void data_assert_record(RecordPhase phase, bool directory_made, int mount_id)
{
        _cleanup_(record_freep) Record *r = record_of("data");

        ASSERT(r);
        ASSERT_EQ(r->phase, phase);
        ASSERT_STR(r->target, served.where);
        ASSERT(r->devnum == served.disk.devnum);
        ASSERT(r->diskseq == served.disk.diskseq);
        ASSERT_EQ(r->mount_id, mount_id);
        ASSERT_EQ(r->directory_made, directory_made);
}

bool contains_line(const char *text, const char *line)
{
        const char *p = strstr(text, line);

        return p && (p == text || p[-1] == '\n') && p[strlen(line)] == '\n';
}

void data_mount(void)
{
        const char *answer = ask_mount("data", &served.disk);

        if (!contains_line(answer, "ReadOnly b false"))
                test_fail(__FILE__, __LINE__, "%s", answer);
}

unsigned data_count_saved(int watch_fd)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(watch_fd, buffer, sizeof(buffer));
        unsigned count = 0;

        for (const char *p = buffer; n > 0 && p < buffer + n;) {
                const struct inotify_event *e = (const void *)p;

                count += (e->mask & IN_MOVED_TO) && streq(e->name, "data");
                p += sizeof(*e) + e->len;
        }
        return count;
}

const char *data_ask_adopt(const Disk *disk)
{
        return ask("Adopt", "stt", "data", (uint64_t)disk->devnum, disk->diskseq);
}
