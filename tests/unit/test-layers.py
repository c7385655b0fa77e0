#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dependencies point one way, and each outside library has one home (TAP)."""

import re
import sys
from functools import partial
from pathlib import Path

import tap

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')

# Header or call → the files that may use it.
HEADER_HOMES = {
    "libudev.h": ["lib/hotplug.c"],
    "blkid/blkid.h": ["lib/probe.c"],
    "ini.h": ["lib/config-reader.c"],
    "seccomp.h": ["daemon/mountd/sandbox.c"],
    "systemd/sd-bus.h": [
        "daemon/mountd/service.c",
        "daemon/mountd/report.h",
        "daemon/mountd/requests.h",
        "daemon/mountd/pid1.h",
        "daemon/wslbared/mountd-client.h",
        "daemon/wslbared/gate.h",
        "daemon/wslbared/bus*.h",
        "daemon/ctl/*",
    ],
    "json-c/json.h": ["daemon/ctl/fio.c"],
    "systemd/sd-journal.h": ["daemon/log.c", "daemon/ctl/*"],
    "systemd/sd-daemon.h": ["daemon/wslbared/notify.c", "daemon/mountd/main.c"],
}
CALL_HOMES = {
    "fsopen|fsconfig|fsmount|fspick|open_tree|move_mount|mount_setattr": ["lib/mount.c", "lib/missing.h"],
    "mount|umount|pivot_root": [],
    "umount2": ["lib/mount.c", "daemon/mountd/helper.c"],
    "udev_[a-z_]+": ["lib/hotplug.c"],
    "blkid_[a-z_]+": ["lib/probe.c"],
    "seccomp_[a-z_]+": ["daemon/mountd/sandbox.c"],
    "json_(?:object|tokener)_[a-z_]+": ["daemon/ctl/fio.c"],
    "scols_[a-z_]+": ["daemon/ctl/table.c"],
}


class Source:
    def __init__(self, path):
        self.path = path.relative_to(ROOT)
        self.name = self.path.as_posix()
        text = COMMENT.sub(" ", path.read_text(encoding="utf-8"))
        self.includes = INCLUDE.findall(text)
        self.code = STRING.sub('""', text)

    def is_in(self, *directories):
        return any(self.name.startswith(f"{d}/") for d in directories)

    def is_one_of(self, patterns):
        """Whether a pattern names it; a header speaks for its .c file too."""
        other = self.path.with_suffix(".h")
        return any(p.match(q) for q in patterns for p in (self.path, other))

    def calls(self, names):
        return re.findall(rf"(?<![\w.>])(?:{names})[ \t]*\(", self.code)


def resolve(source, name, sources):
    """The file of ours that an include means, or None: its own directory, then the include paths."""
    directories = [source.path.parent]
    if source.is_in("daemon"):
        directories.append(Path("daemon"))
    directories.append(Path("lib"))
    for directory in directories:
        if (directory / name).as_posix() in sources:
            return (directory / name).as_posix()
    return None


def check_lib(sources):
    for s in sources.values():
        if not s.is_in("lib"):
            continue
        for kind, name in s.includes:
            if kind == '"' and not (resolve(s, name, sources) or "").startswith("lib/"):
                yield f"{s.name} includes {name}, which is not in lib/"
            if name.startswith("systemd/"):
                yield f"{s.name} includes <{name}>: lib/ has no loop, bus or journal"
        for call in s.calls("log_[a-z]+|printf|fprintf|perror|syslog"):
            if not (call.startswith("fprintf") and s.name == "lib/record.c"):  # writes a file
                yield f"{s.name} calls {call}…): lib/ does not log"


def check_daemons(sources):
    daemons = ["daemon/wslbared", "daemon/mountd", "daemon/ctl"]
    headers = {d: {s.path.name for s in sources.values() if s.is_in(d) and s.path.suffix == ".h"} for d in daemons}
    for s in sources.values():
        for kind, name in s.includes:
            if kind != '"' or not s.is_in("daemon"):
                continue
            found = resolve(s, name, sources)
            if not found:
                where = [d for d in daemons if Path(name).name in headers[d]]
                yield f"{s.name} includes {name}, " + (f"which is of {where[0]}" if where else "which is not there")
            elif found.count("/") > 1 and not s.is_in(found.rpartition("/")[0]):
                yield f"{s.name} includes {found}"


def check_include_paths(sources):
    for directory in ("lib", "daemon"):
        for path in (ROOT / directory).rglob("meson.build"):
            text = path.read_text(encoding="utf-8")
            for inside in re.findall(r"include_directories\(([^)]*)\)", text):
                if inside.strip() != "'.'":
                    yield f"{path.relative_to(ROOT)}: include_directories({inside})"


def check_header(header, homes):
    def check(sources):
        for s in sources.values():
            if any(name == header for _, name in s.includes) and not s.is_one_of(homes):
                yield f"{s.name} includes <{header}>, whose home is {' '.join(homes)}"

    return check


def check_calls(names, homes):
    def check(sources):
        for s in sources.values():
            for call in s.calls(names):
                if not s.is_one_of(homes):
                    yield f"{s.name} calls {call}…), whose home is {' '.join(homes) or 'nowhere'}"

    return check


def check_homes(sources):
    """A home without its library is a line that was forgotten here."""
    for header, homes in HEADER_HOMES.items():
        for home in homes:
            if "*" not in home and (ROOT / home).exists():
                users = {home, home.removesuffix(".h") + ".c"}
                if not any(n == header for u in users & sources.keys() for _, n in sources[u].includes):
                    yield f"{home} is a home of <{header}> and does not include it"


def main():
    paths = [p for d in ("lib", "daemon") for p in sorted((ROOT / d).rglob("*.[ch]"))]
    sources = {s.name: s for s in map(Source, paths)}
    cases = {
        "there_is_something": lambda x: [] if len(x) > 30 else [f"only {len(x)} files below {ROOT}"],
        "lib_stands_alone": check_lib,
        "daemons_are_apart": check_daemons,
        "include_paths": check_include_paths,
        "homes_are_lived_in": check_homes,
        **{f"home_of_{h}": check_header(h, homes) for h, homes in HEADER_HOMES.items()},
        **{f"home_of_{c.split('|')[0]}()": check_calls(c, homes) for c, homes in CALL_HOMES.items()},
    }
    return tap.run({name: partial(check, sources) for name, check in cases.items()})


if __name__ == "__main__":
    sys.exit(main())
