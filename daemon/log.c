/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "log.h"
#include "macro.h"
#include "text.h"

/* The two facts of a process about where its messages go. */
static int max_level = LOG_INFO;
static int to_journal = -1;

void log_set_level(int level)
{
        max_level = level;
}

int log_level_from_string(const char *s, int *ret)
{
        static const char *const names[] = { "emerg",   "alert",  "crit", "err",
                                             "warning", "notice", "info", "debug" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]) || (s[0] == '0' + (int)i && s[1] == '\0')) {
                        *ret = (int)i;
                        return 0;
                }
        return -EINVAL;
}

/* systemd says in $JOURNAL_STREAM which device and inode its stream is, and standard error may be
 * another one. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void send_to_journal(int level, int error, const LogContext *about, const char *message)
{
        char *fields[5] = { 0 };
        struct iovec iov[ELEMENTSOF(fields)];
        int n = 0;

        fields[n++] = text_format("MESSAGE=%s", message);
        fields[n++] = text_format("PRIORITY=%d", level);
        if (error != 0)
                fields[n++] = text_format("ERRNO=%d", error);
        if (about && about->volume)
                fields[n++] = text_format("WSLBARE_VOLUME=%s", about->volume);
        if (about && about->device)
                fields[n++] = text_format("WSLBARE_DEVICE=%s", about->device);

        for (int i = 0; i < n; i++)
                iov[i] = (struct iovec){ fields[i], fields[i] ? strlen(fields[i]) : 0 };
        (void)sd_journal_sendv(iov, n);
        for (int i = 0; i < n; i++)
                free(fields[i]);
}

int log_full(int level, int error, const LogContext *about, const char *format, ...)
{
        char message[2048];
        va_list ap;

        error = error < 0 ? -error : error;
        if (level > max_level)
                return -error;

        va_start(ap, format);
        (void)vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);

        if (to_journal < 0)
                to_journal = stderr_is_journal();
        if (to_journal)
                send_to_journal(level, error, about, message);
        else if (about && about->volume)
                fprintf(stderr, "%s: %s\n", about->volume, message);
        else
                fprintf(stderr, "%s\n", message);
        return -error;
}
