/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "macro.h"
#include "probe.h"

/* A device, as its superblocks and partition table say it is. The input is a byte (the partition's
 * number, 0 for a whole disk) and then pieces of an otherwise empty image: offset in four bytes,
 * length in two, both little-endian, and what is there. `images` makes such inputs of real
 * filesystems. */

#define IMAGE_SIZE (8U * 1024U * 1024U)

static bool take(const uint8_t **data, size_t *size, void *to, size_t n)
{
        if (*size < n)
                return false;
        memcpy(to, *data, n);
        *data += n;
        *size -= n;
        return true;
}

static void write_pieces(int fd, const uint8_t *data, size_t size)
{
        uint32_t offset;
        uint16_t length;

        CHECK(ftruncate(fd, 0) == 0);
        CHECK(ftruncate(fd, IMAGE_SIZE) == 0);
        while (take(&data, &size, &offset, sizeof(offset)) &&
               take(&data, &size, &length, sizeof(length))) {
                size_t at = le32toh(offset) % IMAGE_SIZE, n = le16toh(length);

                if (n > size)
                        n = size;
                if (n > IMAGE_SIZE - at)
                        n = IMAGE_SIZE - at;
                CHECK(pwrite(fd, data, n, (off_t)at) == (ssize_t)n);
                data += n;
                size -= n;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        ProbeResult a, b;
        int r;

        if (size < 1)
                return 0;
        if (fd < 0)
                fd = memfd_create("image", MFD_CLOEXEC);
        CHECK(fd >= 0);
        write_pieces(fd, data + 1, size - 1);
        memset(&a, 0xff, sizeof(a));
        memset(&b, 0x55, sizeof(b));
        r = probe_fd(fd, data[0] ? fd : -1, data[0], &a);
        CHECK(probe_fd(fd, data[0] ? fd : -1, data[0], &b) == r);
        if (r < 0)
                return 0;
        CHECK(probe_result_is_valid(&a));
        CHECK(memcmp(&a, &b, sizeof(a)) == 0);
        CHECK(a.size == IMAGE_SIZE);
        CHECK(a.verdict == PROBE_FOUND || a.uuid[0] == '\0');
        return 0;
}
