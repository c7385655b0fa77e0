# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 at any moment: what was mounted stays, nothing is mounted twice, nothing is left over."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from bus import connect
from disks import LoopDisk, make_image
from distro import Distro
from machine import wait_until
from volumes import (conf, conf_path, configure, late_starts, main_pid, mounts, mounts_below, processes, states, status,
                     unmount, wait_free, wait_mounted, wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}

N_DISKS = 20
N_MOMENTS = 12

WSLBARED, MOUNTD = "wslbared.service", "wslbare-mountd.service"
BELOW = "/mnt/crash"


def kill(distro, units):
    """Kills their main processes, and returns these."""
    pids = [wait_until(lambda: main_pid(distro, unit), what=f"{unit} to run") for unit in units]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def kill_later(seconds, distro, units):
    time.sleep(seconds)
    return kill(distro, units)


def attach(tmp):
    return [LoopDisk(tmp / str(i)) for i in range(N_DISKS)]


def is_settled(distro):
    return distro.show(WSLBARED, "ActiveState") == "active" and status(distro) == f"{N_DISKS} of {N_DISKS} mounted"


def is_at_rest(distro):
    """Every volume is mounted, or its disk is gone."""
    found = states(distro)
    n_mounted = len(mounts_below(distro, BELOW))
    return set(found.values()) <= {"absent"} and status(distro).startswith(f"{n_mounted} of {N_DISKS} mounted")


def check_mounts(distro, disks):
    """Each once, on its own target, and known to wslbared."""
    wait_until(lambda: len(mounts_below(distro, BELOW)) >= N_DISKS, 15, "all to be mounted")
    wait_until(lambda: is_settled(distro), 15, "wslbared to know it")
    found = {mount["target"]: mount["source"] for mount in mounts_below(distro, BELOW)}
    assert len(mounts_below(distro, BELOW)) == N_DISKS, mounts_below(distro, BELOW)
    assert found == {f"{BELOW}/{i}": disk.node for i, disk in enumerate(disks)}, found


def clean(distro, disks):
    """Everything goes, to the last directory."""
    unmount(distro, [mount["target"] for mount in mounts_below(distro, BELOW)])
    wait_until(lambda: not list(distro.path(BELOW).iterdir()), what="the directories to go")
    wait_until(lambda: len(states(distro)) == N_DISKS, what="wslbared to know it")
    for disk in disks:
        disk.detach()
    for disk in disks:
        wait_until(lambda: not disk.attached(), what="the disk to be free")
    wait_tidy(distro)


def span(distro, tmp):
    """How long it takes from the first disk to the last mount when nobody is killed."""
    begin = time.monotonic()
    disks = attach(tmp)
    wait_until(lambda: len(mounts_below(distro, BELOW)) >= N_DISKS, what="all to be mounted", interval=0.002)
    seconds = time.monotonic() - begin
    check_mounts(distro, disks)
    clean(distro, disks)
    return seconds


def prepare(distro, tmp):
    """Makes the volumes, and returns how far apart the moments to kill at shall be."""
    uuids = [make_image("ext4", tmp / str(i)) for i in range(N_DISKS)]
    distro.path(BELOW).mkdir(exist_ok=True)
    configure(distro, {f"c{i}": conf(uuid, f"{BELOW}/{i}") for i, uuid in enumerate(uuids)})
    return max(span(distro, tmp), 0.12) / N_MOMENTS


def attach_and_kill(distro, tmp, seconds, units):
    """Kills in the middle of it; returns the disks and who was killed."""
    with ThreadPoolExecutor() as pool:
        killer = pool.submit(kill_later, seconds, distro, units)
        return attach(tmp), killer.result()


def sweep(distro, tmp, units):
    step = prepare(distro, tmp)
    for i in range(N_MOMENTS):
        disks, killed = attach_and_kill(distro, tmp, i * step, units)
        check_mounts(distro, disks)
        assert not set(killed) & {main_pid(distro, unit) for unit in units}
        clean(distro, disks)


def test_kill_wslbared(distro, tmp):
    sweep(distro, tmp, [WSLBARED])


def test_kill_mountd(distro, tmp):
    sweep(distro, tmp, [MOUNTD])


def test_kill_both(distro, tmp):
    sweep(distro, tmp, [MOUNTD, WSLBARED])


def test_kill_and_pull(distro, tmp):
    """The disks that are not mounted yet go with those who were to mount them."""
    step = prepare(distro, tmp)
    for i in range(N_MOMENTS):
        disks, killed = attach_and_kill(distro, tmp, i * step, [MOUNTD, WSLBARED])
        for disk in disks:
            disk.detach()
        wait_until(lambda: main_pid(distro, WSLBARED) not in (0, *killed) and is_at_rest(distro), what="it to be back")
        wait_tidy(distro)
        targets = [mount["target"] for mount in mounts_below(distro, BELOW)]
        assert len(targets) == len(set(targets)), targets
        assert {path.name for path in distro.path(BELOW).iterdir()} == {os.path.basename(path) for path in targets}
        clean(distro, disks)


def is_mounted(distro):
    return distro.show(WSLBARED, "ActiveState") == "active" and status(distro) == "1 of 1 mounted"


SLOW_HELPER = """#!/bin/sh
# At first as one that is not done yet; the others are as quick as any.
if mkdir /run/helper-was-slow; then sleep 1000; fi
exec ntfs-3g "$@"
"""


def test_kill_while_a_helper_starts(tmp):
    """The helper, which outlives mountd, is ended, and what it would have mounted is mounted once."""
    uuid = make_image("ntfs", tmp / "image")
    files = {conf_path("slow"): conf(uuid, "/mnt/slow"), "/usr/sbin/mount.ntfs": (SLOW_HELPER, 0o755)}
    for units in [MOUNTD], [WSLBARED], [MOUNTD, WSLBARED]:
        with Distro(files=files, enable=[WSLBARED]) as distro, LoopDisk(tmp / "image") as disk:
            wait_until(distro.path("/run/helper-was-slow").exists, what="the helper to start")
            helper = f"wslbare-mount-slow-{disk.diskseq}.service"
            wait_until(lambda: distro.show(helper, "ActiveState") == "activating", what="its unit")
            kill(distro, units)
            assert wait_mounted(distro, "/mnt/slow", 20)["source"] == disk.node
            wait_until(lambda: is_mounted(distro), what="wslbared to know it")
            wait_tidy(distro)
            # Who started it may be about to end.
            wait_until(lambda: len(processes(distro, helper)) == 1, what="only the one that serves it to be left")
            unmount(distro, ["/mnt/slow"])
            wait_until(lambda: not distro.path("/mnt/slow").exists(), what="the directory to go")
            wait_free(disk.node)


def test_helper_still_serves(distro, tmp):
    """Unmounted lazily, and wanted again while somebody has a file open: when that has ended."""
    uuid = make_image("ntfs", tmp / "image")
    configure(distro, {"served": conf(uuid, "/mnt/served", RetryLimit=0)})
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/served")
    distro.run("systemd-run -q --unit=sitter --working-directory=/mnt/served sleep 1000")
    with connect(distro) as bus:
        bus.ask("served", "Unmount", lazy=True)
        bus.ask("served", "Mount", no_block=True)
        wait_until(lambda: "still at work" in bus.volume("served")["Failure"][2], 30, "the reason to be said")
        assert not mounts(distro, "/mnt/served")
    distro.systemctl("stop", "sitter")
    assert wait_mounted(distro, "/mnt/served", 30)["source"] == disk.node
    unmount(distro, ["/mnt/served"])


def test_mounts_survive(distro, tmp):
    """Killed, stopped or started anew: what is mounted stays, and is adopted as it is."""
    kinds = "ext4", "xfs", "btrfs", "ntfs"
    uuids = [make_image(fstype, tmp / fstype) for fstype in kinds]
    configure(distro, {f"s-{fstype}": conf(uuid, f"/mnt/s/{fstype}") for fstype, uuid in zip(kinds, uuids)})
    for fstype in kinds:
        LoopDisk(tmp / fstype)
    before = {fstype: wait_mounted(distro, f"/mnt/s/{fstype}") for fstype in kinds}
    wait_until(lambda: status(distro) == "4 of 4 mounted", what="the status")

    def check():
        wait_until(lambda: distro.show(WSLBARED, "ActiveState") == "active" and status(distro) == "4 of 4 mounted",
                   what="all to be adopted")
        assert {fstype: wait_mounted(distro, f"/mnt/s/{fstype}") for fstype in kinds} == before
        assert all(distro.path(f"/mnt/s/{fstype}").stat() for fstype in kinds)

    for units in [WSLBARED], [MOUNTD], [MOUNTD, WSLBARED]:
        pid = main_pid(distro, WSLBARED)
        kill(distro, units)
        if WSLBARED in units:
            wait_until(lambda: main_pid(distro, WSLBARED) not in (0, pid), what="it to be back")
        check()
    for arguments in ("restart", WSLBARED), ("restart", MOUNTD), ("stop", WSLBARED, MOUNTD), ("start", WSLBARED):
        distro.systemctl(*arguments)
        assert all(mounts(distro, f"/mnt/s/{fstype}") for fstype in kinds)
    check()
    # Its directories are still known to be ours.
    unmount(distro, [f"/mnt/s/{fstype}" for fstype in kinds])
    wait_until(lambda: not list(distro.path("/mnt/s").iterdir()), what="the directories to go")


def test_changes_while_away(distro, tmp):
    """Unmounted, detached and attached while wslbared is stopped."""
    names = "unmounted", "replaced", "fresh"
    uuids = {name: make_image("ext4", tmp / name) for name in names}
    configure(distro, {name: conf(uuid, f"/mnt/{name}") for name, uuid in uuids.items()})
    disks = {name: LoopDisk(tmp / name) for name in ("unmounted", "replaced")}
    for name in disks:
        wait_mounted(distro, f"/mnt/{name}")
    wait_until(lambda: status(distro) == "2 of 3 mounted, absent: fresh", what="the status")
    distro.systemctl("stop", WSLBARED, MOUNTD)
    unmount(distro, ["/mnt/unmounted", "/mnt/replaced"])
    disks["replaced"].detach(timeout=5)
    LoopDisk(tmp / "fresh")
    disks["replaced"].attach()
    distro.run("udevadm settle")
    n_late = late_starts(distro)
    distro.systemctl("start", WSLBARED)
    are_there = all(mounts(distro, f"/mnt/{name}") for name in ("replaced", "fresh"))
    assert are_there or late_starts(distro) > n_late, "it was ready before all that was there was mounted"
    for name in "replaced", "fresh":
        wait_mounted(distro, f"/mnt/{name}")
    wait_until(lambda: states(distro) == {"unmounted": "unmounted"}, what="all to be at rest")
    assert not distro.path("/mnt/unmounted").exists()
    wait_free(disks["unmounted"].node)
