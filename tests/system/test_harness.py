# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: what the other tests stand on."""

import glob
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
from disks import HangingDisk, LoopDisk, make_btrfs, make_disk, make_image
from distro import DBUS, UDEVD, Distro
from machine import Skip, wait_until


def links(distro, kind):
    """The names in a directory of /dev/disk, as the distribution sees it."""
    return distro.shell(f"ls /dev/disk/by-{kind} 2>/dev/null", check=False).stdout.split()


def test_boot(distro):
    assert distro.state in ("running", "degraded")
    assert distro.run("systemd-detect-virt", check=False).stdout.strip() == "wsl"
    for unit in "systemd-udevd", "systemd-journald", "dbus":
        assert distro.systemctl("is-active", unit).stdout == "active\n"
    assert distro.run("stat -fc %T /").stdout == "overlayfs\n"


def test_commands(distro):
    assert distro.run(["cat"], input="as it is\n").stdout == "as it is\n"
    assert distro.run("id -un", user="nobody").stdout == "nobody\n"
    assert distro.run("false", check=False).returncode == 1
    try:
        distro.run("sleep 60", timeout=0.2)
    except TimeoutError:
        pass
    else:
        raise AssertionError("a command that takes too long goes on")
    wait_until(lambda: distro.run("pgrep -x sleep", check=False).returncode == 1, what="it to be gone")
    assert distro.busctl("get-property", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                         "org.freedesktop.DBus", "Features")["type"] == "as"
    distro.run("systemd-cat -t harness echo hello")
    wait_until(lambda: distro.journal(SYSLOG_IDENTIFIER="harness", MESSAGE="hello"), what="the entry")


def test_options(tmp):
    tree = tmp / "tree"
    (tree / "lib/systemd/system").mkdir(parents=True)
    (tree / "lib/systemd/system/harness.service").write_text(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/etc/harness\n[Install]\nWantedBy=multi-user.target\n"
    )
    files = {
        "/etc/harness": ("#!/bin/sh\nid harness >/run/harness\n", 0o755),
        "/usr/lib/sysusers.d/harness.conf": "u harness - -\n",
    }
    users = Path("/etc/passwd").read_text()
    with Distro(tree, files, enable=["harness.service"], mask=UDEVD) as distro:
        assert "(harness)" in distro.path("/run/harness").read_text()
        distro.run("test -L /lib")
        assert distro.systemctl("is-active", "systemd-udevd", check=False).stdout == "inactive\n"
    with Distro(mask=DBUS, netns="host") as distro:
        assert not distro.path("/run/dbus/system_bus_socket").exists()
        assert distro.path("/proc/1/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
    assert Path("/etc/passwd").read_text() == users


def test_poweroff():
    with Distro() as distro:
        distro.poweroff()
        assert not distro.alive


def test_filesystems(distro, tmp):
    for fstype in "ext4", "xfs", "btrfs", "ntfs", "swap":
        image = tmp / fstype
        uuid = make_image(fstype, image, label="harness")
        with LoopDisk(image) as disk:
            wait_until(lambda: uuid in links(distro, "uuid"), what=f"the UUID of {fstype}")
            assert distro.run(["blkid", "-p", "-o", "value", "-s", "TYPE", disk.node]).stdout.strip() == fstype
            assert disk.diskseq > 0
            disk.detach(timeout=5)
        wait_until(lambda: uuid not in links(distro, "uuid"), what=f"the UUID of {fstype} to go")


def test_btrfs_members(distro, tmp):
    images = [tmp / "a", tmp / "b"]
    make_btrfs(images)
    disks = [LoopDisk(image) for image in images]
    distro.run("btrfs device scan")
    distro.shell(f"mount {disks[0].node} /mnt && umount /mnt")


def test_partitions(distro, tmp):
    uuids = [make_image("ext4", tmp / "a"), make_image("swap", tmp / "b", size=4 << 20)]
    table = make_disk(tmp / "disk", [{"image": tmp / "a", "name": "first"}, {"image": tmp / "b"}])
    disk = LoopDisk(tmp / "disk", partscan=True)
    assert disk.partitions() == [f"{disk.node}p1", f"{disk.node}p2"]
    for uuid in uuids:
        wait_until(lambda: uuid in links(distro, "uuid"), what="the partition's UUID")
    wait_until(lambda: "first" in links(distro, "partlabel"), what="the partition's name")
    assert distro.run(["blkid", "-p", "-o", "value", "-s", "PTUUID", disk.node]).stdout.strip() == table
    first = disk.diskseq
    disk.detach(timeout=5)
    disk.attach()
    assert disk.diskseq > first
    assert len(disk.partitions()) == 2


def test_read_only(tmp):
    make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image", read_only=True, sector_size=4096)
    assert Path(f"/sys/block/{disk.name}/ro").read_text() == "1\n"
    assert Path(f"/sys/block/{disk.name}/queue/logical_block_size").read_text() == "4096\n"


def test_hanging_disk(distro, tmp):
    if not os.path.exists("/dev/fuse"):
        raise Skip("no FUSE")
    uuid = make_image("ext4", tmp / "image")
    disk = HangingDisk(tmp / "image")
    wait_until(lambda: uuid in links(distro, "uuid"), what="the UUID")
    distro.run("udevadm settle")
    disk.hang()
    reader = subprocess.Popen(["head", "-c", "4096", disk.node], stdout=subprocess.DEVNULL)
    try:
        reader.wait(1)
        raise AssertionError("it answers")
    except subprocess.TimeoutExpired:
        disk.resume()
    assert reader.wait(10 * machine.patience) == 0


RUN = """
import os, sys
sys.path.insert(0, sys.argv[1])
import machine
from disks import HangingDisk, LoopDisk, make_image
from distro import Distro

machine.stop_on_signals()
distro = Distro()
disks = []
for name, kind in ("a", LoopDisk), ("b", HangingDisk):
    make_image("ext4", machine.tmp / name)
    disks.append(kind(machine.tmp / name))
distro.shell(f"mount {disks[0].node} /mnt; udevadm settle")
disks[1].hang()
os.kill(os.getpid(), int(sys.argv[2]))
"""


def traces():
    """What a run could leave on the machine, as lines."""

    def lines(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()

    found = Path("/proc/self/mounts").read_text().splitlines()
    found += glob.glob(f"{machine.cgroup}/{machine.PREFIX}*") + glob.glob(f"{tempfile.gettempdir()}/{machine.PREFIX}*")
    found += [line for line in lines("losetup", "-a") if machine.PREFIX in line or "(/image)" in line]
    found += lines("pgrep", "-a", "-r", "D,R,S,T", "ntfs-3g|unshare")
    if not os.path.exists("/run/udev/control"):
        found += lines("find", "/dev", "-xdev", "-printf", "%p %M %U %G %l\n")
    return set(found)


def run_and_die(number):
    """Runs the script above to its end by a signal, and returns what changed on the machine."""
    machine.start()
    machine.stop(keep=True)
    before = traces()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, Path(__file__).parent, str(int(number))],
        env={**os.environ, machine.SHARED: "yes"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        machine.start()
        raise
    assert output == "", output
    assert process.returncode in (-number, 128 + number), process.returncode
    if number == signal.SIGKILL:
        machine.start()
        machine.stop(keep=True)
    return before ^ traces()


def test_nothing_is_left_after_a_signal():
    assert run_and_die(signal.SIGTERM) == set()


def test_nothing_is_left_after_a_kill():
    """A run that is killed takes its distribution with it; the next one removes the rest."""
    assert run_and_die(signal.SIGKILL) == set()
