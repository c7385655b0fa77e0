# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that answer with errors, or not at all."""

import errno
from uuid import uuid4

from bus import ERROR, refusal
from disks import MiB, make_image
from machine import defer, wait_until
from volumes import SERVICES, conf, configure, mounts, said, wait_mounted, wait_state

DRIVER = "/sys/bus/pseudo/drivers/scsi_debug"
MEDIUM_ERRORS = 2
SUPERBLOCK = 2  # the sector


class DebugDisk:
    """A disk of the kernel's scsi_debug, which holds a filesystem and can answer with errors where that begins."""

    def __init__(self, vm):
        self.vm = vm
        vm.run(["modprobe", "scsi_debug", "dev_size_mb=64", "delay=0", f"medium_error_start={SUPERBLOCK}",
                "medium_error_count=8"])
        defer(self.close)
        pattern = f"{DRIVER}/adapter0/host*/target*/*/block/*"
        self.node = wait_until(lambda: self.vm.shell(f"ls -d {pattern}", check=False).stdout, what="the disk")
        self.node = "/dev/" + self.node.strip().rpartition("/")[2]
        self.uuid = str(uuid4())
        vm.run(["mkfs.ext4", "-q", "-U", self.uuid, self.node])
        vm.run("udevadm settle")

    def fail(self, yes):
        self.vm.path(f"{DRIVER}/opts").write_text(str(MEDIUM_ERRORS if yes else 0))
        self.vm.run(["blockdev", "--flushbufs", self.node], check=False)

    def close(self):
        self.vm.run(["umount", "-l", self.node], check=False)
        wait_until(lambda: self.vm.run("modprobe -r scsi_debug", check=False).returncode == 0, what="it to go")


class MappedDisk:
    """A disk behind a device mapper's target that can be another one any time. The filesystem begins behind the first
    sectors, so that it is seen on the mapping alone."""

    def __init__(self, vm, image, name):
        self.vm = vm
        self.name = name
        self.node = f"/dev/mapper/{name}"
        with open(image, "wb") as f:
            f.truncate(65 * MiB)
        self.below = vm.plug(image).node
        vm.run(["dmsetup", "create", name, "--table", self.table("linear")])
        defer(self.close)
        self.uuid = str(uuid4())
        vm.run(["mkfs.ext4", "-q", "-U", self.uuid, self.node])
        vm.run("udevadm settle")

    def table(self, kind, *arguments):
        return " ".join(map(str, (0, 64 * MiB // 512, kind, self.below, MiB // 512, *arguments)))

    def become(self, kind, *arguments):
        """What was on the way when it changes is answered. udevd looks at it then, and may hang too."""
        self.vm.run(["dmsetup", "reload", self.name, "--table", self.table(kind, *arguments)])
        self.vm.run(["dmsetup", "suspend", "--nolockfs", self.name])
        self.vm.run(["dmsetup", "resume", "--noudevsync", self.name])

    def forget(self):
        self.vm.run(["blockdev", "--flushbufs", self.node])

    def close(self):
        self.become("linear")
        self.vm.run(["umount", "-l", self.node], check=False)
        self.vm.run(["dmsetup", "remove", "--retry", self.name])


def test_errors(vm):
    """What the disk says is handed on; when it answers again it is mounted."""
    disk = DebugDisk(vm)
    configure(vm, {"errors": conf(disk.uuid, "/mnt/errors", Auto="no")})
    wait_state(vm, "errors", "unmounted")
    disk.fail(True)
    error = refusal(vm.bus.ask, "errors", "Mount", timeout=100)
    assert error.name == f"{ERROR}MountFailed", error
    volume = vm.bus.volume("errors")
    assert volume["State"] == "failed" and volume["Failure"][1] == errno.EIO, volume
    assert not mounts(vm, "/mnt/errors")
    disk.fail(False)
    assert vm.bus.ask("errors", "Mount", timeout=100) == []
    assert vm.bus.volume("errors")["Failure"] == ("", 0, "")
    wait_mounted(vm, "/mnt/errors")


def test_hangs(vm, tmp):
    """It is given up at its deadline, and others are mounted meanwhile; when it answers, it is mounted."""
    before = [vm.show(unit, "MainPID") for unit in SERVICES]
    uuid = make_image("ext4", tmp / "other")
    disk = MappedDisk(vm, tmp / "image", "hanging")
    disk.forget()
    disk.become("delay", 1000 * 1000)
    configure(vm, {
        "hangs": conf(disk.uuid, "/mnt/hangs", MountTimeoutSec="30s"),
        "other": conf(uuid, "/mnt/other"),
    })
    wait_until(lambda: vm.bus.volume("hangs")["State"] == "mounting", what="it to be tried")
    vm.plug(tmp / "other")
    wait_mounted(vm, "/mnt/other")
    assert vm.bus.volume("hangs")["State"] == "mounting", "it was to be mounted meanwhile"
    wait_state(vm, "hangs", "failed")
    assert said(vm, "hangs", "did not end in time")
    assert not mounts(vm, "/mnt/hangs")
    disk.become("linear")
    wait_mounted(vm, "/mnt/hangs")
    assert [vm.show(unit, "MainPID") for unit in SERVICES] == before
