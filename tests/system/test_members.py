# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is only a part of something, or shut: it is said what to do, and nothing is mounted."""

from uuid import uuid4

from bus import ERROR, connect, refusal
from disks import LoopDisk, make_disk, make_signature
from machine import wait_until
from volumes import conf, configure, mounts, said, status, wait_state, wait_tidy

LOG_ERR = 3

DISTRO = {"enable": ["wslbared.service"]}


def check_part(distro, tmp, kind, wanted, error, advice):
    """Known by the UUID, if it has one, and by its partition's: WANTED both times, with the ADVICE."""
    uuid, part_uuid = make_signature(kind, tmp / "image"), str(uuid4())
    make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": part_uuid}])
    files = {f"{wanted}-part": conf(None, f"/mnt/{wanted}-part", {"PartUUID": part_uuid})}
    if uuid:
        files[wanted] = conf(uuid, f"/mnt/{wanted}")
    configure(distro, files)
    with LoopDisk(tmp / "disk", partscan=True) as disk, connect(distro) as bus:
        for name in files:
            wait_state(distro, name, wanted)
            message = said(distro, name, "step probe")[-1]
            assert message.startswith(f"{name}: {disk.partitions()[0]} ") and advice in message, message
            assert all(int(entry["PRIORITY"]) > LOG_ERR for entry in distro.journal(WSLBARE_VOLUME=name))
            assert refusal(bus.ask, name, "Mount").name == ERROR + error
            assert not mounts(distro, f"/mnt/{name}") and not distro.path(f"/mnt/{name}").exists()
        wait_until(lambda: f"{wanted}: {' '.join(sorted(files))}" in status(distro), what="the status")
        assert bus.properties()["State"] == "running"
    for name in files:
        wait_state(distro, name, "absent")
    wait_tidy(distro)


def test_luks(distro, tmp):
    check_part(distro, tmp, "crypto_LUKS", "locked", "Locked", "`cryptsetup open DEVICE NAME`")
    assert said(distro, "locked", "UUID= in /etc/wslbare.d/locked.conf is that of the encryption")


def test_bitlocker(distro, tmp):
    check_part(distro, tmp, "BitLocker", "locked", "Locked", "`cryptsetup open --type bitlk DEVICE NAME`")


def test_lvm(distro, tmp):
    check_part(distro, tmp, "LVM2_member", "member", "NotSupported", "`vgchange -ay`")


def test_raid(distro, tmp):
    check_part(distro, tmp, "linux_raid_member", "member", "NotSupported", "`mdadm --assemble --scan`")
