/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe.h"

/* Images of every filesystem that can be made here, and loop devices of them. All of them are in
 * one directory, that is removed when the program ends. */

#define MIB (1024LL * 1024)
#define SECTOR 512U

#define FS_UUID "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11" /* of the images "ext4" and "ext4-dirty" */
#define DISK_UUID "2a6e5b1c-0d3f-4c58-9b7a-61f0e2d4c3b5"
#define PART_UUID "7c9e6679-7425-40de-944b-e07fc1f90ae7"

/* COMMAND writes the file $IMAGE, which is there already and SIZE bytes long unless that is 0. */
typedef struct Image {
        const char *name;
        const char *tool;
        const char *command;
        long long size;
} Image;

/* "ext4-damaged" is well but for the file "damaged", of which no more than the name can be read. */
extern const Image images[];
extern const size_t n_images;

bool has_tool(const char *tool);

/* Of the image, or of another file in that directory; the caller's to free. */
char *image_path(const char *name);
int image_create(const char *path, long long size);
/* A descriptor of the image; -1 when its tool is missing. */
int image_open(const Image *image);
/* Same; skips the case when it cannot be made. */
int image_open_named(const char *name);
/* A copy of the image NAME, which may be spoilt. */
int image_copy(const char *name, const char *copy_name, char **ret_path);

/* Fails unless R is what `blkid -p` finds in the file PATH. */
void image_compare(const char *path, const ProbeResult *r);

/* A loop device of FILE_FD, that goes with the last descriptor and mount of it. FLAGS: LO_FLAGS_*
 * beside autoclear. A read-only descriptor; -1 and errno where there are none. */
int loop_attach(int file_fd, unsigned flags, char node[static 32]);
