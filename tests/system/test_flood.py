# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus that goes and comes, and programs on it that do everything wrong: wslbared goes on as it was."""

import os
import re
import time
from pathlib import Path

import sanitizers
from bus import (DBUS_ERROR, ERROR, MANAGER, OBJECT_MANAGER, PROPERTIES, REPLY_SERIAL, ROOT, SERVICE, SOCKET, VOLUME, BusError,
                 connect, pack, volume_path)
from disks import LoopDisk, make_image
from distro import DBUS, Distro
from machine import patience, wait_until
from volumes import conf, conf_path, configure, main_pid, mounts, states, unmount, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}

KiB = 1024


def memory(pid):
    """PSS, in KiB."""
    return int(re.search(r"^Pss:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Unharmed:
    """Whatever happens meanwhile: one process, its memory and descriptors about as before, the volume as it was."""

    def __init__(self, distro, tmp, name, growth=2 * KiB):
        self.distro = distro
        self.name = name
        self.growth = growth
        self.uuid = make_image("ext4", tmp / "image")
        configure(distro, {name: conf(self.uuid, f"/mnt/{name}")})
        self.disk = LoopDisk(tmp / "image")
        wait_mounted(distro, f"/mnt/{name}")

    def state(self):
        with connect(self.distro) as bus:
            found = bus.volume(self.name)
            return {key: found[key] for key in ("State", "Device", "UUID", "Where", "MountedOptions", "Failure")}

    def __enter__(self):
        wait_until(lambda: self.state()["State"] == "mounted", what="it to be published")
        self.pids = [main_pid(self.distro, f"{unit}.service") for unit in ("wslbared", "wslbare-mountd")]
        self.before = self.state()
        self.fds = fds(self.pids[0])
        self.pss = memory(self.pids[0])
        return self

    def __exit__(self, kind, *_):
        if kind:
            return
        assert [main_pid(self.distro, f"{unit}.service") for unit in ("wslbared", "wslbare-mountd")] == self.pids
        assert self.state() == self.before
        wait_until(lambda: fds(self.pids[0]) <= self.fds, what="its descriptors to be closed")
        if not sanitizers.ENABLED:  # which keep what was freed
            assert memory(self.pids[0]) - self.pss <= self.growth, f"{self.pss} KiB became {memory(self.pids[0])}"
        assert len(mounts(self.distro, f"/mnt/{self.name}")) == 1
        with connect(self.distro) as bus:
            # And it still does what it is for.
            bus.ask(self.name, "Unmount")
            assert not mounts(self.distro, f"/mnt/{self.name}")
            bus.ask(self.name, "Mount")
            assert mounts(self.distro, f"/mnt/{self.name}")


def insist_on_mount(bus, name):
    """Asks until it is mounted: what was asked for before, by who did not wait, may be at work yet."""

    def is_mounted():
        try:
            bus.ask(name, "Mount")
        except BusError as e:
            assert e.name in (f"{ERROR}InProgress", f"{ERROR}AlreadyMounted"), e
            return e.name == f"{ERROR}AlreadyMounted"
        return True

    wait_until(is_mounted, what=f"{name} to be mounted")


def published(distro):
    """The volumes, or None when nobody answers."""
    try:
        with connect(distro, timeout=10) as bus:
            return bus.manager("ListVolumes")
    except (OSError, BusError):
        return None


def test_bus_restarts(distro, tmp):
    with Unharmed(distro, tmp, "again"):
        for _ in range(2):
            distro.systemctl("restart", "dbus.service")
            found = wait_until(lambda: published(distro), what="the name to be taken again")
            assert [volume[:2] for volume in found] == [("again", "mounted")]
    # A device that comes while there is no bus.
    distro.systemctl("stop", "dbus.socket", "dbus.service")
    try:
        unmount(distro, ["/mnt/again"])
        wait_until(lambda: states(distro) == {"again": "unmounted"}, what="it to be noticed")
    finally:
        distro.systemctl("start", "dbus.socket", "dbus.service")
    found = wait_until(lambda: published(distro), what="the name to be taken again")
    assert [volume[:2] for volume in found] == [("again", "unmounted")]


def test_no_bus(tmp):
    """Masked: everything but publishing works; reloading too, by the signal and by dropping."""
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    LoopDisk(tmp / "a")
    with Distro(files={conf_path("a"): conf(uuids[0], "/mnt/a")}, enable=["wslbared.service"], mask=DBUS) as distro:
        assert not distro.path(SOCKET).exists()
        assert distro.show("wslbared", "ActiveState") == "active"
        wait_mounted(distro, "/mnt/a")
        wait_until(lambda: distro.systemctl("is-active", "wslbare@a.target", check=False).stdout == "active\n",
                   what="the target")
        LoopDisk(tmp / "b")
        distro.write(conf_path("b"), conf(uuids[1], "/mnt/b"))
        wait_mounted(distro, "/mnt/b")
        distro.write(conf_path("b"), "")
        distro.systemctl("kill", "-s", "HUP", "wslbared")
        wait_until(lambda: "1 of 1 mounted" in distro.show("wslbared", "StatusText"), what="the reload")
        # It comes at last.
        pid = main_pid(distro, "wslbared.service")
        distro.systemctl("unmask", "--now", *DBUS)
        distro.systemctl("daemon-reload")
        distro.systemctl("start", "dbus.socket")
        found = wait_until(lambda: published(distro), 15, "the name to be taken")
        assert [volume[:2] for volume in found] == [("a", "mounted")]
        assert main_pid(distro, "wslbared.service") == pid


def test_who_never_reads(distro, tmp):
    """Thousands of calls whose answers nobody takes; others are answered meanwhile."""
    with Unharmed(distro, tmp, "deaf"):
        deaf = [connect(distro) for _ in range(4)]
        try:
            for bus in deaf:
                bus.socket.settimeout(1)
                try:
                    for _ in range(2000):
                        bus.send(SERVICE, ROOT, OBJECT_MANAGER, "GetManagedObjects")
                except (TimeoutError, OSError):
                    pass  # the bus has had enough of it
            start = time.monotonic()
            with connect(distro) as bus:
                assert len(bus.manager("ListVolumes")) == 1
            assert time.monotonic() - start < 5 * patience
        finally:
            for bus in deaf:
                bus.close()


def test_ten_thousand_calls(distro, tmp):
    with Unharmed(distro, tmp, "busy"), connect(distro) as bus:
        for _ in range(100):
            serials = [bus.send(SERVICE, volume_path("busy"), PROPERTIES, "GetAll", "s", VOLUME) for _ in range(100)]
            for serial in serials:
                assert bus.answer(serial)[0]["State"] == "mounted"


def test_many_changing_calls(distro, tmp):
    """More at once than the gate lets wait: each gets an answer, and what was asked for last holds."""
    with Unharmed(distro, tmp, "crowd"), connect(distro) as bus:
        serials = {bus.send_ask("crowd", "Mount" if i % 2 else "Unmount", no_block=bool(i % 3)) for i in range(3000)}
        while serials:
            serials.discard(bus.receive().fields.get(REPLY_SERIAL))
        insist_on_mount(bus, "crowd")


def test_a_thousand_clients(distro, tmp):
    with Unharmed(distro, tmp, "guests"):
        for i in range(1000):
            with connect(distro) as bus:
                # Some leave without waiting, in the middle of what they asked for.
                if i % 4 == 0:
                    assert bus.volume("guests")["State"] == "mounted"
                elif i % 4 == 1:
                    bus.send(SERVICE, ROOT, MANAGER, "ListDevices")
                elif i % 4 == 2:
                    bus.send(SERVICE, ROOT, MANAGER, "Rescan")
                else:
                    bus.send_ask("guests", "Mount")


HUGE = "x" * (1 << 20)
BODIES = (
    ("", ()), ("s", ("x",)), ("s", (HUGE,)), ("s", ("\x01\x7f\n" * 100,)), ("u", (1,)), ("v", (("s", "x"),)), ("as", (["x"] * 1000,)),
    ("a{sv}", ({"x": ("s", HUGE)},)), ("a{sv}", ({"no_block": ("s", "yes")},)), ("a{sv}", ({"no_block": ("t", 1)},)),
    ("a{sv}", ({f"key{i}": ("b", True) for i in range(5000)},)), ("a{sv}", ({"": ("b", True)},)),
    ("a{sv}", ({"no_block": ("v", ("v", ("b", True)))},)), ("a{sv}s", ({}, "more")), ("a{ss}", ({"no_block": "1"},)),
    ("(a{sv})", (({},),)), ("aaaaaaaas", ([],)), ("ss", (VOLUME, HUGE)), ("ssv", (VOLUME, "State", ("s", HUGE))),
)
PLACES = (
    (ROOT, MANAGER, ("ListVolumes", "GetVolume", "ListDevices", "Reload", "Rescan", "Nothing")),
    (volume_path("hostile"), VOLUME, ("Mount", "Unmount", "Eject", "Nothing")),
    (volume_path("hostile"), PROPERTIES, ("Get", "GetAll", "Set")),
    (volume_path("nobody"), VOLUME, ("Mount", "Unmount")),
    (volume_path("x" * 300), VOLUME, ("Mount", "Unmount")),
    (f"{ROOT}/volume/_zz_", VOLUME, ("Mount", "Unmount")),
    (f"{ROOT}/volume", VOLUME, ("Mount",)),
    ("/" + "/".join("x" * 20 for _ in range(100)), MANAGER, ("Reload",)),
)


def test_wrong_calls(distro, tmp):
    """Every method with arguments that are none of it; each is answered, and nothing happens but what may."""
    with Unharmed(distro, tmp, "hostile"), connect(distro) as bus:
        right = {("ListVolumes", ""), ("ListDevices", ""), ("Reload", ""), ("Rescan", "")}
        # sd-bus itself reads only as much as it needs here, and we have no part in it.
        right |= {("Get", "ssv"), ("GetAll", "ss"), ("GetAll", "ssv")}
        for path, interface, members in PLACES:
            for member in members:
                for signature, values in BODIES:
                    serial = bus.send(SERVICE, path, interface, member, signature, *values)
                    try:
                        bus.answer(serial)
                    except BusError as e:
                        assert e.name.startswith((DBUS_ERROR, "org.wslbare1.Error.", "System.Error.")), e
                        continue
                    assert (member, signature) in right, f"{path} {member} took {signature} {str(values)[:100]}"


def test_broken_messages(distro, tmp):
    """Bytes that are no message, and lengths that lie: the bus or sd-bus throws them out."""
    with Unharmed(distro, tmp, "broken"):
        for body in b"\xff" * 16, pack("a{sv}", [{"no_block": ("b", True)}])[:-3], bytes(4096), b"\xff\xff\xff\x7f" * 4:
            for signature in "a{sv}", "s", "as", "v":
                with connect(distro, timeout=10) as bus:
                    try:
                        for path, interface, member in (volume_path("broken"), VOLUME, "Unmount"), (ROOT, MANAGER, "GetVolume"):
                            bus.answer(bus.send(SERVICE, path, interface, member, signature, body=body))
                    except (BusError, OSError):
                        continue
                    assert (signature, body) == ("a{sv}", bytes(4096)), f"{signature} {body[:20]} was taken"


def test_names_from_outside(distro, tmp):
    """A label that is not UTF-8 and holds control characters does not spoil what is published."""
    label = b"a\xe4b\x01".decode("utf-8", "surrogateescape")
    uuid = make_image("ext4", tmp / "image", label=label)
    configure(distro, {"label": conf(uuid, "/mnt/label")})
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/label")
    with connect(distro) as bus:
        wait_until(lambda: bus.volume("label")["State"] == "mounted", what="it to be published")
        shown = bus.volume("label")["Label"]
        assert shown == "a\\xe4b\\x01", shown
        (device,) = [d for d in bus.manager("ListDevices") if d["Node"] == disk.node]
        assert device["Label"] == shown
