# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl bench."""

import json
import re

from disks import MiB, LoopDisk, make_image
from machine import wait_until
from volumes import conf, configure, reload, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}
SHORT = "bench --size=32M --time=1s"
ROWS = [(operation, block) for operation in ("read", "write") for block in (4096, 65536, 1 << 20, 16 << 20)]


def ctl(distro, arguments, **options):
    return distro.run(f"wslbarectl {arguments}", check=False, timeout=300, **options)


def mounted(distro, tmp, name, size=160, **options):
    uuid = make_image("ext4", tmp / name, size=size * MiB)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", **options)})
    disk = LoopDisk(tmp / name)
    wait_mounted(distro, f"/mnt/{name}")
    return disk


def used(path):
    return sorted(entry.name for entry in path.iterdir())


def test_two_paths(distro, tmp):
    """The volume beside the root filesystem, by default."""
    mounted(distro, tmp, "two")
    before = used(distro.path("/mnt/two")), used(distro.path("/var/tmp"))
    done = ctl(distro, f"{SHORT} --json")
    assert done.returncode == 0 and not done.stderr, done
    rows = json.loads(done.stdout)["bench"]
    root = rows[0]["path"]
    assert root in ("/", "/var/tmp"), root
    assert [(row["operation"], row["block"], row["path"]) for row in rows] == \
        [(*row, path) for row in ROWS for path in (root, "/mnt/two")]
    for base, row in zip(rows[::2], rows[1::2]):
        assert base["rate"] > 0 and row["rate"] > 0 and base["gap"] is None
        assert abs(row["gap"] - (row["rate"] / base["rate"] - 1) * 100) < 0.1, (base, row)
    assert (used(distro.path("/mnt/two")), used(distro.path("/var/tmp"))) == before


def test_text(distro, tmp):
    mounted(distro, tmp, "text")
    done = ctl(distro, f"{SHORT} /mnt/text /var/tmp /mnt/text")
    assert done.returncode == 0 and not done.stderr, done
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["OPERATION", "BLOCK", "PATH", "RATE", "GAP"], head
    table, advice = lines[:24], lines[24:]
    sizes = {4096: "4K", 65536: "64K", 1 << 20: "1M", 16 << 20: "16M"}
    for line, (operation, block) in zip(table[::3], ROWS):
        assert re.fullmatch(rf"{operation} +{sizes[block]} /mnt/text +[\d.]+ [kMG]B/s +█*", line), line
    for first in range(0, 24, 3):
        # The fastest fills the bar.
        assert max(line.count("█") for line in table[first:first + 3]) == 20, table[first:first + 3]
        assert all(re.search(r" -?[\d.]+% ", line) for line in table[first + 1:first + 3]), table
    assert len([line for line in advice if line]) == 2 and advice[1].startswith("/var/tmp is "), advice
    assert "GAP" not in ctl(distro, f"{SHORT} --no-legend -o rate /mnt/text").stdout


def test_refused(distro, tmp):
    mounted(distro, tmp, "small", size=90)
    mounted(distro, tmp, "ro", ReadOnly="yes")
    distro.run("touch /var/tmp/file")
    for path, what in (("/mnt/small", "32M are to be written"), ("/mnt/ro", "Read-only"), ("/proc", ""),
                       ("/nonexistent", "No such file"), ("/var/tmp/file", "Not a directory")):
        done = ctl(distro, f"{SHORT} /var/tmp {path}")
        assert done.returncode == 1 and not done.stdout, done
        assert done.stderr.startswith(f"wslbarectl: {path}: ") and what in done.stderr, done
    done = ctl(distro, f"{SHORT} /mnt/small", user="nobody")
    assert done.returncode == 1 and "Permission denied" in done.stderr, done
    assert used(distro.path("/mnt/small")) == ["lost+found"]
    distro.run("rm /var/tmp/file")


def test_without_fio(distro):
    done = distro.run("env PATH=/nowhere /usr/bin/wslbarectl bench --size=16M /var/tmp", check=False)
    assert done.returncode == 1 and "apt install fio" in done.stderr, done


def test_nothing_mounted(distro):
    reload(distro)
    done = ctl(distro, "bench --size=16M --time=1s")
    assert done.returncode == 0 and "No volume is mounted" in done.stderr, done
    assert len(done.stdout.splitlines()) == 9, done.stdout


def test_interrupted(distro, tmp):
    """Nothing goes on, and nothing is left."""
    disk = mounted(distro, tmp, "ended")
    for signal in "INT", "KILL":
        distro.run(["systemd-run", "-q", "--unit=bench", "wslbarectl", "bench", "--size=32M", "/mnt/ended"])
        wait_until(lambda: "fio" in distro.run("systemctl status bench", check=False).stdout, what="fio to run")
        distro.run(f"systemctl kill --kill-whom=main --signal={signal} bench")
        wait_until(lambda: distro.show("bench", "ActiveState") in ("inactive", "failed"), what="it to end")
        distro.systemctl("reset-failed", "bench", check=False)
        assert used(distro.path("/mnt/ended")) == ["lost+found"]
    distro.run("umount /mnt/ended")  # nobody uses it
    disk.detach(timeout=5)


def test_usage(distro):
    for arguments in ("--size=1M", "--size=x", "--size=65G", "--time=0", "--time=x", "--nonsense", "-o nonsense"):
        done = ctl(distro, f"bench {arguments}")
        assert done.returncode == 2 and done.stderr and not done.stdout, (arguments, done)
    assert "--size=SIZE" in ctl(distro, "bench --help").stdout
