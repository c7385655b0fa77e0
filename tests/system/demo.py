#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows what wslbare does, in a distribution made for it: each command and what it really prints.

Where something is not as told, it says so and ends with 1.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import machine
from distro import Distro

LOOP_CLR_FD = 0x4C01

CONF = """\
[Match]
UUID={uuid}

[Mount]
Where=/mnt/data
Options=noatime
"""

VOLUME_OBJECT = "org.wslbare1 /org/wslbare1/volume/data org.wslbare1.Volume"
FOLLOWERS = ("wslbare@data.target", "backup.service")


class Wrong(Exception):
    """What was shown is not what was to be shown."""


def say(text=""):
    print(text, flush=True)


def tell(text):
    say(f"\n--- {text}\n")


def show(prompt, command, output):
    say(f"{prompt}# {command}")
    if output:
        say(output.rstrip("\n"))


def demand(condition, what):
    if not condition:
        raise Wrong(what)


def loops_of(image):
    """The loop devices that an image is attached to."""
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if path.read_text().rstrip("\n") == str(image):
                yield path.parent.parent.name
        except OSError:
            pass


def release(image):
    for name in loops_of(image):
        fd = os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, LOOP_CLR_FD)
        finally:
            os.close(fd)


class Demo:
    def __init__(self):
        self.distro = None
        self.directory = machine.tmp / "demo"
        self.directory.mkdir()
        self.image = self.directory / "disk.img"
        machine.defer(lambda: release(self.image))

    def host(self, command):
        """A command on this machine, where the part of Windows is played."""
        process = subprocess.run(
            command, shell=True, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        show("machine", command, process.stdout)
        demand(process.returncode == 0, f"'{command}' failed")
        return process.stdout

    def inside(self, command, status=0):
        """A command in the distribution."""
        process = self.distro.shell(f"{{ {command}\n}} 2>&1", check=False)
        show("distro", command, process.stdout)
        demand(process.returncode == status, f"'{command}' ended with {process.returncode}, not {status}")
        return process.stdout

    def status(self):
        return self.distro.show("wslbared", "StatusText")

    def await_status(self, text):
        try:
            machine.wait_until(lambda: self.status() == text, what=f"the status '{text}'")
        except TimeoutError:
            raise Wrong(f"the status is '{self.status()}', not '{text}'") from None

    def show_status(self, text):
        self.await_status(text)
        out = self.inside("systemctl status wslbared --no-pager --lines=0")
        demand(f'Status: "{text}"' in out, f"the status should be '{text}'")

    def attach(self):
        node = self.host("losetup --find --show disk.img").strip()
        machine.use_loop(int(node.removeprefix("/dev/loop")))
        return node

    def detach(self, node):
        self.host(f"losetup --detach {node}")
        machine.wait_until(lambda: not list(loops_of(self.image)), what=f"{node} to be free")

    def show_mount(self, node):
        self.inside("wslbarectl wait --timeout=10 data")
        out = self.inside("findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS /mnt/data")
        demand(re.search(rf"^/mnt/data {node} ext4 +rw,nosuid,nodev,noatime", out, re.MULTILINE), "not mounted as told")

    def list_volumes(self, state, device=""):
        out = self.inside("busctl call org.wslbare1 /org/wslbare1 org.wslbare1.Manager ListVolumes")
        wanted = f'a(sssso) 1 "data" "{state}" "/mnt/data" "{device}" "/org/wslbare1/volume/data"\n'
        demand(out == wanted, f"it should be {wanted}")

    def call_volume(self, method):
        out = self.inside(f"busctl call {VOLUME_OBJECT} {method} a{{sv}} 0")
        demand(out == "", "there should be no output")

    def show_service(self, state):
        """Whether the service that follows the volume does, and its target."""

        def states():
            return self.distro.systemctl("is-active", *FOLLOWERS, check=False).stdout

        wanted = f"{state}\n" * len(FOLLOWERS)
        try:
            machine.wait_until(lambda: states() == wanted, what="the service to follow")
        except TimeoutError:
            raise Wrong(f"{FOLLOWERS} should be {state}") from None
        self.inside(f"systemctl is-active {' '.join(FOLLOWERS)}", status=0 if state == "active" else 3)

    def boot(self):
        tell("A throwaway distribution: systemd, udevd and journald of its own on this machine's kernel, as in WSL2")
        begin = time.monotonic()
        self.distro = Distro()
        say(f"(booted in {time.monotonic() - begin:.1f} s)")
        self.inside("systemctl enable --now wslbared")
        self.show_status("No volumes are configured")

    def make(self):
        tell("A disk with an ext4 on it; here, an image")
        self.host("truncate --size=64M disk.img && mkfs.ext4 -q -L data disk.img")
        out = self.host("blkid --probe disk.img")
        return re.search(r' UUID="([0-9a-f-]+)"', out)[1]

    def configure(self, uuid):
        tell("A volume: one file that says which filesystem, and where. To drop it there is enough")
        self.inside(f"cat >/etc/wslbare.d/data.conf <<'END'\n{CONF.format(uuid=uuid)}END")
        self.show_status("0 of 1 mounted, absent: data")
        self.list_volumes("absent")

    def follow(self):
        tell("A service that needs the volume: it starts when the disk comes and stops when it goes")
        self.inside("cp /usr/share/doc/wslbare/examples/backup.service /etc/systemd/system/")
        self.inside("grep -v '^#' /etc/systemd/system/backup.service")
        self.inside("systemctl --quiet enable backup.service")
        self.show_service("inactive")

    def plug(self):
        tell("The disk is attached: in WSL by `wsl --mount DISK --bare`, here to a loop device")
        node = self.attach()
        self.show_mount(node)
        self.show_status("1 of 1 mounted")
        self.list_volumes("mounted", node)
        out = self.inside(f"busctl get-property {VOLUME_OBJECT} State Device MountedOptions LatencyUSec")
        demand(out.startswith(f's "mounted"\ns "{node}"\ns "rw,nosuid,nodev,noatime'), "the properties should say so")
        self.show_service("active")
        self.inside("echo hello >/mnt/data/greeting")
        self.inside("journalctl --unit=wslbared --unit=wslbare-mountd --no-pager --output=cat --no-hostname")
        return node

    def restart(self):
        tell("The daemons may come and go, the mount stays")
        self.inside("systemctl restart wslbared wslbare-mountd")
        self.await_status("1 of 1 mounted")
        out = self.inside("cat /mnt/data/greeting")
        demand(out == "hello\n", "the file should be there")
        self.show_service("active")

    def request(self, node):
        tell("Unmounted over D-Bus: first what needs the volume is stopped. Mounted again, it starts")
        self.call_volume("Unmount")
        self.list_volumes("unmounted", node)
        self.show_service("inactive")
        self.call_volume("Mount")
        self.list_volumes("mounted", node)
        self.show_service("active")

    def unplug(self, node):
        tell("Unmounted by hand it stays so, until the disk is attached anew")
        self.inside("systemctl stop backup")
        self.inside("umount /mnt/data")
        self.show_status("0 of 1 mounted, unmounted: data")
        self.detach(node)
        self.show_status("0 of 1 mounted, absent: data")
        out = self.inside("ls /mnt/data", status=2)
        demand("No such file" in out, "the mount point that was made should be gone")

    def plug_again(self):
        tell("Attached once more, whatever its name is now")
        node = self.attach()
        self.show_mount(node)
        self.show_service("active")
        out = self.inside("cat /mnt/data/greeting")
        demand(out == "hello\n", "the file should be there")
        out = self.inside("journalctl WSLBARE_VOLUME=data --no-pager --output=cat")
        demand(out.count(f"data is mounted: {node} on /mnt/data") >= 1, "the journal should say so")

    def eject(self):
        tell("Ejected: unmounted, written, nobody has it, the kernel let go of it. In WSL it may be detached now")
        self.call_volume("Eject")
        demand(not list(loops_of(self.image)), "the loop device should be free")
        self.show_status("0 of 1 mounted, absent: data")
        self.host("e2fsck -fn disk.img")

    def run(self):
        self.boot()
        uuid = self.make()
        self.configure(uuid)
        self.follow()
        node = self.plug()
        self.restart()
        self.request(node)
        self.unplug(node)
        self.plug_again()
        self.eject()
        tell("That was it; all of it is taken away")


def main():
    machine.stop_on_signals()
    try:
        machine.start()
        demo = Demo()
        demo.run()
    except machine.Skip as e:
        sys.exit(f"demo: {e}")
    except (Wrong, TimeoutError, RuntimeError) as e:
        if demo.distro and demo.distro.pid:
            say(demo.distro.describe())
        sys.exit(f"demo: WRONG: {e}")


if __name__ == "__main__":
    main()
