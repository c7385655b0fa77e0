# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mount namespaces besides PID 1's: they see what comes, and keep nothing of what goes."""

from uuid import uuid4

from disks import LoopDisk, make_image
from distro import Distro
from machine import wait_until
from volumes import (conf, conf_path, configure, is_free, logged, main_pid, mount_table, mounts, restart, unmount,
                     wait_free, wait_mounted, wait_state)

UUID = str(uuid4())

DISTRO = {
    "enable": ["wslbared.service"],
    "files": {conf_path("data"): conf(UUID, "/mnt/data")},
}

SANDBOX = ["-p", "PrivateTmp=yes", "-p", "ProtectSystem=strict"]


def start(distro, name, *command, options=()):
    """Starts a service and returns its main process, as the machine numbers it."""
    distro.run(["systemd-run", "-q", f"--unit={name}", *options, *command])
    return wait_until(lambda: main_pid(distro, f"{name}.service"), what=name)


def targets(pid):
    return [mount["target"] for mount in mount_table(pid)]


def opens_inside(distro, node):
    script = f"import os; os.open('{node}', os.O_RDONLY | os.O_EXCL)"
    return distro.run(["python3", "-c", script], check=False).returncode == 0


def test_unmounted_is_free(distro, tmp):
    """Services with namespaces of their own, begun while it was mounted, do not hold the disk."""
    make_image("ext4", tmp / "image", uuid=UUID)
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/data")
    assert not is_free(disk.node)
    restart(distro)
    pid = start(distro, "sandboxed", "sleep", "infinity", options=SANDBOX)
    wait_until(lambda: "/mnt/data" in targets(pid), what="the copy")
    wait_state(distro, "data", "mounted")
    unmount(distro, ["/mnt/data"])
    assert "/mnt/data" not in targets(pid)
    wait_free(disk.node)
    assert opens_inside(distro, disk.node)
    wait_until(lambda: not distro.path("/mnt/data").exists(), what="the directory to go")
    disk.detach(timeout=5)


def test_seen_in_older_namespaces(distro, tmp):
    make_image("ext4", tmp / "image", uuid=UUID)
    pid = start(distro, "apart", "unshare", "-m", "--propagation", "unchanged", "sleep", "infinity")
    wait_until(lambda: mount_table(pid)[0]["id"] != mount_table(distro.pid)[0]["id"], what="the namespace")
    assert "/mnt/data" not in targets(pid)
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/data")
    wait_until(lambda: "/mnt/data" in targets(pid), 2, "the mount to be seen")
    unmount(distro, ["/mnt/data"])
    assert "/mnt/data" not in targets(pid)
    wait_free(disk.node)


def test_seen_in_older_sandboxes(distro, tmp):
    """A service that was started before the disk came."""
    make_image("ext4", tmp / "image", uuid=UUID)
    pid = start(distro, "older", "sleep", "infinity", options=SANDBOX)
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/data")
    wait_until(lambda: "/mnt/data" in targets(pid), 2, "the mount to be seen")
    unmount(distro, ["/mnt/data"])
    wait_free(disk.node)


def test_private_mount_below(distro, tmp):
    """A mount that comes later and is private is made shared when it is first used, and that is said."""
    uuid = make_image("ext4", tmp / "image")
    distro.shell("mkdir /mnt/private; mount -t tmpfs none /mnt/private; mount --make-private /mnt/private")
    assert not mounts(distro, "/mnt/private")[0]["shared"]
    configure(distro, {"private": conf(uuid, "/mnt/private/data")})
    disk = LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/private/data")
    assert mounts(distro, "/mnt/private")[0]["shared"]
    assert len(logged(distro, "mount on /mnt/private was private and is shared now")) == 1
    start(distro, "beside", "sleep", "infinity", options=SANDBOX)
    unmount(distro, ["/mnt/private/data"])
    wait_free(disk.node)
    unmount(distro, ["/mnt/private"])


def test_foreign_choice_is_kept(distro, tmp):
    """One that somebody made a slave or unbindable stays what it is."""
    uuid = make_image("ext4", tmp / "image")
    distro.shell("mkdir /mnt/slave; mount -t tmpfs none /mnt/slave; mount --make-unbindable /mnt/slave")
    configure(distro, {"slave": conf(uuid, "/mnt/slave/data")})
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/slave/data")
    assert not mounts(distro, "/mnt/slave")[0]["shared"]
    unmount(distro, ["/mnt/slave/data"])
    unmount(distro, ["/mnt/slave"])


def test_own_namespace_is_refused(distro, tmp):
    """mountd does not run where nobody would see what it mounts; and does as soon as that is mended, even if its socket
    had enough of it meanwhile."""
    distro.write("/etc/systemd/system/wslbare-mountd.service.d/x.conf", "[Service]\nPrivateTmp=yes\n")
    distro.write("/etc/systemd/system/wslbare-mountd.socket.d/x.conf",
                 "[Socket]\nTriggerLimitIntervalSec=60s\nTriggerLimitBurst=3\n")
    distro.systemctl("daemon-reload")
    try:
        distro.systemctl("restart", "wslbare-mountd", check=False)
        assert logged(distro, "not PID 1's mount namespace", "wslbare-mountd")
        assert logged(distro, "Trigger limit hit", "wslbare-mountd.socket")
        assert distro.show("wslbared", "ActiveState") == "active"
    finally:
        distro.shell("rm -r /etc/systemd/system/wslbare-mountd.*.d; systemctl daemon-reload")
    make_image("ext4", tmp / "image", uuid=UUID)
    LoopDisk(tmp / "image")
    wait_mounted(distro, "/mnt/data", timeout=30)


EARLY = """\
[Unit]
DefaultDependencies=no
Before=wslbare-mountd.service wslbared.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mkdir -p /mnt/data
ExecStart=mount -o nosuid,nodev {node} /mnt/data

[Install]
WantedBy=wslbared.service
"""


def test_mounted_before_they_started(tmp):
    """By fstab, say, when all was private still."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    files = {conf_path("data"): conf(uuid, "/mnt/data"), "/etc/systemd/system/early.service": EARLY.format(node=disk.node)}
    with Distro(enable=["early.service", "wslbared.service"], files=files) as distro:
        wait_until(lambda: distro.show("wslbared", "ActiveState") == "active", what="wslbared to be ready")
        ours = main_pid(distro, "wslbared.service")
        assert "/mnt/data" in targets(ours)
        unmount(distro, ["/mnt/data"])
        assert "/mnt/data" not in targets(ours)


def test_daemons_leave_no_copy(tmp):
    """wslbared and mountd themselves, started when the disk was there and mounted."""
    uuid = make_image("ext4", tmp / "image")
    disk = LoopDisk(tmp / "image")
    with Distro(enable=["wslbared.service"], files={conf_path("data"): conf(uuid, "/mnt/data")}) as distro:
        wait_mounted(distro, "/mnt/data")
        distro.systemctl("restart", "wslbared", "wslbare-mountd")
        wait_state(distro, "data", "mounted")
        unmount(distro, ["/mnt/data"])
        wait_free(disk.node)
