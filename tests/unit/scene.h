/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/sysmacros.h>
#include <systemd/sd-event.h>

#include "fake-mountd.h"
#include "manager.h"
#include "test.h"

/* wslbared's manager between a directory of files, hand-made device events, a scripted mountd and a
 * notify socket. */

#define UUID_A "aaaaaaaa-1111-4222-8333-444444444444"
#define UUID_B "bbbbbbbb-1111-4222-8333-444444444444"
#define UUID_C "cccccccc-1111-4222-8333-444444444444"

typedef struct Scene {
        sd_event *event;
        Manager *manager;
        FakeMountd *mountd;
        char *config;  /* directory */
        char *records; /* directory */
        char *flags;   /* directory */
        char *shared;  /* directory */
        const char *dirs[2];
        uint64_t seqnum; /* of the latest event */
        int notify_fd;
        sd_event_source *notify_io;
        char *heard; /* what systemd was told, one message after the other */
} Scene;

/* Nothing is loaded, nobody connected. */
Scene *scene_new(void);
Scene *scene_free(Scene *s);
static inline void scene_freep(Scene **s)
{
        scene_free(*s);
}

/* Writes NAME.conf: UUID=UUID, Where=/mnt/NAME and the lines of EXTRA, of section Mount. */
void scene_configure(Scene *s, const char *name, const char *uuid, const char *extra);
/* Writes what you like. */
void scene_write(Scene *s, const char *name, const char *text);
void scene_remove(Scene *s, const char *name);
/* A mount of volume NAME that an earlier wslbared had made. */
void scene_record(Scene *s, const char *name, RecordPhase phase, unsigned n, uint64_t diskseq,
                  int mount_id);

/* The flag NAME was left by an earlier wslbare-mountd. */
void scene_flag(Scene *s, const char *name);

/* Loads and begins to connect; what is plugged before scene_settle() was there before us. */
void scene_start(Scene *s);
void scene_connect(Scene *s);
/* Starts, then plugs 1, whose sequence is 7, with UUID_A, and settles. */
void scene_start_with_device(Scene *s);
/* The same with a volume, data, for it, and MORE lines of [Mount]. */
void scene_start_with_data(Scene *s, const char *more);
/* Runs the loop until nothing more happens, less what timers will do. */
void scene_settle(Scene *s);
/* Loads the files again, and settles. */
void scene_reload(Scene *s);
/* Runs it once, waiting a moment for timers; false when TRIES, which counts down, is at its end. */
bool scene_wait(Scene *s, unsigned *tries);
#define SCENE_TRIES 2000 /* of 5 ms */

/* A device event of which udev told the content, an ext4; NULL: nobody did. */
void scene_plug(Scene *s, unsigned n, uint64_t diskseq, const char *uuid);
void scene_unplug(Scene *s, unsigned n);
/* The same with all that may vary; DEVICE (of scene_device()) is taken, NULL: gone. */
Device *scene_device(unsigned n, uint64_t diskseq, const char *uuid);
void scene_event(Scene *s, unsigned n, uint64_t seqnum, Device *device);

/* Fails where there is none. */
Volume *scene_volume(const Scene *s, const char *name);
/* Asks for a mount, an unmount or an eject. *RET, which must live until the end, becomes what the
 * answer is:
 * "" done, the error's name, NULL none yet. False: refused, with the error in *RET. */
bool scene_request(Scene *s, const char *name, VolumeVerb verb, const char **ret);
/* The same of data, settles, and returns the answer. */
const char *scene_ask(Scene *s, VolumeVerb verb);
/* As an event of mountinfo, which a memfd cannot give, would: has all volumes looked at again. */
void scene_look_again(Scene *s);
/* Makes the timer that NAME waits for expire. */
void scene_hasten(Scene *s, const char *name);

#define ASSERT_STATE(s, name, want) \
        ASSERT_STR(volume_state_to_string(scene_volume((s), (name))->state), (want))
#define ASSERT_FAILURE(s, name, want) \
        ASSERT_STR(failure_step_to_string(scene_volume((s), (name))->failure_step), (want))
/* How many calls there were of each kind since the start. */
#define ASSERT_CALLS(s, n_probe, n_mount, n_unmount, n_adopt)                         \
        do {                                                                          \
                ASSERT_EQ(fake_mountd_count((s)->mountd, FAKE_PROBE), (n_probe));     \
                ASSERT_EQ(fake_mountd_count((s)->mountd, FAKE_MOUNT), (n_mount));     \
                ASSERT_EQ(fake_mountd_count((s)->mountd, FAKE_UNMOUNT), (n_unmount)); \
                ASSERT_EQ(fake_mountd_count((s)->mountd, FAKE_ADOPT), (n_adopt));     \
        } while (0)
/* How often the target was started, and stopped. */
#define ASSERT_TARGET(s, n_started, n_stopped)                                  \
        do {                                                                    \
                ASSERT_EQ(fake_mountd_count_started((s)->mountd), (n_started)); \
                ASSERT_EQ(fake_mountd_count_stopped((s)->mountd), (n_stopped)); \
        } while (0)
