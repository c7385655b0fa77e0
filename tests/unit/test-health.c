/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "health.h"
#include "macro.h"
#include "plan.h"
#include "test.h"

#define S(x) ((char *)(x))

static ClientVolume volume(const char *state, const char *step, const char *type)
{
        return (ClientVolume){ .name = S("data"),
                               .state = S(state),
                               .device = S("/dev/sdb1"),
                               .type = S(type),
                               .config_path = S("/etc/wslbare.d/data.conf"),
                               .failure_step = S(step),
                               .failure_message = S("") };
}

static void test_rows(void)
{
        static const struct {
                const char *state, *step, *type;
                int error;
                bool stale;
                Health health;
                const char *cure; /* part of it; NULL: none */
        } rows[] = {
                { "mounted", "", "ext4", 0, false, HEALTH_GOOD, NULL },
                { "mounted", "", "ext4", 0, true, HEALTH_GOOD, "its file was changed" },
                { "mounted", "run", "ext4", 0, false, HEALTH_BAD, "`fsck /dev/sdb1`" },
                { "mounted", "run", "", EIO, false, HEALTH_BAD, "`fsck /dev/sdb1`" },
                { "mounted", "run", "xfs", EIO, false, HEALTH_BAD, "`xfs_repair /dev/sdb1`" },
                { "mounted", "run", "btrfs", EIO, false, HEALTH_BAD, "`btrfs check /dev/sdb1`" },
                { "mounted", "run", "btrfs", ENODEV, false, HEALTH_BAD, NULL }, /* some went */
                { "mounted", "run", "ext4", ENOENT, false, HEALTH_BAD, NULL },  /* was moved */
                { "mounted", "unmount", "ext4", 0, false, HEALTH_ODD, "unmount --lazy data" },
                { "mounted", "eject", "ext4", 0, false, HEALTH_ODD, "eject data" },
                { "mounted", "config", "ext4", 0, false, HEALTH_ODD, "mend /etc/wslbare.d/data" },
                { "absent", "", "", 0, false, HEALTH_IDLE, NULL },
                { "absent", "mount", "", 0, false, HEALTH_IDLE, "attach its disk" },
                { "absent", "check", "", 0, false, HEALTH_IDLE, "attach its disk" },
                { "absent", "probe", "", 0, false, HEALTH_IDLE, "attach its disk" },
                { "absent", "config", "", 0, false, HEALTH_IDLE, "mend /etc/wslbare.d/data" },
                { "unmounted", "", "ext4", 0, false, HEALTH_IDLE, NULL },
                { "mounting", "", "ext4", 0, false, HEALTH_WORKING, NULL },
                { "ambiguous", "probe", "", 0, false, HEALTH_BAD, NULL },
                { "unsupported", "mount", "zfs", 0, false, HEALTH_BAD, NULL },
                { "locked", "probe", "crypto_LUKS", 0, false, HEALTH_ODD, NULL },
                { "member", "probe", "LVM2_member", 0, false, HEALTH_ODD, NULL },
                { "incomplete", "", "btrfs", 0, false, HEALTH_ODD, NULL },
                { "lost", "", "", 0, false, HEALTH_BAD, NULL },
                { "failed", "probe", "", 0, false, HEALTH_BAD, "`wipefs /dev/sdb1`" },
                { "failed", "check", "ext4", 0, false, HEALTH_BAD, "`fsck /dev/sdb1`" },
                { "failed", "target", "ext4", 0, false, HEALTH_BAD, "mount data" },
                { "failed", "mount", "ext4", 0, false, HEALTH_BAD, "journalctl" },
                { "failed", "verify", "ext4", 0, false, HEALTH_BAD, "journalctl" },
                { "levitating", "thinking", "", 0, false, HEALTH_ODD, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ClientVolume v = volume(rows[i].state, rows[i].step, rows[i].type);
                _cleanup_free_ char *cure = NULL;

                v.stale = rows[i].stale;
                v.failure_errno = rows[i].error;
                if (streq(rows[i].state, "absent"))
                        v.device = S("");
                test_row(rows[i].state);
                ASSERT_EQ(health_of(&v), rows[i].health);
                cure = health_cure(&v);
                if (rows[i].cure)
                        ASSERT_CONTAINS(cure, rows[i].cure);
                else
                        ASSERT_STR(cure, NULL);
        }
        test_row(NULL);
}

static void test_signs(void)
{
        for (Health h = HEALTH_GOOD; h < _HEALTH_MAX; h++) {
                ASSERT_EQ(strlen(health_sign(h)), 1); /* the locale is C */
                ASSERT(health_color(h) < _TERM_COLOR_MAX);
        }
}

TEST_MAIN(TEST(rows), TEST(signs))
