# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl verify: without wslbared, and as anybody."""

import re

from machine import defer
from volumes import conf, conf_path

DISTRO = {}

UUID = "0b5e2a6c-3a57-4c0e-9a3e-5d7a3f0e9c1{:x}"

# What is wrong, its line (0: the file), and what has to be said: one problem each.
BROKEN = [
    ("[Match]\nUUID=x y\n[Mount]\nWhere=/mnt/b\n", 2, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=b\n", 4, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/\n", 4, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/proc/x\n", 4, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/../x\n", 4, "error"),
    ("[Match]\nUUID={u}\n", 0, "error"),
    ("[Mount]\nWhere=/mnt/b\n", 0, "error"),
    ("[Match]\nType=ext4\n[Mount]\nWhere=/mnt/b\n", 0, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOption=ro\n", 5, "error.*Options"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nUUID=1\n", 5, "error.*Match"),
    ("[Match]\nUUID={u}\nUUID={u}\n[Mount]\nWhere=/mnt/b\n", 3, "error.*twice"),
    ("[Match]\nUUID={u}\n[Mounts]\nWhere=/mnt/b\n[Mount]\nWhere=/mnt/b\n", 3, "error.*Mount"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nnonsense\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nAuto=perhaps\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nReadOnly=2\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nKeepMounted=x\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nMountTimeoutSec=0\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nMountTimeoutSec=soon\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nRetryLimit=-1\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nRetrySec=1ms\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nDirectoryMode=rwx\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nType=auto\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOptions=bind\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOptions=a b\n", 5, "error"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOptions=nofail\n", 5, "warning.*nofail"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOptions=noauto\n", 5, "warning.*Auto=no"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nReadOnly=yes\nOptions=rw\n", 5, "warning"),
    ("[Match]\nLabel=\"x\"\n[Mount]\nWhere=/mnt/b\n", 2, "warning.*quotes"),
    ("[Match]\nLabel=a\\x20b\n[Mount]\nWhere=/mnt/b\n", 2, "warning"),
    ("[Match]\nById=/dev/disk/by-id/x\n[Mount]\nWhere=/mnt/b\n", 2, "error"),
    ("[Match]\nSerial=a\tb\n[Mount]\nWhere=/mnt/b\n", 2, "error.*tab"),
    ("Where=/mnt/b\n[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\n", 1, "error"),
    # Allowed, and yet …
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/b\nOptions=nobarrier\n", 5, "warning.*power"),
    ("[Match]\nUUID={u}\nType=xfs\n[Mount]\nWhere=/mnt/b\nOptions=nobarrier\n", 6, "warning.*gone"),
    ("[Match]\nUUID={u}\nType=ext4\n[Mount]\nWhere=/mnt/b\nOptions=data=writeback\n", 6, "warning.*old data"),
    ("[Match]\nUUID={u}\nType=nosuchfs\n[Mount]\nWhere=/mnt/b\n", 3, "warning.*nothing that mounts"),
    ("[Match]\nLabel=in-fstab\n[Mount]\nWhere=/mnt/b\n", 2, "warning.*fstab"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/fstab\n", 4, "warning.*fstab"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/outer/inner\n", 4, "warning.*below"),
    ("[Match]\nUUID={u}\n[Mount]\nWhere=/mnt/outer\n", 4, "error.*outer"),
]


def verify(distro, arguments="", **options):
    return distro.run(f"wslbarectl verify {arguments}", check=False, **options)


def test_forty_broken_files(distro):
    """Every problem is found, and none invented; as anybody, and without wslbared."""
    assert len(BROKEN) == 40
    distro.write("/etc/fstab", "LABEL=in-fstab /somewhere ext4 defaults 0 0\n/dev/sdz /mnt/fstab ext4 defaults 0 0\n")
    defer(lambda: distro.path("/etc/fstab").unlink())
    distro.write(conf_path("outer"), conf(None, "/mnt/outer", {"Label": "outer"}))
    defer(lambda: distro.path(conf_path("outer")).unlink())
    assert distro.show("wslbared", "ActiveState") == "inactive"
    for i, (text, line, wanted) in enumerate(BROKEN):
        name = f"/tmp/draft/b{i:02}.conf"
        distro.write(name, text.replace("{u}", UUID.format(i % 16)))
        done = verify(distro, name, user="nobody")
        place = name + (f":{line}" if line else "")
        problems = done.stdout.splitlines()
        assert len(problems) == 1 and re.match(f"{place}: {wanted}", problems[0]), (text, done.stdout)
        assert done.returncode == ("error" in wanted) and not done.stderr, (text, done)


def test_installed(distro):
    """Without names, all that is in force."""
    assert (verify(distro).returncode, verify(distro).stdout) == (0, "")
    for name, text in {"a": conf(None, "/mnt/same", {"Label": "a"}), "b": conf(None, "/mnt/same", {"Label": "b"}),
                       "c": conf(None, "/mnt/same/below", {"Label": "c"}, Options="nofail")}.items():
        distro.write(conf_path(name), text)
        defer(distro.path(conf_path(name)).unlink)
    done = verify(distro)
    found = [line.split(": ")[:2] for line in done.stdout.splitlines()]
    assert found == [[f"{conf_path('b')}:5", "error"], [f"{conf_path('c')}:5", "warning"],
                     [f"{conf_path('c')}:6", "warning"]], done.stdout
    assert done.returncode == 1
    # A file that is named takes the place of the one that is in force.
    distro.write("/tmp/draft/a.conf", conf(None, "/mnt/else", {"Label": "a"}))
    assert verify(distro, "/tmp/draft/a.conf").stdout == ""


def test_kernel_is_asked(distro):
    """By root, about options that only it knows."""
    distro.write("/tmp/draft/k.conf", conf(None, "/mnt/k", {"Label": "k", "Type": "ext4"}, Options="nonsense"))
    done = verify(distro, "/tmp/draft/k.conf")
    assert done.returncode == 0, done
    assert re.fullmatch(r"/tmp/draft/k.conf:7: warning: the running kernel refuses it: .*nonsense.*\n", done.stdout), done
    assert verify(distro, "/tmp/draft/k.conf", user="nobody").stdout == ""


def test_shipped_examples(distro):
    paths = list(distro.path("/usr/share/doc/wslbare/examples").glob("*.conf"))
    assert paths
    for path in paths:
        done = verify(distro, f"/usr/share/doc/wslbare/examples/{path.name}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    # The commented one, as one would copy it.
    distro.write("/tmp/draft/data.conf", distro.path("/usr/share/doc/wslbare/data.conf.example").read_text())
    assert verify(distro, "/tmp/draft/data.conf").stdout == ""


def test_usage(distro):
    done = verify(distro, "--nonsense")
    assert done.returncode == 2 and done.stderr and not done.stdout, done
    assert verify(distro, "--help").returncode == 0
    for name in "/tmp/nowhere.conf", "/nowhere/x.conf", "/tmp":
        done = verify(distro, name)
        assert done.returncode == 1 and done.stdout.startswith(f"{name}: error: "), done
    distro.write("/tmp/draft/no name.conf", "[Match]\n")
    done = distro.run(["wslbarectl", "verify", "/tmp/draft/no name.conf"], check=False)
    assert done.returncode == 1 and "its name makes no volume" in done.stdout, done
