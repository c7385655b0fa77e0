/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "check.h"
#include "macro.h"

typedef struct CheckProgram {
        const char *type;
        const char *package;
        const char *preen; /* mends without asking; NULL: the program does nothing */
        const char *force; /* NULL: it looks at everything each time */
        const char *prove; /* looks only; NULL: what it calls mended is */
        bool has_progress;
        const char *by_hand; /* NULL: fsck */
} CheckProgram;

static const CheckProgram programs[] = {
        { "ext2", "e2fsprogs", "-p", "-f", NULL, true, NULL },
        { "ext3", "e2fsprogs", "-p", "-f", NULL, true, NULL },
        { "ext4", "e2fsprogs", "-p", "-f", NULL, true, NULL },
        /* Ends with 1 also where it broke off, as when it cannot read: see its man page. */
        { "vfat", "dosfstools", "-a", NULL, "-n", false, NULL },
        { "exfat", "exfatprogs", "-p", NULL, NULL, false, NULL },
        /* Both mend themselves when they are mounted. */
        { "xfs", NULL, NULL, NULL, NULL, false, "xfs_repair" },
        { "btrfs", NULL, NULL, NULL, NULL, false, "btrfs check" },
};

/* What fsck(8) gives to a program of any type. */
static const CheckProgram any_program = { NULL, NULL, "-a", NULL, NULL, false, NULL };

static const CheckProgram *find_program(const char *type)
{
        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (streq(programs[i].type, type))
                        return &programs[i];
        return &any_program;
}

static CheckNeed need_of_state(const FsState *state, uint64_t now_sec)
{
        if (!(state->flags & FS_KNOWN))
                return CHECK_NEED_NONE;
        if (state->flags & FS_ERRORS)
                return CHECK_NEED_ERRORS;
        if (!(state->flags & FS_CLEAN))
                return CHECK_NEED_UNCLEAN;
        return fs_state_is_due(state, now_sec) ? CHECK_NEED_DUE : CHECK_NEED_NONE;
}

CheckNeed check_need(CheckWhen when, const FsState *state, uint64_t now_sec)
{
        CheckNeed need = need_of_state(state, now_sec);

        switch (when) {
        case CHECK_NEVER:
                return CHECK_NEED_NONE;
        case CHECK_AUTO:
                return need;
        case CHECK_ALWAYS:
                return need != CHECK_NEED_NONE ? need : CHECK_NEED_ASKED;
        }
        return CHECK_NEED_NONE;
}

const char *check_need_to_string(CheckNeed need)
{
        static const char *const names[] = {
                [CHECK_NEED_NONE] = "",
                [CHECK_NEED_ERRORS] = "has errors",
                [CHECK_NEED_UNCLEAN] = "was not cleanly unmounted",
                [CHECK_NEED_DUE] =
                        "was mounted as often, or not checked for as long, as tune2fs allows",
                [CHECK_NEED_ASKED] = "is to be checked always",
        };

        return names[need];
}

bool check_is_vital(const FsState *state)
{
        return state->flags & FS_FRAGILE && !(state->flags & FS_CLEAN);
}

bool check_is_useful(const char *type)
{
        return find_program(type)->preen;
}

const char *check_package(const char *type)
{
        return find_program(type)->package;
}

const char *check_by_hand(const char *type)
{
        const CheckProgram *p = find_program(type);

        return p->by_hand ? p->by_hand : "fsck";
}

void check_arguments(const char *type, const char *program, const char *node, bool force,
                     const char *progress, const char *argv[CHECK_ARGV_MAX])
{
        const CheckProgram *p = find_program(type);
        size_t n = 0;

        argv[n++] = program;
        argv[n++] = p->preen;
        if (force && p->force)
                argv[n++] = p->force;
        if (p->has_progress) {
                argv[n++] = "-C";
                argv[n++] = progress;
        }
        argv[n++] = node;
        argv[n] = NULL;
}

bool check_proving_arguments(const char *type, const char *program, const char *node,
                             const char *argv[CHECK_ARGV_MAX])
{
        const CheckProgram *p = find_program(type);
        size_t n = 0;

        if (!p->prove)
                return false;
        argv[n++] = program;
        argv[n++] = p->prove;
        argv[n++] = node;
        argv[n] = NULL;
        return true;
}

bool check_parse_progress(const char *line, unsigned *ret)
{
        /* Where each of the five passes begins, in percent of the time that they usually take. */
        static const unsigned begins[] = { 0, 70, 90, 92, 95, 100 };
        unsigned pass, begin;
        uint64_t current, max;

        if (sscanf(line, "%1u %19" SCNu64 " %19" SCNu64 " ", &pass, &current, &max) != 3 ||
            pass < 1 || pass >= ELEMENTSOF(begins) || max == 0 || current > max)
                return false;
        begin = begins[pass - 1];
        *ret = begin + (unsigned)((double)(begins[pass] - begin) * (double)current / (double)max);
        return true;
}

static const struct {
        int bit;
        CheckOutcome outcome;
        const char *text;
} statuses[] = {
        /* The worst first. */
        { 128, CHECK_BROKEN, "a library of it is missing" },
        { 16, CHECK_BROKEN, "it was called in a way that it does not know" },
        { CHECK_STATUS_ERRORS_LEFT, CHECK_ERRORS_LEFT, "errors are left" },
        { CHECK_STATUS_OPERATIONAL, CHECK_BROKEN, "it could not do its work" },
        { 32, CHECK_BROKEN, "it was cancelled" },
        /* Of the root filesystem: to be rebooted. */
        { 2, CHECK_MENDED, "what was wrong was mended" },
        { 1, CHECK_MENDED, "what was wrong was mended" },
};

CheckOutcome check_outcome(int status)
{
        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (status & statuses[i].bit)
                        return statuses[i].outcome;
        return status == 0 ? CHECK_CLEAN : CHECK_BROKEN;
}

const char *check_status_to_string(int status)
{
        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (status & statuses[i].bit)
                        return statuses[i].text;
        return status == 0 ? "there are no errors" : "fsck(8) does not know this status";
}
