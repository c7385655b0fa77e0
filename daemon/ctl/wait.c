/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "config.h"
#include "ctl.h"
#include "macro.h"
#include "parse.h"

#define SERVICE "org.wslbare1"
#define VOLUME_PREFIX "/org/wslbare1/volume"
#define VOLUME_INTERFACE "org.wslbare1.Volume"

typedef struct Wait {
        sd_bus *bus;
        bool look; /* something happened */
        uint64_t until_usec;
} Wait;

static uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Wait *w = userdata;

        w->look = true;
        return 0;
}

static int subscribe(Wait *w)
{
        static const char *const rules[] = {
                "type='signal',sender='" SERVICE "',interface='org.freedesktop.DBus.Properties',"
                "path_namespace='" VOLUME_PREFIX "'",
                "type='signal',sender='" SERVICE "',interface='org.freedesktop.DBus.ObjectManager'",
                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0="
                "'" SERVICE "'",
        };
        int r = sd_bus_default_system(&w->bus);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rules); i++)
                r = sd_bus_add_match(w->bus, NULL, rules[i], on_signal, w);
        return r;
}

/* 1 mounted; 0 not, or nobody there who could say; -errno. */
static int is_mounted(Wait *w, const char *name)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL, *state = NULL;
        int r = sd_bus_path_encode(VOLUME_PREFIX, name, &path);

        if (r < 0)
                return r;
        r = sd_bus_get_property_string(w->bus, SERVICE, path, VOLUME_INTERFACE, "State", &error,
                                       &state);
        if (r >= 0)
                return streq(state, "mounted");
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                fprintf(stderr,
                        "wslbarectl: there is no volume '%s'; /etc/wslbare.d/%s.conf would make "
                        "one\n",
                        name, name);
                return -ENOENT;
        }
        /* Not started yet, or starting again: that is a reason to wait. */
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(&error, SD_BUS_ERROR_NO_REPLY))
                return 0;
        fprintf(stderr, "wslbarectl: cannot ask for '%s': %s\n", name,
                error.message ? error.message : strerror(-r));
        return r;
}

static int wait_for_signal(Wait *w)
{
        while (!w->look) {
                uint64_t now = now_usec();
                int r = sd_bus_process(w->bus, NULL);

                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (now >= w->until_usec)
                        return -ETIMEDOUT;
                r = sd_bus_wait(w->bus,
                                w->until_usec == USEC_INFINITY ? UINT64_MAX : w->until_usec - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

static int wait_for_volume(Wait *w, const char *name)
{
        for (;;) {
                int r;

                w->look = false;
                r = is_mounted(w, name);
                if (r != 0)
                        return r;
                r = wait_for_signal(w);
                if (r == -ETIMEDOUT)
                        fprintf(stderr, "wslbarectl: '%s' was not mounted in time\n", name);
                else if (r < 0)
                        fprintf(stderr, "wslbarectl: the system bus went away: %s\n", strerror(-r));
                if (r < 0)
                        return r;
        }
}

/* 0, or the exit status. */
static int parse_timeout(Wait *w, const char *s)
{
        uint64_t timeout;

        if (parse_timespan(s, &timeout) < 0) {
                fprintf(stderr,
                        "wslbarectl: --timeout=%s is not a time span; 30, 2min or infinity would "
                        "be\n",
                        s);
                return CTL_USAGE;
        }
        w->until_usec = timeout == USEC_INFINITY ? timeout : now_usec() + timeout;
        return 0;
}

static int parse_arguments(Wait *w, int argc, char *argv[])
{
        static const struct option options[] = {
                { "timeout", required_argument, NULL, 't' },
                { 0 },
        };
        int c, r;

        optind = 0; /* the verb's own arguments: getopt begins anew */
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c != 't')
                        return CTL_USAGE;
                r = parse_timeout(w, optarg);
                if (r != 0)
                        return r;
        }
        if (optind >= argc) {
                fprintf(stderr, "wslbarectl: wait for which volume?\n");
                return CTL_USAGE;
        }
        for (int i = optind; i < argc; i++)
                if (!volume_name_is_valid(argv[i])) {
                        fprintf(stderr, "wslbarectl: '%s' is no volume's name\n", argv[i]);
                        return CTL_USAGE;
                }
        return 0;
}

int ctl_wait(int argc, char *argv[])
{
        Wait w = { .until_usec = USEC_INFINITY };
        int r = parse_arguments(&w, argc, argv);

        if (r != 0)
                return r;
        r = subscribe(&w);
        if (r < 0)
                fprintf(stderr, "wslbarectl: cannot connect to the system bus: %s\n", strerror(-r));
        for (int i = optind; r >= 0 && i < argc; i++)
                r = wait_for_volume(&w, argv[i]);
        sd_bus_flush_close_unref(w.bus);
        return r >= 0 ? CTL_OK : r == -ETIMEDOUT ? CTL_TIMEOUT : CTL_FAILED;
}
