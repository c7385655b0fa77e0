#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests that tests/README.md names are there (TAP)."""

import re
import sys
from pathlib import Path

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


def main():
    table = list(rows())
    print(f"1..{len(table) + 1}")
    print(f"{'ok' if len(table) > 20 else 'not ok'} 1 - table")
    failed = len(table) <= 20
    for i, (what, tests) in enumerate(table, 2):
        missing = [test for test in tests if not is_there(*test)]
        for layer, file, name in missing:
            print(f"# {layer} {file}.{name} is not there")
        good = tests and not missing
        failed |= not good
        print(f"{'ok' if good else 'not ok'} {i} - {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
