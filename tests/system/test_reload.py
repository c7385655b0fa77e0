# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configuration that comes, changes, breaks and goes while wslbared runs."""

import os

from disks import LoopDisk, make_image
from machine import defer, wait_until
from volumes import (conf, conf_path, configure, logged, mounts, reload, said, state, states, status, unmount,
                     wait_mounted, wait_state)

DISTRO = {"enable": ["wslbared.service"]}


def messages(distro):
    return [entry["MESSAGE"] for entry in distro.journal("wslbared")]


def change(distro, name, text, mode=0o644):
    distro.write(conf_path(name), text, mode)
    reload(distro)


def mounted_volume(distro, tmp, name):
    """A volume that is mounted on /mnt/NAME; returns its disk, UUID and mount."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {name: conf(uuid, f"/mnt/{name}")})
    disk = LoopDisk(tmp / "image")
    mount = wait_mounted(distro, f"/mnt/{name}")
    wait_state(distro, name, "mounted")
    return disk, uuid, mount


def replug(distro, disk, target):
    unmount(distro, [target])
    disk.detach(timeout=5)
    disk.attach()


def test_added(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    configure(distro, {"added": conf(uuid, "/mnt/added")})
    wait_mounted(distro, "/mnt/added")


def test_service_is_active_again(distro):
    for _ in range(3):
        reload(distro)
        assert distro.show("wslbared", "ActiveState") == "active"
        assert distro.show("wslbared", "SubState") == "running"
        # One that does not end would stay; those of targets end.
        wait_until(lambda: distro.systemctl("list-jobs", "--no-legend").stdout.strip() in ("", "No jobs running."),
                   what="no job to be left")


def test_reloads_at_once(distro, tmp):
    """SIGHUPs on top of each other, in the middle of a mount."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"burst": conf(uuid, "/mnt/burst")})
    with LoopDisk(tmp / "image"):
        for _ in range(5):
            distro.systemctl("kill", "-s", "HUP", "wslbared")
        mount = wait_mounted(distro, "/mnt/burst")
        wait_until(lambda: status(distro) == "1 of 1 mounted" and distro.show("wslbared", "ActiveState") == "active",
                   what="it to be done with them")
        assert mounts(distro, "/mnt/burst") == [mount]
        unmount(distro, ["/mnt/burst"])


def test_changed_options(distro, tmp):
    disk, uuid, mount = mounted_volume(distro, tmp, "changed")
    change(distro, "changed", conf(uuid, "/mnt/changed", Options="noatime,noexec"))
    assert said(distro, "changed", "takes effect at the next mount")
    assert mounts(distro, "/mnt/changed") == [mount]
    replug(distro, disk, "/mnt/changed")
    assert {"noatime", "noexec"} <= set(wait_mounted(distro, "/mnt/changed")["options"])


def test_changed_target(distro, tmp):
    disk, uuid, mount = mounted_volume(distro, tmp, "moved")
    change(distro, "moved", conf(uuid, "/mnt/new-place"))
    assert said(distro, "moved", "takes effect at the next mount")
    assert mounts(distro, "/mnt/moved") == [mount]
    replug(distro, disk, "/mnt/moved")
    wait_mounted(distro, "/mnt/new-place")
    assert not mounts(distro, "/mnt/moved")
    wait_until(lambda: not distro.path("/mnt/moved").exists(), what="the old directory to go")
    unmount(distro, ["/mnt/new-place"])


def test_unchanged(distro, tmp):
    _, _, mount = mounted_volume(distro, tmp, "unchanged")
    reload(distro)
    assert mounts(distro, "/mnt/unchanged") == [mount]
    assert not [text for text in messages(distro) if "unchanged: what changed" in text]


def test_broken(distro, tmp):
    disk, uuid, mount = mounted_volume(distro, tmp, "broken")
    change(distro, "broken", conf(uuid, "/mnt/broken", Optoins="noatime"))
    assert logged(distro, r"^/etc/wslbare\.d/broken\.conf:6: .*Optoins.*Options")
    assert mounts(distro, "/mnt/broken") == [mount]
    assert state(distro, "broken") == "mounted"
    assert said(distro, "broken", "step config")

    # Nothing new is mounted from it.
    replug(distro, disk, "/mnt/broken")
    wait_state(distro, "broken", "failed")
    assert said(distro, "broken", "mend it")
    assert not mounts(distro, "/mnt/broken")

    change(distro, "broken", conf(uuid, "/mnt/broken", Options="noatime"))
    assert "noatime" in wait_mounted(distro, "/mnt/broken")["options"]
    wait_state(distro, "broken", "mounted")


def test_broken_from_the_start(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    configure(distro, {"early": conf(uuid, "mnt/early")})
    assert logged(distro, r"^/etc/wslbare\.d/early\.conf:5: .*absolute")
    assert "early" not in states(distro)
    change(distro, "early", conf(uuid, "/mnt/early"))
    wait_mounted(distro, "/mnt/early")


def test_removed(distro, tmp):
    disk, uuid, mount = mounted_volume(distro, tmp, "removed")
    distro.path(conf_path("removed")).unlink()
    reload(distro)
    assert said(distro, "removed", "not configured any more; it stays mounted on /mnt/removed")
    assert mounts(distro, "/mnt/removed") == [mount]
    assert status(distro) == "No volumes are configured"
    # Back again, it is the mount that was there.
    change(distro, "removed", conf(uuid, "/mnt/removed"))
    wait_state(distro, "removed", "mounted")
    assert mounts(distro, "/mnt/removed") == [mount]
    # Gone while it is not configured, nothing of it is in the way later.
    distro.path(conf_path("removed")).unlink()
    reload(distro)
    replug(distro, disk, "/mnt/removed")
    distro.run("udevadm settle")
    change(distro, "removed", conf(uuid, "/mnt/removed"))
    wait_mounted(distro, "/mnt/removed")


def masked(distro, tmp, name, mask):
    """A file below /usr/lib says it, and MASK, called with the path in /etc, takes it back."""
    uuid = make_image("ext4", tmp / "image")
    vendor = f"/usr/lib/wslbare.d/{name}.conf"
    distro.write(vendor, conf(uuid, f"/mnt/{name}"))
    defer(lambda: distro.path(vendor).unlink())
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    distro.path("/etc/wslbare.d").mkdir(exist_ok=True)
    mask(distro.path(conf_path(name)))
    configure(distro, {})
    assert status(distro) == "No volumes are configured"
    assert not mounts(distro, f"/mnt/{name}")
    distro.path(conf_path(name)).unlink()
    reload(distro)
    wait_mounted(distro, f"/mnt/{name}")
    unmount(distro, [f"/mnt/{name}"])


def test_masked_by_empty_file(distro, tmp):
    masked(distro, tmp, "emptied", lambda path: path.write_text(""))


def test_masked_by_link(distro, tmp):
    masked(distro, tmp, "nulled", lambda path: path.symlink_to("/dev/null"))


def test_beats(distro, tmp):
    """A file in /etc is read in place of the one of the same name below /usr/lib."""
    uuid = make_image("ext4", tmp / "image")
    distro.write("/usr/lib/wslbare.d/beaten.conf", conf(uuid, "/mnt/vendor"))
    LoopDisk(tmp / "image")
    configure(distro, {"beaten": conf(uuid, "/mnt/admin")})
    wait_mounted(distro, "/mnt/admin")
    assert not mounts(distro, "/mnt/vendor")
    distro.path("/usr/lib/wslbare.d/beaten.conf").unlink()


def refused(distro, tmp, name, spoil):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    distro.write(conf_path(name), conf(uuid, f"/mnt/{name}"))
    spoil(distro.path(conf_path(name)))
    reload(distro)
    (message, *_) = logged(distro, f"^{conf_path(name)}: ")
    assert name not in states(distro) and not mounts(distro, f"/mnt/{name}")
    configure(distro, {name: conf(uuid, f"/mnt/{name}")})
    wait_mounted(distro, f"/mnt/{name}")
    return message


def test_wrong_owner(distro, tmp):
    message = refused(distro, tmp, "foreign", lambda path: os.chown(path, 65534, 0))
    assert "root" in message, message


def test_writable_by_others(distro, tmp):
    message = refused(distro, tmp, "open", lambda path: path.chmod(0o666))
    assert "writable" in message or "written" in message, message


def test_unreadable_for_wslbared(distro, tmp):
    message = refused(distro, tmp, "secret", lambda path: path.chmod(0o600))
    assert "read" in message, message


def test_writable_directory(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.path("/etc/wslbare.d").chmod(0o777)
    configure(distro, {"loose": conf(uuid, "/mnt/loose")})
    assert logged(distro, "^/etc/wslbare.d: ")
    assert not mounts(distro, "/mnt/loose")
    distro.path("/etc/wslbare.d").chmod(0o755)
    reload(distro)
    before = wait_mounted(distro, "/mnt/loose")
    wait_state(distro, "loose", "mounted")
    # What is mounted when it becomes so stays, and is known.
    distro.path("/etc/wslbare.d").chmod(0o777)
    reload(distro)
    assert said(distro, "loose", "has errors and is not in force")
    assert wait_mounted(distro, "/mnt/loose") == before and state(distro, "loose") == "mounted"
    distro.path("/etc/wslbare.d").chmod(0o755)
    reload(distro)
    assert wait_mounted(distro, "/mnt/loose") == before


def test_changed_behind_the_back(distro, tmp):
    """A file that changed since it was loaded is not mounted from until the next reload."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"behind": conf(uuid, "/mnt/behind", RetryLimit=0)})
    wait_state(distro, "behind", "absent")
    distro.write(conf_path("behind"), conf(uuid, "/mnt/behind", Options="noatime"))
    LoopDisk(tmp / "image")
    reload(distro)
    assert "noatime" in wait_mounted(distro, "/mnt/behind")["options"]


def test_same_target(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {"alpha": conf(uuids[0], "/mnt/same"), "beta": conf(uuids[1], "/mnt/same")})
    assert logged(distro, r"^/etc/wslbare\.d/beta\.conf:5: .*alpha")
    b = LoopDisk(tmp / "b")
    a = LoopDisk(tmp / "a")
    assert wait_mounted(distro, "/mnt/same")["source"] == a.node != b.node
