# SPDX-License-Identifier: LGPL-2.1-or-later
"""The road: a disk appears and is mounted, at boot, later, and again."""

import statistics
from uuid import uuid4

from disks import LoopDisk, make_disk, make_image
from machine import wait_until
from volumes import (boot_to_rest, conf, conf_path, configure, mounts, mounts_below, restart, said, states, status, unmount,
                     wait_mounted, wait_state, wait_tidy)

DISTRO = {"enable": ["wslbared.service"]}

# Says what is mounted at the moment at which a unit after wslbared.service may start.
RECORDER = """
[Unit]
After=wslbared.service

[Service]
Type=oneshot
ExecStart=sh -c 'systemctl is-active wslbared >/run/recorded; findmnt -rn -o TARGET >>/run/recorded'

[Install]
WantedBy=multi-user.target
"""


def start_seconds(distro):
    """How long wslbared took to become active, the last time."""
    begin, end = (
        int(distro.show("wslbared", f"{name}TimestampMonotonic")) for name in ("InactiveExit", "ActiveEnter")
    )
    return (end - begin) / 1e6


def test_attach(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"attach": conf(uuid, "/mnt/attach")})
    wait_state(distro, "attach", "absent")
    with LoopDisk(tmp / "image") as disk:
        assert wait_mounted(distro, "/mnt/attach")["source"] == disk.node
        wait_until(lambda: status(distro) == "1 of 1 mounted", what="the status")
        assert said(distro, "attach", f"is mounted: {disk.node} on /mnt/attach$")
        unmount(distro, ["/mnt/attach"])
        wait_state(distro, "attach", "unmounted")
        assert said(distro, "attach", "unmounted from /mnt/attach by somebody else")
        # That is said when the unmount is seen; then what was made for the mount is tidied up.
        wait_until(lambda: not distro.path("/mnt/attach").exists(), what="the directory to go")
        assert not any("cannot" in entry["MESSAGE"] for entry in distro.journal(WSLBARE_VOLUME="attach"))


def test_boot(tmp):
    """What is there is mounted when wslbared is active; what is not is waited for by nobody."""
    uuids = [make_image(fstype, tmp / fstype) for fstype in ("ext4", "xfs", "btrfs", "ntfs")]
    uuids.append(make_image("ext4", tmp / "late"))
    make_disk(tmp / "disk", [{"image": tmp / "ext4"}])
    disks = [LoopDisk(tmp / name, partscan=name == "disk") for name in ("disk", "xfs", "btrfs", "ntfs")]
    files = {conf_path(f"v{i}"): conf(uuid, f"/mnt/boot/{i}") for i, uuid in enumerate(uuids)}
    files["/etc/systemd/system/recorder.service"] = RECORDER
    with boot_to_rest(files=files, enable=["wslbared.service", "recorder.service"]) as distro:
        recorded = distro.path("/run/recorded").read_text().splitlines()
        assert recorded[0] == "active"
        assert [f"/mnt/boot/{i}" in recorded for i in range(5)] == [True] * 4 + [False], recorded
        assert mounts(distro, "/mnt/boot/0")[0]["source"] == disks[0].partitions()[0]
        assert start_seconds(distro) < 5
        LoopDisk(tmp / "late")
        wait_mounted(distro, "/mnt/boot/4")


def test_absent_delays_nothing(distro, tmp):
    uuids = [make_image("ext4", tmp / "here"), make_image("ext4", tmp / "absent")]
    configure(distro, {"here": conf(uuids[0], "/mnt/here")})
    LoopDisk(tmp / "here")
    wait_mounted(distro, "/mnt/here")
    without, with_absent = [], []
    for _ in range(3):
        restart(distro)
        without.append(start_seconds(distro))
    configure(distro, {"away": conf(uuids[1], "/mnt/away")})
    for _ in range(3):
        restart(distro)
        with_absent.append(start_seconds(distro))
        wait_until(lambda: states(distro) == {"away": "absent"}, what="the other one to be taken over")
    # Whoever waits for the absent one, waits for 3 s.
    assert min(with_absent) < min(without) + 0.5, (with_absent, without)
    assert statistics.median(with_absent) < statistics.median(without) + 1, (with_absent, without)
    assert len(mounts(distro, "/mnt/here")) == 1
    LoopDisk(tmp / "absent")
    wait_mounted(distro, "/mnt/away")


def test_filesystems(distro, tmp):
    kinds = "ext4", "xfs", "btrfs", "ntfs"
    uuids = {fstype: make_image(fstype, tmp / fstype) for fstype in kinds}
    configure(distro, {f"fs-{fstype}": conf(uuids[fstype], f"/mnt/{fstype}") for fstype in kinds})
    disks = {fstype: LoopDisk(tmp / fstype) for fstype in kinds}
    for fstype, disk in disks.items():
        mount = wait_mounted(distro, f"/mnt/{fstype}")
        assert mount["source"] == disk.node
        assert mount["fstype"] == {"ntfs": "fuseblk"}.get(fstype, fstype)
        assert {"rw", "nosuid", "nodev"} <= set(mount["options"]), mount
        distro.write(f"/mnt/{fstype}/file", "written\n")
    assert "errors=remount-ro" in mounts(distro, "/mnt/ext4")[0]["super"]
    # The helper's process lives on without mountd, and goes with its mount.
    distro.systemctl("restart", "wslbare-mountd")
    assert distro.path("/mnt/ntfs/file").read_text() == "written\n"
    unmount(distro, [f"/mnt/{fstype}" for fstype in kinds])
    wait_until(lambda: distro.run("pgrep ntfs", check=False).returncode == 1, what="the helper to end")
    wait_tidy(distro)
    for disk in disks.values():
        disk.detach(timeout=5)


def test_options(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {
        "options": conf(uuids[0], "/mnt/options", Options="noatime,suid,dev,commit=7"),
        "read-only": conf(uuids[1], "/mnt/read-only", ReadOnly="yes", DirectoryMode="0750"),
    })
    for name in "ab":
        LoopDisk(tmp / name)
    mount = wait_mounted(distro, "/mnt/options")
    assert "noatime" in mount["options"] and not {"nosuid", "nodev"} & set(mount["options"]), mount
    assert "commit=7" in mount["super"], mount
    mount = wait_mounted(distro, "/mnt/read-only")
    assert "ro" in mount["options"] and "ro" in mount["super"], mount
    unmount(distro, ["/mnt/options", "/mnt/read-only"])


def test_match(distro, tmp):
    """Every key that a disk of images can have, on a partition and on a whole disk."""
    uuid = make_image("ext4", tmp / "image", label="road")
    make_image("ext4", tmp / "other", label="other label")
    part = str(uuid4())
    table = make_disk(tmp / "disk", [{"image": tmp / "image", "uuid": part, "name": "first"}, {"image": tmp / "other"}])
    keys = {
        "UUID": uuid.upper(),
        "Label": "road",
        "PartUUID": part.upper(),
        "PartLabel": "first",
        "DiskGUID": table,
    }
    files = {f"by-{key}": conf(None, f"/mnt/by-{key}", {key: value}) for key, value in keys.items()}
    # The table has two partitions, so it alone is not enough.
    files["by-DiskGUID"] = conf(None, "/mnt/by-DiskGUID", {"DiskGUID": table, "Type": "ext4", "Label": "other label"})
    files["by-nothing"] = conf(None, "/mnt/by-nothing", {"UUID": uuid, "Type": "xfs"})
    configure(distro, files)
    disk = LoopDisk(tmp / "disk", partscan=True)
    for key in keys:
        source = disk.partitions()[1 if key == "DiskGUID" else 0]
        assert wait_mounted(distro, f"/mnt/by-{key}")["source"] == source, key
    assert states(distro) == {"by-nothing": "absent"}
    assert not mounts(distro, "/mnt/by-nothing")
    unmount(distro, [f"/mnt/by-{key}" for key in keys])
    wait_state(distro, "by-UUID", "unmounted")
    disk.detach(timeout=5)


def test_match_disk(distro, tmp):
    """The table's UUID means the partition, where there is but one."""
    make_image("ext4", tmp / "image")
    table = make_disk(tmp / "disk", [{"image": tmp / "image"}])
    configure(distro, {"disk": conf(None, "/mnt/disk", {"DiskGUID": table.upper()})})
    disk = LoopDisk(tmp / "disk", partscan=True)
    assert wait_mounted(distro, "/mnt/disk")["source"] == disk.partitions()[0]


def test_auto_and_nowhere(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {"asked": conf(uuids[0], "/mnt/asked", Auto="no"), "nowhere": conf(uuids[1], "none")})
    for name in "ab":
        LoopDisk(tmp / name)
    for name in "asked", "nowhere":
        wait_state(distro, name, "unmounted")
    assert not mounts(distro, "/mnt/asked")
    assert not distro.path("/mnt/asked").exists()


def test_same_event_again(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"again": conf(uuid, "/mnt/again")})
    disk = LoopDisk(tmp / "image")
    mount = wait_mounted(distro, "/mnt/again")
    for action in ["add", "change"] * 10:
        disk.trigger(action)
    distro.run("udevadm settle")
    restart(distro)
    assert mounts(distro, "/mnt/again") == [mount]
    wait_state(distro, "again", "mounted")
    assert len(said(distro, "again", "is mounted:")) == 2  # once more by the one started anew
    unmount(distro, ["/mnt/again"])


def test_twenty_ten_times(distro, tmp):
    """Attached at once, mounted, unmounted, detached, and again as other devices."""
    kinds = ["ext4"] * 14 + ["xfs"] * 2 + ["btrfs"] * 2 + ["ntfs"] * 2
    uuids = [make_image(fstype, tmp / str(i)) for i, fstype in enumerate(kinds)]
    distro.path("/mnt/twenty").mkdir()
    configure(distro, {f"t{i}": conf(uuid, f"/mnt/twenty/{i}") for i, uuid in enumerate(uuids)})
    order = [str(i) for i in range(20)]
    before = {}
    for _ in range(10):
        order = order[1:] + order[:1]
        disks = {name: LoopDisk(tmp / name) for name in order}
        wait_until(lambda: len(mounts_below(distro, "/mnt/twenty")) >= 20, what="twenty mounts")
        sources = {mount["target"]: mount["source"] for mount in mounts_below(distro, "/mnt/twenty")}
        assert sources == {f"/mnt/twenty/{name}": disk.node for name, disk in disks.items()}
        # Others on this machine may take and give back loop devices meanwhile, so not necessarily all.
        moved = [target for target, source in sources.items() if before.get(target) != source]
        assert len(moved) > 10
        before = sources
        wait_until(lambda: states(distro) == {}, what="all to be mounted")
        unmount(distro, list(sources))
        wait_until(lambda: not list(distro.path("/mnt/twenty").iterdir()), what="the directories to go")
        for disk in disks.values():
            disk.detach(timeout=5)
    wait_tidy(distro)
