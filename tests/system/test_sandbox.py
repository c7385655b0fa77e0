# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemons may not do, whoever took them over."""

import os
import re
import signal
from pathlib import Path

import sanitizers
from bus import connect
from disks import LoopDisk, make_image
from machine import Skip, wait_until
from volumes import SERVICES, conf, configure, main_pid, processes, wait_mounted

DISTRO = {"enable": ["wslbared.service"]}

UNITS = "wslbared.service", "wslbare-mountd.service", "wslbare-mountd.socket", "wslbare@data.target", \
        "wslbare-wait@data.service"

# Runs with all of the unit's properties: a drop-in replaces what it executes, and nothing else.
PROBE = """\
[Service]
Type=oneshot
ExecStart=
ExecStart=/bin/sh /usr/local/lib/probe
ExecReload=
Restart=no
WatchdogSec=0
StandardOutput=journal
"""

SCRIPT = """\
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "PROBE $name=yes"; else echo "PROBE $name=no"; fi; }
writes() { echo x >"$1"; }
try is_running true
try open_device head -c 1 %(node)s
try see_device test -e %(node)s
try make_node mknod -m 600 /tmp/node b %(major)d %(minor)d
try see_pid1 test -e /proc/1/status
try see_others test -e /proc/%(other)d/status
try signal_others kill -0 %(other)d
try write_etc writes /etc/file
try write_usr writes /usr/file
try write_run writes /run/file
try write_var writes /var/file
try write_config writes /etc/wslbare.d/file.conf
try write_records writes /run/wslbare-mountd/file
try write_sys writes /sys/block/%(name)s/uevent
try write_proc writes /proc/sys/kernel/hostname
try read_home ls /root
try see_kmsg head -c 1 /dev/kmsg
try mount_something mount -t tmpfs tmpfs /tmp
try new_namespace unshare -U true
try network_socket bash -c 'exec 3<>/dev/udp/127.0.0.1/9'
try become_root setpriv --reuid 0 true
try read_config cat /etc/wslbare.d/box.conf
try read_sysfs cat /sys/block/%(name)s/size
try read_records cat /run/wslbare-mountd/volumes/box
echo "PROBE uid=$(id -u) caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
"""

MAY = {"is_running", "read_config", "read_sysfs", "read_records"}


def test_verify(distro):
    """systemd finds nothing to say of our units."""
    result = distro.run(["systemd-analyze", "verify", *UNITS], check=False)
    assert result.returncode == 0 and result.stdout + result.stderr == "", result.stdout + result.stderr


def exposure(distro, unit):
    out = distro.run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"/lib/systemd/system/{unit}"]).stdout
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", out)[1])


def test_exposure(distro):
    assert exposure(distro, "wslbared.service") <= 1.0
    assert exposure(distro, "wslbare-mountd.service") <= 4.2


def status_of(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def test_no_power(distro):
    """wslbared as it runs: user, capabilities, system calls, descriptors."""
    pid = main_pid(distro, "wslbared.service")
    status = status_of(pid)
    for kind in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        assert int(status[kind], 16) == 0, f"{kind} {status[kind]}"
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    uid = distro.run("id -u wslbare").stdout.strip()
    assert set(status["Uid"].split()) == {uid} and uid != "0"
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(fd)
        assert not target.startswith("/dev/") or target == "/dev/null", target
    mountd = status_of(main_pid(distro, "wslbare-mountd.service"))
    # SYS_ADMIN, DAC_OVERRIDE, SYS_PTRACE, SYSLOG
    assert int(mountd["CapBnd"], 16) == 1 << 21 | 1 << 1 | 1 << 19 | 1 << 34, mountd["CapBnd"]
    assert mountd["NoNewPrivs"] == "1" and mountd["Seccomp"] == "2"


def test_one_namespace(distro):
    """mountd mounts where PID 1 does; wslbared does not."""
    namespace = os.readlink(f"/proc/{distro.pid}/ns/mnt")
    assert os.readlink(f"/proc/{main_pid(distro, 'wslbare-mountd.service')}/ns/mnt") == namespace
    assert os.readlink(f"/proc/{main_pid(distro, 'wslbared.service')}/ns/mnt") != namespace


def test_inside(distro, tmp):
    """What a program can do that runs in wslbared's place."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"box": conf(uuid, "/mnt/box")})
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/box")
    other = int(distro.show("systemd-journald", "MainPID"))
    distro.write("/usr/local/lib/probe", SCRIPT % {
        "node": disk.node, "major": disk.devnum[0], "minor": disk.devnum[1], "name": disk.name, "other": other})
    # Another unit of the same text, so that the daemon goes on.
    distro.write("/etc/systemd/system/probe.service", distro.path("/usr/lib/systemd/system/wslbared.service").read_text())
    distro.write("/etc/systemd/system/probe.service.d/probe.conf", PROBE)
    distro.systemctl("daemon-reload")
    distro.systemctl("start", "probe", check=False)
    lines = [entry["MESSAGE"] for entry in distro.journal("probe") if entry["MESSAGE"].startswith("PROBE ")]
    found = dict(word.split("=") for line in lines for word in line.split()[1:])
    assert found.pop("uid") == distro.run("id -u wslbare").stdout.strip()
    assert int(found.pop("caps"), 16) == 0
    assert len(found) == SCRIPT.count("\ntry "), found
    may = {name for name, value in found.items() if value == "yes"}
    assert may == MAY, f"it may beside what it should: {may - MAY}; may not: {MAY - may}"


def test_socket(distro):
    """Nobody but wslbared talks to mountd."""
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX);"
              "s.connect('/run/wslbare-mountd/mountd.sock')")
    result = distro.run(["python3", "-c", script], user="nobody", check=False)
    assert result.returncode != 0 and "PermissionError" in result.stderr, result.stderr
    assert distro.path("/run/wslbare-mountd").stat().st_mode & 0o7777 == 0o755
    assert processes(distro, "wslbare-mountd.service")


def test_reports(distro):
    """What a sanitizer has to say comes out of either sandbox."""
    if not sanitizers.ENABLED:
        raise Skip("not built with sanitizers")
    for unit in SERVICES:
        reports = []
        os.kill(wait_until(lambda: main_pid(distro, unit), what=f"{unit} to run"), signal.SIGABRT)
        wait_until(lambda: reports.extend(sanitizers.take()) or reports, what=f"a report of {unit}")
        assert f"report.{unit.removesuffix('.service')}." in reports[0], reports
        wait_until(lambda: distro.show("wslbared", "SubState") == "running", what="it to be back")
