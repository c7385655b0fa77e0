/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "client-objects.h"
#include "ctl.h"
#include "macro.h"
#include "syntax.h"
#include "volumes.h"

typedef struct List {
        TableOptions table;
} List;

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
        static const Syntax syntax = {
                .verb = "list",
                .words = "[NAME…]",
                .are_names = true,
                .help = "Lists the volumes, or all that are configured: the same for ever, for "
                        "programs.",
                .columns = volumes_columns,
                .table = offsetof(List, table),
        };
        List l = { .table.no_signs = true };
        int status, first = syntax_parse(&syntax, argc, argv, &l, &status);

        return first > 0 ? list(argv + first, argc - first, &l.table) : status;
}
