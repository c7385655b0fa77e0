# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dropping a file is enough; reloading returns when the new configuration is in force."""

import time

from bus import BusError, connect
from disks import LoopDisk, make_image
from machine import defer, wait_until
from volumes import conf, conf_path, mounts, reload, unmount, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}

SOON = 10.0  # half a second is what the watch waits for, the rest is a busy machine's


def drop(distro, name, text):
    distro.write(conf_path(name), text)


def forget_at_end(distro, *names):
    """What configure() does, for files that are written without it."""

    def forget():
        for name in names:
            distro.path(conf_path(name)).unlink(missing_ok=True)
            if mounts(distro, f"/mnt/{name}"):
                unmount(distro, [f"/mnt/{name}"], "-l")
        distro.systemctl("reload", "wslbared")

    defer(forget)


def count_reloads(distro):
    return sum("Reloading" in entry["MESSAGE"] for entry in distro.journal("wslbared"))


def options_in_force(distro, name):
    with connect(distro) as bus:
        try:
            return bus.volume(name)["Options"]
        except BusError:  # while its file was empty, there was none
            return None


def possible_pauses(begin, usual):
    """How many pauses of half a second there may have been since BEGIN in what takes USUAL seconds at the most, unless the
    machine is slow: each is a reload of its own."""
    return int(max(0, time.monotonic() - begin - usual) / 0.5)


def unmount_and_replug(distro, disk, target):
    """So that nothing of the last time is remembered."""
    unmount(distro, [target])
    disk.detach(timeout=5)
    disk.attach()
    distro.run("udevadm settle")


def problems(bus):
    return bus.properties()["ConfigProblems"]


def names(bus):
    return [volume[0] for volume in bus.manager("ListVolumes")]


def test_reload_returns_when_in_force(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    forget_at_end(distro, "forced")
    with connect(distro) as bus:
        for text in conf(uuid, "/mnt/forced"), conf(uuid, "/mnt/forced", Options="noatime"), "":
            drop(distro, "forced", text)
            distro.systemctl("reload", "wslbared")
            if text:
                assert bus.volume("forced")["Options"] == ("noatime" if "noatime" in text else "")
            assert names(bus) == (["forced"] if text else [])


def test_problems_name_file_and_line(distro):
    texts = {
        "one": "[Match]\nUUID=0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c11\n\n[Mount]\nWhere=mnt\n",
        "two": "[Match]\nLable=x\n",
        "warned": conf(None, "/mnt/warned", {"Label": "warned"}, Options="nofail"),
    }
    forget_at_end(distro, *texts)
    for name, text in texts.items():
        drop(distro, name, text)
    distro.systemctl("reload", "wslbared")
    with connect(distro) as bus:
        found = {(file, line, severity): text for file, line, severity, text in problems(bus)}
        assert "absolute" in found[conf_path("one"), 5, "error"], found
        assert "Label" in found[conf_path("two"), 2, "error"], found
        assert "nofail" in found[conf_path("warned"), 6, "warning"], found
        assert names(bus) == ["warned"]
        assert bus.properties()["State"] == "degraded"


def test_forty_broken(distro, tmp):
    """All are reported, and the good one is mounted."""
    uuid = make_image("ext4", tmp / "image")
    broken = [f"broken{i:02}" for i in range(40)]
    forget_at_end(distro, "good", *broken)
    for i, name in enumerate(broken):
        drop(distro, name, conf(uuid, f"/mnt/{name}", **{"Auto": "perhaps"} if i % 2 else {"Aut": "yes"}))
    drop(distro, "good", conf(uuid, "/mnt/good"))
    LoopDisk(tmp / "image")
    distro.systemctl("reload", "wslbared")
    with connect(distro) as bus:
        found = problems(bus)
        assert sorted(file for file, *_ in found) == [conf_path(name) for name in broken]
        assert {(line, severity) for _, line, severity, _ in found} == {(6, "error")}
        assert names(bus) == ["good"]
        wait_mounted(distro, "/mnt/good")
        for name in broken:
            distro.path(conf_path(name)).unlink()
        wait_until(lambda: problems(bus) == [], what="the problems to go")
        assert bus.properties()["State"] == "running"


def write_in_place(path, text):
    with open(path, "w") as f:
        for line in text.splitlines(keepends=True):
            f.write(line)
            f.flush()
            time.sleep(0.02)


def rename_into_place(path, text):
    new = path.with_name("new file")
    new.write_text(text)
    new.rename(path)


def test_dropping_is_enough(distro, tmp):
    """Written slowly, renamed, linked: mounted a second after the last write."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    forget_at_end(distro, "dropped")
    distro.path("/etc/wslbare.d").mkdir(exist_ok=True)
    distro.write("/etc/elsewhere.conf", conf(uuid, "/mnt/dropped"))

    def link(path, _):
        path.symlink_to("/etc/elsewhere.conf")

    with connect(distro) as bus:
        for how in write_in_place, rename_into_place, link:
            before = count_reloads(distro)
            begin = time.monotonic()
            how(distro.path(conf_path("dropped")), conf(uuid, "/mnt/dropped"))
            pauses = possible_pauses(begin, 1)
            wait_mounted(distro, "/mnt/dropped", timeout=SOON)
            assert count_reloads(distro) <= before + 2 + pauses, how
            distro.path(conf_path("dropped")).unlink()
            wait_until(lambda: names(bus) == [], SOON, "the volume to go")
            unmount_and_replug(distro, disk, "/mnt/dropped")


def test_broken_and_mended(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    forget_at_end(distro, "mended")
    with connect(distro) as bus:
        drop(distro, "mended", conf(uuid, "/mnt/mended", Optoins="noatime"))
        wait_until(lambda: problems(bus), SOON, "the problem")
        assert not mounts(distro, "/mnt/mended")
        drop(distro, "mended", conf(uuid, "/mnt/mended", Options="noatime"))
        mount = wait_mounted(distro, "/mnt/mended", timeout=SOON)
        assert "noatime" in mount["options"]
        assert problems(bus) == []
        # Its mode counts too.
        distro.path(conf_path("mended")).chmod(0o666)
        wait_until(lambda: problems(bus), SOON, "the problem")
        distro.path(conf_path("mended")).chmod(0o644)
        wait_until(lambda: not problems(bus), SOON, "it to go")
        assert mounts(distro, "/mnt/mended") == [mount]


def test_directory_comes_later(distro, tmp):
    """Each of those that need not be there, made and removed, one of them twice."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    with connect(distro) as bus:
        for directory in "/run/wslbare.d", "/usr/local/lib/wslbare.d", "/run/wslbare.d":
            path = distro.path(directory)
            assert not path.exists()
            path.mkdir(parents=True)
            (path / "later.conf").write_text(conf(uuid, "/mnt/later"))
            wait_mounted(distro, "/mnt/later", timeout=SOON)
            assert bus.volume("later")["ConfigPath"] == f"{directory}/later.conf"
            # And what is put there afterwards.
            (path / "more.conf").write_text(conf(None, "/mnt/more", {"Label": "more"}))
            wait_until(lambda: names(bus) == ["later", "more"], SOON, "another one")
            for file in list(path.iterdir()):
                file.unlink()
            path.rmdir()
            wait_until(lambda: names(bus) == [], SOON, "the volumes to go")
            unmount_and_replug(distro, disk, "/mnt/later")


def test_directory_replaced(distro, tmp):
    """/etc/wslbare.d becomes a link to another directory, as NixOS turns it."""
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    configured, saved = distro.path("/etc/wslbare.d"), distro.path("/etc/saved.d")
    configured.mkdir(exist_ok=True)
    with connect(distro) as bus:
        configured.rename(saved)
        distro.write("/etc/store/turned.conf", conf(uuid, "/mnt/turned"))
        configured.symlink_to("store")
        try:
            wait_mounted(distro, "/mnt/turned", timeout=SOON)
            assert bus.volume("turned")["ConfigPath"] == conf_path("turned")
        finally:
            configured.unlink()
            saved.rename(configured)
        wait_until(lambda: names(bus) == [], SOON, "the volume to go")
        unmount(distro, ["/mnt/turned"])


def test_flood(distro, tmp):
    """Two hundred writes in a second are few reloads, and the last one counts."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    distro.run("udevadm settle")
    forget_at_end(distro, "flooded")
    path = distro.path(conf_path("flooded"))
    path.parent.mkdir(exist_ok=True)
    for left in 2, 1, 0:
        reload(distro)  # what was removed before needs none any more
        before = count_reloads(distro)
        begin = time.monotonic()
        for i in range(200):
            path.write_text(conf(uuid, "/mnt/flooded", Options=f"commit={i + 1}"))
            time.sleep(0.005)
        pauses = possible_pauses(begin, 2)
        wait_until(lambda: options_in_force(distro, "flooded") == "commit=200", SOON, "the last one to count")
        mount = wait_mounted(distro, "/mnt/flooded")
        time.sleep(0.7)
        assert 1 <= count_reloads(distro) - before <= 3 + pauses
        if "commit=200" in mount["super"]:
            break
        # Who was held up for half a second made a pause, and what was there by then was mounted.
        assert left > 0, mount
        path.unlink()
        reload(distro)
        unmount_and_replug(distro, disk, "/mnt/flooded")


def test_neighbours_are_not_watched(distro):
    """What goes on beside the directories is no reason to reload."""
    reload(distro)  # what was removed before needs none any more
    before = count_reloads(distro)
    for directory in "/run", "/etc", "/usr/lib":
        distro.path(f"{directory}/neighbour").write_text("x")
        distro.path(f"{directory}/neighbour").unlink()
    time.sleep(0.8)
    assert count_reloads(distro) == before
