# SPDX-License-Identifier: LGPL-2.1-or-later
"""What programs see of volumes on D-Bus: objects, properties, signals, and who may do what."""

import shutil
import time
import xml.etree.ElementTree as ET
from uuid import uuid4

from bus import (DBUS_ERROR, ERROR, MANAGER, OBJECT_MANAGER, PROPERTIES, ROOT, SERVICE, VOLUME, Monitor, call_inside,
                 connect, refusal, volume_path)
from disks import LoopDisk, make_image
from machine import defer, wait_until
from volumes import conf, conf_path, configure, main_pid, mounts, reload, restart, unmount, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}

TIMES = "StateChangeTimestamp", "StateChangeTimestampMonotonic"
ADDED = "rw,nosuid,nodev,relatime,errors=remount-ro"


def absent(name, **changes):
    """What is published of a volume in /mnt/NAME that is absent, but for the times."""
    return {"Name": name, "ConfigPath": conf_path(name), "State": "absent", "Auto": True, "Device": "", "DiskSequence": 0,
            "UUID": "", "Label": "", "Type": "", "Where": f"/mnt/{name}", "Options": "", "MountedOptions": "",
            "ReadOnly": False, "Stale": False, "Candidates": [], "Attempts": 0, "NextRetryTimestampMonotonic": 0,
            "LatencyUSec": 0, "Failure": ("", 0, ""), "Holders": [], **changes}


def there(name, disk, uuid, **changes):
    """The same of one whose device is there."""
    found = {"State": "unmounted", "Device": disk.node, "DiskSequence": disk.diskseq, "UUID": uuid, "Type": "ext4",
             "Candidates": [disk.node], **changes}
    return absent(name, **found)


def published(bus, name, leave_out=("LatencyUSec",)):
    """The properties, but for the times."""
    found = bus.volume(name)
    return {key: value for key, value in found.items() if key not in TIMES and key not in leave_out}


def expect(bus, expected, timeout=10):
    """Waits until a volume is in the state, and compares all that is published of it."""
    name = expected["Name"]
    wait_until(lambda: bus.volume(name)["State"] == expected["State"], timeout, f"{name} to be {expected['State']}")
    found = published(bus, name)
    differences = {key: (found.get(key), value) for key, value in expected.items()
                   if key != "LatencyUSec" and found.get(key) != value}
    assert not differences, f"{name}, what is and what should be: {differences}"
    assert found.keys() == expected.keys() - {"LatencyUSec"}


def settle(distro):
    distro.run("udevadm settle")


def make(distro, tmp, name, attach=True, label="", **mount):
    """A volume on a disk: UUID and disk."""
    uuid = make_image("ext4", tmp / name, label=label)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **mount)})
    disk = LoopDisk(tmp / name) if attach else None
    return uuid, disk


# Objects.


def described(text):
    """interface → what it has, of introspection data."""
    found = {}
    for interface in ET.fromstring(text).findall("interface"):
        members = set()
        for member in interface:
            if member.tag == "property":
                members.add((member.get("name"), member.get("type"), member.get("access")))
            elif member.tag in ("method", "signal"):
                arguments = [(argument.get("type"), argument.get("direction", "in")) for argument in member.findall("arg")]
                members.add((member.get("name"), tuple(arguments)))
        found[interface.get("name")] = members
    return found


def test_tree(distro):
    uuid = str(uuid4())
    configure(distro, {name: conf(uuid, f"/mnt/{name}") for name in ("tree", "1st.a-b_c")})
    tree = distro.run(["busctl", "tree", "--list", SERVICE]).stdout.split()
    # The organisation's path, and what is above it, hold nothing.
    assert [path for path in tree if path.startswith(ROOT)] == [
        ROOT, f"{ROOT}/volume", f"{ROOT}/volume/_31st_2ea_2db_5fc", f"{ROOT}/volume/tree"], tree
    assert volume_path("1st.a-b_c") == tree[-2]
    with connect(distro) as bus:
        objects = bus.call(SERVICE, ROOT, OBJECT_MANAGER, "GetManagedObjects")[0]
        assert {path for path in objects if path != ROOT} == {volume_path("tree"), volume_path("1st.a-b_c")}
        assert objects[volume_path("tree")][VOLUME]["Name"] == "tree"


def test_introspection(distro):
    """As the files that are installed say, method by method, with types."""
    configure(distro, {"shown": conf(None, "/mnt/shown", {"Label": "shown"})})
    with connect(distro) as bus:
        for path, interface in (ROOT, MANAGER), (volume_path("shown"), VOLUME):
            (text,) = bus.call(SERVICE, path, "org.freedesktop.DBus.Introspectable", "Introspect")
            file = distro.path(f"/usr/share/dbus-1/interfaces/{interface}.xml").read_text()
            assert described(text)[interface] == described(file)[interface], interface
            # And what it says is what there is.
            assert bus.properties(path, interface).keys() == {
                member[0] for member in described(text)[interface] if len(member) == 3}
            shown = distro.run(["busctl", "introspect", SERVICE, path, interface]).stdout
            assert "emits-change" in shown and "writable" not in shown, shown


def test_lists(distro, tmp):
    uuid, disk = make(distro, tmp, "listed", label="a label")
    wait_mounted(distro, "/mnt/listed")
    configure(distro, {"away": conf(None, "none", {"Label": "away"})})
    with connect(distro) as bus:
        wait_until(lambda: bus.volume("listed")["State"] == "mounted", what="it to be published")
        assert bus.manager("ListVolumes") == [
            ("away", bus.volume("away")["State"], "none", "", volume_path("away")),
            ("listed", "mounted", "/mnt/listed", disk.node, volume_path("listed"))]
        assert bus.manager("GetVolume", "s", "listed") == volume_path("listed")
        for name in "nobody", "", "../listed", "listed\n":
            assert refusal(bus.manager, "GetVolume", "s", name).name == f"{ERROR}NoSuchVolume"
        assert refusal(bus.volume, "nobody").name == f"{DBUS_ERROR}UnknownObject"
        (device,) = [d for d in bus.manager("ListDevices") if d["Node"] == disk.node]
        assert device == {"Node": disk.node, "UUID": uuid, "Label": "a label", "Type": "ext4", "Size": 32 << 20,
                          "Content": "filesystem", "Ready": True, "Volumes": ["listed"]}, device
        assert bus.properties()["NVolumes"] == 2 and bus.properties()["NMounted"] == 1


# Properties.


def test_life(distro, tmp):
    """Absent, mounted, unmounted by request, mounted again, gone; each also after a restart."""
    uuid, _ = make(distro, tmp, "life", attach=False, label="alive", Options="noatime,commit=7")
    mine = {"Label": "alive", "Options": "noatime,commit=7"}
    with connect(distro) as bus:
        def both(expected):
            expect(bus, expected)
            restart(distro)
            expect(bus, expected)

        both(absent("life", Options=mine["Options"]))
        before = time.time_ns() // 1000
        disk = LoopDisk(tmp / "life")
        mounted = there("life", disk, uuid, State="mounted", **mine,
                        MountedOptions="rw,nosuid,nodev,noatime,errors=remount-ro,commit=7")
        expect(bus, mounted)
        assert 0 < bus.volume("life")["LatencyUSec"] <= time.time_ns() // 1000 - before
        at = bus.volume("life")["StateChangeTimestamp"]
        assert before <= at <= time.time_ns() // 1000
        monotonic = bus.volume("life")["StateChangeTimestampMonotonic"]
        assert 0 < monotonic <= time.monotonic_ns() // 1000
        both(mounted)
        assert refusal(bus.ask, "life", "Mount").name == f"{ERROR}AlreadyMounted"

        bus.ask("life", "Unmount")
        assert not mounts(distro, "/mnt/life")
        both(there("life", disk, uuid, **mine))
        assert bus.properties()["NMounted"] == 0
        assert refusal(bus.ask, "life", "Unmount").name == f"{ERROR}NotMounted"

        bus.ask("life", "Mount")
        assert mounts(distro, "/mnt/life")
        both(mounted)
        bus.ask("life", "Unmount")
        disk.detach(timeout=5)
        expect(bus, absent("life", Options=mine["Options"]))
        assert refusal(bus.ask, "life", "Mount").name == f"{ERROR}DeviceAbsent"
        # It is attached anew, and the intent of then is over.
        disk.attach()
        expect(bus, {**mounted, "Device": disk.node, "DiskSequence": disk.diskseq, "Candidates": [disk.node]})


def test_ambiguous(distro, tmp):
    uuid = make_image("ext4", tmp / "a")
    shutil.copyfile(tmp / "a", tmp / "b")
    disks = [LoopDisk(tmp / name) for name in "ab"]
    settle(distro)
    configure(distro, {"two": conf(uuid, "/mnt/two")})
    nodes = sorted(disk.node for disk in disks)
    with connect(distro) as bus:
        for _ in range(2):
            wait_until(lambda: bus.volume("two")["State"] == "ambiguous", what="it to be ambiguous")
            found = published(bus, "two")
            step, errno, text = found.pop("Failure")
            assert step == "probe" and all(node in text for node in nodes), text
            assert sorted(found.pop("Candidates")) == nodes
            expected = absent("two", State="ambiguous")
            assert found == {key: value for key, value in expected.items() if key in found}
            assert bus.properties()["State"] == "degraded"
            assert refusal(bus.ask, "two", "Mount").name == f"{ERROR}Ambiguous"
            restart(distro)
        disks[1].detach(timeout=5)
        expect(bus, there("two", disks[0], uuid, State="mounted", MountedOptions=ADDED))
        assert bus.properties()["State"] == "running"


def test_unsupported(distro, tmp):
    uuid = make_image("swap", tmp / "swap")
    disk = LoopDisk(tmp / "swap")
    settle(distro)
    configure(distro, {"swap": conf(uuid, "/mnt/swap")})
    with connect(distro) as bus:
        for _ in range(2):
            wait_until(lambda: bus.volume("swap")["State"] == "unsupported", what="it to be unsupported")
            step, _, text = bus.volume("swap")["Failure"]
            assert step == "probe" and "swap" in text and disk.node in text, (step, text)
            failure = bus.volume("swap")["Failure"]
            expect(bus, there("swap", disk, uuid, State="unsupported", Type="swap", Failure=failure))
            assert bus.properties()["State"] == "degraded"
            assert refusal(bus.ask, "swap", "Mount").name == f"{ERROR}NotSupported"
            restart(distro)


def test_failed(distro, tmp):
    begin = time.monotonic_ns() // 1000
    uuid, disk = make(distro, tmp, "bad", attach=True, Options="nosuchthing", RetrySec=60, RetryLimit=2)
    with connect(distro) as bus:
        for _ in range(2):
            wait_until(lambda: bus.volume("bad")["State"] == "failed", what="it to fail")
            found = bus.volume("bad")
            step, errno, text = found["Failure"]
            assert (step, errno) == ("mount", 22) and "nosuchthing" in text, found["Failure"]
            assert found["Attempts"] == 1
            # A minute after it failed, which was between then and now.
            retry = found["NextRetryTimestampMonotonic"] - 60_000_000
            assert begin < retry <= time.monotonic_ns() // 1000, found
            expect(bus, there("bad", disk, uuid, State="failed", Options="nosuchthing", Attempts=1,
                              NextRetryTimestampMonotonic=found["NextRetryTimestampMonotonic"], Failure=found["Failure"]))
            assert bus.properties()["NFailed"] == 1 and bus.properties()["State"] == "degraded"
            begin = time.monotonic_ns() // 1000
            restart(distro)
        wait_until(lambda: bus.volume("bad")["State"] == "failed", what="it to fail")
        # Asked for, it tries at once, and says why not.
        error = refusal(bus.ask, "bad", "Mount")
        assert error.name == f"{ERROR}MountFailed" and "nosuchthing" in error.text, error
        # It stays readable when the device is gone.
        disk.detach(timeout=5)
        wait_until(lambda: bus.volume("bad")["State"] == "absent", what="it to be absent")
        assert bus.volume("bad")["Failure"][0] == "mount"


def test_auto_and_nowhere(distro, tmp):
    uuids = [make_image("ext4", tmp / name) for name in "ab"]
    configure(distro, {"asked": conf(uuids[0], "/mnt/asked", Auto="no"), "nowhere": conf(uuids[1], "none")})
    disks = [LoopDisk(tmp / name) for name in "ab"]
    with connect(distro) as bus:
        for _ in range(2):
            expect(bus, there("asked", disks[0], uuids[0], Auto=False))
            expect(bus, there("nowhere", disks[1], uuids[1], Where="none"))
            restart(distro)
        assert refusal(bus.ask, "nowhere", "Mount").name == f"{ERROR}NotSupported"
        bus.ask("asked", "Mount")
        expect(bus, there("asked", disks[0], uuids[0], Auto=False, State="mounted", MountedOptions=ADDED))


def test_read_only_device(distro, tmp):
    uuid = make_image("ext4", tmp / "ro")
    configure(distro, {"ro": conf(uuid, "/mnt/ro")})
    disk = LoopDisk(tmp / "ro", read_only=True)
    with connect(distro) as bus:
        for _ in range(2):
            expect(bus, there("ro", disk, uuid, State="mounted", ReadOnly=True,
                              MountedOptions=ADDED.replace("rw", "ro", 1)))
            restart(distro)


def test_stale(distro, tmp):
    uuid, disk = make(distro, tmp, "stale")
    with connect(distro) as bus:
        mounted = there("stale", disk, uuid, State="mounted", MountedOptions=ADDED)
        expect(bus, mounted)
        distro.write(conf_path("stale"), conf(uuid, "/mnt/stale", Options="noatime"))
        reload(distro)
        for _ in range(2):
            expect(bus, {**mounted, "Stale": True, "Options": "noatime"})
            restart(distro)
        bus.ask("stale", "Unmount")
        bus.ask("stale", "Mount")
        expect(bus, {**mounted, "Options": "noatime", "MountedOptions": ADDED.replace("relatime", "noatime")})


def test_stale_by_another_hand(distro, tmp):
    """What somebody else mounted lacks what the file asks for, until it is there, however often that is looked at."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    settle(distro)
    distro.shell(f"mkdir -p /mnt/theirs; mount -o nosuid,nodev {disk.node} /mnt/theirs")
    configure(distro, {"theirs": conf(uuid, "/mnt/theirs", Options="noexec")})
    with connect(distro) as bus:
        for _ in range(3):
            wait_until(lambda: bus.volume("theirs")["State"] == "mounted", what="the mount to be taken over")
            assert bus.volume("theirs")["Stale"]
            restart(distro)
        distro.run("mount -o remount,noexec /mnt/theirs")
        restart(distro)
        wait_until(lambda: bus.volume("theirs")["State"] == "mounted", what="the mount to be looked at")
        assert not bus.volume("theirs")["Stale"]


def test_bad_file(distro, tmp):
    """What is mounted stays so when its file turns bad, and says why nothing new comes of it."""
    uuid, disk = make(distro, tmp, "turned")
    with connect(distro) as bus:
        mounted = there("turned", disk, uuid, State="mounted", MountedOptions=ADDED)
        expect(bus, mounted)
        distro.write(conf_path("turned"), conf(uuid, "/mnt/turned", Optoins="x"))
        reload(distro)
        assert bus.volume("turned")["State"] == "mounted"
        assert bus.volume("turned")["Failure"][0] == "config"
        ((file, line, severity, text),) = bus.properties()["ConfigProblems"]
        assert (file, line, severity) == (conf_path("turned"), 6, "error") and "Options" in text, text
        assert bus.properties()["State"] == "degraded"
        bus.ask("turned", "Unmount")
        assert refusal(bus.ask, "turned", "Mount").name == f"{ERROR}ConfigInvalid"
        distro.write(conf_path("turned"), conf(uuid, "/mnt/turned"))
        reload(distro)
        assert bus.properties()["ConfigProblems"] == []
        bus.ask("turned", "Mount")
        expect(bus, mounted)


# Signals.

def names(text):
    return " ".join(sorted(text.split()))


def test_signals(distro, tmp):
    """Attach, unmount by request, mount by request, detach: what a program hears, in this order, and no more."""
    uuid, _ = make(distro, tmp, "heard", attach=False, label="heard")
    where = volume_path("heard").removeprefix(ROOT)
    times = " ".join(TIMES)
    content = "Candidates Device DiskSequence Label Type UUID"
    with connect(distro) as bus, Monitor(distro) as monitor:
        wait_until(lambda: bus.volume("heard")["State"] == "absent", what="it to be absent")

        def expect_story(*expected):
            expected = [(path, names(text)) for path, text in expected]
            try:
                wait_until(lambda: len(monitor.story()) >= start + len(expected), what="the signals")
            except TimeoutError:
                pass
            time.sleep(0.1)
            assert monitor.story()[start:] == expected, (monitor.story()[start:], expected)
            return len(monitor.story())

        start = len(monitor.story())
        disk = LoopDisk(tmp / "heard")
        start = expect_story((where, f"State=mounting {content} {times}"),
                             (where, f"State=mounted MountedOptions LatencyUSec {times}"),
                             ("", "NMounted"))
        bus.ask("heard", "Unmount")
        start = expect_story((where, f"State=unmounting {times}"), ("", "NMounted"),
                             (where, f"State=unmounted MountedOptions {times}"))
        bus.ask("heard", "Mount")
        start = expect_story((where, f"State=mounting {times}"),
                             (where, f"State=mounted MountedOptions LatencyUSec {times}"), ("", "NMounted"))
        bus.ask("heard", "Unmount", lazy=True)
        start = expect_story((where, f"State=unmounting {times}"), ("", "NMounted"),
                             (where, f"State=unmounted MountedOptions {times}"))
        disk.detach(timeout=5)
        expect_story((where, f"State=absent {content} {times}"))


def test_signals_come_before_the_reply(distro, tmp):
    uuid, _ = make(distro, tmp, "first")
    wait_mounted(distro, "/mnt/first")
    with connect(distro) as bus:
        wait_until(lambda: bus.volume("first")["State"] == "mounted", what="it to be published")
        bus.match(f"type='signal',sender='{SERVICE}'")
        for member, state in ("Unmount", "unmounted"), ("Mount", "mounted"):
            bus.signals.clear()
            bus.ask("first", member)
            told = [m.body[1]["State"] for m in bus.signals if m.path == volume_path("first")]
            assert told[-1] == state, told


def test_signals_of_reload(distro, tmp):
    """A file is added, and one removed."""
    where = volume_path("added").removeprefix(ROOT)
    settle(distro)
    reload(distro)  # else what the last test removed would be one, half a second after it
    with connect(distro) as bus, Monitor(distro) as monitor:
        start = len(monitor.story())
        distro.write(conf_path("added"), conf(str(uuid4()), "/mnt/added"))
        defer(lambda: distro.path(conf_path("added")).unlink(missing_ok=True))
        bus.manager("Reload")
        wait_until(lambda: len(monitor.story()) >= start + 3, what="the signals")
        told = monitor.story()[start:start + 3]
        assert told[0] == ("", "State=reloading"), told
        assert told[1][0] == where and told[1][1].split() in (["InterfacesAdded", "absent"], ["InterfacesAdded", "probing"])
        assert told[2][0] == "" and {"State=running", "NVolumes"} <= set(told[2][1].split()), told

        wait_until(lambda: bus.volume("added")["State"] == "absent", what="it to be absent")
        distro.path(conf_path("added")).unlink()

        def removals():
            return [i for i, item in enumerate(monitor.story()) if item == (where, "InterfacesRemoved")]

        wait_until(lambda: (i := removals()) and len(monitor.story()) > i[0] + 1, what="the removal to be told of")
        told, removed = monitor.story(), removals()
        assert len(removed) == 1, told
        assert told[removed[0] - 1] == ("", "State=reloading")
        assert {"State=running", "NVolumes"} <= set(told[removed[0] + 1][1].split())
        assert refusal(bus.volume, "added").name == f"{DBUS_ERROR}UnknownObject"
        assert bus.manager("ListVolumes") == []


# Who may.

READING = (
    (ROOT, MANAGER, "ListVolumes", ""),
    (ROOT, MANAGER, "GetVolume", "s", "guarded"),
    (ROOT, MANAGER, "ListDevices", ""),
    (ROOT, PROPERTIES, "GetAll", "s", MANAGER),
    (ROOT, PROPERTIES, "Get", "ss", MANAGER, "State"),
    (ROOT, OBJECT_MANAGER, "GetManagedObjects", ""),
    (ROOT, "org.freedesktop.DBus.Introspectable", "Introspect", ""),
    (ROOT, "org.freedesktop.DBus.Peer", "Ping", ""),
    (volume_path("guarded"), PROPERTIES, "GetAll", "s", VOLUME),
    (volume_path("guarded"), "org.freedesktop.DBus.Introspectable", "Introspect", ""),
)
CHANGING = (
    (ROOT, MANAGER, "Reload", ""),
    (ROOT, MANAGER, "Rescan", ""),
    (volume_path("guarded"), VOLUME, "Unmount", "a{sv}", {}),
    (volume_path("guarded"), VOLUME, "Unmount", "a{sv}", {"lazy": ("b", True)}),
    (volume_path("guarded"), VOLUME, "Mount", "a{sv}", {}),
    (volume_path("guarded"), VOLUME, "Eject", "a{sv}", {}),
)
RULE = """\
polkit.addRule(function(action, subject) {
        if (action.id == "org.wslbare1.mount" && subject.user == "nobody" && action.lookup("volume") == "guarded")
                return polkit.Result.YES;
});
"""


def check_rights(distro, allowed=()):
    before = main_pid(distro, "wslbared.service")
    for call, result in zip(READING, call_inside(distro, "nobody", READING)):
        assert isinstance(result, list), f"nobody may not even read {call}: {result}"
    for call, result in zip(CHANGING, call_inside(distro, "nobody", CHANGING)):
        if call[2] not in allowed:
            assert getattr(result, "name", None) == f"{DBUS_ERROR}AccessDenied", f"{call}: {result}"
    # Nobody writes a property, not even root.
    write = [(ROOT, PROPERTIES, "Set", "ssv", MANAGER, "State", ("s", "x"))]
    for user in "nobody", "root":
        assert call_inside(distro, user, write)[0].name in (f"{DBUS_ERROR}PropertyReadOnly", f"{DBUS_ERROR}AccessDenied")
    assert main_pid(distro, "wslbared.service") == before


def test_rights_without_polkit(distro, tmp):
    make(distro, tmp, "guarded")
    mount = wait_mounted(distro, "/mnt/guarded")
    check_rights(distro)
    assert mounts(distro, "/mnt/guarded") == [mount]
    results = call_inside(distro, "root", CHANGING[:3] + CHANGING[4:])
    assert all(result == [] for result in results), results


def test_rights_with_polkit(distro, tmp):
    make(distro, tmp, "guarded", Auto="no")
    with connect(distro) as bus:
        wait_until(lambda: bus.volume("guarded")["State"] == "unmounted", what="it to be there")
        distro.systemctl("start", "polkit")
        defer(lambda: distro.systemctl("stop", "polkit"))
        check_rights(distro)
        assert not mounts(distro, "/mnt/guarded")

        distro.write("/etc/polkit-1/rules.d/10-test.rules", RULE)
        defer(lambda: distro.path("/etc/polkit-1/rules.d/10-test.rules").unlink())
        distro.systemctl("restart", "polkit")
        check_rights(distro, allowed=["Mount"])
        wait_mounted(distro, "/mnt/guarded")
        # That was Mount of this volume, and nothing else.
        assert call_inside(distro, "nobody", CHANGING[2:3])[0].name == f"{DBUS_ERROR}AccessDenied"
        assert call_inside(distro, "nobody", CHANGING[4:])[0].name == f"{ERROR}AlreadyMounted"
        bus.ask("guarded", "Unmount")
