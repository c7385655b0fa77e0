# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands in the way of a mount: what the user is told, and that it concerns nobody else."""

import os
from pathlib import Path
from uuid import uuid4

from disks import LoopDisk, make_disk, make_image
from distro import Distro
from machine import Skip, wait_until
from volumes import (conf, conf_path, configure, mounts, said, state, states, status, unmount, wait_mounted,
                     wait_state)

BYSTANDER = str(uuid4())

DISTRO = {
    "enable": ["wslbared.service"],
    "files": {conf_path("bystander"): conf(BYSTANDER, "/mnt/bystander")},
}

PARTITION = str(uuid4())


def check_others(distro, tmp):
    """Another volume is mounted as if nothing were."""
    make_image("ext4", tmp / "bystander", uuid=BYSTANDER)
    with LoopDisk(tmp / "bystander") as disk:
        wait_mounted(distro, "/mnt/bystander", timeout=2)
        unmount(distro, ["/mnt/bystander"])
        disk.detach(timeout=5)
    wait_state(distro, "bystander", "absent")


def make_partition(tmp, fstype, **options):
    """A disk with one partition, which holds FSTYPE and has the UUID above."""
    uuid = make_image(fstype, tmp / "image", **options)
    make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": PARTITION}])
    return uuid


def by_partition(where, **mount):
    return conf(None, where, {"PartUUID": PARTITION}, **mount)


def two_alike(tmp):
    """Two images with one UUID, which is returned."""
    uuid = make_image("ext4", tmp / "a")
    make_image("ext4", tmp / "b", uuid=uuid)
    return uuid


def test_ambiguous(distro, tmp):
    disk_uuid = two_alike(tmp)
    with LoopDisk(tmp / "a") as a, LoopDisk(tmp / "b") as b:
        distro.run("udevadm settle")
        configure(distro, {"twin": conf(disk_uuid, "/mnt/twin")})
        wait_state(distro, "twin", "ambiguous")
        assert "ambiguous: twin" in status(distro)
        (message,) = said(distro, "twin", "devices fit")
        assert a.node in message and b.node in message and "detach all but one" in message, message
        check_others(distro, tmp)
        assert not mounts(distro, "/mnt/twin")
        assert not distro.path("/mnt/twin").exists()
        a.detach(timeout=5)
        assert wait_mounted(distro, "/mnt/twin")["source"] == b.node


def test_second_one_comes_later(distro, tmp):
    uuid = two_alike(tmp)
    configure(distro, {"first": conf(uuid, "/mnt/first")})
    with LoopDisk(tmp / "a") as a:
        mount = wait_mounted(distro, "/mnt/first")
        with LoopDisk(tmp / "b") as b:
            distro.run("udevadm settle")
            check_others(distro, tmp)
            assert mounts(distro, "/mnt/first") == [mount]
            assert state(distro, "first") == "mounted"
            unmount(distro, ["/mnt/first"])
            a.detach(timeout=5)
            assert wait_mounted(distro, "/mnt/first")["source"] == b.node
            unmount(distro, ["/mnt/first"])


def test_part_uuid_resolves(distro, tmp):
    uuid = make_partition(tmp, "ext4")
    make_disk(tmp / "copy", [{"image": tmp / "image"}])
    disk, copy = LoopDisk(tmp / "disk", partscan=True), LoopDisk(tmp / "copy", partscan=True)
    configure(distro, {"clone": conf(uuid, "/mnt/clone")})
    wait_state(distro, "clone", "ambiguous")
    (message,) = said(distro, "clone", "devices fit")
    assert "PartUUID=" in message and disk.partitions()[0] in message and copy.partitions()[0] in message, message
    configure(distro, {"clone": conf(uuid, "/mnt/clone", {"PartUUID": PARTITION})})
    assert wait_mounted(distro, "/mnt/clone")["source"] == disk.partitions()[0]


def test_occupied_target(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    distro.shell("mkdir /mnt/occupied; mount -t tmpfs squatter /mnt/occupied")
    configure(distro, {"occupied": conf(uuid, "/mnt/occupied")})
    LoopDisk(tmp / "image")
    wait_state(distro, "occupied", "failed")
    (message,) = said(distro, "occupied", "step target")
    assert "squatter (tmpfs) is mounted on /mnt/occupied" in message and "unmount it" in message, message
    check_others(distro, tmp)
    assert [mount["source"] for mount in mounts(distro, "/mnt/occupied")] == ["squatter"]
    unmount(distro, ["/mnt/occupied"])
    wait_state(distro, "occupied", "mounted")
    assert wait_mounted(distro, "/mnt/occupied")["fstype"] == "ext4"
    unmount(distro, ["/mnt/occupied"])
    wait_state(distro, "occupied", "unmounted")
    assert distro.path("/mnt/occupied").is_dir()


def refused(distro, tmp, name, text, pattern, wanted="failed"):
    """A volume on a good disk ends so, and says why; returns the message."""
    configure(distro, {name: text})
    wait_state(distro, name, wanted)
    message = said(distro, name, pattern)[0]
    check_others(distro, tmp)
    where = f"/mnt/{name}"
    assert not mounts(distro, where)
    return message


def test_link_in_target(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    distro.shell("mkdir /mnt/elsewhere; ln -s elsewhere /mnt/link")
    LoopDisk(tmp / "image")
    message = refused(distro, tmp, "link", conf(uuid, "/mnt/link/data", RetryLimit=0), "step target")
    assert "/mnt/link" in message and "link" in message.replace("/mnt/link", ""), message
    assert not list(distro.path("/mnt/elsewhere").iterdir())
    assert said(distro, "link", "given up after 1 attempts?")
    # It is looked at anew after a reload.
    distro.shell("rm /mnt/link; mkdir /mnt/link")
    configure(distro, {"link": conf(uuid, "/mnt/link/data", RetryLimit=0)})
    wait_mounted(distro, "/mnt/link/data")


def test_link_as_target(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    distro.shell("mkdir /mnt/pointed; ln -s pointed /mnt/pointer")
    LoopDisk(tmp / "image")
    message = refused(distro, tmp, "pointer", conf(uuid, "/mnt/pointer"), "step target")
    assert "/mnt/pointer" in message, message
    assert not mounts(distro, "/mnt/pointed")
    assert os.readlink(distro.path("/mnt/pointer")) == "pointed"


def test_file_as_target(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    distro.write("/mnt/file", "mine\n")
    LoopDisk(tmp / "image")
    message = refused(distro, tmp, "file", conf(uuid, "/mnt/file"), "step target")
    assert "/mnt/file" in message and "directory" in message, message
    # Mended, it is mounted by the next attempt.
    distro.shell("rm /mnt/file; mkdir /mnt/file")
    wait_mounted(distro, "/mnt/file")


def test_unknown_option(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    text = conf(uuid, "/mnt/option", Options="noatime,frobnicate=3")
    message = refused(distro, tmp, "option", text, "step mount")
    assert "frobnicate" in message, message
    assert not distro.path("/mnt/option").exists()


def test_unknown_driver(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    text = conf(uuid, "/mnt/driver", Type="frobfs")
    message = refused(distro, tmp, "driver", text, "step mount", "unsupported")
    assert "frobfs" in message and "install" in message, message


def test_only_modules_of_filesystems(tmp):
    """Whatever the type: a module of that name may be one of anything else."""
    script = '#!/bin/sh\necho "$*" >>/run/modprobe.log\n', 0o755
    uuid = make_image("ext4", tmp / "image")
    files = {conf_path("driver"): conf(uuid, "/mnt/driver", Type="frob-fs"), "/usr/sbin/modprobe": script}
    with Distro(files=files, enable=["wslbared.service"]) as distro, LoopDisk(tmp / "image"):
        wait_state(distro, "driver", "unsupported")
        lines = distro.path("/run/modprobe.log").read_text().splitlines()
        assert {line for line in lines if "frob" in line} == {"-abq fs_frob_fs"}, lines


def test_options_reach_a_helper_as_they_are(tmp):
    """systemd would put variables in."""
    uuid = make_image("ext4", tmp / "image")
    helper = '#!/bin/sh\nprintf "%s\\n" "$@" >/run/helper.log\nexit 1\n', 0o755
    files = {
        conf_path("money"): conf(uuid, "/mnt/money", Type="frobfs", Options="a=${HOME},$$,b=$PATH,c=%n"),
        "/usr/sbin/mount.frobfs": helper,
    }
    with Distro(files=files, enable=["wslbared.service"]) as distro, LoopDisk(tmp / "image"):
        log = distro.path("/run/helper.log")
        wait_until(lambda: log.exists() and log.read_text().count("\n") > 3, what="the helper to run")
        options = log.read_text().splitlines()[3]
        assert "a=${HOME},$$,b=$PATH,c=%n" in options, options


def test_wrong_driver(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    text = conf(uuid, "/mnt/wrong", Type="xfs", RetryLimit=0)
    message = refused(distro, tmp, "wrong", text, "step mount")
    assert "xfs" in message, message


def test_kernel_lacks_driver(distro, tmp):
    if "\tvfat\n" in Path("/proc/filesystems").read_text():
        raise Skip("this kernel has vfat")
    uuid = make_image("vfat", tmp / "image")
    LoopDisk(tmp / "image")
    message = refused(distro, tmp, "vfat", conf(uuid, "/mnt/vfat"), "step mount", "unsupported")
    assert "vfat" in message and "install" in message, message


def test_swap(distro, tmp):
    make_partition(tmp, "swap")
    disk = LoopDisk(tmp / "disk", partscan=True)
    message = refused(distro, tmp, "swap", by_partition("/mnt/swap"), "step probe", "unsupported")
    assert disk.partitions()[0] in message and "swap" in message, message


def test_no_filesystem(distro, tmp):
    """It may be made later, and is mounted then."""
    make_partition(tmp, "swap")
    with open(tmp / "image", "wb") as f:
        f.truncate(32 << 20)
    make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": PARTITION}])
    disk = LoopDisk(tmp / "disk", partscan=True)
    message = refused(distro, tmp, "blank", by_partition("/mnt/blank"), "step probe", "unsupported")
    assert disk.partitions()[0] in message and "mkfs" in message, message
    distro.run(["mkfs.ext4", "-q", disk.partitions()[0]])
    wait_mounted(distro, "/mnt/blank")


def test_ambivalent(distro, tmp):
    """ext4 leaves the first kilobyte alone, where xfs has its superblock."""
    make_image("xfs", tmp / "xfs")
    make_image("ext4", tmp / "image")
    sector = (tmp / "xfs").open("rb").read(512)
    with open(tmp / "image", "r+b") as f:
        f.write(sector)
    make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": PARTITION}])
    disk = LoopDisk(tmp / "disk", partscan=True)
    message = refused(distro, tmp, "double", by_partition("/mnt/double", RetryLimit=0), "step probe")
    assert "two filesystems" in message and f"wipefs {disk.partitions()[0]}" in message, message
    assert not distro.path("/mnt/double").exists()
    # Done as told, it is mounted.
    distro.run(["wipefs", "-q", "-a", "-t", "xfs", disk.partitions()[0]])
    wait_mounted(distro, "/mnt/double")


def test_read_only_device(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"sealed": conf(uuid, "/mnt/sealed")})
    disk = LoopDisk(tmp / "image", read_only=True)
    mount = wait_mounted(distro, "/mnt/sealed")
    assert "ro" in mount["options"] and "ro" in mount["super"], mount
    assert said(distro, "sealed", f"{disk.node} is read-only")
    assert state(distro, "sealed") == "mounted"
    check_others(distro, tmp)


def test_populated_target(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    distro.write("/mnt/populated/precious", "")
    configure(distro, {"populated": conf(uuid, "/mnt/populated")})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/populated")
    assert said(distro, "populated", "/mnt/populated is not empty; what is in it is hidden")
    check_others(distro, tmp)
    unmount(distro, ["/mnt/populated"])
    wait_state(distro, "populated", "unmounted")
    assert distro.path("/mnt/populated/precious").exists()


def test_directory_comes_and_goes(distro, tmp):
    """One that was made goes, also when a foreign hand unmounts; one that was there stays."""
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    distro.shell("mkdir -m 0700 /mnt/kept")
    configure(distro, {
        "made": conf(uuids[0], "/mnt/deep/er/made", DirectoryMode="0750"),
        "kept": conf(uuids[1], "/mnt/kept", DirectoryMode="0755"),
    })
    for name in "ab":
        LoopDisk(tmp / name)
    wait_mounted(distro, "/mnt/deep/er/made")
    wait_mounted(distro, "/mnt/kept")
    wait_until(lambda: not {"made", "kept"} & set(states(distro)), what="both to be mounted")
    mode = distro.shell("mount --bind /mnt/deep /opt; stat -c %a /opt/er/made; umount /opt").stdout
    assert mode == "750\n", mode
    unmount(distro, ["/mnt/deep/er/made", "/mnt/kept"])
    wait_until(lambda: not distro.path("/mnt/deep/er/made").exists(), what="the directory to go")
    wait_state(distro, "kept", "unmounted")
    assert distro.path("/mnt/kept").stat().st_mode & 0o777 == 0o700
    check_others(distro, tmp)


def test_mounted_by_hand_before(distro, tmp):
    """What is there already is adopted; what holds it elsewhere hinders nothing."""
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    disks = [LoopDisk(tmp / name) for name in "ab"]
    distro.run("udevadm settle")
    distro.shell(f"mkdir /mnt/adopted /mnt/held; mount {disks[0].node} /mnt/adopted; mount {disks[1].node} /mnt/held")
    before = mounts(distro, "/mnt/adopted")
    configure(distro, {"adopted": conf(uuids[0], "/mnt/adopted"), "elsewhere": conf(uuids[1], "/mnt/elsewhere-too")})
    wait_until(lambda: not {"adopted", "elsewhere"} & set(states(distro)), what="both to be mounted")
    (after,) = mounts(distro, "/mnt/adopted")
    assert after["id"] == before[0]["id"]
    assert wait_mounted(distro, "/mnt/elsewhere-too")["source"] == disks[1].node
    unmount(distro, ["/mnt/adopted", "/mnt/held", "/mnt/elsewhere-too"])
    wait_state(distro, "adopted", "unmounted")
    assert distro.path("/mnt/adopted").is_dir()


def test_wrong_type(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"type": conf(uuid, "/mnt/type", {"Type": "xfs"})})
    LoopDisk(tmp / "image")
    check_others(distro, tmp)
    assert state(distro, "type") == "absent"
