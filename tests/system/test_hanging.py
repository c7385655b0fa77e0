# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that stops answering: it is given up, and everything else goes on."""

import errno
import math
import os
import time

from bus import connect, refusal
from disks import HangingDisk, LoopDisk, make_image
from distro import UDEVD, Distro
from machine import defer, wait_until
from volumes import (conf, conf_path, configure, logged, main_pid, mounts, processes, reload, said, state,
                     unmount, wait_mounted, wait_state, wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}

UNITS = "wslbared.service", "wslbare-mountd.service"


def take_in_and_out(distro, tmp, name):
    """Attaches the disk of a volume, and unmounts and detaches it when it is mounted; how long that took."""
    begin = time.monotonic()
    with LoopDisk(tmp / name) as disk:
        wait_mounted(distro, f"/mnt/{name}")
        unmount(distro, [f"/mnt/{name}"])
        disk.detach(timeout=5)
    return time.monotonic() - begin


def deadline_for(seconds, least, times):
    """A MountTimeoutSec=, in whole seconds, that is by so many times more than what took SECONDS."""
    return max(least, math.ceil(times * seconds))


def test_hangs_and_comes_back(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in ("slow", "quick")]
    configure(distro, {"quick": conf(uuids[1], "/mnt/quick")})
    deadline = deadline_for(take_in_and_out(distro, tmp, "quick"), 4, times=20)
    hanging = HangingDisk(tmp / "slow")
    distro.run("udevadm settle")
    hanging.hang()
    before = [main_pid(distro, unit) for unit in UNITS]
    begin = time.monotonic()
    configure(distro, {"slow": conf(uuids[0], "/mnt/slow", MountTimeoutSec=f"{deadline}s")})
    wait_until(lambda: state(distro, "slow") == "mounting", what="it to be tried")
    for _ in range(3):
        assert take_in_and_out(distro, tmp, "quick") < deadline / 2, "the other was to be mounted at once"
    # The others were not tried one after the other, when it was given up, but meanwhile.
    assert state(distro, "slow") == "mounting" and time.monotonic() - begin < deadline

    wait_until(lambda: state(distro, "slow") != "mounting", deadline, "it to be given up")
    assert said(distro, "slow", "did not end in time")
    assert deadline <= time.monotonic() - begin < 2 * deadline
    assert take_in_and_out(distro, tmp, "quick") < deadline / 2, "it is tried again, which is to hold up nobody"
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
    begin = time.monotonic()
    distro.systemctl("restart", "wslbared")
    usual = time.monotonic() - begin
    configure(distro, {"stuck": conf(uuids[0], "/mnt/stuck"), "flowing": conf(uuids[1], "/mnt/flowing")})
    wait_until(lambda: state(distro, "stuck") == "mounting", what="it to be tried")
    with connect(distro) as bus:
        serial = bus.send_ask("stuck", "Mount")
        wait_until(lambda: refusal(bus.ask, "stuck", "Unmount").name.endswith("InProgress"), what="it to be asked for")
        begin = time.monotonic()
        distro.systemctl("restart", "wslbared")
        # Whoever waits hears that it went, and not that there is no such volume.
        assert refusal(bus.answer, serial).name == "org.freedesktop.DBus.Error.NoReply"
    # It is there and hangs, so READY is late by the three seconds that it may be; and not more.
    assert time.monotonic() - begin < 3 + max(1.5, 10 * usual)
    LoopDisk(tmp / "quick")
    wait_mounted(distro, "/mnt/flowing")
    begin = time.monotonic()
    distro.systemctl("restart", "wslbare-mountd")
    assert time.monotonic() - begin < max(10, 10 * usual)
    unmount(distro, ["/mnt/flowing"])
    hanging.resume()
    wait_mounted(distro, "/mnt/stuck", timeout=15)
    wait_tidy(distro)
    unmount(distro, ["/mnt/stuck"])
    wait_state(distro, "stuck", "unmounted")


def counts(distro):
    """Of each daemon: its processes and descriptors."""
    return [(len(processes(distro, unit)), len(os.listdir(f"/proc/{main_pid(distro, unit)}/fd"))) for unit in UNITS]


def counts_at_rest(distro):
    """When they do not change any more."""
    seen = []

    def is_steady():
        seen.append(counts(distro))
        return seen[-5:].count(seen[-1]) == 5

    wait_until(is_steady, 15, what="it to be at rest", interval=0.2)
    return seen[-1]


def is_no_more(now, then):
    return all(n <= t for one, other in zip(now, then) for n, t in zip(one, other))


def wait_no_more(distro, then):
    seen = []
    try:
        wait_until(lambda: not seen.append(counts(distro)) and is_no_more(seen[-1], then), 15, "no more than at first")
    except TimeoutError as e:
        raise TimeoutError(f"{e}, {then}; it is {seen[-1]}: {[processes(distro, unit) for unit in UNITS]}") from None


def mountd_status(distro):
    return distro.show(UNITS[1], "StatusText")


def prepare_meanwhile(distro, tmp):
    """Makes the volume that is to be mounted all the time; returns a MountTimeoutSec= for "again", of which it takes a
    fifth."""
    uuid = make_image("ext4", tmp / "meanwhile")
    configure(distro, {"meanwhile": conf(uuid, "/mnt/meanwhile")})
    return f'{deadline_for(take_in_and_out(distro, tmp, "meanwhile"), 1, times=5)}s'


def try_again_and_again(distro, tmp, says):
    """Asks for volume "again", whose disk hangs, 20 times: no process and no descriptor more than after the first time."""
    before = None
    for i in range(20):
        with connect(distro) as bus:
            assert refusal(bus.ask, "again", "Mount").name.endswith("Error.TimedOut")
            step, error, message = bus.volume("again")["Failure"]
            assert error == errno.ETIMEDOUT and says in message, (step, error, message)
            if i % 5 == 0:
                with LoopDisk(tmp / "meanwhile") as disk:
                    wait_state(distro, "meanwhile", "mounted")
                    bus.ask("meanwhile", "Unmount")
                    disk.detach(timeout=5)
        if i % 5 == 1:
            reload(distro)
        if i % 5 == 2:
            distro.systemctl("restart", "wslbared")
            wait_state(distro, "again", "failed")
        before = before or counts_at_rest(distro)
        wait_no_more(distro, before)
    return before


def test_again_and_again(distro, tmp):
    """However often it is tried, what was given up is gone."""
    deadline = prepare_meanwhile(distro, tmp)
    uuid = make_image("ext4", tmp / "slow")
    hanging = HangingDisk(tmp / "slow")
    distro.run("udevadm settle")
    hanging.hang()
    configure(distro, {"again": conf(uuid, "/mnt/again", MountTimeoutSec=deadline, RetryLimit=0)})
    wait_state(distro, "again", "failed")
    before = try_again_and_again(distro, tmp, "did not end in time")
    assert before[1][0] == 1 and mountd_status(distro) == ""
    hanging.resume()
    with connect(distro) as bus:
        bus.ask("again", "Mount")
    wait_tidy(distro)
    unmount(distro, ["/mnt/again"])
    hanging.detach(timeout=5)


def test_what_no_kill_ends(distro, tmp):
    """One process sits there, however often it is tried, and is shown; it goes when the disk answers, and all is well."""
    deadline = prepare_meanwhile(distro, tmp)
    uuid = make_image("ext4", tmp / "again")
    make_image("ext4", tmp / "frozen")
    frozen, disk = LoopDisk(tmp / "frozen"), LoopDisk(tmp / "again")
    distro.shell(f"mkdir /mnt/frozen; mount {frozen.node} /mnt/frozen; fsfreeze -f /mnt/frozen")
    defer(lambda: distro.shell("fsfreeze -u /mnt/frozen; umount -R /mnt/frozen", check=False))
    configure(distro, {"again": conf(uuid, "/mnt/frozen/again", MountTimeoutSec=deadline)})
    wait_state(distro, "again", "failed")
    shown = f"1 given up, as the disk does not answer: again on {disk.node}"
    wait_until(lambda: mountd_status(distro) == shown, what="it to be shown")
    assert logged(distro, f"Gave up again on {disk.node} at step target", UNITS[1])
    before = try_again_and_again(distro, tmp, "does not answer")
    assert before[1][0] == 2 and mountd_status(distro) == shown
    distro.run("fsfreeze -u /mnt/frozen")
    wait_mounted(distro, "/mnt/frozen/again", timeout=15)
    wait_state(distro, "again", "mounted")
    wait_tidy(distro)
    assert mountd_status(distro) == "" and counts(distro)[1][0] == 1
    unmount(distro, ["/mnt/frozen/again"])


AT_WORK = 3  # mountd, its child, and the probing child


def test_looks_without_udevd(tmp):
    """Who looks at disks for himself gives up as well, and looks again later: once at a time, whatever events come."""
    uuid = make_image("ext4", tmp / "slow")
    hanging = HangingDisk(tmp / "slow")
    hanging.hang()
    files = {conf_path("looked"): conf(uuid, "/mnt/looked")}

    def at_work():
        return len(processes(distro, UNITS[1]))

    with Distro(files=files, enable=["wslbared.service"], mask=UDEVD) as distro, hanging.resumed():
        wait_until(lambda: at_work() == AT_WORK, what="it to be looked at")
        for _ in range(20):
            hanging.trigger()
        wait_until(lambda: logged_or_not(distro, f"Cannot look at {hanging.node}: It did not end in time"), 60,
                   "it to be given up")
        for _ in range(20):
            hanging.trigger()
        assert state(distro, "looked") == "absent"
        # What piled up would stay, as the disk hangs; other disks are looked at, and answer.
        wait_until(lambda: at_work() <= AT_WORK, 60, f"no more than {AT_WORK} processes")
        hanging.resume()
        wait_mounted(distro, "/mnt/looked", timeout=15)
        wait_tidy(distro)
        unmount(distro, ["/mnt/looked"])


def logged_or_not(distro, text):
    return any(text in entry["MESSAGE"] for entry in distro.journal(UNITS[0]))


for function in test_again_and_again, test_what_no_kill_ends, test_looks_without_udevd:
    function.timeout = 300
