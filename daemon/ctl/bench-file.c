/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "bench-file.h"
#include "macro.h"
#include "term.h"
#include "text.h"

#define CHUNK (UINT64_C(1) << 20)
#define ALIGNMENT 4096U /* no disk's sectors are larger */

static int say(const char *path, int r, const char *what)
{
        term_line(stderr, "wslbarectl: %s: %s", path, what);
        return r;
}

/* A file that was never in the directory, or is not any more. */
static int open_nameless(const char *path)
{
        _cleanup_free_ char *name = NULL;
        int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        /* Not every filesystem has O_TMPFILE; EISDIR is what a kernel without it says. */
        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
                return fd >= 0 ? fd : -errno;
        name = text_format("%s/.wslbarectl-bench-XXXXXX", path);
        if (!name)
                return -ENOMEM;
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (unlink(name) < 0)
                return say(name, -errno, "cannot be removed");
        return fd;
}

static int check_space(const char *path, int fd, uint64_t size)
{
        char has[TERM_SIZE_MAX], wants[TERM_SIZE_MAX], spare[TERM_SIZE_MAX];
        struct statvfs v;
        uint64_t available;

        if (fstatvfs(fd, &v) < 0)
                return say(path, -errno, strerror(errno));
        available = (uint64_t)v.f_bavail * v.f_frsize;
        if (available >= BENCH_FILE_SPARE && available - BENCH_FILE_SPARE >= size)
                return 0;
        term_line(
                stderr,
                "wslbarectl: %s: has %s free, where %s are to be written and %s to stay free; make "
                "room, or give a smaller --size=",
                path, term_size(available, has), term_size(size, wants),
                term_size(BENCH_FILE_SPARE, spare));
        return -ENOSPC;
}

/* Not zeros, and no two blocks alike: some disks, and some filesystems, make less of those. */
static int fill(int fd, uint64_t size, unsigned char *chunk)
{
        for (uint64_t done = 0; done < CHUNK;) {
                ssize_t n = getrandom(chunk + done, CHUNK - done, 0);

                if (n < 0)
                        return -errno;
                done += (uint64_t)n;
        }
        for (uint64_t offset = 0; offset < size; offset += CHUNK) {
                ssize_t n;

                for (uint64_t i = 0; i < CHUNK; i += ALIGNMENT) {
                        uint64_t number = offset + i;

                        memcpy(chunk + i, &number, sizeof(number));
                }
                n = pwrite(fd, chunk, CHUNK, (off_t)offset);
                if (n < 0)
                        return -errno;
                if ((uint64_t)n != CHUNK)
                        return -ENOSPC;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

static unsigned read_number(dev_t devnum, const char *name)
{
        _cleanup_free_ char *path = NULL;
        unsigned n = 0;
        FILE *f;

        /* A partition has no queue of its own; its disk is the directory above. */
        for (unsigned up = 0; up < 2 && n == 0; up++) {
                free(path);
                path = text_format("/sys/dev/block/%u:%u%s/queue/%s", major(devnum), minor(devnum),
                                   up ? "/.." : "", name);
                f = path ? fopen(path, "re") : NULL;
                if (!f)
                        continue;
                if (fscanf(f, "%u", &n) != 1)
                        n = 0;
                (void)fclose(f);
        }
        return n;
}

static int prepare(const char *path, int fd, uint64_t size)
{
        void *chunk;
        int r = check_space(path, fd, size);

        if (r < 0)
                return r;
        if (fcntl(fd, F_SETFL, O_DIRECT) < 0)
                return say(path, -EOPNOTSUPP, "the filesystem has no direct I/O to be measured");
        if (posix_memalign(&chunk, ALIGNMENT, CHUNK) != 0)
                return -ENOMEM;
        r = fill(fd, size, chunk);
        free(chunk);
        return r < 0 ? say(path, r, strerror(-r)) : 0;
}

int bench_file_open(const char *path, uint64_t size, BenchFile *ret)
{
        _cleanup_close_ int fd = open_nameless(path);
        struct stat st;
        int r;

        if (fd < 0)
                return say(path, fd, strerror(-fd));
        r = prepare(path, fd, size);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return say(path, -errno, strerror(errno));
        *ret = (BenchFile){
                .path = path,
                .request_kib = read_number(st.st_dev, "max_sectors_kb"),
                .request_limit_kib = read_number(st.st_dev, "max_hw_sectors_kb"),
                .fd = TAKE_FD(fd),
        };
        return 0;
}

void bench_file_close(BenchFile *f)
{
        f->fd = close_fd(f->fd);
}
