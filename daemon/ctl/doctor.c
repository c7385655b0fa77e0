/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "advice.h"
#include "client-objects.h"
#include "client.h"
#include "config.h"
#include "ctl.h"
#include "environment.h"
#include "findings.h"
#include "macro.h"
#include "mount.h"
#include "programs.h"
#include "syntax.h"
#include "text.h"

#define SERVICE "wslbared.service"
#define USER "wslbare"
#define SYSTEMD_MIN 249

enum {
        SIGN,
        SUBJECT,
        RESULT,
        FINDING,
        CURE,
        _COLUMN_MAX,
};

static const TableColumn columns[_COLUMN_MAX + 1] = {
        [SIGN] = { "", NULL, TABLE_TEXT, TABLE_SHOWN },
        [SUBJECT] = { "SUBJECT", "what was looked at", TABLE_TEXT, TABLE_SHOWN },
        [RESULT] = { "RESULT", "good, odd (worth a look) or bad (to be mended)", TABLE_TEXT },
        [FINDING] = { "FINDING", "how it is", TABLE_TEXT, TABLE_SHOWN },
        [CURE] = { "CURE", "what mends it", TABLE_TEXT },
};

typedef struct Doctor {
        TableOptions table;
        Client client;
        Config *config;
        ClientState state; /* empty where wslbared does not run */
        Findings findings;
} Doctor;

static int examine_version(Doctor *d)
{
        _cleanup_free_ char *version = NULL;
        int r = client_get_systemd_version(&d->client, &version);
        bool old;

        if (r == -ENOMEM)
                return r;
        if (r < 0) /* which says that it is not PID 1 was found before */
                return 0;
        old = atoi(version) < SYSTEMD_MIN;
        return findings_add(&d->findings, "systemd", old ? HEALTH_BAD : HEALTH_GOOD,
                            text_format("is of version %s", version),
                            old ? strdup("249 is needed: upgrade the distribution") : NULL);
}

static int examine_user(Doctor *d)
{
        if (getpwnam(USER))
                return findings_add(&d->findings, "user", HEALTH_GOOD, strdup(USER " is there"),
                                    NULL);
        return findings_add(&d->findings, "user", HEALTH_BAD,
                            strdup(USER ", as which wslbared runs, is not there"),
                            strdup("`systemd-sysusers`"));
}

static int examine_enabled(Doctor *d)
{
        _cleanup_free_ char *state = NULL;
        int r = client_get_unit_file_state(&d->client, SERVICE, &state);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (startswith(state, "enabled"))
                return findings_add(&d->findings, "service", HEALTH_GOOD,
                                    strdup(SERVICE " is enabled"), NULL);
        return findings_add(
                &d->findings, "service", HEALTH_BAD,
                text_format(SERVICE " is %s: it does not start when the system does",
                            *state ? state : "not installed"),
                strdup(*state ? "`systemctl enable --now wslbared`" : "install wslbare"));
}

static int examine_running(Doctor *d)
{
        _cleanup_free_ char *state = NULL;
        int r = client_try_state(&d->client, &d->state);

        if (r >= 0)
                return findings_add(&d->findings, "service", HEALTH_GOOD,
                                    strdup("wslbared answers"), NULL);
        if (r == -ENOMEM)
                return r;
        if (r == -ESRCH && client_get_unit_state(&d->client, SERVICE, &state) >= 0 &&
            streq(state, "active"))
                return findings_add(&d->findings, "service", HEALTH_BAD,
                                    strdup("wslbared runs, and the bus does not let it have its "
                                           "name"),
                                    strdup("`systemctl reload dbus`, as after an installation"));
        return findings_add(
                &d->findings, "service", HEALTH_BAD,
                r == -ESRCH ? strdup("wslbared does not run")
                            : text_format("wslbared does not answer: %s", strerror(-r)),
                strdup("`systemctl start wslbared`; `journalctl -u wslbared` says why it ended"));
}

/* Errors keep a file from being used, warnings do not. */
static int add_problems(Doctor *d, ProblemSeverity severity)
{
        const char *kind = severity == PROBLEM_ERROR ? "error" : "warning";
        _cleanup_free_ char *first = NULL;
        size_t n = 0;

        for (size_t i = 0; i < d->config->n_problems; i++) {
                const ConfigProblem *p = &d->config->problems[i];

                if (p->severity != severity || n++ > 0)
                        continue;
                first = config_problem_to_string(p);
                if (!first)
                        return -ENOMEM;
        }
        if (n == 0)
                return 0;
        return findings_add(
                &d->findings, "configuration", severity == PROBLEM_ERROR ? HEALTH_BAD : HEALTH_ODD,
                text_format("has %zu %s%s; the first: %s", n, kind, n == 1 ? "" : "s", first),
                strdup("`wslbarectl verify` shows all of them"));
}

static int examine_config(Doctor *d)
{
        int r;

        if (d->config->n_problems > 0) {
                r = add_problems(d, PROBLEM_ERROR);
                return r < 0 ? r : add_problems(d, PROBLEM_WARNING);
        }
        if (d->config->n_volumes == 0)
                return findings_add(&d->findings, "configuration", HEALTH_ODD,
                                    strdup("has no volumes"),
                                    strdup("write a file /etc/wslbare.d/NAME.conf; see "
                                           "wslbare.d(5)"));
        return findings_add(&d->findings, "configuration", HEALTH_GOOD,
                            text_format("has %zu volume%s", d->config->n_volumes,
                                        d->config->n_volumes == 1 ? "" : "s"),
                            NULL);
}

static int examine_volumes(Doctor *d)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < d->state.n_volumes; i++) {
                const ClientVolume *v = &d->state.volumes[i];
                Health health = health_of(v);

                if (health != HEALTH_BAD && health != HEALTH_ODD)
                        continue;
                r = findings_add(&d->findings, "volume", health,
                                 text_format("%s is %s%s%s", v->name, v->state,
                                             *v->failure_message ? ": " : "", v->failure_message),
                                 health_cure(v));
        }
        return r;
}

/* NULL: neither does the file tell it, nor has the filesystem been seen. */
static const char *type_of(const Doctor *d, const VolumeConfig *c)
{
        const ClientVolume *v = client_try_find(&d->state, c->name);

        if (c->type)
                return c->type;
        return c->match.type ? c->match.type : v && *v->type ? v->type : NULL;
}

static int examine_programs(Doctor *d)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < d->config->n_volumes; i++) {
                const VolumeConfig *c = d->config->volumes[i];
                const char *type = type_of(d, c), *package = type ? check_package(type) : NULL;

                if (!type)
                        continue;
                if (!programs_mount("", type))
                        r = findings_add(
                                &d->findings, "programs", HEALTH_BAD,
                                text_format("nothing mounts %s, which %s is", type, c->name),
                                strdup(advice_install(type)));
                else if (!programs_check("", c, type))
                        r = findings_add(
                                &d->findings, "programs", HEALTH_ODD,
                                text_format("fsck.%s, to check %s, is not there", type, c->name),
                                text_format("install %s, or write Check=never into %s",
                                            package ? package : "it", c->path));
        }
        return r;
}

static int examine_environment(Doctor *d)
{
        _cleanup_(mountinfo_freep) Mountinfo *mountinfo = NULL;
        struct utsname name;
        int r = uname(&name) < 0 ? -errno : mountinfo_read_self(&mountinfo);

        if (r < 0)
                return r;
        return environment_examine(
                &(Environment){
                        .root = "",
                        .kernel = name.release,
                        .mountinfo = mountinfo,
                        .config = d->config,
                },
                &d->findings);
}

static int examine(Doctor *d)
{
        static const struct {
                int (*ask)(Doctor *d);
                bool needs_bus;
        } subjects[] = {
                { examine_version, true },   { examine_enabled, true }, { examine_running, true },
                { examine_volumes, true },   { examine_user, false },   { examine_config, false },
                { examine_programs, false },
        };
        static const ConfigSource source = { config_default_dirs, 0 };
        int r = config_load(&source, &d->config);

        if (r >= 0)
                r = examine_environment(d);
        if (r >= 0 && client_open(&d->client) < 0)
                r = findings_add(&d->findings, "bus", HEALTH_BAD,
                                 strdup("cannot be reached, so that nobody can ask wslbared"),
                                 strdup("`systemctl start dbus`"));
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(subjects); i++)
                if (d->client.bus || !subjects[i].needs_bus)
                        r = subjects[i].ask(d);
        return r;
}

static const char *name_of(Health h)
{
        return h == HEALTH_BAD ? "bad" : h == HEALTH_ODD ? "odd" : "good";
}

static int print(const Doctor *d, Table *t)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < d->findings.n_items; i++) {
                const Finding *f = &d->findings.items[i];

                r = table_add(t, (const char *const[_COLUMN_MAX]){
                                         [SIGN] = health_sign(f->health),
                                         [SUBJECT] = f->subject,
                                         [RESULT] = name_of(f->health),
                                         [FINDING] = f->text,
                                         [CURE] = f->cure,
                                 });
                table_set_color(t, SIGN, health_color(f->health));
        }
        return r < 0 ? r : table_print(t);
}

/* Below the table, where a person looks at it: first what must be done. */
static unsigned print_cures(const Doctor *d, bool quiet)
{
        static const Health order[] = { HEALTH_BAD, HEALTH_ODD };
        unsigned n_bad = 0;

        for (size_t k = 0; k < ELEMENTSOF(order); k++)
                for (size_t i = 0; i < d->findings.n_items; i++) {
                        const Finding *f = &d->findings.items[i];

                        if (f->health != order[k])
                                continue;
                        n_bad += f->health == HEALTH_BAD;
                        if (quiet)
                                continue;
                        printf("\n%s%s%s ", term_color(health_color(f->health)),
                               health_sign(f->health), term_color(TERM_PLAIN));
                        term_line(stdout, "%s %s", f->subject, f->text);
                        if (f->cure)
                                term_line(stdout, "  Cure: %s", f->cure);
                }
        return n_bad;
}

static int doctor(Doctor *d)
{
        _cleanup_(table_freep) Table *table = NULL;
        unsigned n_bad = 0;
        int r = table_new("findings", columns, &d->table, &table);

        if (r == -EINVAL)
                return CTL_USAGE;
        if (r >= 0)
                r = examine(d);
        if (r >= 0)
                r = print(d, table);
        if (r >= 0)
                n_bad = print_cures(d, d->table.json || d->table.no_legend);
        client_close(&d->client);
        client_state_done(&d->state);
        findings_done(&d->findings);
        config_free(d->config);
        if (r < 0)
                fprintf(stderr, "wslbarectl: cannot examine: %s\n", strerror(-r));
        return r < 0 || n_bad > 0 ? CTL_FAILED : CTL_OK;
}

int ctl_doctor(int argc, char *argv[])
{
        static const Syntax syntax = {
                .verb = "doctor",
                .help = "Examines the system that volumes are to be mounted on, and says what "
                        "mends what it\n"
                        "finds. Changes nothing. Ends with 1 when something must be mended.",
                .columns = columns,
                .table = offsetof(Doctor, table),
        };
        Doctor d = { 0 };
        int status;

        return syntax_parse(&syntax, argc, argv, &d, &status) > 0 ? doctor(&d) : status;
}
