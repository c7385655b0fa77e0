# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that stops answering: it is given up, and everything else goes on."""

import time

from disks import HangingDisk, LoopDisk, make_image
from machine import wait_until
from volumes import (conf, configure, main_pid, mounts, processes, said, state, status, unmount, wait_mounted,
                     wait_state, wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}

UNITS = "wslbared.service", "wslbare-mountd.service"


def test_hangs_and_comes_back(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in ("slow", "quick")]
    hanging = HangingDisk(tmp / "slow")
    distro.run("udevadm settle")
    hanging.hang()
    before = [main_pid(distro, unit) for unit in UNITS]
    begin = time.monotonic()
    configure(distro, {
        "slow": conf(uuids[0], "/mnt/slow", MountTimeoutSec="3s"),
        "quick": conf(uuids[1], "/mnt/quick"),
    })
    wait_until(lambda: state(distro, "slow") == "mounting", what="it to be tried")
    for _ in range(3):
        with LoopDisk(tmp / "quick") as disk:
            attached = time.monotonic()
            wait_mounted(distro, "/mnt/quick")
            assert time.monotonic() - attached < 1
            unmount(distro, ["/mnt/quick"])
            disk.detach(timeout=5)
    assert time.monotonic() - begin < 3, "the others were to be tried meanwhile"
    assert state(distro, "slow") == "mounting"

    wait_until(lambda: state(distro, "slow") != "mounting", 5, "it to be given up")
    assert said(distro, "slow", "did not end in time")
    assert 3 <= time.monotonic() - begin < 6
    with LoopDisk(tmp / "quick"):
        wait_mounted(distro, "/mnt/quick", timeout=1)
        unmount(distro, ["/mnt/quick"])
    assert [main_pid(distro, unit) for unit in UNITS] == before

    hanging.resume()
    wait_mounted(distro, "/mnt/slow", timeout=15)
    wait_state(distro, "slow", "mounted")
    assert len(mounts(distro, "/mnt/slow")) == 1
    wait_tidy(distro)
    assert [main_pid(distro, unit) for unit in UNITS] == before
    assert processes(distro, UNITS[1]) == before[1:]
    unmount(distro, ["/mnt/slow"])
    hanging.detach(timeout=5)


def test_stop_while_it_hangs(distro, tmp):
    """Neither daemon waits for a disk when it is told to stop or to start again."""
    uuids = [make_image("ext4", tmp / name) for name in ("slow", "quick")]
    hanging = HangingDisk(tmp / "slow")
    distro.run("udevadm settle")
    hanging.hang()
    configure(distro, {"stuck": conf(uuids[0], "/mnt/stuck"), "flowing": conf(uuids[1], "/mnt/flowing")})
    wait_until(lambda: state(distro, "stuck") == "mounting", what="it to be tried")
    begin = time.monotonic()
    distro.systemctl("restart", "wslbared")
    # It is there and hangs, so READY is late by the three seconds that it may be; and not more.
    assert time.monotonic() - begin < 4.5
    LoopDisk(tmp / "quick")
    wait_mounted(distro, "/mnt/flowing", timeout=2)
    distro.systemctl("restart", "wslbare-mountd")
    assert time.monotonic() - begin < 15
    unmount(distro, ["/mnt/flowing"])
    hanging.resume()
    wait_mounted(distro, "/mnt/stuck", timeout=15)
    wait_tidy(distro)
    unmount(distro, ["/mnt/stuck"])
    assert "stuck" in status(distro) or wait_state(distro, "stuck", "unmounted") is None
