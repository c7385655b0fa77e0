# SPDX-License-Identifier: LGPL-2.1-or-later
"""The check before the mount, by the real programs: Check= and CheckFailure=."""

import subprocess
import time

from bus import ERROR, connect, refusal
from disks import LoopDisk, make_image
from distro import Distro
from machine import wait_until
from volumes import (conf, conf_path, configure, mounts, said, state, status, unmount, wait_free, wait_mounted, wait_state,
                     wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}

NO_JOURNAL = "-O", "^has_journal"


def debugfs(image, *commands):
    for command in commands:
        subprocess.run(["debugfs", "-w", "-R", command, image], check=True, capture_output=True)


def make_dirty(path):
    """An ext4 without a journal that was not unmounted; its UUID."""
    uuid = make_image("ext4", path, options=NO_JOURNAL)
    debugfs(path, "ssv state 0")
    return uuid


def make_broken(path):
    """The same with two files on one block: that can be mounted, and not be mended without a question."""
    uuid = make_image("ext4", path, options=("-O", "^has_journal,^extent,^64bit"))
    source = path.with_suffix(".file")
    source.write_text("of a file")
    debugfs(path, f"write {source} a", f"write {source} b")
    out = subprocess.run(["debugfs", "-R", "blocks a", path], check=True, capture_output=True, text=True).stdout
    debugfs(path, f"sif b block[0] {out.split()[0]}", "ssv state 0")
    return uuid


def checks(distro, name):
    """What the journal says of its checks so far."""
    return [entry["MESSAGE"] for entry in distro.journal(WSLBARE_VOLUME=name) if "checked" in entry["MESSAGE"]]


def count_mounts(image):
    """Since the last check."""
    out = subprocess.run(["dumpe2fs", "-h", image], check=True, capture_output=True, text=True).stdout
    return int(next(line.split()[-1] for line in out.splitlines() if line.startswith("Mount count:")))


def test_clean_is_not_checked(distro, tmp):
    """With a journal, and without one when it was unmounted."""
    for name, options in ("journal", ()), ("plain", NO_JOURNAL):
        uuid = make_image("ext4", tmp / name, options=options)
        configure(distro, {name: conf(uuid, f"/mnt/{name}")})
        for _ in range(2):
            with LoopDisk(tmp / name) as disk:
                wait_mounted(distro, f"/mnt/{name}")
                unmount(distro, [f"/mnt/{name}"])
                disk.detach(timeout=5)
        assert not checks(distro, name), checks(distro, name)
        assert count_mounts(tmp / name) == 2


def test_journal_to_replay_is_no_dirt(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"replay": conf(uuid, "/mnt/replay")})
    with LoopDisk(tmp / "image"):
        wait_mounted(distro, "/mnt/replay")
        distro.write("/mnt/replay/file", "kept\n")
        distro.run("sync -f /mnt/replay")
        subprocess.run(["cp", "--sparse=always", tmp / "image", tmp / "pulled"], check=True)
        unmount(distro, ["/mnt/replay"])
    wait_state(distro, "replay", "absent")
    out = subprocess.run(["dumpe2fs", "-h", tmp / "pulled"], check=True, capture_output=True, text=True).stdout
    assert "needs_recovery" in out
    LoopDisk(tmp / "pulled")
    wait_mounted(distro, "/mnt/replay")
    assert distro.path("/mnt/replay/file").read_text() == "kept\n"
    assert not checks(distro, "replay"), checks(distro, "replay")


def test_no_journal_is_checked_after_a_power_cut(distro, tmp):
    """What was mounted when the power went is checked, mended and then mounted."""
    uuid = make_image("ext4", tmp / "image", options=NO_JOURNAL)
    configure(distro, {"cut": conf(uuid, "/mnt/cut")})
    with LoopDisk(tmp / "image"):
        wait_mounted(distro, "/mnt/cut")
        distro.write("/mnt/cut/file", "kept\n")
        distro.run("sync -f /mnt/cut")
        subprocess.run(["cp", "--sparse=always", tmp / "image", tmp / "pulled"], check=True)
        unmount(distro, ["/mnt/cut"])
    wait_state(distro, "cut", "absent")
    debugfs(tmp / "pulled", "sif /file links_count 7")
    LoopDisk(tmp / "pulled")
    mount = wait_mounted(distro, "/mnt/cut")
    assert "rw" in mount["options"]
    (message,) = said(distro, "cut", "fsck.ext4:")
    assert "was not cleanly unmounted" in message and "mended" in message and "ref count is 7" in message, message
    assert distro.path("/mnt/cut/file").read_text() == "kept\n"
    assert distro.path("/mnt/cut/file").stat().st_nlink == 1
    wait_tidy(distro)
    assert count_mounts(tmp / "pulled") == 1


def read_byte(path, offset):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(1)


def test_vfat_and_exfat(distro, tmp):
    """Checked, whether or not this kernel can then mount them."""
    for fstype, offset in ("vfat", 37), ("exfat", 106):
        if fstype == "vfat":
            match = {"UUID": make_image("vfat", tmp / fstype, options=("-F", "16"))}
        else:
            make_image("exfat", tmp / fstype)
            out = subprocess.run(["blkid", "-p", "-s", "UUID", "-o", "value", tmp / fstype], check=True,
                                 capture_output=True, text=True)
            match = {"UUID": out.stdout.strip()}
        with open(tmp / fstype, "r+b") as f:
            f.seek(offset)
            f.write(b"\2" if fstype == "exfat" else b"\1")
        configure(distro, {fstype: conf(None, f"/mnt/{fstype}", match)})
        with LoopDisk(tmp / fstype):
            said(distro, fstype, f"fsck.{fstype}: ")
        # It gets there when the last one has closed the disk.
        wait_until(lambda: read_byte(tmp / fstype, offset) == b"\0", what="it to be marked as clean")


def test_errors_left_are_refused(distro, tmp):
    """And not checked again, until somebody asks, or it is attached anew."""
    uuid = make_broken(tmp / "image")
    configure(distro, {"broken": conf(uuid, "/mnt/broken")})
    with LoopDisk(tmp / "image") as disk, connect(distro) as bus:
        wait_state(distro, "broken", "failed")
        (message,) = said(distro, "broken", "step check")
        assert "errors are left (exit status 4)" in message, message
        assert "Multiply-claimed block" in message and "UNEXPECTED INCONSISTENCY" in message, message
        assert f"mend it with `fsck.ext4 {disk.node}`" in message, message
        volume = bus.volume("broken")
        step, errno, text = volume["Failure"]
        assert (step, errno) == ("check", 117) and text in message, volume
        assert volume["NextRetryTimestampMonotonic"] == 0 and volume["Attempts"] == 1, volume
        assert not mounts(distro, "/mnt/broken") and not distro.path("/mnt/broken").exists()
        disk.trigger()
        distro.run("udevadm settle")
        assert len(checks(distro, "broken")) == 1
        assert refusal(bus.ask, "broken", "Mount").name == f"{ERROR}CheckFailed"
        assert len(checks(distro, "broken")) == 2
        # Mended by hand, it is mounted when asked.
        subprocess.run(["fsck.ext4", "-y", disk.node], capture_output=True)
        distro.run("udevadm settle")
        wait_state(distro, "broken", "failed")
        bus.ask("broken", "Mount")
        wait_mounted(distro, "/mnt/broken")
        assert bus.volume("broken")["Failure"] == ("", 0, "")
    wait_tidy(distro)


def test_errors_left_mount_read_only(distro, tmp):
    uuid = make_broken(tmp / "image")
    configure(distro, {"spared": conf(uuid, "/mnt/spared", CheckFailure="read-only")})
    LoopDisk(tmp / "image")
    mount = wait_mounted(distro, "/mnt/spared")
    (message,) = said(distro, "spared", "CheckFailure=")
    assert "exit status 4" in message and "is mounted read-only" in message, message
    assert "ro" in mount["options"] and "ro" in mount["super"]
    wait_state(distro, "spared", "mounted")


def test_errors_left_are_ignored(distro, tmp):
    uuid = make_broken(tmp / "image")
    configure(distro, {"ignored": conf(uuid, "/mnt/ignored", CheckFailure="ignore")})
    LoopDisk(tmp / "image")
    mount = wait_mounted(distro, "/mnt/ignored")
    (message,) = said(distro, "ignored", "CheckFailure=")
    assert "exit status 4" in message and "all the same" in message, message
    assert "rw" in mount["options"]


def test_never(distro, tmp):
    uuid = make_dirty(tmp / "image")
    configure(distro, {"never": conf(uuid, "/mnt/never", Check="never")})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/never")
    assert not checks(distro, "never")


def test_always(distro, tmp):
    for fstype in "ext4", "btrfs":
        uuid = make_image(fstype, tmp / fstype)
        name = f"always-{fstype}"
        configure(distro, {name: conf(uuid, f"/mnt/{name}", Check="always")})
        LoopDisk(tmp / fstype)
        wait_mounted(distro, f"/mnt/{name}")
    assert said(distro, "always-ext4", "is to be checked always; fsck.ext4: there are no errors")
    assert said(distro, "always-btrfs", "is not checked: btrfs mends itself")


def test_read_only_is_not_checked(distro, tmp):
    uuid = make_dirty(tmp / "image")
    configure(distro, {"reading": conf(uuid, "/mnt/reading", ReadOnly="yes")})
    with LoopDisk(tmp / "image") as disk:
        wait_mounted(distro, "/mnt/reading")
        assert said(distro, "reading", "was not cleanly unmounted, and is not checked")
        unmount(distro, ["/mnt/reading"])
        disk.detach(timeout=5)
    LoopDisk(tmp / "image", read_only=True)
    configure(distro, {"reading": conf(uuid, "/mnt/reading")})
    wait_mounted(distro, "/mnt/reading")
    assert len(said(distro, "reading", "was not cleanly unmounted, and is not checked")) == 2


def test_mounted_elsewhere_is_not_checked(distro, tmp):
    """Without a journal it looks as if it had not been unmounted."""
    uuid = make_image("ext4", tmp / "image", options=NO_JOURNAL)
    disk = LoopDisk(tmp / "image")
    distro.shell(f"mkdir -p /mnt/theirs; systemd-run -q --unit=theirs -p PrivateMounts=yes sh -c "
                 f"'mount {disk.node} /mnt/theirs && echo there >/run/theirs && exec sleep 1000'")
    wait_until(distro.path("/run/theirs").exists, what="it to be mounted elsewhere")
    assert not mounts(distro, "/mnt/theirs")
    configure(distro, {"ours": conf(uuid, "/mnt/ours", Options="errors=continue")})
    wait_mounted(distro, "/mnt/ours")
    assert said(distro, "ours", "is not checked, as it is in use")
    unmount(distro, ["/mnt/ours"])
    distro.systemctl("stop", "theirs")
    wait_free(disk.node)


# The first time it is slow, then the real one.
SLOW = """#!/bin/sh
[ ! -e /run/slow ] || exec e2fsck "$@"
touch /run/slow
echo begun
echo 1 1 7 x >&3
sleep 1.5
echo 1 2 7 x >&3
exec sleep 1000
"""


def test_too_slow(tmp):
    """Ended at its deadline, while others go on, and tried again."""
    uuids = [make_dirty(tmp / "slow"), make_image("ext4", tmp / "quick")]
    files = {
        "/usr/sbin/fsck.ext4": (SLOW, 0o755),
        conf_path("slow"): conf(uuids[0], "/mnt/slow", MountTimeoutSec="15s"),
        conf_path("quick"): conf(uuids[1], "/mnt/quick"),
    }
    with Distro(enable=["wslbared.service"], files=files) as distro:
        begin = time.monotonic()
        LoopDisk(tmp / "slow")
        wait_until(lambda: "checking: slow (20 %)" in status(distro), what="the progress")
        with LoopDisk(tmp / "quick") as quick:
            wait_mounted(distro, "/mnt/quick")
            unmount(distro, ["/mnt/quick"])
            quick.detach(timeout=5)
        assert state(distro, "slow") == "checking"
        assert time.monotonic() - begin < 15
        wait_until(lambda: state(distro, "slow") != "checking", 15, what="the deadline")
        (message,) = said(distro, "slow", "step check")
        assert "did not end within 15 s and was ended, at 20 %: begun; " in message, message
        assert 15 <= time.monotonic() - begin < 30
        wait_mounted(distro, "/mnt/slow")
        assert said(distro, "slow", "fsck.ext4: what was wrong was mended")
        wait_state(distro, "slow", "mounted")
        wait_tidy(distro)
