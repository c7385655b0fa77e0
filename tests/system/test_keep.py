# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody else unmounts: KeepMounted=, and what WSL's distributions do to each other."""

import subprocess
from contextlib import contextmanager

import machine
from bus import connect
from disks import LoopDisk, make_image
from distro import Distro
from machine import wait_until
from volumes import (conf, conf_path, configure, mounts, reload, said, state, states, unmount, wait_free, wait_mounted,
                     wait_state)

DISTRO = {"enable": ["wslbared.service"]}
SHARED = "/mnt/wsl"


def make(distro, tmp, name, **mount):
    uuid = make_image("ext4", tmp / name)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **mount)})
    disk = LoopDisk(tmp / name)
    wait_mounted(distro, f"/mnt/{name}")
    wait_state(distro, name, "mounted")
    return disk


def test_keep_mounted_yes(distro, tmp):
    """Mounted again, three times within a minute; what needs it is stopped and started again."""
    disk = make(distro, tmp, "kept", KeepMounted="yes")
    wait_until(lambda: distro.show("wslbare@kept.target", "ActiveState") == "active", what="the target")
    for times in 1, 2, 3:
        started = int(distro.show("wslbare@kept.target", "ActiveEnterTimestampMonotonic"))
        unmount(distro, ["/mnt/kept"])
        wait_until(lambda: len(said(distro, "kept", "is mounted:")) == 1 + times, what="it to be mounted again")
        assert wait_mounted(distro, "/mnt/kept")["source"] == disk.node
        wait_until(lambda: int(distro.show("wslbare@kept.target", "ActiveEnterTimestampMonotonic")) > started,
                   what="the target to be started again")
        assert distro.path("/mnt/kept/lost+found").is_dir()
    unmount(distro, ["/mnt/kept"])
    wait_state(distro, "kept", "unmounted")
    assert said(distro, "kept", "too often within a minute")
    wait_until(lambda: distro.show("wslbare@kept.target", "ActiveState") == "inactive", what="the target to be stopped")
    disk.detach(timeout=5)
    wait_state(distro, "kept", "absent")
    disk.attach()
    wait_mounted(distro, "/mnt/kept")


def test_keep_mounted_no(distro, tmp):
    """The default outside of what distributions share; a reload to yes mounts nothing that is unmounted by then."""
    make(distro, tmp, "left")
    unmount(distro, ["/mnt/left"])
    wait_state(distro, "left", "unmounted")
    text = distro.path(conf_path("left")).read_text()
    distro.write(conf_path("left"), text + "KeepMounted=yes\n")
    reload(distro)
    assert state(distro, "left") == "unmounted" and not mounts(distro, "/mnt/left")


def test_keep_mounted_while_stopped(distro, tmp):
    """Unmounted by somebody else while wslbared does not run: the next start mounts it again."""
    make(distro, tmp, "away", KeepMounted="yes")
    distro.systemctl("stop", "wslbared")
    unmount(distro, ["/mnt/away"])
    distro.systemctl("start", "wslbared")
    wait_mounted(distro, "/mnt/away")
    wait_state(distro, "away", "mounted")


@contextmanager
def two(tmp, files):
    """Two distributions with the directory that they share, as WSL makes them."""
    directory = tmp / "shared"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "shared", directory], check=True)
    machine.defer(lambda: subprocess.run(["umount", "-R", "-l", directory], check=True))
    subprocess.run(["mount", "--make-private", directory], check=True)
    subprocess.run(["mount", "--make-shared", directory], check=True)
    with Distro(files=files, netns="host") as first, Distro(files=files, netns="host") as second:
        for distro in first, second:
            distro.share(directory)
            distro.systemctl("start", "wslbared")
        yield first, second


def prepare(tmp):
    uuid = make_image("ext4", tmp / "data")
    return {conf_path("data"): conf(uuid, f"{SHARED}/data")}


def wait_both(first, second, disk):
    for distro in first, second:
        wait_until(lambda: state(distro, "data") == "mounted", what="it to be mounted in both")
        assert [mount["source"] for mount in mounts(distro, f"{SHARED}/data")] == [disk.node]


def test_shutdown_of_another(tmp):
    """A distribution that powers off unmounts what all share; the others mount it again (microsoft/WSL#41084)."""
    with two(tmp, prepare(tmp)) as (first, second):
        disk = LoopDisk(tmp / "data")
        wait_both(first, second, disk)
        first.poweroff()
        assert said(second, "data", "41084.*is mounted again")
        wait_state(second, "data", "mounted")
        assert len(mounts(second, f"{SHARED}/data")) == 1
        assert second.path(f"{SHARED}/data/lost+found").is_dir()


def test_unmount_by_intent_of_another(tmp):
    """Asked of one, not undone by the other, until Mount() of one of them, or a replug."""
    with two(tmp, prepare(tmp)) as (first, second), connect(first) as bus:
        disk = LoopDisk(tmp / "data")
        wait_both(first, second, disk)
        bus.ask("data", "Unmount")
        for distro in first, second:
            wait_state(distro, "data", "unmounted")
            assert not mounts(distro, f"{SHARED}/data")
        assert said(second, "data", "by intent")
        wait_free(disk.node)

        # Who starts now knows it too.
        second.systemctl("restart", "wslbared")
        wait_until(lambda: states(second) == {"data": "unmounted"}, what="it to be known")

        bus.ask("data", "Mount")
        wait_both(first, second, disk)
        bus.ask("data", "Unmount")
        wait_state(second, "data", "unmounted")
        disk.detach(timeout=5)
        for distro in first, second:
            wait_state(distro, "data", "absent")
        disk.attach()
        wait_both(first, second, disk)
