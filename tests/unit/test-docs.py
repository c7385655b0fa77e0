#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the code has, its man pages and completions have too (TAP)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import tap

ROOT = Path(__file__).resolve().parents[2]
COMPLETIONS = ("bash/wslbarectl", "zsh/_wslbarectl", "fish/wslbarectl.fish")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def page(name):
    """The text of a man page, without its markup."""
    path = f"conf/man/{name}"
    text = read(path if (ROOT / path).exists() else f"{path}.in").replace("\\-", "-").replace('"', " ")
    return re.sub(r"\\f[BIRP]|^\.[A-Z]+ ", " ", text, flags=re.M)


def words(text):
    return set(re.findall(r"[\w=-]+", text))


def table(path, name):
    """The initializer of a table in the code."""
    return re.search(rf"\b{name}\[\w*\] = \{{(.*?)\n\}};", read(path), re.S).group(1)


def verbs():
    return re.findall(r'\{ "(\w+)", ', table("daemon/ctl/main.c", "verbs"))


def long_options():
    """Of all verbs."""
    found = {"version"}
    for path in (ROOT / "daemon/ctl").glob("*.[ch]"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"""\{\s*\\?\s*"([a-z-]+)",\s*(?:0|'\w'),""", text))
    return found


def short_options():
    """Of all verbs, with the long ones that they stand for."""
    found = set()
    for path in (ROOT / "daemon/ctl").glob("*.[ch]"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"-(\w) --([a-z-]+)", text))  # as the help tells them
        found |= {(letter, name) for name, letter in re.findall(r"""\{\s*"([a-z-]+)",\s*'(\w)'""", text)}
    return found


def errors():
    """Of D-Bus, that calls are answered with."""
    text = "".join(read(path) for path in ("daemon/wslbared/gate.c", "daemon/wslbared/bus-volume.c"))
    return {"".join(map(str.capitalize, name.split("_"))) for name in re.findall(r"SD_BUS_ERROR_(\w+),", text)}


def interface(kind):
    """Names of methods, or properties, of both interfaces."""
    for name in ("Manager", "Volume"):
        for element in ElementTree.parse(ROOT / f"conf/org.wslbare1.{name}.xml").iter(kind):
            yield element.get("name")


def lacks(wanted, text, what):
    wanted = sorted(wanted)
    if len(wanted) < 2:
        yield f"only {wanted} were found in the code"
    there = words(text)
    for name in wanted:
        if name not in there:
            yield f"{what} does not have {name}"


def check_verbs():
    yield from lacks(verbs(), page("wslbarectl.1"), "wslbarectl.1")
    for name in COMPLETIONS:
        yield from lacks(verbs(), read(f"conf/completion/{name}"), name)


def check_options():
    text = page("wslbarectl.1")
    yield from lacks({f"--{name}" for name in long_options()}, text.replace("=", " "), "wslbarectl.1")
    for name in COMPLETIONS:
        yield from lacks(long_options(), re.sub(r"--|=", " ", read(f"conf/completion/{name}")), name)


def check_letters():
    text = page("wslbarectl.1")
    wanted = sorted(short_options())
    if len(wanted) < 5:
        yield f"only {wanted} were found in the code"
    for letter, name in wanted:
        if not re.search(rf"-{letter} *, +--{name}\b", text):
            yield f"wslbarectl.1 does not have -{letter}, --{name}"


def check_keys():
    keys = re.findall(r'\{ "(?:Match|Mount)", "(\w+)", parse_', read("lib/config-keys.c"))
    yield from lacks({f"{key}=" for key in keys}, page("wslbare.d.5"), "wslbare.d.5")


def check_states():
    states = re.findall(r'\[VOLUME_\w+\] = "(\w+)"', read("lib/plan.c"))
    yield from lacks(states, page("wslbared.8"), "wslbared.8")


def check_steps():
    steps = re.findall(r'\[STEP_\w+\] = "(\w+)"', read("lib/plan.c"))
    text = page("org.wslbare1.5")
    failure = text[text.index(" Failure   ("):text.index(" Holders   (")]
    yield from lacks(steps, failure, "Failure in org.wslbare1.5")


def check_errors():
    yield from lacks(errors(), page("org.wslbare1.5"), "org.wslbare1.5")


def check_bus():
    for kind in ("method", "property"):
        yield from lacks(interface(kind), page("org.wslbare1.5"), "org.wslbare1.5")


def check_mandoc():
    if not shutil.which("mandoc"):
        raise tap.Skip("mandoc is not installed")
    pages = sorted((ROOT / "conf/man").iterdir())
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    yield from done.stdout.splitlines()


def main():
    cases = {
        "verbs": check_verbs,
        "options": check_options,
        "letters": check_letters,
        "keys": check_keys,
        "states": check_states,
        "steps": check_steps,
        "errors": check_errors,
        "bus": check_bus,
        "mandoc": check_mandoc,
    }
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main())
