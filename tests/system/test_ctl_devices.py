# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl devices."""

import json
import re
import subprocess

from disks import LoopDisk, MiB, make_disk, make_image
from machine import defer, wait_until
from volumes import conf, configure, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}


def ctl(distro, arguments="", **options):
    return distro.run(f"wslbarectl devices {arguments}", check=False, **options)


def rows(distro, arguments="", **options):
    """node → dictionary"""
    done = ctl(distro, f"--json {arguments}", **options)
    assert done.returncode == 0, done
    found = json.loads(done.stdout)["devices"]
    # libsmartcols writes an empty list so.
    return {row["node"]: {key: [] if value == [None] else value for key, value in row.items()} for row in found}


def wait_seen(distro, disk, **wanted):
    def is_seen():
        row = rows(distro).get(disk.node, {})
        return all(row.get(key) == value for key, value in wanted.items()) and row

    return wait_until(is_seen, what=f"{disk.node} to be seen as {wanted}")


def blank_disk(path, size=8 * MiB):
    with open(path, "wb") as f:
        f.truncate(size)
    return LoopDisk(path)


def test_what_is_there(distro, tmp):
    uuid = make_image("ext4", tmp / "ext4", label="a label")
    configure(distro, {"mine": conf(uuid, "/mnt/mine")})
    mine = LoopDisk(tmp / "ext4")
    swap_uuid = make_image("swap", tmp / "swap")
    swap = LoopDisk(tmp / "swap")
    blank = blank_disk(tmp / "blank")
    wait_mounted(distro, "/mnt/mine")
    wait_seen(distro, swap, type="swap")
    wait_seen(distro, blank, use="blank")
    wait_seen(distro, mine, use="mounted on /mnt/mine")
    found = rows(distro)
    row = found[mine.node]
    assert (row["type"], row["label"], row["uuid"], row["size"], row["content"]) == \
        ("ext4", "a label", uuid, 32 << 20, "filesystem"), row
    assert row["volumes"] == ["mine"] and not row["blank"] and not row["wsl"] and not row["why"], row
    row = found[swap.node]
    assert (row["uuid"], row["content"], row["use"], row["blank"]) == (swap_uuid, "other", None, False), row
    row = found[blank.node]
    assert row["blank"] is True and row["type"] is None and not row["volumes"], row
    # As a person sees it.
    lines = ctl(distro).stdout.splitlines()
    assert lines[0].split()[:2] == ["NODE", "SIZE"] and "WHY" not in lines[0], lines[0]
    (line,) = [line for line in lines if line.split()[0] == mine.node]
    assert re.fullmatch(rf"{mine.node} +32M ext4 +a label +{uuid} +mine +mounted on /mnt/mine", line), line
    # Devices without a medium are none.
    assert all(row["size"] > 0 for row in found.values())
    # Everybody may see it; only root can look whether it is empty.
    assert rows(distro, user="nobody")[blank.node]["use"] == "holds nothing that is known"


def test_not_so_blank(distro, tmp):
    disk = blank_disk(tmp / "image")
    wait_seen(distro, disk, use="blank")
    disk.detach(timeout=5)
    with open(tmp / "image", "r+b") as f:
        f.seek(8 * MiB - 512)
        f.write(b"something that nobody knows")
    disk.attach()
    wait_seen(distro, disk, use="holds nothing that is known", blank=False)


def test_partitions(distro, tmp):
    uuid = make_image("ext4", tmp / "ext4")
    guid = make_disk(tmp / "disk", [{"image": tmp / "ext4", "name": "first"}])
    configure(distro, {"part": conf(uuid, "/mnt/part"), "table": conf(None, "none", {"DiskGUID": guid})})
    disk = LoopDisk(tmp / "disk", partscan=True)
    wait_mounted(distro, "/mnt/part")
    wait_seen(distro, disk, use="has a partition table")
    found = rows(distro)
    assert found[disk.node]["diskguid"] == guid and not found[disk.node]["blank"]
    (partition,) = disk.partitions()
    row = found[partition]
    assert (row["uuid"], row["partlabel"], row["volumes"]) == (uuid, "first", ["part", "table"]), row
    # What is said of a disk means what its table divides.
    assert not found[disk.node]["volumes"] and not found[disk.node]["why"], found
    row = rows(distro, disk.node)[disk.node]
    assert "table: it holds only a partition table, so one of its partitions is meant" in row["why"], row


def test_near(distro, tmp):
    """Why a volume is not there that somebody meant."""
    uuid = make_image("ext4", tmp / "image", label="right")
    slip = uuid[:-1] + ("0" if uuid[-1] != "0" else "1")
    configure(distro, {
        "slip": conf(slip, "none"),
        "type": conf(None, "none", {"Label": "right", "Type": "xfs"}),
        "other": conf("11111111-2222-3333-4444-555555555555", "none"),
    })
    disk = LoopDisk(tmp / "image")
    row = wait_seen(distro, disk, uuid=uuid)
    assert row["why"] == [f"slip: UUID= wants {slip}, and it is {uuid}",
                          "type: Type= wants xfs, and it is ext4"], row
    assert not row["volumes"]
    assert "slip: UUID= wants" in ctl(distro).stdout
    # Asked for by name, it says so of each.
    row = rows(distro, disk.node)[disk.node]
    assert [line.split(":")[0] for line in row["why"]] == ["other", "slip", "type"], row
    assert list(rows(distro, f"/dev/disk/by-uuid/{uuid}")) == [disk.node]


def test_wrong_key(distro, tmp):
    uuid = make_image("ext4", tmp / "ext4")
    guid = make_disk(tmp / "disk", [{"image": tmp / "ext4"}])
    configure(distro, {"confused": conf(guid, "none")})
    disk = LoopDisk(tmp / "disk", partscan=True)
    row = wait_seen(distro, disk, diskguid=guid)
    assert row["why"] == ["confused: what [Match] gives is its DiskGUID, so write DiskGUID= there"], row


def test_used_by_others(distro, tmp):
    """What another distribution has mounted cannot be seen from here, but that it is can."""
    make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    (tmp / "mnt").mkdir()
    subprocess.run(["mount", disk.node, tmp / "mnt"], check=True)
    defer(lambda: subprocess.run(["umount", tmp / "mnt"], check=True))
    row = wait_seen(distro, disk, type="ext4", use="mounted by WSL or another distribution")
    assert not row["wsl"], row  # it may be anybody's


def test_options(distro, tmp):
    disk = blank_disk(tmp / "image")
    wait_seen(distro, disk, blank=True)
    done = ctl(distro, f"--no-legend -o node,size {disk.node}")
    assert (done.returncode, done.stdout) == (0, f"{disk.node}   8M\n"), done
    assert "PARTUUID" in ctl(distro, "--help").stdout
    # Disks may come and go in between, which are somebody else's.
    wait_until(lambda: set(rows(distro, "--all")) >= set(rows(distro)), what="no device but those of --all to be shown")


def test_usage(distro):
    for arguments in "--nonsense", "-o nonsense":
        done = ctl(distro, arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    for node in "/dev/null", "/dev/nowhere", "x":
        done = ctl(distro, node)
        assert done.returncode == 1 and f"'{node}' is no block device" in done.stderr and not done.stdout, done
    distro.systemctl("stop", "wslbared")
    defer(lambda: distro.systemctl("start", "wslbared"))
    assert ctl(distro).returncode == 6
