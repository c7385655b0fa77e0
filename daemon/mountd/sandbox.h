/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "probe.h"

/* The probing child: a process that holds the device's read-only descriptor and nothing else, no
 * capability, no other file, no socket, little memory and time, and reads the superblock. What is
 * left to it: with a glibc before 2.39 it can ask what a file is like (stat) of which it knows the
 * absolute path, but not read it, nor list a directory. The one home of libseccomp. */

/* probe_fd() in such a child. 0; -errno of the reading; -EPROTO: the child died or what it said is
 * not of the right form. */
int sandbox_probe(int fd, int disk_fd, unsigned part_number, ProbeResult *ret);

/* Closes everything but KEEP (at most 8), which become 0, 1, 2, …; one may be there twice. 0,
 * -errno.
 */
int sandbox_keep_only(const int *keep, unsigned n_keep);

/* Gives up all capabilities; with no_new_privs, no program that is run gets any back. 0, -errno. */
int sandbox_drop_capabilities(void);

/* What the child does first, for the test that shows what is then impossible: gives up everything
 * but the KEEP descriptors, as sandbox_keep_only(), and of which the last may be written to. 0,
 * -errno. */
int sandbox_enter(const int *keep, unsigned n_keep);
