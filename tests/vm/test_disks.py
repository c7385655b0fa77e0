# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a SCSI disk has and a loop device has not: a serial number, a name, and a way to be ejected."""

from bus import ERROR, refusal
from disks import make_disk, make_image
from machine import defer
from volumes import conf, configure, mounts, restart, said, wait_mounted, wait_state

UDEVD = "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udevd.service"
SERIAL = "A-serial.42"
WWN = "0x5000c500a1b2c3d4"


def identities(vm, disks):
    """node → Serial and WWN, as wslbared knows them."""
    nodes = {disk.node for disk in disks}
    return {device["Node"]: (device.get("Serial"), device.get("WWN"))
            for device in vm.bus.manager("ListDevices") if device["Node"] in nodes}


def start_udevd(vm):
    vm.systemctl("start", *UDEVD)
    vm.run("udevadm trigger --action=add --subsystem-match=block")
    vm.run("udevadm settle")


def test_identity(vm, tmp):
    """By its serial number, its name, and a link's name; and what is read without udevd is the same."""
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(vm, {
        "by-serial": conf(None, "/mnt/by-serial", {"Serial": SERIAL}),
        "by-id": conf(None, "/mnt/by-id", {"ById": f"scsi-*{SERIAL}"}),
        "by-wwn": conf(None, "/mnt/by-wwn", {"WWN": WWN}),
        "by-both": conf(uuids[1], "/mnt/by-both", {"WWN": WWN, "ById": "wwn-0x5000c500a1b2c3d?"}),
        "by-other": conf(uuids[0], "/mnt/by-other", {"Serial": "other"}),
    })
    disks = vm.plug(tmp / "a", serial=SERIAL), vm.plug(tmp / "b", serial="another", wwn=int(WWN, 0))
    for name, disk in ("by-serial", disks[0]), ("by-id", disks[0]), ("by-wwn", disks[1]), ("by-both", disks[1]):
        assert wait_mounted(vm, f"/mnt/{name}")["source"] == disk.node, name
    wait_state(vm, "by-other", "absent")
    assert not mounts(vm, "/mnt/by-other")

    with_udevd = identities(vm, disks)
    assert with_udevd[disks[0].node] == (SERIAL, None), with_udevd
    assert with_udevd[disks[1].node][1] == WWN, with_udevd
    defer(lambda: start_udevd(vm))
    vm.systemctl("stop", *UDEVD)
    vm.shell("rm -rf /run/udev")
    restart(vm)
    assert vm.bus.properties()["EventSource"] == "kernel"
    assert identities(vm, disks) == with_udevd


def test_eject(vm, tmp):
    """At the answer it is no device any more; back it is one like any other."""
    uuid = make_image("ext4", tmp / "image")
    configure(vm, {"ejected": conf(uuid, "/mnt/ejected")})
    disk = vm.plug(tmp / "image")
    wait_mounted(vm, "/mnt/ejected")
    vm.path("/mnt/ejected/file").write_text("whole\n")
    assert vm.bus.ask("ejected", "Eject") == []
    assert not vm.path(f"/sys/block/{disk.name}").exists()
    assert not mounts(vm, "/mnt/ejected")
    assert said(vm, "ejected", "is ejected; its disk may be detached now$")
    wait_state(vm, "ejected", "absent")
    disk.pull()
    disk.plug()
    wait_mounted(vm, "/mnt/ejected")
    assert vm.path("/mnt/ejected/file").read_text() == "whole\n"


def test_eject_refused(vm, tmp):
    """Another partition of it is in use: it stays."""
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    make_disk(tmp / "disk", [{"image": tmp / name} for name in "ab"])
    configure(vm, {"kept": conf(uuids[0], "/mnt/kept")})
    disk = vm.plug(tmp / "disk")
    wait_mounted(vm, "/mnt/kept")
    vm.run(f"mount {disk.node}2 /srv")
    defer(lambda: vm.run("umount /srv", check=False))
    error = refusal(vm.bus.ask, "kept", "Eject")
    assert error.name == f"{ERROR}Busy", error
    assert vm.path(f"/sys/block/{disk.name}").exists()
    wait_mounted(vm, "/mnt/kept")
    vm.run("umount /srv")
    assert vm.bus.ask("kept", "Eject") == []
    assert not vm.path(f"/sys/block/{disk.name}").exists()
