# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong with a filesystem while it is mounted."""

import ctypes
import errno
import os
import struct
import subprocess

from bus import connect
from disks import LoopDisk, damage_ext4, make_image
from machine import Skip, wait_until
from volumes import conf, configure, logged, mounts, reload, said, wait_free, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}

READ_ONLY = "was made read-only by the kernel"


def mount_damaged(distro, tmp, name, **mount):
    """A volume of which the file "damaged" can only be listed."""
    (tmp / f"{name}.d").mkdir()
    (tmp / f"{name}.d" / "damaged").touch()
    uuid = make_image("ext4", tmp / name, options=["-d", tmp / f"{name}.d"])
    damage_ext4(tmp / name, "damaged")
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **mount)})
    disk = LoopDisk(tmp / name)
    wait_mounted(distro, f"/mnt/{name}")
    wait_state(distro, name, "mounted")
    return disk


def hit_damage(distro, name):
    assert distro.run(["stat", f"/mnt/{name}/damaged"], check=False).returncode != 0


def mend(path):
    assert subprocess.run(["e2fsck", "-fy", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 1


def need_kernel(distro):
    if [entry for entry in distro.journal("wslbare-mountd") if "does not tell of errors" in entry["MESSAGE"]]:
        raise Skip("this kernel does not tell of errors of filesystems")


def wait_failure(bus, name, step, timeout=5):
    return wait_until(lambda: bus.volume(name)["Failure"][0] == step and bus.volume(name), timeout,
                      f"{name} to fail at step {step!r}")


def check_degraded(bus, name, error, read_only):
    volume = wait_failure(bus, name, "run")
    wait_until(lambda: bus.volume(name)["ReadOnly"] == read_only, 5, "ReadOnly to be so")
    assert volume["State"] == "mounted" and volume["Failure"][1] == error, volume["Failure"]
    assert bus.properties()["State"] == "degraded"
    return bus.volume(name)


def test_kernel_turns_it_read_only(distro, tmp):
    """The kernel turns a filesystem read-only after an error."""
    disk = mount_damaged(distro, tmp, "turned")
    need_kernel(distro)
    uuid = make_image("ext4", tmp / "sound")
    configure(distro, {"sound": conf(uuid, "/mnt/sound")})
    LoopDisk(tmp / "sound")
    wait_mounted(distro, "/mnt/sound")
    wait_until(lambda: distro.show("wslbare@turned.target", "ActiveState") == "active", what="the target")
    with connect(distro) as bus:
        wait_failure(bus, "turned", "")
        wait_until(lambda: bus.properties()["State"] == "running", what="all to be well")
        before = bus.volume("turned")
        assert not before["ReadOnly"]
        hit_damage(distro, "turned")
        volume = check_degraded(bus, "turned", errno.EBADMSG, read_only=True)
        assert disk.node in volume["Failure"][2] and READ_ONLY in volume["Failure"][2], volume["Failure"]
        assert volume["MountedOptions"].startswith("ro,")
        assert volume["StateChangeTimestamp"] == before["StateChangeTimestamp"]
        assert said(distro, "turned", READ_ONLY)
        assert distro.show("wslbare@turned.target", "ActiveState") == "active"
        sound = bus.volume("sound")
        assert sound["Failure"][0] == "" and not sound["ReadOnly"]

        # It is not forgotten: the kernel says so still, and it was not mounted like that.
        distro.systemctl("restart", "wslbared")
    with connect(distro) as bus:
        wait_until(lambda: bus.volume("turned")["State"] == "mounted", what="it to be adopted")
        assert READ_ONLY in check_degraded(bus, "turned", errno.EROFS, read_only=True)["Failure"][2]

        bus.ask("turned", "Unmount")
        wait_free(disk.node)
        mend(disk.node)
        bus.ask("turned", "Mount")
        volume = bus.volume("turned")
        assert volume["State"] == "mounted" and volume["Failure"][0] == "" and not volume["ReadOnly"], volume
        wait_until(lambda: bus.properties()["State"] == "running", what="all to be well")


def test_kernel_turns_it_read_only_and_it_is_replugged(distro, tmp):
    disk = mount_damaged(distro, tmp, "replugged")
    need_kernel(distro)
    with connect(distro) as bus:
        hit_damage(distro, "replugged")
        check_degraded(bus, "replugged", errno.EBADMSG, read_only=True)
        distro.run("umount /mnt/replugged")
        disk.detach(timeout=5)
        wait_state(distro, "replugged", "absent")
        mend(tmp / "replugged")
        disk.attach()
        wait_mounted(distro, "/mnt/replugged")
        volume = wait_failure(bus, "replugged", "")
        assert volume["State"] == "mounted" and not volume["ReadOnly"]


def test_errors_that_change_nothing(distro, tmp):
    """With errors=continue it stays writable; also a mountd that comes later hears of it."""
    mount_damaged(distro, tmp, "continued", Options="errors=continue")
    need_kernel(distro)
    before = mounts(distro, "/mnt/continued")
    distro.systemctl("restart", "wslbare-mountd")
    logged(distro, "wslbare-mountd went away")
    with connect(distro) as bus:
        # Until it was verified, the new one does not hear.
        wait_until(lambda: hit_damage(distro, "continued") or bus.volume("continued")["Failure"][0] == "run",
                   what="the error to be heard", interval=0.2)
        volume = check_degraded(bus, "continued", errno.EBADMSG, read_only=False)
        assert "has an error (wrong checksum)" in volume["Failure"][2]
        assert mounts(distro, "/mnt/continued") == before
        # Said once, however often it happens.
        for _ in range(20):
            hit_damage(distro, "continued")
        reload(distro)
        assert len(said(distro, "continued", "has an error")) == 1
        assert check_degraded(bus, "continued", errno.EBADMSG, read_only=False)


def test_remounted_by_hand(distro, tmp):
    """That is no failure, and ReadOnly follows."""
    uuid = make_image("ext4", tmp / "hand")
    configure(distro, {"hand": conf(uuid, "/mnt/hand")})
    LoopDisk(tmp / "hand")
    wait_mounted(distro, "/mnt/hand")
    with connect(distro) as bus:
        for how in "ro", "rw":
            distro.run(f"mount -o remount,{how} /mnt/hand")
            wait_until(lambda: bus.volume("hand")["MountedOptions"].startswith(how), what=f"{how} to be seen")
            volume = bus.volume("hand")
            assert volume["ReadOnly"] == (how == "ro") and volume["Failure"][0] == "", volume


def mount_shut_down(distro, tmp, name):
    """A volume that is broken without any word of it."""
    uuid = make_image("xfs", tmp / name)
    configure(distro, {name: conf(uuid, f"/mnt/{name}")})
    LoopDisk(tmp / name)
    wait_mounted(distro, f"/mnt/{name}")
    wait_state(distro, name, "mounted")
    try:
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", distro.path(f"/mnt/{name}")], check=True)
    except FileNotFoundError:
        raise Skip("xfs_io is not installed") from None


def step_clock():
    """Sets the machine's clock by a nanosecond, and back."""
    for seconds, nanoseconds in (0, 1), (-1, 999999999):
        # struct timex: modes (set the offset, in nanoseconds), eight numbers, the time, and spare room
        timex = struct.pack("=I4x8q2q", 0x0100 | 0x2000, *[0] * 8, seconds, nanoseconds).ljust(256, b"\0")
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(timex, 256)) < 0:
            raise Skip(f"the clock cannot be set: {os.strerror(ctypes.get_errno())}")


def test_verified_after_suspend(distro, tmp):
    """The clock was set, as a suspended machine does it: every mount is verified once."""
    mount_shut_down(distro, tmp, "slept")
    before = mounts(distro, "/mnt/slept")
    with connect(distro) as bus:
        assert bus.volume("slept")["Failure"][0] == ""
        step_clock()
        volume = check_degraded(bus, "slept", errno.EIO, read_only=False)
        assert volume["Attempts"] == 0
        for _ in range(100):
            step_clock()
        assert len(said(distro, "slept", "Input/output error")) == 1
    assert mounts(distro, "/mnt/slept") == before


def test_shut_down(distro, tmp):
    """What a filesystem says nowhere and the kernel does not tell, the next verification finds."""
    mount_shut_down(distro, tmp, "down")
    distro.systemctl("restart", "wslbare-mountd")
    with connect(distro) as bus:
        volume = check_degraded(bus, "down", errno.EIO, read_only=False)
        assert "Input/output error" in volume["Failure"][2]
        bus.ask("down", "Unmount")
        bus.ask("down", "Mount")
        assert wait_failure(bus, "down", "")["State"] == "mounted"
