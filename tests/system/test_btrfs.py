# SPDX-License-Identifier: LGPL-2.1-or-later
"""A filesystem on several disks: mounted when all are there, and told from copies."""

import shutil
from uuid import uuid4

from bus import ERROR, connect, refusal
from disks import LoopDisk, PlainLoop, make_btrfs, make_disk, make_image
from distro import UDEVD, Distro
from machine import wait_until
from volumes import (conf, conf_path, configure, is_free, mounts, restart, said, status, unmount, wait_free, wait_mounted,
                     wait_state, wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}


def check_incomplete(distro, name, pattern):
    wait_state(distro, name, "incomplete")
    message = said(distro, name, pattern)[-1]
    assert not mounts(distro, f"/mnt/{name}") and not distro.path(f"/mnt/{name}").exists()
    return message


def test_one_by_one(distro, tmp):
    """The kernel knows how many there are; nothing is said in the file."""
    images = [tmp / name for name in "abc"]
    configure(distro, {"three": conf(make_btrfs(images), "/mnt/three")})
    disks = [LoopDisk(images[0])]
    message = check_incomplete(distro, "three", "missing")
    assert disks[0].node in message and "btrfs filesystem show" in message, message
    disks.append(LoopDisk(images[1]))
    distro.run("udevadm settle")
    with connect(distro) as bus:
        assert refusal(bus.ask, "three", "Mount").name == ERROR + "Incomplete"
        wait_state(distro, "three", "incomplete")
        assert bus.properties()["State"] == "running"
        disks.append(LoopDisk(images[2]))
        wait_mounted(distro, "/mnt/three")
        wait_state(distro, "three", "mounted")
        assert bus.volume("three")["Candidates"] == sorted(disk.node for disk in disks)
        assert bus.volume("three")["Failure"] == ("", 0, "")
    wait_tidy(distro)


def test_members(distro, tmp):
    """How many of how many, by the filesystem's UUID and by the UUID of one partition."""
    part_uuid = str(uuid4())
    uuid = make_btrfs([tmp / "a", tmp / "b"])
    make_disk(tmp / "disk", [{"image": tmp / "a", "uuid": part_uuid}])
    configure(distro, {
        "whole": conf(uuid, "/mnt/whole", Members=2),
        "part": conf(None, "/mnt/part", {"PartUUID": part_uuid}, Members=2),
    })
    disk = LoopDisk(tmp / "disk", partscan=True)
    for name in "whole", "part":
        message = check_incomplete(distro, name, "step probe")
        assert "1 of 2 devices" in message and disk.partitions()[0] in message, message
    wait_until(lambda: "incomplete: part whole" in status(distro), what="the status")
    with LoopDisk(tmp / "b"):
        for name in "whole", "part":
            wait_mounted(distro, f"/mnt/{name}")
        unmount(distro, ["/mnt/whole", "/mnt/part"])


def test_copy_of_a_member(distro, tmp):
    """Which of the two belongs to the other disk, nobody can tell."""
    uuid = make_btrfs([tmp / "a", tmp / "b"])
    shutil.copy(tmp / "b", tmp / "c")
    with LoopDisk(tmp / "b") as b, LoopDisk(tmp / "c") as c, LoopDisk(tmp / "a"):
        distro.run("udevadm settle")
        configure(distro, {"copied": conf(uuid, "/mnt/copied")})
        wait_state(distro, "copied", "ambiguous")
        message = said(distro, "copied", "devices fit")[-1]
        assert b.node in message and c.node in message, message
        assert not mounts(distro, "/mnt/copied")
        c.detach(timeout=5)
        wait_mounted(distro, "/mnt/copied")
        unmount(distro, ["/mnt/copied"])


def test_comes_back(distro, tmp):
    """Unmounted, one disk replaced after the other: what the kernel remembers of them is not taken for true."""
    images = [tmp / "a", tmp / "b"]
    configure(distro, {"back": conf(make_btrfs(images), "/mnt/back")})
    disks = [LoopDisk(image) for image in images]
    first = wait_mounted(distro, "/mnt/back")
    wait_state(distro, "back", "mounted")
    restart(distro)
    wait_state(distro, "back", "mounted")
    assert mounts(distro, "/mnt/back") == [first]
    for gone in disks:
        with connect(distro) as bus:
            bus.ask("back", "Unmount")
            assert not mounts(distro, "/mnt/back")
            gone.detach(timeout=5)
            wait_until(lambda: gone.node not in bus.volume("back")["Candidates"], what="it to be missed")
            assert refusal(bus.ask, "back", "Mount").name == ERROR + "Incomplete"
        check_incomplete(distro, "back", "missing")
        gone.attach()
        wait_mounted(distro, "/mnt/back")
        wait_state(distro, "back", "mounted")
    wait_tidy(distro)


def test_degraded(distro, tmp):
    """Whoever writes degraded takes what there is; the option of a missing subvolume is no missing disk."""
    uuid = make_btrfs([tmp / "a", tmp / "b"], options=["-d", "raid1", "-m", "raid1"])
    configure(distro, {
        "degraded": conf(uuid, "/mnt/degraded", Options="degraded"),
        "nonesuch": conf(uuid, "/mnt/nonesuch", Options="degraded,subvol=nonesuch", RetryLimit=0),
    })
    with LoopDisk(tmp / "a"):
        wait_mounted(distro, "/mnt/degraded")
        wait_state(distro, "nonesuch", "failed")
        unmount(distro, ["/mnt/degraded"])


def test_mounted_by_hand(distro, tmp):
    """By whichever of its disks."""
    images = [tmp / "a", tmp / "b"]
    uuid = make_btrfs(images)
    disks = [LoopDisk(image) for image in images]
    distro.run("udevadm settle")
    for disk in disks:
        distro.shell(f"mkdir -p /mnt/hand; mount {disk.node} /mnt/hand")
        before = mounts(distro, "/mnt/hand")
        configure(distro, {"hand": conf(uuid, "/mnt/hand")})
        wait_state(distro, "hand", "mounted")
        assert mounts(distro, "/mnt/hand") == before
        with connect(distro) as bus:
            bus.ask("hand", "Unmount")
        assert not mounts(distro, "/mnt/hand")
        distro.path(conf_path("hand")).unlink()


def test_without_udevd(tmp):
    images = [tmp / "a", tmp / "b"]
    files = {conf_path("kernel"): conf(make_btrfs(images), "/mnt/kernel")}
    with Distro(files=files, enable=["wslbared.service"], mask=UDEVD) as distro:
        LoopDisk(images[0])
        check_incomplete(distro, "kernel", "missing")
        LoopDisk(images[1])
        wait_mounted(distro, "/mnt/kernel")
        wait_state(distro, "kernel", "mounted")


def ejected(distro, name, disks):
    """Nothing of it is there any more, nor comes back."""
    with connect(distro) as bus:
        assert bus.ask(name, "Eject") == []
    assert not any(disk.attached() for disk in disks)
    wait_state(distro, name, "absent")
    assert not mounts(distro, f"/mnt/{name}")
    assert len(said(distro, name, "is ejected")) == 1


def test_eject(distro, tmp):
    """All its disks go, mounted or not; what is left of a mirror would be mounted again at once, and part from the rest."""
    for name in "mirror", "resting":
        images = [tmp / f"{name}{number}" for number in range(3)]
        uuid = make_btrfs(images, options=["-d", "raid1", "-m", "raid1"])
        configure(distro, {name: conf(uuid, f"/mnt/{name}", Members=3, Options="degraded")})
        disks = [PlainLoop(image) for image in images]
        wait_mounted(distro, f"/mnt/{name}")
        wait_state(distro, name, "mounted")
        if name == "resting":
            with connect(distro) as bus:
                bus.ask(name, "Unmount")
        ejected(distro, name, disks)


def test_eject_refused(distro, tmp):
    """One of its disks is used by more than that: all stay, and it stays mounted."""
    uuid = make_btrfs([tmp / "a", tmp / "b"])
    make_image("ext4", tmp / "other")
    make_disk(tmp / "disk", [{"image": tmp / "b"}, {"image": tmp / "other"}])
    configure(distro, {"kept": conf(uuid, "/mnt/kept", Members=2)})
    first, second = PlainLoop(tmp / "a"), LoopDisk(tmp / "disk", partscan=True)
    own, other = second.partitions()
    mount = wait_mounted(distro, "/mnt/kept")
    wait_state(distro, "kept", "mounted")
    distro.run(f"mount --mkdir {other} /mnt/other")
    with connect(distro) as bus:
        error = refusal(bus.ask, "kept", "Eject")
        assert error.name == f"{ERROR}Busy" and f"{other} is mounted on /mnt/other" in error.text, error
        assert mounts(distro, "/mnt/kept") == [mount] and first.attached()
        distro.run("umount /mnt/other")
        wait_free(other)
        wait_state(distro, "kept", "mounted")
        assert bus.ask("kept", "Eject") == []
    assert not first.attached() and is_free(second.node)
    second.detach(timeout=5)
    wait_state(distro, "kept", "absent")


def test_eject_of_one_disk(distro, tmp):
    """Both its devices are partitions of it."""
    uuid = make_btrfs([tmp / "a", tmp / "b"])
    make_disk(tmp / "disk", [{"image": tmp / "a"}, {"image": tmp / "b"}])
    configure(distro, {"halves": conf(uuid, "/mnt/halves", Members=2)})
    disk = LoopDisk(tmp / "disk", partscan=True)
    wait_mounted(distro, "/mnt/halves")
    wait_state(distro, "halves", "mounted")
    with connect(distro) as bus:
        assert bus.ask("halves", "Eject") == []
    assert is_free(disk.node)
    disk.detach(timeout=5)
    wait_state(distro, "halves", "absent")
