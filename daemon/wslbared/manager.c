/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "bus-manager.h"
#include "bus-volume.h"
#include "bus.h"
#include "clock-watch.h"
#include "config-watch.h"
#include "hint.h"
#include "log.h"
#include "macro.h"
#include "manager.h"
#include "monitor.h"
#include "notify.h"
#include "prober.h"
#include "summary.h"
#include "text.h"
#include "volume-past.h"
#include "volume-progress.h"
#include "volume-request.h"
#include "volume-trouble.h"
#include "volumes.h"

/* How long READY may wait for the devices that are there at the start: WSL gives the whole boot ten
 * seconds. */
#define READY_MAX_USEC (3 * USEC_PER_SEC)

/* Some clocks, that of WSL among them, are set again and again. */
#define CLOCK_QUIET_USEC (60 * USEC_PER_SEC)

/* The kernel tells of an error before it makes the filesystem read-only. */
#define TROUBLE_SETTLES_USEC USEC_PER_SEC

struct Manager {
        sd_event *event;
        ManagerOptions options;
        Volumes *volumes;
        Devices *devices;
        Monitor *monitor;
        MountdClient *mountd;
        Bus *bus;
        GateCall *gate;
        ConfigWatch *watch;
        ClockWatch *clock;
        ManagerView view;

        int mounts_fd;
        sd_event_source *mounts_io;
        Mountinfo *mounts;

        sd_event_source *round;
        sd_event_source *ready_timer;
        sd_event_source *later;
        bool is_config_changed;  /* since it was published */
        bool is_config_outdated; /* what is in force is not what the files say */
        bool is_hint_due;        /* other devices are there, or volumes absent */
        bool has_met_mountd;
        bool is_ready;
        bool is_reloading;
        bool is_stopping;
        char *status; /* as systemd was told */
};

sd_event *manager_event(const Manager *m)
{
        return m->event;
}

MountdClient *manager_mountd(const Manager *m)
{
        return m->mountd;
}

Devices *manager_devices(const Manager *m)
{
        return m->devices;
}

const Mountinfo *manager_mounts(const Manager *m)
{
        return m->mounts;
}

const char *manager_shared(const Manager *m)
{
        return m->options.shared;
}

bool manager_is_ready(const Manager *m)
{
        return m->is_ready;
}

uint64_t manager_now(const Manager *m)
{
        uint64_t now = 0;

        (void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        return now;
}

void manager_wake(Manager *m)
{
        (void)sd_event_source_set_enabled(m->round, SD_EVENT_ONESHOT);
}

uint64_t manager_realtime(const Manager *m)
{
        uint64_t now = 0;

        (void)sd_event_now(m->event, CLOCK_REALTIME, &now);
        return now;
}

const Volumes *manager_volumes(const Manager *m)
{
        return m->volumes;
}

const ManagerView *manager_view(const Manager *m)
{
        return &m->view;
}

GateCall **manager_gate(Manager *m)
{
        return &m->gate;
}

const char *manager_state_to_string(ManagerState s)
{
        static const char *const names[] = {
                [MANAGER_STARTING] = "starting", [MANAGER_RUNNING] = "running",
                [MANAGER_DEGRADED] = "degraded", [MANAGER_RELOADING] = "reloading",
                [MANAGER_STOPPING] = "stopping",
        };

        return names[s];
}

static void mark_all(Manager *m)
{
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volumes_get(m->volumes, i)->dirty = true;
        manager_wake(m);
}

void manager_hint_soon(Manager *m)
{
        m->is_hint_due = true;
        manager_wake(m);
}

void manager_mark_for(Manager *m, const Device *d)
{
        for (size_t i = 0; d && i < volumes_count(m->volumes); i++)
                if (volume_cares_for(volumes_get(m->volumes, i), d))
                        volumes_get(m->volumes, i)->dirty = true;
        manager_hint_soon(m);
}

static int on_later(sd_event_source *s, uint64_t usec, void *userdata)
{
        mark_all(userdata);
        return 0;
}

void manager_look_later(Manager *m, uint64_t pause_usec)
{
        uint64_t due = manager_now(m) + pause_usec, old = 0;
        int enabled = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(m->later, &enabled);
        (void)sd_event_source_get_time(m->later, &old);
        if (enabled != SD_EVENT_OFF && old <= due)
                return;
        (void)sd_event_source_set_time(m->later, due);
        (void)sd_event_source_set_enabled(m->later, SD_EVENT_ONESHOT);
}

/* Telling systemd. */

static char *describe(const Manager *m)
{
        char *text = summary_describe(m->volumes), *longer;

        if (!text || !mountd_client_is_away(m->mountd))
                return text;
        longer = text_format("%s, wslbare-mountd cannot be reached", text);
        free(text);
        return longer;
}

static void tell_status(Manager *m)
{
        char *status = describe(m);

        if (!status || streq_ptr(status, m->status)) {
                free(status);
                return;
        }
        free(m->status);
        m->status = status;
        notify_status(status);
}

/* Telling the bus. */

static ManagerState state_of(const Manager *m)
{
        return m->is_stopping    ? MANAGER_STOPPING
               : m->is_reloading ? MANAGER_RELOADING
               : !m->is_ready    ? MANAGER_STARTING
               : mountd_client_is_away(m->mountd) || summary_is_degraded(m->volumes)
                       ? MANAGER_DEGRADED
                       : MANAGER_RUNNING;
}

static void publish_manager(Manager *m)
{
        const ManagerView before = m->view;

        m->view = (ManagerView){
                .state = state_of(m),
                .ready = m->is_ready,
                .event_source = m->monitor ? monitor_source(m->monitor) : HOTPLUG_UDEV,
                .n_volumes = (unsigned)volumes_count(m->volumes),
                .n_mounted = summary_count(m->volumes, VOLUME_MOUNTED),
                .n_failed = summary_count(m->volumes, VOLUME_FAILED),
        };
        bus_manager_changed(bus_connection(m->bus), &before, &m->view, m->is_config_changed);
        m->is_config_changed = false;
}

static void publish(Manager *m)
{
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                if (volumes_get(m->volumes, i)->is_changed ||
                    !volumes_get(m->volumes, i)->is_published)
                        bus_volume_update(bus_connection(m->bus), volumes_get(m->volumes, i));
        publish_manager(m);
}

static void become_ready(Manager *m)
{
        m->is_ready = true;
        manager_wake(m); /* for the hints */
        m->ready_timer = sd_event_source_disable_unref(m->ready_timer);
        notify_ready(m->status ? m->status : "");
}

static int on_ready_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        log_notice("Not everything that was there at the start came to rest in %u s; going on",
                   (unsigned)(READY_MAX_USEC / USEC_PER_SEC));
        become_ready(m);
        mark_all(m);
        return 0;
}

static bool is_at_rest(const Manager *m)
{
        if (!mountd_client_is_connected(m->mountd))
                return false;
        for (size_t i = 0; i < devices_count(m->devices); i++) {
                SeenKnowledge k = devices_get(m->devices, i)->knowledge;

                if (k == SEEN_UNSETTLED || k == SEEN_PROBING)
                        return false;
        }
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                if (!volume_is_at_rest(volumes_get(m->volumes, i)))
                        return false;
        return true;
}

/* The round. */

static void read_mounts(Manager *m)
{
        Mountinfo *mounts;
        int r = mountinfo_read(m->mounts_fd, &mounts);

        if (r < 0) {
                (void)log_error(r, "Cannot read mountinfo: %s", strerror(-r));
                return;
        }
        mountinfo_free(m->mounts);
        m->mounts = mounts;
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                if (volume_notices_mounts(volumes_get(m->volumes, i), mounts))
                        volumes_get(m->volumes, i)->dirty = true;
}

/* Without mountd nothing is known of mounts; it wakes us when it is back. */
static void reconcile(Manager *m)
{
        if (!mountd_client_is_connected(m->mountd))
                return;
        read_mounts(m);
        if (!m->mounts)
                return;
        prober_look(m);
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                if (volumes_get(m->volumes, i)->dirty)
                        volume_reconcile(volumes_get(m->volumes, i));
}

/* What changed is told before those who asked get their answers. */
static void do_round(Manager *m)
{
        reconcile(m);
        if (m->is_ready && m->mounts && m->is_hint_due) {
                m->is_hint_due = false;
                hint_about_absent(m);
        }
        tell_status(m);
        if (!m->is_ready && m->ready_timer && is_at_rest(m))
                become_ready(m);
        publish(m);
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_answer(volumes_get(m->volumes, i));
}

static int on_round(sd_event_source *s, void *userdata)
{
        Manager *m = userdata;

        if (m->is_config_outdated)
                manager_reload(m); /* with a round of its own */
        else
                do_round(m);
        return 0;
}

/* Devices. */

/* Whether E asks for a probe of what is mounted: there would be nothing new to find. */
static bool is_about_a_mount(const Manager *m, const HotplugEvent *e)
{
        const Seen *s =
                e->device ? devices_find_same(m->devices, e->devnum, e->device->diskseq) : NULL;

        if (!s || s->knowledge != SEEN_SETTLED || e->settled || e->device->size == 0)
                return false;
        for (size_t i = 0; i < volumes_count(m->volumes); i++) {
                const VolumeMount *mount = volumes_get(m->volumes, i)->mount;

                if (mount && mount->devnum == e->devnum && mount->diskseq == s->device->diskseq)
                        return true;
        }
        return false;
}

static void note_loss(Manager *m, const Device *old)
{
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_notices_loss(volumes_get(m->volumes, i), old);
}

/* What udev does not get to, or told of another disk, is to be probed in the end. */
static void await_udev(Manager *m)
{
        int r = monitor_watch_udev(m->monitor);

        if (r < 0)
                (void)log_error(r, "Cannot wait for udevd: %s", strerror(-r));
}

void manager_device_event(Manager *m, HotplugEvent *e)
{
        _cleanup_(device_freep) Device *old = NULL;
        SeenKnowledge unsettled = SEEN_UNKNOWN;
        const Device *now;
        const Seen *s;
        int r;

        if (is_about_a_mount(m, e)) {
                devices_confirm(m->devices, e->devnum);
                return;
        }
        if (m->monitor && monitor_source(m->monitor) == HOTPLUG_UDEV)
                unsettled = SEEN_UNSETTLED;
        r = devices_apply(m->devices, e, unsettled, manager_now(m), &old);
        if (r < 0)
                (void)log_error(r, "Cannot take note of a device: %s", strerror(-r));
        if (r <= DEVICES_NOTHING)
                return;
        s = r == DEVICES_CHANGED ? devices_find(m->devices, e->devnum) : NULL;
        if (s && s->knowledge == SEEN_UNSETTLED)
                await_udev(m);
        now = s ? s->device : NULL;
        if (old && !(now && now->size > 0 && device_same(old, now)))
                note_loss(m, old);
        manager_mark_for(m, old);
        manager_mark_for(m, now);
}

static void on_device(HotplugEvent *e, void *userdata)
{
        manager_device_event(userdata, e);
}

static void on_udev_is_idle(void *userdata)
{
        Manager *m = userdata;

        for (size_t i = 0; i < devices_count(m->devices); i++) {
                Seen *s = devices_get(m->devices, i);

                if (s->knowledge != SEEN_UNSETTLED)
                        continue;
                s->knowledge = SEEN_UNKNOWN;
                manager_mark_for(m, s->device);
        }
}

void manager_begin_scan(Manager *m)
{
        devices_begin_scan(m->devices);
}

void manager_end_scan(Manager *m)
{
        for (;;) {
                _cleanup_(device_freep) Device *gone = devices_take_missing(m->devices);

                if (!gone)
                        return;
                note_loss(m, gone);
                manager_mark_for(m, gone);
        }
}

static int scan_devices(Manager *m)
{
        int r;

        manager_begin_scan(m);
        r = monitor_enumerate(m->monitor);
        if (r < 0)
                return r; /* then it is not known what is missing */
        manager_end_scan(m);
        return 0;
}

static int on_missed(void *userdata)
{
        return scan_devices(userdata);
}

void manager_doubt(Manager *m)
{
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_doubt(volumes_get(m->volumes, i));
        manager_wake(m);
}

/* Maybe the machine was suspended, and who knows what happened to its disks. */
static void on_clock_set(void *userdata)
{
        log_debug("The clock was set; the mounts are verified");
        manager_doubt(userdata);
}

/* mountd. */

static int on_mounts(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        manager_wake(userdata); /* the round reads them */
        return 0;
}

static void drop_mounts(Manager *m)
{
        m->mounts_io = sd_event_source_disable_unref(m->mounts_io);
        m->mounts_fd = close_fd(m->mounts_fd);
}

static void on_connected(int fd, void *userdata)
{
        Manager *m = userdata;
        int r;

        if (!m->has_met_mountd)
                volumes_read_flags(m->volumes);
        m->has_met_mountd = true;
        drop_mounts(m);
        m->mounts_fd = fd;
        r = sd_event_add_io(m->event, &m->mounts_io, fd, EPOLLPRI, on_mounts, m);
        if (r == -EPERM)
                log_debug("The view of the mounts is a plain file, and is read at every look only");
        else if (r < 0)
                (void)log_error(r, "Cannot watch mounts: %s", strerror(-r));
        mark_all(m);
        manager_doubt(m); /* another mountd does not hear of errors of what is mounted */
}

static void on_disconnected(void *userdata)
{
        Manager *m = userdata;

        log_notice("wslbare-mountd went away; connecting again");
        drop_mounts(m);
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_forget_call(volumes_get(m->volumes, i));
        mark_all(m);
}

/* Nobody is to wait for who knows how long. */
static void on_away(void *userdata)
{
        Manager *m = userdata;

        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_give_up(volumes_get(m->volumes, i), "TimedOut", MOUNTD_AWAY_MESSAGE);
        manager_wake(m);
}

static void on_progress(const char *name, FailureStep step, void *userdata)
{
        const Manager *m = userdata;
        Volume *v = volumes_find(m->volumes, name);

        log_debug("%s: at step %s", name, failure_step_to_string(step));
        if (v)
                volume_progress_step(v, step);
}

static void on_percent(const char *name, unsigned percent, void *userdata)
{
        const Manager *m = userdata;
        Volume *v = volumes_find(m->volumes, name);

        if (v)
                volume_progress_percent(v, percent);
}

static void on_trouble(uint64_t fsid, int errnum, void *userdata)
{
        Manager *m = userdata;

        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                if (volume_hear_error(volumes_get(m->volumes, i), fsid, errnum))
                        manager_wake(m);
        manager_look_later(m, TROUBLE_SETTLES_USEC);
}

int manager_attach_mountd(Manager *m, int fd)
{
        return mountd_client_attach(m->mountd, fd);
}

/* Configuration. */

/* Its file is gone. */
static void log_goes(const Volume *v)
{
        const LogContext about = { v->config->name, v->device };
        const char *name = v->config->name;
        PlanAction at_work = v->call ? v->action : PLAN_NOTHING;

        if (at_work == PLAN_MOUNT)
                log_full(LOG_NOTICE, 0, &about,
                         "%s is not configured any more, but was being mounted, and may be in a "
                         "moment",
                         name);
        else if (v->mount &&
                 (at_work == PLAN_UNMOUNT || at_work == PLAN_EJECT || at_work == PLAN_DETACH))
                log_full(LOG_NOTICE, 0, &about,
                         "%s is not configured any more, but was being unmounted, and may be gone "
                         "from %s in a moment",
                         name, v->mount->target);
        else if (v->mount)
                log_full(LOG_NOTICE, 0, &about,
                         "%s is not configured any more; it stays mounted on %s", name,
                         v->mount->target);
}

/* Whether its mount is another volume's from now on, as where its file was renamed. */
static bool is_taken_over(const Volume *v, const Config *now)
{
        const Seen *s = v->mount ? devices_find_same(v->manager->devices, v->mount->devnum,
                                                     v->mount->diskseq)
                                 : NULL;
        const Device *d = s ? seen_known(s) : NULL;

        for (size_t i = 0; d && i < now->n_volumes; i++)
                if (streq_ptr(now->volumes[i]->where, v->mount->target) &&
                    match_fits(&now->volumes[i]->match, d))
                        return true;
        return false;
}

/* Nobody stops it when that mount goes: then it is not for what is bound to this one. */
static void give_up_target(const Volume *v)
{
        const LogContext about = { v->config->name, v->device };
        MountdCall *call = NULL;
        int r = mountd_client_set_target(manager_mountd(v->manager), v->config->name, false, NULL,
                                         NULL, &call);

        mountd_call_free(call); /* it is done without an answer, unless another one is at work */
        if (r < 0)
                log_full(LOG_WARNING, r, &about, "Cannot stop wslbare@%s.target: %s",
                         v->config->name, strerror(-r));
}

static void on_volume_goes(Volume *v, const Config *now)
{
        log_goes(v);
        if ((v->target_active || v->target_unsure) && is_taken_over(v, now))
                give_up_target(v);
        if (v->is_published)
                bus_volume_removed(bus_connection(v->manager->bus), v);
}

int manager_load(Manager *m)
{
        bool is_other = false;
        int r = volumes_load(m->volumes, &is_other);

        m->is_config_changed |= is_other;
        m->is_hint_due = true;
        mark_all(m);
        return r;
}

void manager_reload(Manager *m)
{
        bool announced = m->is_ready;
        int r;

        m->is_config_outdated = false;
        log_info("Reloading the configuration");
        if (m->watch)
                config_watch_forget(m->watch);
        if (announced) {
                notify_reloading();
                m->is_reloading = true;
                publish_manager(m);
        }
        r = manager_load(m);
        if (r < 0)
                (void)log_error(r, "Cannot reload: %s; what was in force stays", strerror(-r));
        m->is_reloading = false;
        do_round(m);
        if (!announced)
                return; /* READY=1 comes by its own rule */
        free(m->status);
        m->status = describe(m);
        notify_ready(m->status ? m->status : "");
}

static void on_config_changed(void *userdata)
{
        manager_reload(userdata);
}

void manager_suspect(Manager *m, const VolumeConfig *config)
{
        _cleanup_(volume_config_freep) VolumeConfig *now = NULL;
        _cleanup_free_ char *problem = NULL;
        int r = config_load_volume(&m->options.config, config->name, &now, &problem);

        if (r >= 0 && streq(now->fingerprint, config->fingerprint))
                return;
        m->is_config_outdated = true;
        manager_wake(m);
}

int manager_rescan(Manager *m)
{
        int r;

        if (!m->monitor)
                return -ENOTCONN;
        for (size_t i = 0; i < volumes_count(m->volumes); i++)
                volume_start_afresh(volumes_get(m->volumes, i));
        r = scan_devices(m);
        mark_all(m);
        do_round(m);
        return r;
}

/* Life. */

int manager_new(sd_event *event, const ManagerOptions *options, Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->options = *options;
        m->mounts_fd = -1;
        r = devices_new(&m->devices);
        if (r >= 0)
                r = volumes_new(m, &options->config, options->records, options->flags,
                                on_volume_goes, &m->volumes);
        if (r >= 0) {
                const MountdClientHandler handler = {
                        on_connected, on_disconnected, on_away, on_progress,
                        on_percent,   on_trouble,      m
                };

                r = mountd_client_new(event, &handler, &m->mountd);
        }
        if (r >= 0)
                r = sd_event_add_defer(event, &m->round, on_round, m);
        /* After all that is waiting was read, so that a burst is one round. */
        if (r >= 0)
                r = sd_event_source_set_priority(m->round, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_time(event, &m->later, CLOCK_MONOTONIC, 0, 0, on_later, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->later, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_await_rest(Manager *m)
{
        manager_wake(m);
        return sd_event_add_time_relative(m->event, &m->ready_timer, CLOCK_MONOTONIC,
                                          READY_MAX_USEC, USEC_PER_MSEC, on_ready_timer, m);
}

int manager_start(Manager *m)
{
        const MonitorHandler handler = { on_device, on_udev_is_idle, on_missed, m };
        int r = config_watch_new(m->event, m->options.config.dirs, on_config_changed, m, &m->watch);

        if (r >= 0)
                r = clock_watch_new(m->event, CLOCK_QUIET_USEC, on_clock_set, m, &m->clock);
        if (r >= 0)
                r = manager_load(m);
        if (r >= 0)
                r = bus_new(m, &m->bus);
        if (r < 0)
                return r;
        bus_start(m->bus);
        mountd_client_connect(m->mountd);
        r = monitor_new(m->event, &handler, &m->monitor);
        if (r < 0)
                return log_error(r, "Cannot listen to device events: %s", strerror(-r));
        r = scan_devices(m);
        if (r < 0)
                return log_error(r, "Cannot enumerate devices: %s", strerror(-r));
        return manager_await_rest(m);
}

void manager_stop(Manager *m)
{
        m->is_stopping = true;
        publish_manager(m);
        notify_stopping();
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        config_watch_free(m->watch);
        clock_watch_free(m->clock);
        gate_drop_all(m);
        bus_free(m->bus); /* before the volumes: who waits hears that we went, and not that they did
                           */
        volumes_free(m->volumes);
        devices_free(m->devices);
        monitor_free(m->monitor);
        mountd_client_free(m->mountd);
        drop_mounts(m);
        mountinfo_free(m->mounts);
        sd_event_source_disable_unref(m->round);
        sd_event_source_disable_unref(m->ready_timer);
        sd_event_source_disable_unref(m->later);
        sd_event_unref(m->event);
        free(m->status);
        free(m);
        return NULL;
}
