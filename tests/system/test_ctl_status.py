# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl status and list."""

import json
import os
import re
import signal
import time

from bus import Monitor
from disks import LoopDisk, make_image
from machine import defer, patience, wait_until
from volumes import conf, configure, reload, said, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}


def ctl(distro, arguments="", **options):
    return distro.run(f"wslbarectl {arguments}", check=False, **options)


def rows(distro, arguments=""):
    """What --json prints of the volumes: name → dictionary."""
    done = ctl(distro, f"{arguments} --json")
    assert done.returncode == 0, done
    return {row["name"]: row for row in json.loads(done.stdout)["volumes"]}


def one_of_each(distro, tmp, prefix):
    """A volume that is mounted, one that is absent, and one that failed."""
    uuids = [make_image("ext4", tmp / name, label=name) for name in ("good", "bad")]
    configure(distro, {
        f"{prefix}good": conf(uuids[0], f"/mnt/{prefix}good"),
        f"{prefix}away": conf(None, f"/mnt/{prefix}away", {"Label": "away"}),
        f"{prefix}bad": conf(uuids[1], f"/mnt/{prefix}bad", Options="nonsense", RetryLimit=0),
    })
    disk = LoopDisk(tmp / "good")
    LoopDisk(tmp / "bad")
    wait_mounted(distro, f"/mnt/{prefix}good")
    wait_state(distro, f"{prefix}bad", "failed")
    return disk


def test_overview(distro, tmp):
    disk = one_of_each(distro, tmp, "o")
    wait_until(lambda: rows(distro)["ogood"]["fsuse%"] is not None, what="its filesystem to answer in time")
    done = ctl(distro)
    assert done.returncode == 0 and not done.stderr, done
    assert ctl(distro, "status").stdout.splitlines()[0] == done.stdout.splitlines()[0]
    head, away, bad, good, *notes = done.stdout.splitlines()  # which may end in hints at disks of this machine
    assert head.split() == ["NAME", "STATE", "DEVICE", "SIZE", "FSUSE%", "TARGET", "SINCE"], head
    assert re.fullmatch(r"○ oaway +absent +/mnt/oaway +\d.* ago", away), away
    assert re.fullmatch(rf"● ogood +mounted +{disk.node} +32M +\d+% +/mnt/ogood +\d.* ago", good), good
    assert re.fullmatch(r"× obad +failed +/dev/loop\d+ +32M +/mnt/obad +\d.* ago", bad), bad
    # What is wrong, and what helps, is below.
    assert notes[0] == "× obad - /mnt/obad", notes
    assert re.match(" +Failure: at mount: .*nonsense", notes[1]), notes
    assert re.search(" +Attempts: 1, and no more", notes[2]), notes
    assert re.search(" +Cure: .*`wslbarectl mount obad`", notes[3]), notes
    assert not any(note.startswith("×") for note in notes[1:]), notes
    # Everybody may see it.
    assert ctl(distro, user="nobody").stdout.splitlines()[:2] == [head, away]


def test_table_options(distro, tmp):
    one_of_each(distro, tmp, "t")
    plain = ctl(distro, "--no-legend").stdout.splitlines()
    assert [line.split()[1] for line in plain] == ["taway", "tbad", "tgood"], plain
    assert ctl(distro, "status --no-legend -o STATE,name").stdout.splitlines() == \
        ["absent  taway", "failed  tbad", "mounted tgood"]
    head, *_ = ctl(distro, "list -o +step,uuid").stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "DEVICE", "SIZE", "FSUSE%", "TARGET", "SINCE", "STEP", "UUID"], head
    help = ctl(distro, "status --help").stdout
    assert re.search("^  FSUSE% +how full", help, re.M) and "--json" in help, help


def test_json(distro, tmp):
    disk = one_of_each(distro, tmp, "j")
    wait_until(lambda: rows(distro, "status") == rows(distro, "list") == rows(distro), what="the same to be shown by all")
    found = wait_until(lambda: (found := rows(distro))["jgood"]["fssize"] and found, what="the filesystem to answer in time")
    assert list(found) == ["jaway", "jbad", "jgood"]
    good, bad, away = found["jgood"], found["jbad"], found["jaway"]
    assert (good["state"], good["device"], good["target"], good["label"]) == \
        ("mounted", disk.node, "/mnt/jgood", "good")
    assert good["size"] == 32 << 20 and 0 < good["fsused"] < good["fssize"] < good["size"]
    st = os.statvfs(distro.path("/mnt/jgood"))
    assert good["fssize"] == st.f_blocks * st.f_frsize and good["fsavail"] == st.f_bavail * st.f_frsize
    assert 0 <= good["fsuse%"] <= 100 and good["latency"] > 0
    assert good["ro"] is False and good["auto"] is True and good["reason"] is None
    assert abs(time.time() - time.mktime(time.strptime(good["since"][:19], "%Y-%m-%dT%H:%M:%S"))) < 86400
    assert bad["step"] == "mount" and "nonsense" in bad["reason"] and bad["cure"] and bad["attempts"] == 1
    assert bad["fssize"] is None
    assert away["device"] is None and away["size"] is None and away["file"] == "/etc/wslbare.d/jaway.conf"
    assert list(rows(distro, "list jgood")) == ["jgood"]
    done = ctl(distro, "list --json -o name,size jgood")
    assert json.loads(done.stdout) == {"volumes": [{"name": "jgood", "size": 32 << 20}]}, done


def test_named(distro, tmp):
    disk = one_of_each(distro, tmp, "n")
    assert said(distro, "ngood", "is mounted:")
    done = ctl(distro, "status ngood")
    assert done.returncode == 0, done
    assert done.stdout.startswith("● ngood - /mnt/ngood\n"), done.stdout
    for wanted in ("State: mounted since ", f"Device: {disk.node}, 32M, ext4\n", "Label: good\n",
                   "of 2", "In force: rw,nosuid,nodev,", "File: /etc/wslbare.d/ngood.conf\n"):
        assert wanted in done.stdout, (wanted, done.stdout)
    # And the journal's last words.
    assert re.search(r"\n\n.* wslbare\w+\[\d+\]: ", done.stdout), done.stdout
    assert "]: " not in ctl(distro, "status -n0 ngood").stdout
    assert ctl(distro, "status --lines=1 ngood").stdout.count("]: ") == 1
    # One that needs help is told by the exit status.
    done = ctl(distro, "status ngood nbad")
    assert done.returncode == 4 and "Failure: at mount: " in done.stdout, done
    assert ctl(distro, "status naway").returncode == 0
    done = ctl(distro, "status ngood nobody")
    assert done.returncode == 5 and "'nobody'" in done.stderr and not done.stdout, done


def test_usage(distro):
    for arguments in ("--nonsense", "status --nonsense", "list --nonsense", "status ../x", "list ../x", "-o nonsense",
                      "list -o name,", "status --lines=x", "status -n -1", "status --lines=1001", "nonsense", "list -o ''",
                      "status -o"):
        done = ctl(distro, arguments)
        expected = 0 if arguments == "list -o name," else 2
        assert done.returncode == expected and bool(done.stderr) == bool(expected), (arguments, done)
    assert "there is no column 'nonsense'" in ctl(distro, "-o nonsense").stderr
    assert "there is no verb 'nonsense'" in ctl(distro, "nonsense").stderr
    assert "wslbarectl: unrecognized option '--nonsense'" in ctl(distro, "list --nonsense").stderr


def test_nothing(distro):
    reload(distro)
    done = ctl(distro)
    assert done.returncode == 0 and "No volumes are configured" in done.stdout, done
    assert ctl(distro, "list").stdout == ctl(distro, "--no-legend").stdout == ""
    assert rows(distro) == {}


def test_problems(distro):
    configure(distro, {"wrong": "[Match]\nLabel=x\n\n[Mount]\nWhere=mnt\nOption=noatime\n"})
    done = ctl(distro)
    assert done.returncode == 0, done
    assert re.search(r"^/etc/wslbare.d/wrong.conf:5: error: .*mnt", done.stdout, re.M), done.stdout
    assert re.search(r"^/etc/wslbare.d/wrong.conf:6: error: .*Options", done.stdout, re.M), done.stdout


def test_not_in_force(distro):
    """A volume whose file is there: it has errors, or is masked."""
    configure(distro, {"wrong": "[Match]\nLabel=x\n[Mount]\nWhere=relative\n", "masked": ""})
    for arguments in "status wrong", "list wrong", "mount wrong", "wait wrong", "show wrong":
        done = ctl(distro, arguments)
        assert done.returncode == 1 and "/etc/wslbare.d/wrong.conf:4: Where=relative" in done.stderr, (arguments, done)
        assert not done.stdout, (arguments, done)
    for arguments in "status masked", "list masked", "mount masked", "wait masked", "show masked":
        done = ctl(distro, arguments)
        assert done.returncode == 5 and "masked by /etc/wslbare.d/masked.conf" in done.stderr, (arguments, done)


def test_hints(distro, tmp):
    """A volume that is absent, and a disk that may be meant by it."""
    uuid = make_image("ext4", tmp / "image", label="stray")
    slip = uuid[:-1] + ("0" if uuid[-1] != "0" else "1")
    configure(distro, {"slip": conf(slip, "none"), "other": conf(None, "none", {"Serial": "completely different"})})
    LoopDisk(tmp / "image")
    shown = wait_until(lambda: (text := ctl(distro).stdout) and "slip is absent" in text and text, what="the hint")
    assert re.search(rf"^slip is absent, while /dev/loop\d+ \(ext4, label stray, UUID {uuid}\) fits no volume: UUID= wants {slip}, "
                     rf"and it is {uuid}; if it is meant, mend /etc/wslbare.d/slip.conf$", shown, re.M), shown
    configure(distro, {"slip": "", "third": conf(None, "none", {"Serial": "nobody has it"})})
    shown = ctl(distro).stdout
    assert re.search(rf"^/dev/loop\d+ \(ext4, label stray, UUID {uuid}\) fits no volume, while absent: other, third; "
                     r"`wslbarectl devices /dev/loop\d+` says why$", shown, re.M), shown
    # With all there, nothing is to be said.
    configure(distro, {"other": "", "third": conf(uuid, "none")})
    wait_until(lambda: rows(distro)["third"]["state"] == "unmounted", what="it to fit")
    assert "fits no volume" not in ctl(distro).stdout


def test_color(distro, tmp):
    """On a terminal only, and not where NO_COLOR is set."""
    one_of_each(distro, tmp, "c")

    def terminal(environment, arguments=""):
        return distro.run(["env", *environment.split(), "script", "-qec", f"wslbarectl {arguments}", "/dev/null"]).stdout

    shown = terminal("TERM=xterm")
    assert "\x1b[0;32m●" in shown and "\x1b[0;31mfailed" in shown, shown
    assert "\x1b[0;32mmounted" in terminal("TERM=xterm", "status -n0 cgood")
    for environment in "TERM=xterm NO_COLOR=1", "TERM=dumb", "LC_ALL=C.UTF-8":
        assert "\x1b" not in terminal(environment), environment
    assert "\x1b" not in ctl(distro).stdout
    assert terminal("LC_ALL=C NO_COLOR=1").splitlines()[1].startswith("o caway")


def watching(distro, command):
    """What one that watches has printed so far."""
    distro.run(["systemd-run", "-q", "--unit=watching", "--property=StandardOutput=truncate:/tmp/watched",
                "--property=StandardError=journal", *command])
    defer(lambda: distro.shell("systemctl stop watching; systemctl reset-failed watching; rm -f /tmp/watched", check=False))
    path = distro.path("/tmp/watched")
    wait_until(path.exists, what="it to be started")
    return path.read_text


def test_watch(distro, tmp):
    """Whatever changes is told, also that wslbared goes and comes."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"watched": conf(uuid, "/mnt/watched")})

    def states():
        documents = re.split(r"(?<=\n})\n", shown())
        return [row["state"] for text in documents[:-1] for row in json.loads(text)["volumes"]]

    def is_quiet():
        before = len(states())
        time.sleep(0.5)
        return len(states()) == before

    shown = watching(distro, ["wslbarectl", "--watch", "--json", "-o", "name,state"])
    wait_until(lambda: set(states()) == {"absent"}, what="the first look")
    disk = LoopDisk(tmp / "image")
    wait_until(lambda: states()[-1] == "mounted", what="the mount to be told")
    distro.systemctl("restart", "wslbared")
    distro.run("wslbarectl wait --timeout=25 watched")
    distro.run("wslbarectl unmount watched")
    wait_until(lambda: states()[-1] == "unmounted", what="the unmount to be told")
    wait_until(is_quiet, what="the last word of it")
    seen = len(states())
    time.sleep(1.5)
    assert len(states()) == seen, "nothing changed, and it was told"
    assert distro.show("watching", "ActiveState") == "active"
    assert ctl(distro, "--watch nobody", timeout=5).returncode == 5


def test_watch_terminal(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"drawn": conf(uuid, "/mnt/drawn")})
    shown = watching(distro, ["script", "-qefc", "wslbarectl -w", "/dev/null"])
    wait_until(lambda: shown().count("\x1b[H\x1b[2J") >= 2, what="it to be drawn again by the clock")
    LoopDisk(tmp / "image")
    wait_until(lambda: re.search("drawn +mounted", shown().split("\x1b[H\x1b[2J")[-1]), what="the mount to be drawn")


def test_no_service(distro):
    distro.systemctl("stop", "wslbared")
    defer(lambda: distro.systemctl("start", "wslbared"))
    for arguments in "", "status x", "list --json":
        done = ctl(distro, arguments)
        assert done.returncode == 6 and "systemctl enable --now wslbared" in done.stderr and not done.stdout, done


def test_silent_filesystem(distro, tmp):
    """A filesystem that does not answer holds up nothing but what is said of itself."""
    uuids = [make_image("ntfs", tmp / "silent"), make_image("ext4", tmp / "other")]
    configure(distro, {"silent": conf(uuids[0], "/mnt/silent"), "talking": conf(uuids[1], "/mnt/talking")})
    LoopDisk(tmp / "silent")
    LoopDisk(tmp / "other")
    wait_mounted(distro, "/mnt/silent")
    wait_mounted(distro, "/mnt/talking")
    wait_until(lambda: rows(distro)["silent"]["fssize"], what="it to answer")
    pid = int(distro.run("pidof mount.ntfs ntfs-3g", check=False).stdout.split()[0])
    distro.run(f"kill -STOP {pid}")
    defer(lambda: distro.run(f"kill -CONT {pid}"))
    start = time.monotonic()
    found = rows(distro)
    assert time.monotonic() - start < 5 * patience
    assert found["silent"]["state"] == "mounted" and found["silent"]["fssize"] is None
    wait_until(lambda: rows(distro)["talking"]["fssize"], what="the other one to answer in time")
    start = time.monotonic()
    assert "Space:" not in ctl(distro, "status -n0 silent").stdout
    assert time.monotonic() - start < 5 * patience


def cpu_seconds(distro, command):
    done = distro.shell(f"TIMEFORMAT='%U %S'; time {command} >/dev/null")
    return sum(map(float, done.stderr.split()))


def test_many(distro, tmp):
    """200 volumes, all mounted, cost next to nothing: asked for by one call, and measured by one child."""
    uuid = make_image("ext4", tmp / "image")
    LoopDisk(tmp / "image")
    configure(distro, {f"many{i:03}": conf(uuid, f"/mnt/many{i:03}") for i in range(200)})
    wait_until(lambda: "200 of 200 mounted" in distro.show("wslbared", "StatusText"), 60, "them to be mounted")
    assert len(rows(distro)) == 200
    costs, others = [], []
    for _ in range(5):
        costs.append(cpu_seconds(distro, "wslbarectl"))
        # Who does nothing but ask for the same, and writes it down.
        others.append(cpu_seconds(distro, "busctl --json=short call org.wslbare1 /org/wslbare1 "
                                          "org.freedesktop.DBus.ObjectManager GetManagedObjects"))
    print(f"# status of 200 volumes: {min(costs) * 1000:.0f} ms of CPU; busctl: {min(others) * 1000:.0f} ms", flush=True)
    assert min(costs) < max(0.25, 10 * min(others)), (costs, others)
    with Monitor(distro) as monitor:
        distro.run("wslbarectl")

        def calls():
            return sorted(m["member"] for m in monitor.messages() if m["type"] == "method_call")

        wait_until(lambda: len(calls()) >= 2, what="the calls")
        time.sleep(0.3)
        assert calls() == ["GetAll", "GetManagedObjects"], calls()


test_many.timeout = 300
