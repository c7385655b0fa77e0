#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests that tests/README.md names are there (TAP)."""

import re
import sys
from functools import partial
from pathlib import Path

import tap

TESTS = Path(__file__).resolve().parents[1]
NAME = re.compile(r"`([\w-]+)\.(\w+)`")
CASE = {"system": r"^def {}\(", "vm": r"^def {}\(", "unit": r"\bTEST\({}\)"}


def is_there(layer, file, name):
    path = TESTS / layer / (f"test-{file}.c" if layer == "unit" else f"{file}.py")
    return path.exists() and re.search(CASE[layer].format(name), path.read_text(encoding="utf-8"), re.M)


def rows():
    """What happens, and the (layer, file, name) that show it."""
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    section = text.partition("## What happens, and which test shows it\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if not line.startswith("| ") or line.startswith("| what happens"):
            continue
        _, what, shown, _ = line.split("|")
        layers = re.split(r"\b(system|vm|unit) (?=`)", shown)
        yield what.strip(), [(layer, *match) for layer, names in zip(layers[1::2], layers[2::2])
                             for match in NAME.findall(names)]


def check_row(tests):
    if not tests:
        yield "there is no test"
    for layer, file, name in tests:
        if not is_there(layer, file, name):
            yield f"{layer} {file}.{name} is not there"


def main():
    table = dict(rows())
    cases = {"table": lambda: [] if len(table) > 20 else [f"it has only {len(table)} rows"]}
    return tap.run(cases | {what: partial(check_row, tests) for what, tests in table.items()})


if __name__ == "__main__":
    sys.exit(main())
