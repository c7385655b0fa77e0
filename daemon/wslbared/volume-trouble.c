/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "volume-trouble.h"
#include "macro.h"
#include "volume-past.h"

void volume_doubt(Volume *v)
{
        if (!v->mount)
                return;
        v->mount->doubted = true;
        v->dirty = true;
        volume_start_afresh(v);
}

bool volume_hear_error(Volume *v, uint64_t fsid, int errnum)
{
        if (!v->mount || v->mount->fsid == 0 || v->mount->fsid != fsid)
                return false;
        v->mount->error = errnum;
        v->dirty = true;
        return true;
}

void volume_follow_mount(Volume *v, const MountEntry *e)
{
        char *options = mount_entry_options(e);

        if (!options || streq_ptr(options, v->mount->options)) {
                free(options);
                return;
        }
        free(v->mount->options);
        v->mount->options = options;
        v->mount->read_only = mount_entry_is_read_only(e);
        v->is_changed = true;
}

PlanTrouble volume_trouble(const Volume *v, const MountEntry *e)
{
        const VolumeMount *m = v->mount;

        return (PlanTrouble){
                .shut_down = mount_entry_is_shut_down(e),
                .read_only = mount_entry_is_turned_read_only(e) && !m->made_read_only,
                .error = m->error != 0 ? m->error : m->doubt_errno,
                .message = m->error != 0 ? NULL : m->doubt_message,
        };
}
