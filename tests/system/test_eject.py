# SPDX-License-Identifier: LGPL-2.1-or-later
"""Eject: when it is answered, Windows may take the disk; a disk that is needed is kept."""

import subprocess

from bus import DBUS_ERROR, ERROR, connect, refusal
from disks import LoopDisk, PlainLoop, make_disk, make_image
from machine import defer, wait_until
from volumes import (conf, configure, is_free, mounts, restart, run_inside, said, state, wait_free, wait_mounted,
                     wait_state)

DISTRO = {"enable": ["wslbared.service"]}


def make(distro, tmp, name, fstype="ext4", **mount):
    uuid = make_image(fstype, tmp / name)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **mount)})
    return PlainLoop(tmp / name)


def target_state(distro, name):
    return distro.show(f"wslbare@{name}.target", "ActiveState")


def wait_target(distro, name, wanted="active"):
    wait_until(lambda: target_state(distro, name) == wanted, what=f"the target to be {wanted}")


def eject(distro, name, **options):
    with connect(distro) as bus:
        return bus.ask(name, "Eject", **options)


def refused(distro, name):
    with connect(distro) as bus:
        return refusal(bus.ask, name, "Eject")


def holders(distro, name):
    with connect(distro) as bus:
        return bus.volume(name)["Holders"]


def test_eject(distro, tmp):
    """What needs it is stopped while it is there; at the answer nobody has it, and it is gone."""
    distro.write("/etc/systemd/system/follower.service", """\
[Unit]
BindsTo=wslbare@gone.target
After=wslbare@gone.target
[Service]
ExecStart=/bin/sh -c 'echo started >>/mnt/gone/log; exec sleep infinity'
ExecStop=/bin/sh -c 'sleep 0.5; echo stopped >>/mnt/gone/log'
[Install]
WantedBy=wslbare@gone.target
""")
    distro.systemctl("daemon-reload")
    distro.systemctl("enable", "follower")
    defer(lambda: distro.systemctl("disable", "--now", "follower"))
    disk = make(distro, tmp, "gone")
    log = distro.path("/mnt/gone/log")
    wait_until(lambda: log.exists() and log.read_text() == "started\n", what="the service to write")
    with connect(distro) as bus:
        assert bus.ask("gone", "Eject") == []
        assert is_free(disk.node) and not disk.attached()
        assert bus.volume("gone")["State"] in ("absent", "unmounted")
    assert not mounts(distro, "/mnt/gone") and not distro.path("/mnt/gone").exists()
    assert distro.show("follower", "ActiveState") == "inactive" and target_state(distro, "gone") == "inactive"
    wait_state(distro, "gone", "absent")
    assert said(distro, "gone", "is ejected; its disk may be detached now$")
    subprocess.run(["e2fsck", "-fn", disk.image], check=True, capture_output=True)
    # Attached anew it is one like any other.
    PlainLoop(disk.image)
    wait_mounted(distro, "/mnt/gone")
    # The service may be there again.
    assert distro.path("/mnt/gone/log").read_text().splitlines()[:2] == ["started", "stopped"]


def test_kinds(distro, tmp):
    """Those with a device number of their own, and one whose server has to end first."""
    disks = {fstype: make(distro, tmp, fstype, fstype) for fstype in ("btrfs", "xfs", "ntfs")}
    for fstype, disk in disks.items():
        wait_mounted(distro, f"/mnt/{fstype}")
        wait_state(distro, fstype, "mounted")
        eject(distro, fstype)
        assert not disk.attached(), fstype
        wait_state(distro, fstype, "absent")


def test_not_mounted(distro, tmp):
    """By its file, or after it was unmounted; with several that fit, or none, none is."""
    disk = make(distro, tmp, "idle", Auto="no")
    wait_state(distro, "idle", "unmounted")
    eject(distro, "idle")
    assert not disk.attached()
    wait_state(distro, "idle", "absent")
    assert refused(distro, "idle").name == f"{ERROR}DeviceAbsent"

    disk = PlainLoop(disk.image)
    wait_state(distro, "idle", "unmounted")
    with connect(distro) as bus:
        bus.ask("idle", "Mount")
        bus.ask("idle", "Unmount")
        bus.ask("idle", "Eject")
    assert not disk.attached()

    two = [PlainLoop(disk.image), PlainLoop(disk.image)]
    wait_state(distro, "idle", "ambiguous")
    assert refused(distro, "idle").name == f"{ERROR}Ambiguous"
    assert all(one.attached() for one in two)


def test_neighbour(distro, tmp):
    """Another partition of the disk is in use: nothing is done to either."""
    uuid = make_image("ext4", tmp / "a")
    make_image("ext4", tmp / "b")
    make_disk(tmp / "disk", [{"image": tmp / "a"}, {"image": tmp / "b"}])
    configure(distro, {"beside": conf(uuid, "/mnt/beside")})
    disk = LoopDisk(tmp / "disk", partscan=True)
    own, other = disk.partitions()
    mount = wait_mounted(distro, "/mnt/beside")
    assert mount["source"] == own
    wait_target(distro, "beside")

    distro.run(f"mount --mkdir {other} /mnt/other")
    error = refused(distro, "beside")
    assert error.name == f"{ERROR}Busy" and f"{other} is mounted on /mnt/other" in error.text, error
    assert mounts(distro, "/mnt/beside") == [mount] and state(distro, "beside") == "mounted"
    wait_target(distro, "beside")

    # Where only its holder sees it.
    pid = run_inside(distro, "apart", "unshare", "--mount", "--propagation", "private", "sleep", "infinity")
    distro.run("umount /mnt/other")
    error = refused(distro, "beside")
    assert error.name == f"{ERROR}Busy" and other in error.text and "namespace" in error.text, error
    assert holders(distro, "beside") == [(pid, "sleep")]
    assert mounts(distro, "/mnt/beside") == [mount]
    distro.systemctl("stop", "apart")
    wait_free(other)
    wait_target(distro, "beside")

    eject(distro, "beside")
    assert is_free(disk.node)
    disk.detach(timeout=5)
    wait_state(distro, "beside", "absent")


def test_busy(distro, tmp):
    """Somebody sits in it: it stays mounted, and what needs it is started again."""
    disk = make(distro, tmp, "sat")
    mount = wait_mounted(distro, "/mnt/sat")
    wait_target(distro, "sat")
    pid = run_inside(distro, "sitter", "--working-directory=/mnt/sat", "sleep", "infinity")
    error = refused(distro, "sat")
    assert error.name == f"{ERROR}Busy", error
    assert holders(distro, "sat") == [(pid, "sleep")]
    assert mounts(distro, "/mnt/sat") == [mount] and state(distro, "sat") == "mounted"
    wait_target(distro, "sat")
    distro.systemctl("stop", "sitter")
    eject(distro, "sat")
    assert not disk.attached() and holders(distro, "sat") == []


def assert_held(distro, name, disk):
    """Unmounted by intent, and not to be detached."""
    assert state(distro, name) == "unmounted" and not mounts(distro, f"/mnt/{name}")
    assert target_state(distro, name) == "inactive"
    assert disk.attached() and not is_free(disk.node)
    restart(distro)
    wait_state(distro, name, "unmounted")
    assert not mounts(distro, f"/mnt/{name}")


def test_held_in_a_namespace(distro, tmp):
    """Of a mount namespace that keeps a copy the processes are named."""
    # One that is made for the mount takes all copies away when it is removed.
    distro.path("/mnt/copied").mkdir()
    disk = make(distro, tmp, "copied")
    wait_mounted(distro, "/mnt/copied")
    wait_target(distro, "copied")
    pid = run_inside(distro, "copier", "unshare", "--mount", "--propagation", "private", "sleep", "infinity")
    error = refused(distro, "copied")
    assert error.name == f"{ERROR}Busy" and "not mounted any more" in error.text, error
    assert holders(distro, "copied") == [(pid, "sleep")]
    assert_held(distro, "copied", disk)
    distro.systemctl("stop", "copier")
    eject(distro, "copied")
    assert not disk.attached() and holders(distro, "copied") == []


def test_held_elsewhere(distro, tmp):
    """Who has it mounted beyond our sight is another distribution."""
    disk = make(distro, tmp, "abroad")
    wait_mounted(distro, "/mnt/abroad")
    (tmp / "mnt").mkdir()
    script = f"mount {disk.node} {tmp}/mnt && echo mounted && read end"
    abroad = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with abroad:
        assert abroad.stdout.readline() == b"mounted\n"
        error = refused(distro, "abroad")
        assert error.name == f"{ERROR}Busy" and "another distribution" in error.text, error
        assert holders(distro, "abroad") == []
        assert_held(distro, "abroad", disk)
    eject(distro, "abroad")
    assert not disk.attached()


def test_options(distro, tmp):
    disk = make(distro, tmp, "asked")
    wait_mounted(distro, "/mnt/asked")
    with connect(distro) as bus:
        for option in "lazy", "force":
            error = refusal(bus.ask, "asked", "Eject", **{option: True})
            assert error.name == f"{DBUS_ERROR}InvalidArgs" and option in error.text, error
        assert mounts(distro, "/mnt/asked")
        assert bus.ask("asked", "Eject", no_block=True) == []
        wait_until(lambda: not disk.attached(), what="it to be ejected")
    wait_state(distro, "asked", "absent")
