# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program of checks that looks like one of the C tests from outside."""

import sys


class Skip(Exception):
    """Why a check cannot be done here."""


def run(cases):
    """Does the checks, callables that yield what is wrong, of the names given on the command line, or
    all; prints TAP, and returns the exit status."""
    wanted = {name: check for name, check in cases.items() if len(sys.argv) < 2 or name in sys.argv[1:]}
    print(f"1..{len(wanted)}")
    failed = False
    for i, (name, check) in enumerate(wanted.items(), 1):
        try:
            faults = list(check())
        except Skip as e:
            print(f"ok {i} - {name} # SKIP {e}")
            continue
        for fault in faults:
            print(f"# {fault}")
        print(f"{'not ok' if faults else 'ok'} {i} - {name}")
        failed |= bool(faults)
    return 1 if failed else 0
