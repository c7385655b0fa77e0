/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "ctl.h"
#include "macro.h"
#include "volumes.h"

static int print_help(void)
{
        puts("wslbarectl list [OPTIONS…] [NAME…]\n\n"
             "Lists the volumes, or all that are configured: the same for ever, for programs.\n\n"
             "  -h --help         Show this help\n" TABLE_HELP);
        volumes_print_columns();
        return CTL_OK;
}

static int list(char *const *names, int n, const TableOptions *options)
{
        _cleanup_free_ const ClientVolume **volumes = NULL;
        ClientState state = { 0 };
        Client client = { 0 };
        size_t n_volumes;
        int r = client_open(&client);

        if (r >= 0)
                r = client_get_state(&client, &state);
        if (r >= 0)
                r = client_select(&state, names, n, &volumes, &n_volumes);
        if (r >= 0)
                r = volumes_print(volumes, n_volumes, options);
        client_state_done(&state);
        client_close(&client);
        return r == -EINVAL ? CTL_USAGE : ctl_status_of(r);
}

int ctl_list(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                TABLE_LONG_OPTIONS,
                { 0 },
        };
        TableOptions table = { .no_signs = true };
        int c;

        optind = 0; /* the verb's own arguments: getopt begins anew */
        while ((c = getopt_long(argc, argv, "h" TABLE_GETOPT, options, NULL)) >= 0)
                if (c == 'h')
                        return print_help();
                else if (!table_take_option(&table, c, optarg))
                        return CTL_USAGE;
        if (!client_check_names(argv + optind, argc - optind))
                return CTL_USAGE;
        return list(argv + optind, argc - optind, &table);
}
