# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl show: what is in force for a volume, why, and what would be done now."""

import json
import os
import re

from disks import HangingDisk, LoopDisk, make_image
from machine import defer, wait_until
from volumes import conf, conf_path, configure, mounts, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}


def ctl(distro, arguments, **options):
    return distro.run(f"wslbarectl show {arguments}", check=False, **options)


def shown(distro, name, **options):
    """What is printed as JSON: {key: setting} of [Match] and [Mount], the plan, and {file: used}."""
    done = ctl(distro, f"--json {name}", **options)
    assert done.returncode == 0 and not done.stderr, done
    found = json.loads(done.stdout)
    (plan,) = found["plan"]
    settings = {section: {row["key"]: row for row in found["settings"] if row["section"] == section}
                for section in ("Match", "Mount")}
    return settings["Match"], settings["Mount"], plan, {row["file"]: row["used"] for row in found["files"]}


def origin(row):
    return row["value"], row["origin"]


def traces(distro):
    """All that an act on a volume would change."""
    calls = len(distro.journal("wslbared")) + len(distro.journal("wslbare-mountd"))
    files = distro.shell("ls -lR --time-style=full-iso /etc/wslbare.d /run/wslbare-mountd /mnt").stdout
    return mounts(distro, "/mnt/data"), files, calls


def test_origins(distro, tmp):
    """Each value has the line that says so, or is the default; and looking at it changes nothing."""
    uuid = make_image("ext4", tmp / "image")
    text = f"# mine\n[Match]\nUUID={uuid.upper()}\n\n[Mount]\nWhere=/mnt/data\nOptions=noatime,nofail\nCheck=\nRetrySec=90\n"
    configure(distro, {"data": text})
    LoopDisk(tmp / "image")
    node = wait_mounted(distro, "/mnt/data")["source"]
    wait_until(lambda: distro.show("wslbare@data.target", "ActiveState") == "active", what="the target")
    wait_until(lambda: shown(distro, "data")[2]["action"] == "nothing", what="all to be done")
    before = traces(distro)
    path = conf_path("data")
    match, mount, plan, files = shown(distro, "data")
    assert origin(match["UUID"]) == (uuid, f"{path}:3") and match["UUID"]["line"] == 3, match
    assert match["Label"] == {"section": "Match", "key": "Label", "value": None, "origin": "default",
                              "file": None, "line": None}, match
    assert origin(mount["Options"]) == ("noatime,nofail", f"{path}:7") and mount["Options"]["file"] == path
    assert origin(mount["Check"]) == ("auto", "default")  # an empty value is none
    assert origin(mount["RetrySec"]) == ("1min 30s", f"{path}:9")
    assert origin(mount["MountTimeoutSec"]) == ("1min 30s", "default")
    assert origin(mount["DirectoryMode"]) == ("0755", "default")
    assert (plan["state"], plan["action"], plan["device"], plan["why"]) == ("mounted", "nothing", node, "it is mounted")
    assert (plan["type"], plan["options"]) == ("ext4", "rw,nosuid,nodev,noatime,errors=remount-ro"), plan
    assert files == {path: True}
    # As a person sees it, whoever that is.
    done = ctl(distro, "data", user="nobody")
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SECTION", "KEY", "VALUE", "ORIGIN"]
    assert re.search(rf"^Match +UUID +{uuid} +{path}:3$", done.stdout, re.M), done.stdout
    assert re.search("^Mount +Auto +yes +default$", done.stdout, re.M), done.stdout
    assert re.search("^ +Plan: nothing\n +Why: it is mounted$", done.stdout, re.M), done.stdout
    assert re.search("^ +State: mounted since ", done.stdout, re.M), done.stdout
    assert "\x1b" not in done.stdout and " Label " not in done.stdout, done.stdout
    assert traces(distro) == before


def test_read_only_by_option(distro):
    configure(distro, {"ro": conf(None, "/mnt/ro", {"Label": "ro"}, Options="ro", ReadOnly="no")})
    _, mount, plan, _ = shown(distro, "ro")
    assert origin(mount["ReadOnly"]) == ("yes", f"{conf_path('ro')}:6"), mount
    assert plan["options"] == "ro,nosuid,nodev", plan


def test_plans(distro, tmp):
    """Why nothing is done, and what is."""
    uuid = make_image("ext4", tmp / "image", label="there")
    configure(distro, {
        "absent": conf(None, "/mnt/absent", {"Label": "away"}),
        "near": conf(None, "/mnt/near", {"Label": "thera"}),
        "manual": conf(uuid, "/mnt/manual", Auto="no"),
        "nowhere": conf(uuid, "none"),
        "bad": conf(uuid, "/mnt/bad", Options="nonsense", RetryLimit=0),
        "again": conf(uuid, "/mnt/again", Options="nonsense", RetryLimit=1, RetrySec="1h"),
        "odd": conf(uuid, "/mnt/odd", Type="nosuchfs"),
    })
    disk = LoopDisk(tmp / "image")
    wait_state(distro, "manual", "unmounted")
    wait_state(distro, "bad", "failed")
    wait_state(distro, "again", "failed")
    wait_state(distro, "odd", "unsupported")
    wait_state(distro, "nowhere", "unmounted")
    for name, state, node, why in (("absent", "absent", None, "no device that was seen fits$"),
                                   ("near", "absent", None, f"{disk.node} nearly does: Label= wants thera"),
                                   ("manual", "unmounted", disk.node, "Auto=no: .*`wslbarectl mount manual`"),
                                   ("nowhere", "unmounted", disk.node, "Where=none"),
                                   ("bad", "failed", disk.node, "nonsense.*not tried again"),
                                   ("again", "failed", disk.node, "nonsense.*tried again in (1min|[1-5]?\\ds)"),
                                   ("odd", "unsupported", disk.node, "Nothing here mounts nosuchfs")):
        plan = shown(distro, name)[2]
        assert (plan["state"], plan["action"], plan["device"]) == (state, "nothing", node), (name, plan)
        assert re.search(why, plan["why"]), (name, plan)
    # By intent.
    distro.run("wslbarectl mount manual")
    distro.run("wslbarectl unmount manual")
    distro.write(conf_path("manual"), conf(uuid, "/mnt/manual"))
    wait_until(lambda: mounts(distro, "/mnt/manual") or "by intent" in str(shown(distro, "manual")[2]["why"]),
               what="the file to be loaded")


def test_at_work(distro, tmp):
    """What is done at this moment, and takes its time."""
    uuid = make_image("ext4", tmp / "slow")
    configure(distro, {"slow": conf(uuid, "/mnt/slow", Auto="no")})
    disk = HangingDisk(tmp / "slow")
    wait_state(distro, "slow", "unmounted")
    disk.hang()
    with disk.resumed():
        distro.run("wslbarectl mount --no-block slow")
        plan = shown(distro, "slow")[2]
        assert (plan["action"], plan["device"], plan["why"]) == ("mount", disk.node, "that is at work"), plan
        assert plan["state"] in ("probing", "checking", "mounting"), plan
    wait_mounted(distro, "/mnt/slow")
    wait_until(lambda: shown(distro, "slow")[2]["why"] == "it is mounted", what="all to be done")


def test_precedence(distro):
    """The file that wins, those that it hides, and masks."""
    paths = [f"{directory}/won.conf" for directory in
             ("/etc/wslbare.d", "/run/wslbare.d", "/usr/local/lib/wslbare.d", "/usr/lib/wslbare.d")]
    for i in 3, 1, 0:
        distro.write(paths[i], conf(None, f"/mnt/by{i}", {"Label": "won"}))
        defer(lambda i=i: distro.path(paths[i]).unlink(missing_ok=True))
    for used, hidden in (0, [1, 3]), (1, [3]), (3, []):
        _, mount, _, files = shown(distro, "won")
        assert origin(mount["Where"]) == (f"/mnt/by{used}", f"{paths[used]}:5"), (used, mount)
        assert files == {paths[used]: True, **{paths[i]: False for i in hidden}}, files
        text = ctl(distro, "won").stdout
        assert re.findall("^ Overrides: (.*)$", text, re.M) == [paths[i] for i in hidden], text
        distro.path(paths[used]).unlink()
    distro.write(paths[3], conf(None, "/mnt/by3", {"Label": "won"}))
    distro.run(["ln", "-s", "/dev/null", paths[0]])
    done = ctl(distro, "won")
    assert done.returncode == 5 and f"'won' is masked by {paths[0]}" in done.stderr and not done.stdout, done


def test_without_service(distro):
    """What is configured is told all the same, and that the plan is not known."""
    configure(distro, {"quiet": conf(None, "/mnt/quiet", {"Label": "quiet", "Type": "ext4"})})
    distro.systemctl("stop", "wslbared")
    defer(lambda: distro.systemctl("start", "wslbared"))
    match, _, plan, _ = shown(distro, "quiet")
    assert origin(match["Label"]) == ("quiet", f"{conf_path('quiet')}:2")
    assert (plan["state"], plan["action"], plan["why"]) == (None, "unknown", "wslbared does not run"), plan
    assert plan["options"] == "rw,nosuid,nodev,errors=remount-ro", plan
    assert re.search("Plan: unknown\n +Why: wslbared does not run", ctl(distro, "quiet").stdout)
    assert ctl(distro, "nobody").returncode == 5


def test_table(distro):
    configure(distro, {"short": conf(None, "none", {"Label": "short"})})
    done = ctl(distro, "--no-legend -o key,line short")
    assert done.returncode == 0 and "Plan" not in done.stdout, done
    assert [line.split() for line in done.stdout.splitlines()[:3]] == [["Label", "2"], ["Where", "5"], ["ReadOnly"]], done
    assert json.loads(ctl(distro, "--json -o key short").stdout)["settings"][0] == {"key": "UUID"}


def test_colours(distro):
    """On terminals, and nowhere else."""
    configure(distro, {"grey": conf(None, "none", {"Label": "grey"})})
    command = ["script", "-qec", "wslbarectl show grey", "/dev/null"]
    assert "\x1b[" in distro.run(["env", "TERM=xterm", *command]).stdout
    assert "\x1b[" not in distro.run(["env", "TERM=xterm", "NO_COLOR=1", *command]).stdout


def test_usage(distro):
    for arguments in "", "a b", "../x", "--nonsense x", "-o nonsense x":
        done = ctl(distro, arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    done = ctl(distro, "--help")
    assert done.returncode == 0 and done.stdout.startswith("wslbarectl show ") and "ORIGIN" in done.stdout, done
    done = ctl(distro, "nobody")
    assert done.returncode == 5 and "there is no volume 'nobody'" in done.stderr and not done.stdout, done
    distro.write(conf_path("wrong"), "[Match]\nLabel=x\n[Mount]\nWhere=relative\n")
    defer(lambda: os.unlink(distro.path(conf_path("wrong"))))
    done = ctl(distro, "wrong")
    assert done.returncode == 1 and not done.stdout, done
    assert f"{conf_path('wrong')}:4: Where=relative is not absolute" in done.stderr, done
