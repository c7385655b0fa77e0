# SPDX-License-Identifier: LGPL-2.1-or-later
"""What wslbarectl does to volumes: mount, unmount, eject, reload, rescan."""

import os
import re
import signal

from disks import HangingDisk, LoopDisk, PlainLoop, make_image
from machine import defer, wait_until
from volumes import conf, conf_path, configure, main_pid, mounts, run_inside, state, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}


def ctl(distro, arguments, **options):
    return distro.run(f"wslbarectl {arguments}", check=False, **options)


def good(distro, arguments):
    done = ctl(distro, arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


def volume(distro, tmp, name, **mount):
    uuid = make_image("ext4", tmp / name)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **mount)})
    disk = LoopDisk(tmp / name)
    if mount.get("Auto") != "no":
        wait_mounted(distro, f"/mnt/{name}")
    else:
        wait_state(distro, name, "unmounted")
    return disk


def hold(distro, target):
    """A process that uses it, and its number inside."""
    return run_inside(distro, "holder", f"--working-directory={target}", "sleep", "infinity")


def on_terminal(distro, command):
    """Has it run on a terminal; nothing is typed there."""
    distro.run(["systemd-run", "-q", "--unit=typing", "--property=StandardOutput=file:/tmp/shown",
                "script", "-qfec", command, "/dev/null"])
    defer(lambda: distro.shell("systemctl stop typing; systemctl reset-failed typing; rm -f /tmp/shown", check=False))


def shown(distro):
    try:
        return distro.path("/tmp/shown").read_text()
    except FileNotFoundError:
        return ""


def test_there_and_back(distro, tmp):
    for name in "one", "two":
        volume(distro, tmp, name)
    good(distro, "unmount one two")
    assert not mounts(distro, "/mnt/one") and not mounts(distro, "/mnt/two")
    good(distro, "unmount one")  # it is so already
    good(distro, "mount two one two")
    assert mounts(distro, "/mnt/one") and mounts(distro, "/mnt/two")
    good(distro, "mount one")
    good(distro, "umount one")
    assert not mounts(distro, "/mnt/one") and mounts(distro, "/mnt/two")
    good(distro, "mount --no-block one")
    wait_mounted(distro, "/mnt/one")


def test_busy(distro, tmp):
    """Who holds it is told, and --lazy does not mind."""
    volume(distro, tmp, "held")
    volume(distro, tmp, "free")
    pid = hold(distro, "/mnt/held")
    done = ctl(distro, "unmount held free")
    assert done.returncode == 4 and not done.stdout, done
    assert "cannot unmount 'held': /mnt/held is in use" in done.stderr, done.stderr
    assert re.search(rf"^ +{pid} sleep$", done.stderr, re.M) and "--lazy" in done.stderr, done.stderr
    assert mounts(distro, "/mnt/held") and not mounts(distro, "/mnt/free"), "one does not keep the other"
    good(distro, "unmount --lazy held")
    assert not mounts(distro, "/mnt/held")


def test_eject(distro, tmp):
    """Its disk is let go of, unless somebody uses it."""
    uuid = make_image("ext4", tmp / "taken")
    configure(distro, {"taken": conf(uuid, "/mnt/taken")})
    disk = PlainLoop(tmp / "taken")
    wait_mounted(distro, "/mnt/taken")
    pid = hold(distro, "/mnt/taken")
    done = ctl(distro, "eject taken")
    assert done.returncode == 4 and "cannot eject 'taken': " in done.stderr, done
    assert re.search(rf"^ +{pid} sleep$", done.stderr, re.M), done.stderr
    assert disk.attached()
    distro.systemctl("stop", "holder")
    good(distro, "eject taken")
    assert not mounts(distro, "/mnt/taken") and not disk.attached()


def test_failures(distro, tmp):
    volume(distro, tmp, "fine", Auto="no")
    configure(distro, {"away": conf(None, "/mnt/away", {"Label": "away"})})
    done = ctl(distro, "mount away")
    assert done.returncode == 4 and "cannot mount 'away': " in done.stderr, done
    done = ctl(distro, "mount nobody fine")
    assert done.returncode == 5 and "there is no volume 'nobody'" in done.stderr, done
    assert mounts(distro, "/mnt/fine"), "one does not keep the other"
    uuid = make_image("ext4", tmp / "bad")
    configure(distro, {"bad": conf(uuid, "/mnt/bad", Options="nonsense", Auto="no")})
    LoopDisk(tmp / "bad")
    wait_state(distro, "bad", "unmounted")
    done = ctl(distro, "mount bad")
    assert done.returncode == 4 and "nonsense" in done.stderr, done


def test_usage(distro):
    for arguments in ("mount", "unmount", "umount", "eject", "mount ../x", "mount --lazy x", "mount --nonsense x",
                      "eject --lazy x", "reload x", "rescan x", "reload --nonsense"):
        done = ctl(distro, arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    for verb in "mount", "unmount", "umount", "eject", "reload", "rescan":
        done = ctl(distro, f"{verb} --help")
        assert done.returncode == 0 and done.stdout.startswith(f"wslbarectl {verb}"), done


def test_not_allowed(distro, tmp):
    """Without a terminal nobody is asked."""
    volume(distro, tmp, "mine")
    for arguments in "unmount mine", "mount mine", "reload", "rescan":
        done = ctl(distro, arguments, user="nobody")
        assert done.returncode == 7 and "sudo" in done.stderr, (arguments, done)
    assert mounts(distro, "/mnt/mine")


def test_progress(distro, tmp):
    """On a terminal, what is at work and for how long."""
    uuid = make_image("ext4", tmp / "slow")
    configure(distro, {"slow": conf(uuid, "/mnt/slow", Auto="no")})
    disk = HangingDisk(tmp / "slow")
    wait_state(distro, "slow", "unmounted")
    disk.hang()
    on_terminal(distro, "wslbarectl mount slow")
    # What it does at that second is the disk's affair.
    wait_until(lambda: re.search(r"\ds slow \(\w+\)", shown(distro)), what="progress to be told")
    disk.resume()
    wait_mounted(distro, "/mnt/slow")
    wait_until(lambda: distro.show("typing", "ActiveState") == "inactive", what="it to end")
    assert shown(distro).endswith("\x1b[K"), "it is cleared away"


def test_reload(distro, tmp):
    """Waits until it is in force, and says what is wrong."""
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.write(conf_path("new"), conf(uuid, "/mnt/new"))
    defer(lambda: ctl(distro, "reload"))
    defer(lambda: distro.path(conf_path("new")).unlink())
    good(distro, "reload")
    assert "new" in ctl(distro, "list").stdout
    wait_mounted(distro, "/mnt/new")
    distro.write(conf_path("wrong"), "[Mount]\nWhere=relative\n")
    defer(lambda: distro.path(conf_path("wrong")).unlink())
    done = ctl(distro, "reload")
    assert done.returncode == 1 and f"{conf_path('wrong')}:2: error: " in done.stderr, done
    good(distro, "rescan")
    good(distro, "unmount new")


def test_no_service(distro):
    distro.systemctl("stop", "wslbared")
    defer(lambda: distro.systemctl("start", "wslbared"))
    for arguments in "mount a b", "unmount a", "reload", "rescan":
        done = ctl(distro, arguments)
        assert done.returncode == 6 and done.stderr.count("systemctl enable --now wslbared") == 1, (arguments, done)


def test_service_ends(distro, tmp):
    """While it is waited for: nobody answers any more, and so it is told."""
    uuid = make_image("ext4", tmp / "slow")
    configure(distro, {"slow": conf(uuid, "/mnt/slow", Auto="no")})
    disk = HangingDisk(tmp / "slow")
    wait_state(distro, "slow", "unmounted")
    disk.hang()
    with disk.resumed():
        distro.run(["systemd-run", "-q", "--unit=asking", "wslbarectl", "mount", "slow"])
        defer(lambda: distro.shell("systemctl reset-failed asking", check=False))
        wait_until(lambda: state(distro, "slow") != "unmounted", what="it to be at work")
        os.kill(main_pid(distro, "wslbared.service"), signal.SIGKILL)
        wait_until(lambda: distro.show("asking", "ActiveState") == "failed", what="it to be told")
        assert distro.show("asking", "ExecMainStatus") == "6"
    wait_until(lambda: state(distro, "slow") in ("mounted", "unmounted"), what="what was at work to end")
