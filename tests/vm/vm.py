# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virtual machine with disks that can be pulled out.

Its root is a copy-on-write view of this machine's own, as the distributions of the system tests have it; its kernel is
Debian's, which has what a disk may be and suffer (tests/vm/base). What it needs of the machine is QEMU: it runs without
KVM, and changes nothing outside its directory.
"""

import functools
import glob
import itertools
import os
import pickle
import select
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SYSTEM = HERE.parent / "system"
sys.path.insert(1, str(SYSTEM))

import agent  # noqa: E402
import machine  # noqa: E402
from commands import Commands  # noqa: E402
from qmp import Qmp  # noqa: E402

AGENT = "/usr/local/lib/wslbare-test"
AGENT_UNIT = f"""\
[Unit]
After=dbus.service wslbared.service

[Service]
ExecStart=/usr/bin/python3 -B {AGENT}/agent.py
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""

# The root is what is below this script, so it is bound elsewhere: root.sh refuses to change the one it runs on.
START = """\
set -e
export ENABLE={enable}
mount --bind / /mnt
/tmp/run/root.sh /mnt wslbare-vm {trees}
umount /mnt
umount -l /tmp/run
exec /lib/systemd/systemd --log-target=journal --show-status=false
"""

# Emulated on a busy machine, nothing is too slow to be believed.
machine.patience = 10

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""}


class Remote:
    """A path inside, with the methods of pathlib.Path."""

    def __init__(self, vm, path):
        self._vm = vm
        self._path = Path(path)

    def __getattr__(self, name):
        return functools.partial(self._vm.call, getattr(Path, name), self._path)


class RemoteBus:
    """The bus inside, with the methods of bus.Connection."""

    def __init__(self, vm):
        self._vm = vm

    def __getattr__(self, name):
        return functools.partial(self._vm.call, agent.on_bus, name)


class VM(Commands):
    """
    base        what tests/vm/base made
    directory   for files of this run
    tree        an install tree laid over the root
    enable      units to enable
    """

    def __init__(self, base, directory, tree=None, enable=()):
        self.base = Path(base)
        self.directory = Path(directory)
        self.run_directory = self.directory / "run"
        self.console = self.directory / "console"
        self.enable = (*enable, "wslbare-test-agent.service")
        self.disks = []
        self.bus = RemoteBus(self)
        self._numbers = itertools.count(1)
        self._targets = itertools.cycle(range(1, 256))
        self._process = self._qmp = self._agent = None
        self._make_run_directory(tree)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _make_run_directory(self, tree):
        self.run_directory.mkdir()
        shutil.copy(SYSTEM / "root.sh", self.run_directory)
        for name in "tree", "files":
            (self.run_directory / name).mkdir()
        if tree:
            shutil.copytree(tree, self.run_directory / "tree", symlinks=True, dirs_exist_ok=True)
        lib = self.run_directory / "files" / AGENT.lstrip("/")
        lib.mkdir(parents=True)
        for path in HERE / "agent.py", SYSTEM / "bus.py":
            shutil.copy(path, lib)
        self._put("/etc/systemd/system/wslbare-test-agent.service", AGENT_UNIT)
        trees = "/tmp/run/tree /tmp/run/files"
        (self.run_directory / "start").write_text(START.format(enable=shlex.quote(" ".join(self.enable)), trees=trees))

    def _put(self, path, text):
        path = self.run_directory / "files" / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def give(self, path, text):
        """Has a file there at the next boots, until the end of the test."""
        machine.defer(self._put(path, text).unlink)

    # The machine.

    def _share(self, tag, path):
        return ["-fsdev", f"local,id={tag},path={path},security_model=none,readonly=on,multidevs=remap",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]

    def _command(self):
        return [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", self.base / "kernel", "-initrd", self.base / "initrd",
            "-append", "console=ttyS0 loglevel=4 panic=-1",
            "-serial", f"file:{self.console}",
            "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
            "-chardev", f"socket,id=agent,path={self.directory}/agent,server=on,wait=off",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent",
            "-device", "virtio-scsi-pci,id=scsi",
            *self._share("root", "/"), *self._share("layer", self.base / "layer"),
            *self._share("run", self.run_directory),
        ]

    def boot(self, timeout=60):
        """Boots it, with the disks that are plugged in, and waits until it is up."""
        for name in "qmp", "agent":
            (self.directory / name).unlink(missing_ok=True)
        with open(self.directory / "qemu", "wb") as output:
            # Whatever happens to this process, the machine goes with it.
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self._command()],
                                             stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            self._agent = self._connect("agent")
            self._qmp = Qmp(self._connect("qmp"))
            for disk in self.disks:
                disk.insert()
            self._answer(agent.READY, timeout)
            self.state = self.systemctl("is-system-running", "--wait", check=False, timeout=timeout).stdout.strip()
            for disk in self.disks:
                disk.wait_seen()
        except (OSError, TimeoutError, EOFError) as e:
            words = (self.directory / "qemu").read_text() + self.console.read_text(errors="replace")[-4000:]
            self.kill()
            raise RuntimeError(f"it did not boot: {e}\n{words}") from None

    def _connect(self, name):
        def connected():
            if not self.alive:
                raise EOFError("QEMU ended")
            return connection.connect_ex(str(self.directory / name)) == 0

        connection = socket.socket(socket.AF_UNIX)
        machine.wait_until(connected, what="QEMU to listen")
        return connection

    @property
    def alive(self):
        return self._process is not None and self._process.poll() is None

    def kill(self):
        """As if its power was cut: what its kernel had not written to the disks is lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
        for connection in self._qmp, self._agent:
            if connection:
                connection.close()
        self._process = self._qmp = self._agent = None

    def close(self):
        self.kill()

    # Inside.

    def _receive(self, size, deadline):
        data = b""
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._agent], [], [], left)[0]:
                raise TimeoutError("the virtual machine does not answer")
            part = self._agent.recv(size - len(data))
            if not part:
                raise EOFError("the virtual machine is gone")
            data += part
        return data

    def _answer(self, number, timeout):
        deadline = time.monotonic() + timeout * machine.patience
        while True:
            (size,) = struct.unpack("<I", self._receive(4, deadline))
            answered, good, result = pickle.loads(self._receive(size, deadline))
            # Others are late: nobody waits for them any more.
            if answered == number:
                break
        if not good:
            raise result
        return result

    def call(self, function, *arguments, answer_within=30, **options):
        """Calls a function inside; it must be one that can be imported there."""
        number = next(self._numbers)
        data = pickle.dumps((number, function, arguments, options))
        self._agent.sendall(struct.pack("<I", len(data)) + data)
        return self._answer(number, answer_within)

    def run(self, command, check=True, timeout=30, user=None, input=None):
        """Runs a command inside and returns a CompletedProcess with text in stdout and stderr."""
        if isinstance(command, str):
            command = shlex.split(command)
        if user:
            command = ["runuser", "-u", user, "--", *command]
        command = list(map(str, command))
        stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        try:
            result = self.call(subprocess.run, command, env=_ENVIRONMENT, timeout=timeout * machine.patience,
                               capture_output=True, text=True, errors="backslashreplace", answer_within=timeout + 5,
                               **stdin)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise TimeoutError(f"{shlex.join(command)} took longer than {timeout} s") from None
        if check and result.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)} failed with {result.returncode}:\n"
                               f"{result.stdout}{result.stderr}".rstrip())
        return result

    def path(self, path):
        return Remote(self, path)

    def write(self, path, text):
        """Replaces or makes a file, and the directories on the way."""
        path = Path(path)
        self.path(path.parent).mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        self.path(new).write_text(text)
        self.path(new).rename(path)

    # Disks.

    def plug(self, image, **properties):
        """Plugs a disk in; properties are those of QEMU's scsi-hd, such as serial and wwn."""
        disk = Disk(self, image, properties)
        disk.plug()
        return disk


class Disk:
    """A SCSI disk of a virtual machine. Each time it is plugged in it is another target.

    After that: name, node.
    """

    def __init__(self, vm, image, properties):
        self.vm = vm
        self.image = image
        self.properties = properties
        self.id = f"disk{next(vm._numbers)}"

    def insert(self):
        """Puts it in, without waiting for anything."""
        self.target = next(self.vm._targets)
        qmp = self.vm._qmp
        qmp.execute("blockdev-add", **{"driver": "raw", "node-name": self.id,
                                       "file": {"driver": "file", "filename": str(self.image)}})
        qmp.execute("device_add", driver="scsi-hd", id=self.id, drive=self.id, bus="scsi.0", **{"scsi-id": self.target},
                    **self.properties)

    def plug(self):
        self.vm.disks.append(self)
        machine.defer(self.close)
        self.insert()
        self.wait_seen()

    def wait_seen(self):
        pattern = f"/sys/bus/scsi/devices/*:0:{self.target}:0/block/*"
        (path,) = machine.wait_until(lambda: self.vm.call(glob.glob, pattern), what="the disk to be seen")
        self.name = os.path.basename(path)
        self.node = f"/dev/{self.name}"

    def pull(self):
        """Pulls it out, whatever is going on."""
        self.vm.disks.remove(self)
        machine.undefer(self.close)
        self.vm._qmp.execute("device_del", id=self.id)
        self.vm._qmp.wait_event("DEVICE_DELETED", device=self.id)
        self.vm._qmp.execute("blockdev-del", **{"node-name": self.id})

    def close(self):
        if self in self.vm.disks and self.vm.alive:
            self.pull()
