#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it costs from attaching a disk to having it mounted, beside what udevd and systemd need for it.

All is measured in one run and in turn, so that the figures may be compared; taken alone they say more of the
machine than of the programs.
"""

import argparse
import ctypes
import json
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import machine
from disks import LoopDisk, MiB, make_image
from distro import Distro
from volumes import conf

NETLINK_KOBJECT_UEVENT = 15
UDEV_GROUP = 2
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID = 2
MS_NODEV = 4

SERVICES = "wslbared.service", "wslbare-mountd.service"
DIRECTORY = "/mnt/bench"
OPTIONS = "nosuid,nodev,errors=remount-ro"  # what wslbared adds of itself

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount_bare(node, where):
    """With the options that wslbared adds of itself."""
    call(libc.mount, node.encode(), where.encode(), b"ext4", MS_NOSUID | MS_NODEV, b"errors=remount-ro")


class Disk(LoopDisk):
    """Notes when it was attached: from the moment at which the kernel is asked."""

    def _configure(self, config):
        self.attached_at = time.monotonic_ns()
        return LoopDisk._configure(config)


class Udev:
    """What a distribution's udevd broadcasts."""

    def __init__(self, distro):
        with open("/proc/self/ns/net") as ours, open(f"/proc/{distro.pid}/ns/net") as theirs:
            call(libc.setns, theirs.fileno(), CLONE_NEWNET)
            try:
                self.socket = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT
                )
                self.socket.bind((0, UDEV_GROUP))
            finally:
                call(libc.setns, ours.fileno(), CLONE_NEWNET)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 * MiB)

    def fileno(self):
        return self.socket.fileno()

    def read(self):
        """The properties of each event that has come."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            if data[:8] != b"libudev\0":
                continue
            # struct udev_monitor_netlink_header: prefix, magic, header size, offset and length of the properties
            offset, length = struct.unpack_from("=II", data, 16)
            words = data[offset:offset + length].rstrip(b"\0").split(b"\0")
            yield dict(word.decode(errors="replace").partition("=")[::2] for word in words)

    def drain(self):
        for _ in self.read():
            pass


class Watch:
    """Notes when udevd first tells of each filesystem, and when each is mounted."""

    def __init__(self, distro):
        self.udev = Udev(distro)
        self.mountinfo = os.open(f"/proc/{distro.pid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self.poll = select.poll()
        self.poll.register(self.udev, select.POLLIN)
        self.poll.register(self.mountinfo, select.POLLPRI)

    def begin(self):
        self.udev.drain()
        self.poll.poll(0)

    def _read_mounts(self):
        text = b""
        while data := os.pread(self.mountinfo, 1 << 20, len(text)):
            text += data
        return text

    def wait(self, uuids, targets, timeout=60, rest=0.0):
        """Until udevd has told of all UUIDS and all TARGETS are mounted; REST spares the processor.

        Returns uuid → time and target → time.
        """
        told, mounted = {}, {}
        deadline = time.monotonic() + timeout
        waiting = {f" {target} ".encode(): target for target in targets}
        first = True
        while len(told) < len(uuids) or waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{len(uuids) - len(told)} not told of, {len(waiting)} not mounted")
            events = dict(self.poll.poll(left * 1000))
            now = time.monotonic_ns()
            if self.udev.fileno() in events or first:
                for event in self.udev.read():
                    uuid = event.get("ID_FS_UUID")
                    if uuid in uuids:
                        told.setdefault(uuid, now)
            if waiting and (self.mountinfo in events or first):
                text = self._read_mounts()
                for word in [word for word in waiting if word in text]:
                    mounted[waiting.pop(word)] = now
            first = False
            if rest:
                time.sleep(rest)
        return told, mounted


def escape(path):
    """The path as it is written in a unit's name."""
    return path[1:].replace("-", r"\x2d").replace("/", "-")


class Image:
    """One image, and where it is to be mounted."""

    def __init__(self, path, name, template=None):
        self.path = path
        self.name = name
        self.where = f"{DIRECTORY}/{name}"
        if template:
            subprocess.run(["cp", "--sparse=always", template, path], check=True)
            run_quietly("tune2fs", "-U", "random", path)
            self.uuid = run_quietly("blkid", "-p", "-o", "value", "-s", "UUID", path).strip()
        else:
            self.uuid = make_image("ext4", path, size=8 * MiB)

    def unit(self):
        return f"{escape(self.where)}.mount"

    def device_unit(self):
        return f"{escape(f'/dev/disk/by-uuid/{self.uuid}')}.device"

    def unit_text(self):
        return (
            f"[Mount]\nWhat=/dev/disk/by-uuid/{self.uuid}\nWhere={self.where}\nType=ext4\nOptions={OPTIONS}\n"
            f"[Install]\nWantedBy={self.device_unit()}\n"
        )


def run_quietly(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout


class Wslbared:
    """Mounts by wslbared."""

    name = "wslbared"

    def __init__(self, distro):
        self.distro = distro

    def configure(self, images):
        for image in images:
            self.distro.write(f"/etc/wslbare.d/{image.name}.conf", conf(image.uuid, image.where))
        self.distro.systemctl("reload-or-restart", SERVICES[0])

    def begin(self, images):
        pass

    def rest(self, images):
        self.distro.run(["umount", *[image.where for image in images]])


class Units:
    """Mounts by mount units that their devices want; nothing is checked."""

    name = "systemd .mount"

    def __init__(self, distro):
        self.distro = distro

    def configure(self, images):
        for image in images:
            self.distro.write(f"/etc/systemd/system/{image.unit()}", image.unit_text())
        self.distro.systemctl("--quiet", "enable", *[image.unit() for image in images])
        self.distro.systemctl("daemon-reload")

    def begin(self, images):
        pass

    def rest(self, images):
        self.distro.systemctl("stop", *[image.unit() for image in images])


class Nobody:
    """Mounts nothing: udevd is alone."""

    name = "udevd alone"

    def nothing(self, images):
        pass

    configure = begin = rest = nothing


class Bare:
    """Calls mount(2) as soon as udevd tells of a disk, looks at nothing and keeps nothing: no mounter can do less."""

    name = "mount(2) in a loop"

    def __init__(self, distro):
        self.distro = distro
        self.udev = Udev(distro)

    def configure(self, images):
        self.distro.run(["mkdir", "-p", *[image.where for image in images]])

    def begin(self, images):
        self.udev.drain()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._mount({image.uuid: image.where for image in images})
            finally:
                os._exit(0)

    def _mount(self, targets):
        with open(f"/proc/{self.distro.pid}/ns/mnt") as namespace:
            call(libc.setns, namespace.fileno(), CLONE_NEWNS)
        while targets:
            select.select([self.udev], [], [])
            for event in self.udev.read():
                where = targets.pop(event.get("ID_FS_UUID"), None)
                if where:
                    mount_bare(event["DEVNAME"], where)

    def rest(self, images):
        os.waitpid(self.pid, 0)
        self.distro.run(["umount", *[image.where for image in images]])


def settle(distro):
    """Until nobody has anything to do."""

    def is_quiet():
        before = cpu_time(distro)
        time.sleep(0.3)
        return cpu_time(distro) - before <= 1

    distro.run("udevadm settle")
    machine.wait_until(is_quiet, timeout=60, what="the distribution to be quiet")


def cpu_time(distro):
    """Ticks of all that runs in the distribution."""
    total = 0
    for processes in distro.cgroup.rglob("cgroup.procs"):
        for number in processes.read_text().split():
            try:
                fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
            except (OSError, ProcessLookupError):
                pass
    return total


def detach(distro, mounter, disks, images):
    mounter.rest(images)
    for disk in disks:
        disk.detach()
    for disk in disks:
        machine.wait_until(lambda: not disk.attached(), what=f"{disk.name} to be free")
        disk.close()
    settle(distro)


def measure(distro, watch, mounter, images, rest=0.0):
    """Attaches all images at once. Times in ms since the first: attached, told of, mounted."""
    targets = [] if isinstance(mounter, Nobody) else [image.where for image in images]
    mounter.begin(images)
    watch.begin()
    disks = [Disk(image.path) for image in images]
    try:
        told, mounted = watch.wait({image.uuid for image in images}, targets, rest=rest)
    except TimeoutError as error:
        raise TimeoutError(f"{mounter.name}: {error}") from None
    begin = disks[0].attached_at
    result = {"udevd": (max(told.values()) - begin) / 1e6}
    if mounted:
        result["mounted"] = (max(mounted.values()) - begin) / 1e6
    return disks, result


def time_mount(image):
    """How long mount(2) itself takes on a disk that was just attached, in a mount namespace of its own."""
    disk = Disk(image.path)
    time.sleep(0.3)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            call(libc.unshare, CLONE_NEWNS)
            call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
            call(libc.mount, b"tmpfs", b"/mnt", b"tmpfs", 0, None)
            begin = time.monotonic_ns()
            mount_bare(disk.node, "/mnt")
            os.write(writer, str((time.monotonic_ns() - begin) / 1e6).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    disk.detach(timeout=10)
    disk.close()
    return float(text)


def pids(distro):
    """Unit → PID as the machine has it."""
    found = {}
    for unit in SERVICES:
        inside = distro.show(unit, "MainPID")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                status = (process / "status").read_text()
                own = os.readlink(process / "ns/pid") == os.readlink(f"/proc/{distro.pid}/ns/pid")
            except OSError:
                continue
            if own and f"\nNSpid:\t{process.name}\t{inside}\n" in status:
                found[unit] = int(process.name)
    return found


def pss(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])


def switches(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def describe(values):
    values = sorted(values)
    return {
        "median": statistics.median(values),
        "min": values[0],
        "max": values[-1],
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
        "n": len(values),
    }


def say(text):
    print(text, file=sys.stderr, flush=True)


def bench_one(distro, watch, images, times, pause):
    """One disk: ours and systemd's in turn, and the call alone."""
    ours, theirs, nobodys = images
    mounters = (Wslbared(distro), ours), (Units(distro), theirs)
    figures = {"mount(2)": {"mounted": []}}
    for mounter, image in mounters:
        mounter.configure([image])
        figures[mounter.name] = {"udevd": [], "mounted": [], "after": []}
    settle(distro)
    for turn in range(-1, times):  # the first one does not count: all is cold
        for mounter, image in mounters if turn % 2 else reversed(mounters):
            time.sleep(pause)
            disks, result = measure(distro, watch, mounter, [image])
            detach(distro, mounter, disks, [image])
            if turn >= 0:
                result["after"] = result["mounted"] - result["udevd"]
                for key, value in result.items():
                    figures[mounter.name][key].append(value)
        took = time_mount(nobodys)
        if turn >= 0:
            figures["mount(2)"]["mounted"].append(took)
        settle(distro)
    return {name: {key: describe(values) for key, values in rows.items()} for name, rows in figures.items()}


def bench_memory(distro, watch, images):
    mounter = Wslbared(distro)
    distro.systemctl("stop", *SERVICES)
    mounter.configure(images)
    settle(distro)
    disks, _ = measure(distro, watch, mounter, images, rest=0.005)
    settle(distro)
    found = pids(distro)
    memory = {unit: pss(pid) for unit, pid in found.items()}
    return disks, found, memory


def bench_idle(found, seconds):
    before = {unit: switches(pid) for unit, pid in found.items()}
    time.sleep(seconds)
    return {unit: switches(pid) - before[unit] for unit, pid in found.items()}


def bench_many(distro, watch, sets, times):
    """Many disks at once: nobody, wslbared, systemd and a loop in turn."""
    mounters = [Nobody(), Wslbared(distro), Units(distro), Bare(distro)]
    figures = {mounter.name: {"udevd": [], "mounted": []} for mounter in mounters}
    for mounter, images in zip(mounters, sets):
        mounter.configure(images)
    settle(distro)
    for turn in range(times):
        pairs = list(zip(mounters, sets))
        for mounter, images in pairs[turn % 4:] + pairs[:turn % 4]:
            disks, result = measure(distro, watch, mounter, images, rest=0.005)
            for key, value in result.items():
                figures[mounter.name][key].append(value)
            detach(distro, mounter, disks, images)
    return {
        name: {key: describe(values) for key, values in rows.items() if values} for name, rows in figures.items()
    }


def row(name, figures, unit="ms"):
    spread = f"{figures['min']:.1f} – {figures['max']:.1f}"
    print(f"  {name:44}{figures['median']:9.1f} {unit}   {spread:>16}  ±{figures['deviation']:.1f}  n={figures['n']}")


def print_table(results):
    one, many = results["one"], results["many"]
    n = results["disks"]
    print("One ext4 loop device, from attaching it               median            min – max")
    row("udevd tells of it (with wslbared)", one["wslbared"]["udevd"])
    row("mounted by wslbared", one["wslbared"]["mounted"])
    row("    of it, after udevd has told", one["wslbared"]["after"])
    row("mounted by a .mount unit, unchecked", one["systemd .mount"]["mounted"])
    row("    of it, after udevd has told", one["systemd .mount"]["after"])
    row("mount(2) alone", one["mount(2)"]["mounted"])
    print(f"{n} at once, until the last")
    row("udevd tells of it, nobody mounting", many["udevd alone"]["udevd"])
    row("udevd tells of it, wslbared mounting", many["wslbared"]["udevd"])
    row("mounted by wslbared", many["wslbared"]["mounted"])
    row("udevd tells of it, .mount units mounting", many["systemd .mount"]["udevd"])
    row("mounted by .mount units, unchecked", many["systemd .mount"]["mounted"])
    row("mounted by a loop around mount(2)", many["mount(2) in a loop"]["mounted"])
    print(f"Both daemons, {results['volumes']} volumes mounted")
    for unit in SERVICES:
        print(f"  memory (PSS), {unit:30}{results['memory'][unit]:9} KiB")
    print(f"  memory (PSS), {'together':30}{sum(results['memory'].values()):9} KiB")
    for unit in SERVICES:
        print(f"  wake-ups in {results['seconds']} s, {unit:30}{results['wakeups'][unit]:9}")
    single = one["wslbared"]["mounted"]
    alone, ours = many["udevd alone"]["udevd"], many["wslbared"]["mounted"]
    print("Ratios of the medians")
    print(f"  one: wslbared / .mount unit         {ratio(single, one['systemd .mount']['mounted'])}")
    print(f"  {n}: wslbared / udevd alone         {ratio(ours, alone)}")
    print(f"  {n}: .mount units / udevd alone     {ratio(many['systemd .mount']['mounted'], alone)}")
    print(f"  {n}: mount(2) loop / udevd alone    {ratio(many['mount(2) in a loop']['mounted'], alone)}")
    print(f"  {n}: wslbared / mount(2) loop       {ratio(ours, many['mount(2) in a loop']['mounted'])}")


def ratio(a, b):
    return f"{a['median'] / b['median']:.2f}"


def bench(arguments):
    machine.start()
    images = machine.tmp / "images"
    images.mkdir()
    template = Image(images / "template", "template")

    def make(prefix, n):
        return [Image(images / f"{prefix}{i}", f"{prefix}{i}", template.path) for i in range(n)]

    n = arguments.disks
    say("Making images …")
    single = make("one", 3)
    sets = [make(name, n) for name in ("none", "ours", "theirs", "bare")]
    with Distro(enable=["wslbared.service"]) as distro:
        watch = Watch(distro)
        # Loop devices that are made on the way would cost time that is nobody's.
        disks = [Disk(image.path) for image in sets[0]]
        detach(distro, Nobody(), disks, [])
        say("One disk …")
        results = {"one": bench_one(distro, watch, single, arguments.times, arguments.pause)}
        volumes = sets[1][:arguments.volumes]
        say(f"{len(volumes)} volumes …")
        disks, found, results["memory"] = bench_memory(distro, watch, volumes)
        results["wakeups"] = bench_idle(found, arguments.seconds)
        detach(distro, Wslbared(distro), disks, volumes)
        say(f"{n} disks at once …")
        results["many"] = bench_many(distro, watch, sets, arguments.rounds)
    results.update(disks=n, volumes=len(volumes), seconds=arguments.seconds)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--times", type=int, default=20, metavar="N", help="attachments of one disk (20)")
    parser.add_argument("--pause", type=float, default=0, metavar="S", help="rest before each (0)")
    parser.add_argument("--disks", type=int, default=200, metavar="N", help="disks attached at once (200)")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="how often that is done (4)")
    parser.add_argument("--volumes", type=int, default=100, metavar="N", help="volumes mounted for the memory (100)")
    parser.add_argument("--seconds", type=int, default=20, metavar="N", help="how long to count wake-ups (20)")
    arguments = parser.parse_args()

    machine.stop_on_signals()
    try:
        results = bench(arguments)
    except machine.Skip as e:
        sys.exit(f"bench: {e}")
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        print_table(results)


if __name__ == "__main__":
    main()
