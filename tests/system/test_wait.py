# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl wait, and wslbare-wait@NAME.service."""

import re
import subprocess
import time

from bus import connect
from disks import LoopDisk, make_image
from machine import defer, wait_until
from volumes import conf, configure, mounts, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}


def waiting(distro, *arguments):
    """One that waits, in a unit of its own, until its name is asked for."""
    distro.run(["systemd-run", "-q", "--unit=waiting", "--property=RemainAfterExit=yes", "wslbarectl", "wait", *arguments])
    defer(lambda: distro.shell("systemctl stop waiting; systemctl reset-failed waiting", check=False))


def result(distro):
    """None while it waits, then its exit status."""
    if distro.show("waiting", "MainPID") != "0":
        return None
    return int(distro.show("waiting", "ExecMainStatus"))


def test_it_is_there(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"here": conf(uuid, "/mnt/here")})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/here")
    done = distro.run("wslbarectl wait --timeout=25 here", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    # Everybody may.
    assert distro.run("wslbarectl wait --timeout=25 here", user="nobody").returncode == 0


def test_it_comes_later(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {"late": conf(uuids[0], "/mnt/late"), "later": conf(uuids[1], "/mnt/later")})
    waiting(distro, "late", "later")
    time.sleep(0.3)
    assert result(distro) is None
    LoopDisk(tmp / "a")
    wait_mounted(distro, "/mnt/late")
    time.sleep(0.3)
    assert result(distro) is None, "it did not wait for the second one"
    distro.systemctl("restart", "wslbared")  # that is no reason to give up
    time.sleep(0.2)
    assert result(distro) is None, "it gave up when wslbared was started anew"
    LoopDisk(tmp / "b")
    wait_until(lambda: result(distro) == 0, what="it to end")
    assert mounts(distro, "/mnt/later")


def test_time_is_up(distro):
    configure(distro, {"never": conf(None, "/mnt/never", {"Label": "never"})})
    start = time.monotonic()
    distro.run("wslbarectl status never", check=False)
    usual = time.monotonic() - start
    start = time.monotonic()
    done = distro.run("wslbarectl wait --timeout=500ms never", check=False)
    assert 0.5 <= time.monotonic() - start < max(2, 0.5 + 10 * usual)
    assert done.returncode == 3 and "never" in done.stderr, done


def test_unknown(distro):
    done = distro.run("wslbarectl wait --timeout=25 nobody", check=False)
    assert done.returncode == 5 and "nobody" in done.stderr, done


def test_all_and_any(distro, tmp):
    """Without names, all that are configured; --any is content with one; nothing configured is done at once."""
    assert distro.run("wslbarectl wait --timeout=25").returncode == 0
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {"one": conf(uuids[0], "/mnt/one"), "two": conf(uuids[1], "/mnt/two")})
    done = distro.run("wslbarectl wait --any --timeout=300ms", check=False)
    assert done.returncode == 3 and "one (absent), two (absent)" in done.stderr, done
    LoopDisk(tmp / "a")
    assert distro.run("wslbarectl wait --any --timeout=60", timeout=70).returncode == 0
    done = distro.run("wslbarectl wait --timeout=300ms one two", check=False)
    assert done.returncode == 3 and "waiting for two (absent)" in done.stderr, done
    assert distro.run("wslbarectl wait -q --timeout=300ms two", check=False).stderr.count("\n") == 1
    LoopDisk(tmp / "b")
    assert distro.run("wslbarectl wait --timeout=60", timeout=70).returncode == 0


def test_failed_for_good(distro, tmp):
    """What will not be mounted without somebody's doing is not waited for."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"bad": conf(uuid, "/mnt/bad", Options="nonsense", RetryLimit=0)})
    LoopDisk(tmp / "image")
    done = distro.run("wslbarectl wait --timeout=60 bad", check=False, timeout=70)
    assert done.returncode == 4 and "'bad' is failed: " in done.stderr and "nonsense" in done.stderr, done


def test_all_failed_for_good(distro, tmp):
    """With --any, one that is given up is no reason to end; all of them are."""
    uuids = [make_image("ext4", tmp / name) for name in "abc"]
    configure(distro, {f"bad{i}": conf(uuid, f"/mnt/bad{i}", Options="nonsense", RetryLimit=0)
                       for i, uuid in enumerate(uuids[:2])})
    for name in "ab":
        LoopDisk(tmp / name)
    done = distro.run("wslbarectl wait --any --timeout=60", check=False, timeout=70)
    assert done.returncode == 4 and re.search(r"'bad[01]' is failed: .*nonsense", done.stderr), done
    configure(distro, {"hope": conf(uuids[2], "/mnt/hope")})
    done = distro.run("wslbarectl wait --any --timeout=500ms", check=False)
    assert done.returncode == 3 and "hope (absent)" in done.stderr, done
    LoopDisk(tmp / "c")
    assert distro.run("wslbarectl wait --any --timeout=60", timeout=70).returncode == 0


def test_usage(distro):
    for arguments in "../x", "--timeout=soon x", "--nonsense x":
        done = distro.run(f"wslbarectl wait {arguments}", check=False)
        assert done.returncode == 2 and done.stderr, (arguments, done)


def test_unit(distro, tmp):
    """It is the boot's way to wait; what is ordered after it starts when the volume is there."""
    uuid = make_image("ext4", tmp / "image")
    distro.write("/etc/systemd/system/after.service",
                 "[Unit]\nWants=wslbare-wait@unit.service\nAfter=wslbare-wait@unit.service\n"
                 "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=mountpoint /mnt/unit\n")
    distro.systemctl("daemon-reload")
    configure(distro, {"unit": conf(uuid, "/mnt/unit")})
    distro.systemctl("start", "--no-block", "after")
    wait_until(lambda: distro.show("wslbare-wait@unit", "ActiveState") == "activating", what="it to wait")
    time.sleep(0.5)
    assert distro.show("wslbare-wait@unit", "ActiveState") == "activating"
    assert distro.show("after", "ActiveState") == "inactive"
    LoopDisk(tmp / "image")
    wait_until(lambda: distro.show("after", "ActiveState") == "active", what="it to start")
    assert distro.show("wslbare-wait@unit", "Result") == "success"
    distro.systemctl("stop", "after")


def test_unit_unknown(distro):
    assert distro.systemctl("start", "wslbare-wait@nobody", check=False).returncode != 0
    assert distro.show("wslbare-wait@nobody", "ExecMainStatus") == "5"
    distro.systemctl("reset-failed", "wslbare-wait@nobody")
