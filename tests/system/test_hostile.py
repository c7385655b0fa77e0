# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method that there is, called with anything at all, by root and by nobody in particular.

What it is comes from a seed, which is told; $WSLBARE_SEED chooses it.
"""

import os
import random
import xml.etree.ElementTree as ET

from bus import (DBUS_ERROR, ERROR, GONE, MANAGER, PROPERTIES, ROOT, SERVICE, VOLUME, BusError, call_inside, connect, types,
                 volume_path)
from machine import patience
from test_flood import KiB, Unharmed, insist_on_mount

DISTRO = {"enable": ["wslbared.service"]}

ROUNDS = 100  # of each method
GROWTH = 16 * KiB  # of memory; a leak of what is sent would be hundreds of MiB

BASIC = "ybnqiuxtdsogv"
LIMITS = {"y": (0, 255), "n": (-1 << 15, (1 << 15) - 1), "q": (0, (1 << 16) - 1), "i": (-1 << 31, (1 << 31) - 1),
          "u": (0, (1 << 32) - 1), "x": (-1 << 63, (1 << 63) - 1), "t": (0, (1 << 64) - 1)}
NUMBERS = (0, 1, -1, float("nan"), float("inf"), -0.0, 1e308, 5e-324)
TEXTS = ("", " ", "no_block", "lazy", "hostile", "nobody", "..", "/", "../../etc", "%s%n", "\x01\x7f\x1b[2J", "\u202e", "ä" * 300,
         "x" * 65, "x" * 4096, "x" * 300000)
SHORT = TEXTS[:-2]
MANY = 3000
PATHS = ("/", ROOT, f"{ROOT}/volume", volume_path("hostile"), volume_path("nobody"), f"{ROOT}/volume/_", f"{ROOT}/volume/_zz",
         "/" + "/".join("x" * 200 for _ in range(200)))
NO_PATHS = ("", "x", "//", "/x/", "/-")  # whoever sends one is thrown off the bus
SIGNATURES = ("", "s", "a{sv}", "((((s))))", "aaaaaaaay")
DEPTHS = (2, 10, 30, 70)  # of variants; some are more than D-Bus allows
ANSWERS = (DBUS_ERROR, ERROR, "System.Error.", GONE)


class Anything:
    """Signatures and values, from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one_of(self, *choices):
        return self.random.choice(choices)

    def kind(self, depth=0):
        """A complete type."""
        sort = self.random.random()
        if depth > 3 or sort < 0.6:
            return self.one_of(*BASIC)
        if sort < 0.75:
            return "a" + self.kind(depth + 1)
        if sort < 0.9:
            return f"a{{{self.one_of('s', 'o', 'g')}{self.kind(depth + 1)}}}"
        return f"({self.kind(depth + 1)}{self.kind(depth + 1)})"

    def value(self, kind, depth=0, texts=TEXTS):
        if kind == "b":
            return self.random.random() < 0.5
        if kind == "d":
            return float(self.one_of(*NUMBERS))
        if kind in LIMITS:
            return self.one_of(0, 1, *LIMITS[kind])
        if kind == "s":
            return self.one_of(*texts)
        if kind == "o":
            return self.one_of(*PATHS, self.one_of(*NO_PATHS))
        if kind == "g":
            return self.one_of(*SIGNATURES)
        if kind == "v":
            return self.variant(depth)
        if kind[0] == "(":
            return [self.value(inner, depth + 1) for inner in types(kind[1:-1])]
        if kind[1] == "{":
            return self.dictionary(*types(kind[2:-1]), depth)
        return [self.value(kind[1:], depth + 1, SHORT) for _ in range(self.length(kind[1:], depth))]

    def length(self, kind, depth):
        return self.one_of(0, 1, 2, MANY if depth == 0 and kind in BASIC and kind != "v" else 3)

    def dictionary(self, key, kind, depth):
        found = {}
        for i in range(self.length(kind, depth)):
            name = self.value(key, depth + 1, SHORT)
            found[f"{name}{i}" if key == "s" else name] = self.value(kind, depth + 1, SHORT)
        return found

    def variant(self, depth):
        if depth == 0 and self.random.random() < 0.2:
            deep = ["b", True]
            for _ in range(self.one_of(*DEPTHS)):
                deep = ["v", deep]
            return deep
        kind = self.kind(depth + 2)
        return [kind, self.value(kind, depth + 2)]

    def options(self):
        """Something like the options of a method; now and then right ones."""
        if self.random.random() < 0.1:
            return self.dictionary("s", "v", 0) | {f"no_block{i}": ["b", True] for i in range(MANY)}
        names = self.random.choices(("no_block", "lazy", "force", "", "x" * 4096), k=self.random.randrange(4))
        return {name: self.one_of(["b", True], ["b", False], self.variant(0)) for name in names}

    def arguments(self, signature):
        """(signature, values) for a method that takes SIGNATURE."""
        if self.random.random() < 0.4:
            signature = self.one_of("", signature + self.kind(), self.kind(), self.kind() + self.kind())
        values = [self.options() if kind == "a{sv}" else self.value(kind) for kind in types(signature)]
        return signature, values


def methods(bus, path, interface):
    """name → signature of what it takes."""
    (text,) = bus.call(SERVICE, path, "org.freedesktop.DBus.Introspectable", "Introspect")
    (node,) = [node for node in ET.fromstring(text).findall("interface") if node.get("name") == interface]
    return {method.get("name"): "".join(argument.get("type") for argument in method.findall("arg")
                                        if argument.get("direction") == "in") for method in node.findall("method")}


def make_calls(bus, seed):
    """Of each method, ROUNDS calls, and each property is set; in any order."""
    anything = Anything(seed)
    calls = []
    for path, interface in (ROOT, MANAGER), (volume_path("hostile"), VOLUME):
        for member, wanted in methods(bus, path, interface).items():
            for _ in range(ROUNDS):
                signature, values = anything.arguments(wanted)
                if signature == "a{sv}" and member not in ("Mount", "Unmount"):
                    values[0]["force"] = ["b", True]  # so that none ejects or attaches anything
                calls.append((path, interface, member, signature, *values))
        for name in bus.properties(path, interface):
            kind = anything.kind()
            calls.append((path, PROPERTIES, "Set", "ssv", interface, name, [kind, anything.value(kind)]))
    anything.random.shuffle(calls)
    return calls


def may_succeed(user, member, signature, values):
    """Whether a call is a good one."""
    if member in ("Mount", "Unmount"):
        known = {"no_block", "lazy"} if member == "Unmount" else {"no_block"}
        return user == "root" and signature == "a{sv}" and all(
            name in known and kind == "b" for name, (kind, _) in values[0].items())
    if member in ("Reload", "Rescan"):
        return user == "root" and signature == ""
    return (member, signature) in {("ListVolumes", ""), ("ListDevices", ""), ("GetVolume", "s")}


def check(user, call, result):
    _, _, member, signature, *values = call
    shown = f"{member} {signature} {str(values)[:200]} by {user}: {str(result)[:200]}"
    if isinstance(result, BusError):
        assert result.name.startswith(ANSWERS), shown
    else:
        assert may_succeed(user, member, signature, values), shown


def call_anything(distro, user):
    seed = int(os.environ.get("WSLBARE_SEED") or random.randrange(1 << 32))
    with connect(distro) as bus:
        calls = make_calls(bus, seed)
    print(f"# WSLBARE_SEED={seed}: {len(calls)} calls by {user}", flush=True)
    results = call_inside(distro, user, calls, timeout=100 * patience)
    assert len(results) == len(calls)
    for call, result in zip(calls, results):
        check(user, call, result)
    return results


def everything(bus):
    return bus.volume("hostile"), bus.properties()


def test_by_nobody(distro, tmp):
    """Whatever it is, nothing changes."""
    with Unharmed(distro, tmp, "hostile", GROWTH), connect(distro) as bus:
        before = everything(bus)
        call_anything(distro, "nobody")
        assert everything(bus) == before


def test_by_root(distro, tmp):
    """Who may do it all does some of it by chance."""
    with Unharmed(distro, tmp, "hostile", GROWTH), connect(distro) as bus:
        results = call_anything(distro, "root")
        assert any(not isinstance(result, BusError) for result in results)
        insist_on_mount(bus, "hostile")
