/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "volume.h"

/* What somebody asks of a volume, and the answer. */

/* Why a request was refused: the last part of org.wslbare1.Error.*, and a sentence. */
typedef struct VolumeRefusal {
        const char *error;
        char *message;
} VolumeRefusal;

void volume_refusal_done(VolumeRefusal *r);

/* Starts what Q asks for, or joins it where it is at work. From then on Q->done is called once,
 * later. 0; or -errno and then, where there is something to say, *why. */
int volume_request(Volume *v, const VolumeRequest *q, VolumeRefusal *why);

/* Answers those whose request has come to its end; at the end of a round, when all that changed has
 * been published. */
void volume_answer(Volume *v);

/* For want of a mountd nothing can be done. */
#define MOUNTD_AWAY_MESSAGE                                                          \
        "wslbare-mountd cannot be reached; `systemctl status wslbare-mountd.socket " \
        "wslbare-mountd.service` may say why"

/* Answers all with ERROR, and what was asked for is not to be done any more. */
void volume_give_up(Volume *v, const char *error, const char *message);

/* Answers all with ERROR. */
void volume_answer_all(Volume *v, const char *error, const char *message);
