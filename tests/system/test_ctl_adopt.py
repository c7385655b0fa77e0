# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl adopt."""

import subprocess
from uuid import uuid4

from disks import MiB, LoopDisk, make_disk, make_image
from machine import defer, wait_until
from volumes import conf, conf_path, configure, mounts, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}
MANAGER = "org.wslbare1", "/org/wslbare1", "org.wslbare1.Manager"


def ctl(distro, arguments, **options):
    return distro.run(f"wslbarectl {arguments}", check=False, **options)


def attach(distro, path):
    """A disk that wslbared has seen."""
    disk = LoopDisk(path)
    wait_until(lambda: disk.node in ctl(distro, f"devices --all {disk.node}").stdout, what="it to be seen")
    distro.run("udevadm settle")
    return disk


def adopted(distro, name):
    defer(lambda: distro.shell(f"rm -f {conf_path(name)}; umount /mnt/{name}", check=False))
    return distro.path(conf_path(name))


def test_adopt(distro, tmp):
    """A filesystem by its label, and that is all that is needed."""
    uuid = make_image("ext4", tmp / "image", label="photos")
    disk = attach(distro, tmp / "image")
    file = adopted(distro, "photos")
    done = ctl(distro, f"adopt --dry-run {disk.node}")
    assert done.returncode == 0 and not file.exists(), done
    text = done.stdout
    assert text.startswith("# /etc/wslbare.d/photos.conf\n") and f"UUID={uuid}\nType=ext4\n" in text, text
    done = ctl(distro, f"adopt /dev/disk/by-uuid/{uuid}")
    assert (done.returncode, done.stdout, done.stderr) == (0, text, ""), done
    assert text.endswith(file.read_text()) and file.stat().st_mode & 0o777 == 0o644
    assert wait_mounted(distro, "/mnt/photos")["source"] == disk.node
    assert "noatime" in mounts(distro, "/mnt/photos")[0]["options"]
    assert ctl(distro, "verify").returncode == 0
    # Once is enough.
    done = ctl(distro, f"adopt --name=again {disk.node}")
    assert done.returncode == 4 and "'photos'" in done.stderr and not done.stdout, done


def test_mounted_elsewhere(distro, tmp):
    """It may be the root of another distribution, or what somebody mounted there and means."""
    make_image("ext4", tmp / "image", label="shared")
    disk = attach(distro, tmp / "image")
    file = adopted(distro, "shared")
    (tmp / "mnt").mkdir()
    subprocess.run(["mount", disk.node, tmp / "mnt"], check=True)
    defer(lambda: subprocess.run(["umount", tmp / "mnt"], check=True))
    done = ctl(distro, f"adopt --dry-run {disk.node}")
    assert done.returncode == 0 and f"{disk.node}: it is mounted by WSL or another" in done.stderr, done
    assert not file.exists()
    assert ctl(distro, f"adopt {disk.node}").returncode == 0
    assert wait_mounted(distro, "/mnt/shared")["source"] == disk.node


def test_where_and_name(distro, tmp):
    make_image("xfs", tmp / "image", label="photos")
    make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": str(uuid4()), "name": "x"}])
    disk = LoopDisk(tmp / "disk", partscan=True)
    node, = disk.partitions()
    wait_until(lambda: "xfs" in ctl(distro, f"devices {node}").stdout, what="it to be seen")
    file = adopted(distro, "pictures")
    done = ctl(distro, f"adopt {disk.node}")
    assert done.returncode == 1 and "adopt one of its partitions" in done.stderr, done
    done = ctl(distro, f"adopt --name=pictures {node} /srv/pictures")
    assert done.returncode == 0 and "# PartUUID=" in done.stdout and "# DiskGUID=" in done.stdout, done
    defer(lambda: distro.shell("umount /srv/pictures", check=False))
    assert wait_mounted(distro, "/srv/pictures")["source"] == node
    assert "Where=/srv/pictures\n" in file.read_text()


def test_nothing_is_overwritten(distro, tmp):
    configure(distro, {"taken": conf(None, "/mnt/taken", {"Label": "somebody-else"})})
    make_image("ext4", tmp / "image", label="taken")
    disk = attach(distro, tmp / "image")
    before = distro.path(conf_path("taken")).read_text()
    done = ctl(distro, f"adopt {disk.node}")
    assert done.returncode == 4 and "--name=" in done.stderr and not done.stdout, done
    # Nor what is no volume, as it is masked.
    distro.write(conf_path("masked"), "")
    defer(lambda: distro.run(["rm", conf_path("masked")]))
    done = ctl(distro, f"adopt --name=masked {disk.node}")
    assert done.returncode == 4 and "exists" in done.stderr, done
    assert distro.path(conf_path("taken")).read_text() == before
    done = ctl(distro, f"adopt --name=mine {disk.node}", user="nobody")
    assert done.returncode == 7 and "use sudo" in done.stderr, done
    assert not list(distro.path("/etc/wslbare.d").glob(".*"))


def test_what_would_be_refused(distro, tmp):
    """Is not written, and nobody is pushed out of force."""
    configure(distro, {"data": conf(None, "/mnt/data", {"Label": "data"})})
    make_image("ext4", tmp / "image", label="archive")
    disk = attach(distro, tmp / "image")
    file = adopted(distro, "archive")
    for options in "", "--dry-run ":
        done = ctl(distro, f"adopt {options}{disk.node} /usr")
        assert done.returncode == 1 and "Where=/usr" in done.stderr and not done.stdout, done
        done = ctl(distro, f"adopt {options}{disk.node} /mnt/data")
        assert done.returncode == 4 and "mount point of" in done.stderr and not done.stdout, done
        assert conf_path("data") in done.stderr and not file.exists(), done
    assert distro.busctl("get-property", *MANAGER, "State")["data"] == "running"
    assert ctl(distro, "verify").returncode == 0


def test_problems_are_told(distro, tmp):
    """Those of others, which were there before, are no failure."""
    configure(distro, {"wrong": "[Match]\nLabel=wrong\n"})
    make_image("ext4", tmp / "image", label="right")
    disk = attach(distro, tmp / "image")
    adopted(distro, "right")
    done = ctl(distro, f"adopt {disk.node}")
    assert done.returncode == 0 and f"{conf_path('wrong')}: error: " in done.stderr, done
    assert wait_mounted(distro, "/mnt/right")["source"] == disk.node


def test_blank(distro, tmp):
    """What to do is said, and nothing is done."""
    with open(tmp / "blank", "wb") as file:
        file.truncate(32 * MiB)
    disk = attach(distro, tmp / "blank")
    done = ctl(distro, f"adopt {disk.node}")
    assert done.returncode == 1 and not done.stderr, done
    assert f"mkfs.ext4 -O ^has_journal -L data {disk.node}\n" in done.stdout and "is blank" in done.stdout, done
    assert not any((tmp / "blank").read_bytes())


def test_refused(distro, tmp):
    make_image("swap", tmp / "swap")
    disk = attach(distro, tmp / "swap")
    done = ctl(distro, f"adopt {disk.node}")
    assert done.returncode == 1 and "holds no filesystem" in done.stderr and not done.stdout, done
    for what in "/dev/null", "/nonexistent", "/etc/passwd":
        done = ctl(distro, f"adopt {what}")
        assert done.returncode == 1 and f"{what} is no block device" in done.stderr, done


def test_usage(distro):
    for arguments in ("", "a b c", "--nonsense", "--name=../x /dev/x", "--name=", "/dev/x relative", "/dev/x /a/../b"):
        done = ctl(distro, f"adopt {arguments}")
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    assert "--dry-run" in ctl(distro, "adopt --help").stdout
