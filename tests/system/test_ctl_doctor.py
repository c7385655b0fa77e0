# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl doctor."""

import json

from disks import LoopDisk, make_image
from machine import defer, wait_until
from volumes import conf, configure, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}


def doctor(distro, arguments=""):
    return distro.run(f"wslbarectl doctor {arguments}", check=False)


def findings(distro, *results):
    """(subject, finding, cure) of those with RESULTS."""
    rows = json.loads(doctor(distro, "--json").stdout)["findings"]
    return [(row["subject"], row["finding"], row["cure"]) for row in rows if row["result"] in results]


def test_all_is_well(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"well": conf(uuid, "/mnt/well")})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/well")
    done = doctor(distro)
    assert done.returncode == 0 and not done.stderr, done
    assert findings(distro, "bad", "odd") == [], findings(distro, "bad", "odd")
    subjects = {subject for subject, _, _ in findings(distro, "good")}
    assert {"systemd", "kernel", "udev", "propagation", "fstab", "clock", "service", "user", "configuration"} == subjects
    assert "Cure" not in done.stdout and "● service" in done.stdout, done.stdout


def test_findings(distro, tmp):
    """What is to be mended decides the exit status, what is odd does not."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"twice": conf(uuid, "/mnt/twice")})
    distro.write("/etc/fstab", f"UUID={uuid} /mnt/elsewhere ext4 defaults 0 2\n")
    defer(lambda: distro.run("rm -f /etc/fstab"))
    done = doctor(distro)
    (subject, finding, cure), = findings(distro, "odd")
    assert done.returncode == 0 and subject == "fstab" and f"'twice' too: UUID={uuid}" in finding, done
    assert f"● fstab {finding}\n  Cure: {cure}\n" in done.stdout, done.stdout
    distro.run("rm /etc/fstab")

    configure(distro, {"bad": conf(uuid, "/mnt/bad", Options="nonsense", RetryLimit=0)})
    LoopDisk(tmp / "image")
    wait_state(distro, "bad", "failed")
    done = doctor(distro)
    (subject, finding, cure), = findings(distro, "bad")
    assert done.returncode == 1 and subject == "volume" and finding.startswith("bad is failed: "), done
    assert "wslbarectl mount bad" in cure, cure

    configure(distro, {"wrong": "[Match]\n"})
    (subject, finding, cure), = [row for row in findings(distro, "bad") if row[0] == "configuration"]
    assert finding.startswith("has 2 errors") and "/etc/wslbare.d/wrong.conf:" in finding, finding


def test_warnings(distro):
    """What is allowed in a file is no reason to fail; what is of a whole file has no line."""
    configure(distro, {"copied": conf(None, "/mnt/copied", {"Label": "copied"}, Options="nofail")})
    done = doctor(distro)
    (subject, finding, cure), = findings(distro, "odd")
    assert done.returncode == 0 and subject == "configuration", done
    assert finding.startswith("has 1 warning; the first: /etc/wslbare.d/copied.conf:6: "), finding
    configure(distro, {"whole": "[Match]\nLabel=whole\n"})
    done = doctor(distro)
    (subject, finding, cure), = findings(distro, "bad")
    assert done.returncode == 1 and subject == "configuration", done
    assert finding.startswith("has 1 error; the first: /etc/wslbare.d/whole.conf: "), finding


def test_programs(distro, tmp):
    """What mounts and what checks the volumes' types."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"plain": conf(uuid, "/mnt/plain"),
                       "strange": conf(None, "/mnt/strange", {"Label": "strange", "Type": "nosuchfs"})})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/plain")
    assert [row[:2] for row in findings(distro, "bad")] == [("programs", "nothing mounts nosuchfs, which strange is")]
    distro.run("mv /usr/sbin/fsck.ext4 /usr/sbin/away")
    defer(lambda: distro.run("mv /usr/sbin/away /usr/sbin/fsck.ext4"))
    (subject, finding, cure), = findings(distro, "odd")
    assert subject == "programs" and finding == "fsck.ext4, to check plain, is not there", finding
    assert cure == "install e2fsprogs, or write Check=never into /etc/wslbare.d/plain.conf", cure


def test_no_service(distro):
    """Of volumes it is not said that they are not there: their files are."""
    configure(distro, {"there": conf(None, "/mnt/there", {"Label": "there"})})
    distro.systemctl("stop", "wslbared")
    distro.systemctl("--quiet", "disable", "wslbared")
    defer(lambda: distro.systemctl("--quiet", "enable", "--now", "wslbared"))
    cures = {cure for _, _, cure in findings(distro, "bad")}
    done = doctor(distro)
    assert done.returncode == 1 and not done.stderr, done
    assert len(cures) == 2 and "`systemctl enable --now wslbared`" in cures, cures


def test_usage(distro):
    for arguments in ("--nonsense", "x", "-o nonsense"):
        done = doctor(distro, arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    assert "--json" in doctor(distro, "--help").stdout


def test_without_a_name(distro):
    """wslbared runs, and the bus was not told of it, or is not any more."""
    policy = "/usr/share/dbus-1/system.d/org.wslbare1.conf"

    def load():
        distro.run("systemctl reload dbus")
        distro.run("systemctl restart wslbared")

    def back():
        distro.run(["mv", "/tmp/policy", policy])
        load()
        wait_until(lambda: distro.run("wslbarectl list", check=False).returncode == 0, what="it to answer")

    distro.run(["mv", policy, "/tmp/policy"])
    defer(back)
    load()
    (subject, finding, cure), = findings(distro, "bad")
    assert subject == "service" and "wslbared runs, and the bus" in finding and "systemctl reload dbus" in cure, finding
    done = distro.run("wslbarectl list", check=False)
    assert done.returncode == 6 and "systemctl reload dbus" in done.stderr, done
