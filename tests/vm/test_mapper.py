# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that are only a part of what is mounted: encrypted ones, and those of LVM."""

from uuid import uuid4

from bus import ERROR, refusal
from disks import MiB
from machine import defer
from volumes import conf, configure, mounts, said, wait_mounted, wait_state


def plug_empty(vm, path, serial):
    with open(path, "wb") as f:
        f.truncate(64 * MiB)
    return vm.plug(path, serial=serial)


def open_disk(vm, disk):
    vm.run(f"cryptsetup open --key-file=/run/key {disk.node} inner")


def close_disk(vm):
    vm.run("dmsetup remove --retry inner", check=False)


def test_encrypted(vm, tmp):
    """Locked until it is opened, and then mounted, by the disk's serial number or by what is inside. Pulled out it is
    lost, though its mapping stays."""
    disk = plug_empty(vm, tmp / "image", "LOCKED")
    uuid = str(uuid4())
    vm.path("/run/key").write_text("key")
    cheap = "--pbkdf=pbkdf2 --pbkdf-force-iterations=1000"
    vm.run(f"cryptsetup -q luksFormat {cheap} --key-file=/run/key {disk.node}")
    defer(lambda: close_disk(vm))
    open_disk(vm, disk)
    vm.run(f"mkfs.ext4 -q -U {uuid} /dev/mapper/inner")
    close_disk(vm)
    configure(vm, {"outer": conf(None, "/mnt/outer", {"Serial": "LOCKED"}), "inner": conf(uuid, "/mnt/inner")})
    for _ in range(2):
        wait_state(vm, "outer", "locked")
        wait_state(vm, "inner", "absent")
        open_disk(vm, disk)
        for name in "outer", "inner":
            assert wait_mounted(vm, f"/mnt/{name}")["fstype"] == "ext4"
        disk.pull()
        for name in "outer", "inner":
            assert said(vm, name, "lost .* while mounted")
            wait_state(vm, name, "absent")
            assert not mounts(vm, f"/mnt/{name}")
        close_disk(vm)
        disk.plug()
    # Unlocked it is meant by what is inside alone.
    wait_state(vm, "outer", "locked")
    open_disk(vm, disk)
    for name in "outer", "inner":
        wait_mounted(vm, f"/mnt/{name}")
        assert vm.bus.ask(name, "Unmount") == []
    error = refusal(vm.bus.ask, "outer", "Eject")
    assert error.name == f"{ERROR}NotSupported" and "device mapper" in error.text, error
    close_disk(vm)
    assert vm.bus.ask("outer", "Eject") == []
    assert not vm.path(f"/sys/block/{disk.name}").exists()


def test_lvm(vm, tmp):
    """The disk is a member; a volume on it is mounted when it is activated."""
    disk = plug_empty(vm, tmp / "image", "MEMBER")
    uuid = str(uuid4())
    vm.run(f"pvcreate -qq {disk.node}")
    vm.run(f"vgcreate -qq test-group {disk.node}")
    defer(lambda: vm.run("vgchange -qq -an test-group", check=False))
    vm.run("lvcreate -qq -n volume -l 100%FREE test-group")
    vm.run(f"mkfs.ext4 -q -U {uuid} /dev/test-group/volume")
    vm.run("vgchange -qq -an test-group")
    configure(vm, {
        "member": conf(None, "/mnt/member", {"Serial": "MEMBER"}),
        "logical": conf(uuid, "/mnt/logical"),
    })
    wait_state(vm, "member", "member")
    wait_state(vm, "logical", "absent")
    vm.run("vgchange -qq -ay test-group")
    wait_mounted(vm, "/mnt/logical")
    assert vm.bus.ask("logical", "Unmount") == []
