# SPDX-License-Identifier: LGPL-2.1-or-later
"""The road: a disk appears and is mounted."""

from disks import LoopDisk, make_image
from machine import wait_until
from volumes import conf, mounts

DISTRO = {"enable": ["wslbared.service"]}


def test_attach(distro, tmp):
    uuid = make_image("ext4", tmp / "image", label="data")
    distro.write("/etc/wslbare.d/data.conf", conf(uuid, "/mnt/data"))
    distro.systemctl("kill", "-s", "HUP", "wslbared")
    with LoopDisk(tmp / "image") as disk:
        wait_until(lambda: mounts(distro, "/mnt/data"), what="the mount")
        (mount,) = mounts(distro, "/mnt/data")
        assert mount["source"] == disk.node
        distro.run("umount /mnt/data")
