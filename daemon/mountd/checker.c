/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "check-lock.h"
#include "check.h"
#include "checker.h"
#include "fsck.h"
#include "macro.h"
#include "sbin.h"
#include "text.h"

static const char *type_of(const BlockDevice *b)
{
        return b->device->type;
}

/* What a check that did not end well leads to. MESSAGE is taken; ADVICE is for when it is refused.
 */
static int follow_failure(const VolumeConfig *config, const char *error, int errnum, char *message,
                          const char *advice, bool *ret_read_only, Report *report)
{
        _cleanup_free_ char *text = message;

        if (!text)
                return report_fail(report, "MountFailed", STEP_CHECK, ENOMEM, "Out of memory");
        switch (config->check_failure) {
        case CHECK_FAILURE_REFUSE:
                return report_fail(report, error, STEP_CHECK, errnum, "%s; %s", text, advice);
        case CHECK_FAILURE_READ_ONLY:
                report_add(report, "Warnings", "%s; it is mounted read-only, as CheckFailure= says",
                           text);
                *ret_read_only = true;
                return 0;
        case CHECK_FAILURE_IGNORE:
                report_add(report, "Warnings",
                           "%s; it is mounted all the same, as CheckFailure= says", text);
                return 0;
        }
        return -EINVAL;
}

static int lack_program(const VolumeConfig *config, const BlockDevice *b, CheckNeed need,
                        bool *ret_read_only, Report *report)
{
        const char *package = check_package(type_of(b));
        _cleanup_free_ char *text =
                text_format("%s %s, and there is no fsck.%s to do it%s%s", b->device->node,
                            check_need_to_string(need), type_of(b), package ? "; install " : "",
                            package ? package : "");

        if (text && !check_is_vital(&b->content.state)) {
                report_add(report, "Warnings", "%s", text);
                return 0;
        }
        return follow_failure(config, "CheckFailed", ENOENT, TAKE_PTR(text),
                              "then reload wslbared, or attach it again", ret_read_only, report);
}

/* 1, 0, -errno. */
static int is_held(const BlockDevice *b)
{
        _cleanup_close_ int fd = blockdev_claim(b->device);

        return fd == -EBUSY ? 1 : fd < 0 ? fd : 0;
}

static int say_held(const BlockDevice *b, Report *report)
{
        report_add(
                report, "Warnings",
                "%s is not checked, as it is in use: another distribution or mount namespace has "
                "it mounted, or something else holds it",
                b->device->node);
        return 0;
}

static dev_t disk_of(const BlockDevice *b)
{
        dev_t disk;

        return device_whole_disk(b->device->devnum, &disk) < 0 ? b->device->devnum : disk;
}

/* Not by a lock on the disk itself, which would keep udevd, and volumes that need no check,
 * waiting.
 */
static int take_turn(const Mounter *m, const BlockDevice *b, int *ret_fd, Report *report)
{
        int r = check_lock_take(m->checks, disk_of(b), b->device->devnum, ret_fd);

        if (r == -EAGAIN)
                return report_fail(report, "InProgress", STEP_CHECK, r,
                                   "Something else on the disk of %s is being checked, or it is "
                                   "being mounted; it is its turn when that is done",
                                   b->device->node);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_CHECK, r, "Cannot lock %s: %s",
                                   m->checks, strerror(-r));
        return 0;
}

/* Where there is no lock to be had, nobody else has one to check it by. */
static int keep_from_checks(const Mounter *m, const BlockDevice *b, int *ret_fd, Report *report)
{
        if (check_lock_share(m->checks, b->device->devnum, ret_fd) == -EAGAIN)
                return report_fail(report, "InProgress", STEP_CHECK, EAGAIN,
                                   "%s is being checked; it is mounted when that is done",
                                   b->device->node);
        return 0;
}

static char *describe_failure(const VolumeConfig *config, const BlockDevice *b, const FsckEnd *e)
{
        const char *node = b->device->node, *type = type_of(b), *colon = e->words[0] ? ": " : "";

        if (e->timed_out)
                return text_format("fsck.%s on %s did not end within %" PRIu64
                                   " s and was ended, at %u %%%s%s",
                                   type, node, config->mount_timeout_usec / USEC_PER_SEC,
                                   e->percent, colon, e->words);
        if (e->signal > 0)
                return text_format("fsck.%s on %s was killed by signal %d%s%s", type, node,
                                   e->signal, colon, e->words);
        return text_format("fsck.%s on %s: %s (exit status %d)%s%s", type, node,
                           check_status_to_string(e->status), e->status, colon, e->words);
}

static bool has_ended(const FsckEnd *e, CheckOutcome outcome)
{
        return !e->timed_out && e->signal == 0 && check_outcome(e->status) == outcome;
}

static bool is_good(const FsckEnd *e)
{
        return has_ended(e, CHECK_CLEAN) || has_ended(e, CHECK_MENDED);
}

static int judge(const VolumeConfig *config, const BlockDevice *b, CheckNeed need, const FsckEnd *e,
                 bool *ret_read_only, Report *report)
{
        _cleanup_free_ char *advice = NULL;

        if (is_good(e)) {
                report_add(report, "Checked", "%s %s; fsck.%s: %s%s%s", b->device->node,
                           check_need_to_string(need), type_of(b),
                           check_status_to_string(e->status), e->words[0] ? ": " : "", e->words);
                return 0;
        }
        if (e->timed_out)
                return follow_failure(
                        config, "TimedOut", ETIMEDOUT, describe_failure(config, b, e),
                        "if it only needs longer, raise MountTimeoutSec=", ret_read_only, report);
        /* Somebody was faster. */
        if (e->status == CHECK_STATUS_OPERATIONAL && is_held(b) > 0)
                return say_held(b, report);
        advice = text_format("mend it with `fsck.%s %s`, then attach it again or call Mount",
                             type_of(b), b->device->node);
        return follow_failure(config, "CheckFailed", EUCLEAN, describe_failure(config, b, e),
                              advice ? advice : "", ret_read_only, report);
}

/* Where that is not sure, whether what E calls mended is; E becomes what says otherwise.
 * Both have the time of one. */
static int prove(const Mounter *m, const BlockDevice *b, const char *program, int lock_fd,
                 FsckEnd *e)
{
        _cleanup_(fsck_end_done) FsckEnd proof = { 0 };
        const char *argv[CHECK_ARGV_MAX];
        int r;

        if (!has_ended(e, CHECK_MENDED) ||
            !check_proving_arguments(type_of(b), program, b->device->node, argv))
                return 0;
        r = fsck_run(argv, lock_fd, e->left_usec, m->percent, m->userdata, &proof);
        if (r < 0 || has_ended(&proof, CHECK_CLEAN))
                return r;
        if (has_ended(&proof, CHECK_MENDED)) /* it would, if it were let */
                proof.status = CHECK_STATUS_ERRORS_LEFT;
        fsck_end_done(e);
        *e = proof;
        proof = (FsckEnd){ 0 };
        return 0;
}

static int run(const Mounter *m, const VolumeConfig *config, const BlockDevice *b, CheckNeed need,
               const char *program, int lock_fd, bool *ret_read_only, Report *report)
{
        _cleanup_(fsck_end_done) FsckEnd end = { 0 };
        const char *argv[CHECK_ARGV_MAX];
        int r;

        check_arguments(type_of(b), program, b->device->node, need == CHECK_NEED_ASKED,
                        FSCK_PROGRESS, argv);
        m->progress(STEP_CHECK, m->userdata);
        r = fsck_run(argv, lock_fd, config->mount_timeout_usec, m->percent, m->userdata, &end);
        if (r >= 0)
                r = prove(m, b, program, lock_fd, &end);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_CHECK, r, "Cannot run %s: %s",
                                   program, strerror(-r));
        return judge(config, b, need, &end, ret_read_only, report);
}

/* LOCK_FD: of its turn. */
static int check(const Mounter *m, const VolumeConfig *config, const BlockDevice *b, CheckNeed need,
                 int lock_fd, bool *ret_read_only, Report *report)
{
        _cleanup_free_ char *program = NULL;
        int r = is_held(b);

        if (r > 0)
                return say_held(b, report);
        if (r >= 0)
                r = sbin_find(m->sbin, "fsck", type_of(b), &program);
        if (r < 0)
                return report_fail(report, "MountFailed", STEP_CHECK, r, "Cannot check %s: %s",
                                   b->device->node, strerror(-r));
        if (r == 0)
                return lack_program(config, b, need, ret_read_only, report);
        return run(m, config, b, need, program, lock_fd, ret_read_only, report);
}

/* Whether it is checked; where not though it should be, that is said. */
static bool is_to_be_checked(const VolumeConfig *config, const BlockDevice *b, CheckNeed need,
                             Report *report)
{
        if (need == CHECK_NEED_NONE)
                return false;
        if (b->device->read_only || config->read_only) {
                if (need != CHECK_NEED_ASKED)
                        report_add(report, "Warnings",
                                   "%s %s, and is not checked, as it is mounted read-only",
                                   b->device->node, check_need_to_string(need));
                return false;
        }
        if (!check_is_useful(type_of(b))) {
                report_add(report, "Warnings",
                           "%s is not checked: %s mends itself when it is mounted, so "
                           "Check=always means nothing",
                           b->device->node, type_of(b));
                return false;
        }
        return true;
}

int checker_check(const Mounter *m, const VolumeConfig *config, const BlockDevice *b,
                  bool *ret_read_only, int *ret_lock_fd, Report *report)
{
        CheckNeed need = check_need(config->check, &b->content.state, (uint64_t)time(NULL));
        _cleanup_close_ int lock_fd = -1;
        int r;

        *ret_read_only = false;
        if (!is_to_be_checked(config, b, need, report))
                return keep_from_checks(m, b, ret_lock_fd, report);
        /* First, so that what holds it is no check of ours that is ending. */
        r = take_turn(m, b, &lock_fd, report);
        if (r >= 0)
                r = check(m, config, b, need, lock_fd, ret_read_only, report);
        if (r < 0)
                return r;
        (void)check_lock_relax(lock_fd, disk_of(b), b->device->devnum);
        *ret_lock_fd = TAKE_FD(lock_fd);
        return 0;
}
