# SPDX-License-Identifier: LGPL-2.1-or-later
"""Distributions as WSL has them: without udevd, without a bus, and several on one kernel."""

import re
from uuid import uuid4

from bus import connect
from disks import LoopDisk, make_disk, make_image
from distro import DBUS, UDEVD, Distro
from machine import wait_until
from volumes import (boot_to_rest, conf, conf_path, is_free, mounts, said, state, states, unmount, wait_free, wait_mounted,
                     wait_state, wait_tidy)

PARTITION = str(uuid4())


def volumes(configurations, boot=Distro, **options):
    files = {conf_path(name): text for name, text in configurations.items()}
    return boot(files=files, enable=["wslbared.service"], **options)


def assert_no_attempt_failed(distro, names):
    for name in names:
        messages = [entry["MESSAGE"] for entry in distro.journal(WSLBARE_VOLUME=name)]
        assert messages and not [text for text in messages if re.search(r"\(step |given up|Cannot", text)], messages


def test_without_udevd(tmp):
    """Kernel events, and a look at the disk of our own."""
    kinds = "ext4", "xfs", "btrfs", "ntfs"
    uuids = {fstype: make_image(fstype, tmp / fstype) for fstype in kinds}
    uuids["late"] = make_image("ext4", tmp / "late")
    make_image("ext4", tmp / "part", label="part")
    make_disk(tmp / "disk", [{"image": tmp / "part", "uuid": PARTITION, "name": "kernel"}])
    files = {name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}
    files["partition"] = conf(None, "/mnt/partition", {"PartUUID": PARTITION, "PartLabel": "kernel"})
    files["label"] = conf(None, "/mnt/label", {"Label": "part"})
    disks = {name: LoopDisk(tmp / name) for name in kinds}
    with volumes(files, boot=boot_to_rest, mask=UDEVD) as distro:
        assert not distro.path("/run/udev/control").exists()
        # Present at boot: mounted by the time that the boot is over.
        for name, disk in disks.items():
            assert [mount["source"] for mount in mounts(distro, f"/mnt/{name}")] == [disk.node], name
        assert states(distro) == {"label": "absent", "late": "absent", "partition": "absent"}
        disks["late"] = LoopDisk(tmp / "late")
        wait_mounted(distro, "/mnt/late")
        disk = LoopDisk(tmp / "disk", partscan=True)
        for name in "partition", "label":
            assert wait_mounted(distro, f"/mnt/{name}")["source"] == disk.partitions()[0]

        # Unmounted, detached and attached as another device.
        wait_until(lambda: states(distro) == {}, what="all to be known as mounted")
        unmount(distro, [f"/mnt/{name}" for name in files])
        for one in [disk, *disks.values()]:
            one.detach(timeout=5)
        for name in files:
            wait_state(distro, name, "absent")
        LoopDisk(tmp / "late")
        LoopDisk(tmp / "ext4")
        for name in "late", "ext4":
            wait_mounted(distro, f"/mnt/{name}")
        wait_tidy(distro)
        assert_no_attempt_failed(distro, files)


def test_without_udevd_others_are_left_alone(tmp):
    """Neither ambiguous nor foreign disks are mounted by it."""
    uuid = make_image("ext4", tmp / "a")
    make_image("ext4", tmp / "b", uuid=uuid)
    make_image("ext4", tmp / "c")
    for name in "abc":
        LoopDisk(tmp / name)
    with volumes({"twin": conf(uuid, "/mnt/twin")}, mask=UDEVD) as distro:
        wait_state(distro, "twin", "ambiguous")
        assert said(distro, "twin", "2 devices fit")
        assert not mounts(distro, "/mnt/twin")


def test_udevd_goes_and_comes(tmp):
    """Whoever tells of devices, none is missed and none looked at in vain."""
    uuids = {name: make_image("ext4", tmp / name) for name in ("before", "without", "again")}

    files = {name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}
    with volumes(files) as distro, connect(distro) as bus:

        def source():
            return bus.properties()["EventSource"]

        LoopDisk(tmp / "before")
        before = wait_mounted(distro, "/mnt/before")
        assert source() == "udev"
        distro.systemctl("stop", *UDEVD)
        wait_until(lambda: source() == "kernel", what="the kernel's events to count")
        disk = LoopDisk(tmp / "without")
        assert wait_mounted(distro, "/mnt/without")["source"] == disk.node
        distro.systemctl("start", *UDEVD)
        wait_until(lambda: source() == "udev", what="udevd's events to count")
        LoopDisk(tmp / "again")
        wait_mounted(distro, "/mnt/again")
        distro.run("udevadm trigger --subsystem-match=block --settle")
        assert wait_mounted(distro, "/mnt/before") == before
        for name in uuids:
            assert len(said(distro, name, "is mounted:")) == 1

        # Killed, it starts again behind its socket, and nothing is to be noticed of it.
        distro.systemctl("kill", "--signal=KILL", "systemd-udevd.service")
        for _ in range(3):
            disk.trigger("add")
        distro.run("udevadm settle")
        assert source() == "udev" and states(distro) == {}
        assert len(said(distro, "without", "is mounted:")) == 1
        assert_no_attempt_failed(distro, uuids)


def test_records_of_a_udevd_that_is_gone(tmp):
    """What its database says of a device is of what was attached there when it ran."""
    uuids = {name: make_image("ext4", tmp / name) for name in ("old", "new")}
    with volumes({name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}) as distro:
        with LoopDisk(tmp / "old") as old:
            wait_mounted(distro, "/mnt/old")
            distro.systemctl("stop", "wslbared")
            unmount(distro, ["/mnt/old"])
            distro.run("udevadm settle")
            distro.systemctl("stop", *UDEVD)
            old.detach(timeout=5)
            new = LoopDisk(tmp / "new")
            assert new.node == old.node
            distro.systemctl("start", "wslbared")
            assert wait_mounted(distro, "/mnt/new")["source"] == new.node
            assert states(distro) == {"old": "absent"}
            assert not distro.journal("wslbared", PRIORITY="4")


def test_records_older_than_the_disk(tmp):
    """udevd runs again, and has not heard of what was attached meanwhile."""
    uuids = {name: make_image("ext4", tmp / name) for name in ("old", "new")}
    with volumes({name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}) as distro:
        with LoopDisk(tmp / "old") as old:
            wait_mounted(distro, "/mnt/old")
            unmount(distro, ["/mnt/old"])
            old.detach(timeout=5)
        distro.run("udevadm settle")
        distro.systemctl("stop", "wslbared", *UDEVD)
        new = LoopDisk(tmp / "new")
        assert new.node == old.node
        distro.systemctl("start", *[unit for unit in UDEVD if "trigger" not in unit])
        assert uuids["new"] not in distro.run(f"udevadm info {new.node}").stdout, "it has looked after all"
        distro.systemctl("start", "wslbared")
        assert wait_mounted(distro, "/mnt/new")["source"] == new.node
        assert states(distro) == {"old": "absent"}


def test_records_older_than_the_partition(tmp):
    """Of a partition the record of its disk tells."""
    uuids = {name: make_image("ext4", tmp / f"{name}.part") for name in ("old", "new")}
    for name in uuids:
        make_disk(tmp / name, [{"image": tmp / f"{name}.part"}])
    with volumes({name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}) as distro:
        with LoopDisk(tmp / "old", partscan=True) as old:
            wait_mounted(distro, "/mnt/old")
            distro.systemctl("stop", "wslbared")
            unmount(distro, ["/mnt/old"])
            distro.run("udevadm settle")
            distro.systemctl("stop", *UDEVD)
            old.detach(timeout=5)
        new = LoopDisk(tmp / "new", partscan=True)
        assert new.node == old.node
        distro.systemctl("start", *UDEVD)
        assert uuids["new"] not in distro.run(f"udevadm info {new.partitions()[0]}").stdout, "it has looked after all"
        distro.systemctl("start", "wslbared")
        assert wait_mounted(distro, "/mnt/new")["source"] == new.partitions()[0]
        assert states(distro) == {"old": "absent"}


def test_events_of_another_disk(tmp):
    """The kernel may count a disk anew after its event: what udev told is not believed, and then nobody says more."""
    uuid = make_image("ext4", tmp / "image")
    rule = 'SUBSYSTEM=="block", KERNEL=="loop*", ENV{DISKSEQ}="1"\n'
    files = {conf_path("data"): conf(uuid, "/mnt/data"), "/etc/udev/rules.d/99-count.rules": rule}
    with Distro(files=files, enable=["wslbared.service"]) as distro:
        wait_state(distro, "data", "absent")
        disk = LoopDisk(tmp / "image")
        assert wait_mounted(distro, "/mnt/data")["source"] == disk.node


def test_without_bus(tmp):
    uuid = make_image("ext4", tmp / "image")
    with volumes({"data": conf(uuid, "/mnt/data")}, mask=DBUS) as distro:
        disk = LoopDisk(tmp / "image")
        assert wait_mounted(distro, "/mnt/data")["source"] == disk.node


def test_two_distributions(tmp):
    """Each hears the events of both udevds, mounts what is its own, and both what both want."""
    uuids = {name: make_image("ext4", tmp / name) for name in ("first", "second", "both")}
    files = {name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()}
    own = {name: {key: files[key] for key in (name, "both")} for name in ("first", "second")}
    with volumes(own["first"], netns="host") as first, volumes(own["second"], netns="host") as second:
        disks = {name: LoopDisk(tmp / name) for name in uuids}
        assert wait_mounted(first, "/mnt/first")["source"] == disks["first"].node
        assert wait_mounted(second, "/mnt/second")["source"] == disks["second"].node
        assert not mounts(first, "/mnt/second") and not mounts(second, "/mnt/first")

        # One kernel, one superblock: what one writes the other reads.
        devices = {wait_mounted(distro, "/mnt/both")["device"] for distro in (first, second)}
        assert len(devices) == 1
        first.write("/mnt/both/file", "from the first\n")
        assert second.path("/mnt/both/file").read_text() == "from the first\n"
        for distro, name in (first, "first"), (second, "second"):
            wait_state(distro, name, "mounted")
            wait_state(distro, "both", "mounted")
            assert len(said(distro, "both", "is mounted:")) == 1

        # Each for itself; the disk is free when both have let go.
        unmount(first, ["/mnt/both"])
        wait_state(first, "both", "unmounted")
        assert state(second, "both") == "mounted"
        assert not is_free(disks["both"].node)
        unmount(second, ["/mnt/both"])
        wait_state(second, "both", "unmounted")
        wait_free(disks["both"].node)
        disks["both"].detach(timeout=5)
        disks["both"].attach()
        for distro in first, second:
            wait_mounted(distro, "/mnt/both")
        for distro, name in (first, "first"), (second, "second"):
            assert len(said(distro, "both", "is mounted:")) == 2
            assert_no_attempt_failed(distro, [name, "both"])
        for distro in first, second:
            unmount(distro, ["/mnt/both"])
