# SPDX-License-Identifier: LGPL-2.1-or-later
"""A WSL2-like distribution in namespaces of this machine; see distro.sh for how it is made.

Run by itself, this file boots one and opens a shell in it.
"""

import argparse
import ctypes
import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import machine
import sanitizers
from commands import Commands

UDEVD = (
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
)
DBUS = ("dbus.service", "dbus.socket")

SYS_OPEN_TREE, SYS_MOVE_MOUNT = 428, 429  # on every architecture
AT_FDCWD = -100
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""}
_numbers = itertools.count(1)
_running = []


class Distro(Commands):
    """Boots a distribution and waits until it is up.

    tree     an install tree laid over the root; by default the one in $WSLBARE_TREE
    files    path → text, or (text, mode), of more files
    enable   units to enable
    mask     units to mask, such as UDEVD or DBUS
    netns    "private", or "host" to share the machine's network namespace
    """

    def __init__(self, tree=None, files=None, enable=(), mask=(), netns="private", timeout=60):
        machine.start()
        self.pid = None
        self.name = f"{machine.PREFIX}{os.getpid()}-{next(_numbers)}"
        self.cgroup = machine.cgroup / self.name
        self.directory = machine.tmp / self.name
        self.files = machine.tmp / f"{self.name}.files"
        self.console = machine.tmp / f"{self.name}.console"

        self.directory.mkdir()
        self.cgroup.mkdir()
        machine.defer(self.close)
        try:
            self._boot(self._trees(tree, files), enable, mask, netns)
            self._await_boot(timeout)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _trees(self, tree, files):
        self.files.mkdir()
        for path, content in {**sanitizers.files(), **(files or {})}.items():
            text, mode = content if isinstance(content, tuple) else (content, 0o644)
            _write(self.files / path.lstrip("/"), text, mode)
        tree = tree or os.environ.get("WSLBARE_TREE")
        return [tree, self.files] if tree else [self.files]

    def _boot(self, trees, enable, mask, netns):
        script = Path(__file__).with_name("distro.sh")
        environment = {**_ENVIRONMENT, "NETNS": netns, "ENABLE": " ".join(enable), "MASK": " ".join(mask),
                       "REPORTS": str(sanitizers.directory(self.name))}
        with open(self.console, "wb") as console:
            # Whatever happens to this process, the distribution goes with it.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", script, self.name, self.cgroup, self.directory, *trees],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        _running.append(self)

    def _await_boot(self, timeout):
        deadline = time.monotonic() + timeout

        def left():
            return deadline - time.monotonic()

        def await_condition(condition, what):
            machine.wait_until(condition, left(), what)

        def is_up():
            self._check_alive()
            arguments = ["is-system-running", "--wait"]
            self.state = self.systemctl(*arguments, check=False, timeout=left()).stdout.strip()
            return self.state in ("running", "degraded")

        try:
            await_condition(self._has_init, "systemd to run")
            await_condition(self.path("/run/systemd/private").exists, "systemd to listen")
            await_condition(is_up, "the boot to end")
        except (RuntimeError, TimeoutError) as e:
            raise RuntimeError(f"{self.name} did not boot: {e}\n{self._last_words()}") from None

    def _check_alive(self):
        if not self.alive:
            raise RuntimeError(f"exit status {self._process.returncode}")

    def _last_words(self):
        words = self.console.read_text()
        if self.pid:
            try:
                words += self.shell("systemctl list-jobs; journalctl -q -b -n 60", check=False, timeout=10).stdout
            except TimeoutError:
                pass
        return words

    def _has_init(self):
        self._check_alive()
        try:
            pid = int((self.directory / "pid").read_text())
            # Until it has executed systemd, it may still see the machine's root.
            if Path(f"/proc/{pid}/comm").read_text() != "systemd\n":
                return False
        except (OSError, ValueError):
            return False
        self.pid = pid
        return True

    def path(self, path):
        """Where a path of the distribution is as seen from the machine.

        An absolute symbolic link on the way leads into the machine's own files.
        """
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def write(self, path, text, mode=0o644):
        """Replaces or makes a file, and the directories on the way."""
        _write(self.path(path), text, mode)

    def share(self, path, where="/mnt/wsl"):
        """Mounts what is on PATH inside, as one mount with it where that is shared.

        That is how WSL's distributions have /mnt/wsl. Services that are sandboxed and run already do not see it.
        """
        self.path(where).mkdir(parents=True, exist_ok=True)
        fd = _syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE)
        try:
            program = ["python3", "-B", __file__, "--attach", str(fd), where]
            subprocess.run(["nsenter", "-t", str(self.pid), "-m", *program], check=True, pass_fds=[fd])
        finally:
            os.close(fd)

    def run(self, command, check=True, timeout=30, user=None, input=None):
        """Runs a command inside and returns a CompletedProcess with text in stdout and stderr.

        What shall go on running afterwards is to be started by systemd-run.
        """
        if isinstance(command, str):
            command = shlex.split(command)
        if user:
            command = ["runuser", "-u", user, "--", *command]
        process = subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-a", *map(str, command)],
            env={**_ENVIRONMENT, **sanitizers.environment()},
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        with process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException as e:
                # nsenter's child is in the same group, and would stay.
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(e, subprocess.TimeoutExpired):
                    raise TimeoutError(f"{shlex.join(map(str, command))} took longer than {timeout} s") from None
                raise
        if check and process.returncode != 0:
            raise RuntimeError(
                f"{shlex.join(map(str, command))} failed with {process.returncode}:\n{out}{err}".rstrip()
            )
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    @property
    def alive(self):
        return self._process.poll() is None

    def poweroff(self, timeout=30):
        """Powers the distribution off; one that does not go is killed, and that is an error."""
        try:
            self.systemctl("poweroff", check=False, timeout=timeout)
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} did not power off within {timeout} s") from None
        finally:
            self.close()

    def close(self):
        """Kills what is left of the distribution."""
        if self in _running:
            if self.pid and self.alive:
                # With its init all of it goes; unshare collects that and ends.
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                machine.wait_until(lambda: not self.alive, what=f"{self.name} to die")
        machine.remove_cgroup(self.cgroup)
        if self in _running:
            self._process.wait()
            _running.remove(self)
        machine.undefer(self.close)


def running():
    """The distributions that are up."""
    return [distro for distro in _running if distro.pid]


def _syscall(number, *arguments):
    """A system call that python does not know."""
    result = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def _attach(fd, where):
    """What the helper of Distro.share() does, inside."""
    _syscall(SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(where), MOVE_MOUNT_F_EMPTY_PATH)


def _write(path, text, mode):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Atomic, so that whoever watches the directory sees whole files.
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(path)


def main():
    parser = argparse.ArgumentParser(description="Boots a distribution and opens a shell in it.")
    parser.add_argument("--enable", action="append", default=[], metavar="UNIT")
    parser.add_argument("--mask", action="append", default=[], metavar="UNIT")
    parser.add_argument("--netns", choices=["private", "host"], default="private")
    parser.add_argument("--attach", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("tree", nargs="?", help="an install tree")
    arguments = parser.parse_args()
    attach = vars(arguments).pop("attach")
    if attach:
        return _attach(int(attach[0]), attach[1])

    machine.stop_on_signals()
    try:
        with Distro(**vars(arguments)) as distro:
            return subprocess.run(["nsenter", "-t", str(distro.pid), "-a", "bash", "-l"]).returncode
    except machine.Skip as e:
        sys.exit(f"distro.py: {e}")


if __name__ == "__main__":
    sys.exit(main())
