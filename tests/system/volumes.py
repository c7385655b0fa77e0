# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes, as the tests write and see them.

Tests of one file share a distribution, so each gives its volumes names and targets of its own.
"""

import contextlib
import errno
import os
import re
import shlex
from pathlib import Path

import machine
from distro import Distro
from machine import wait_until

CONFIGURATION = "/etc/wslbare.d", "/run/wslbare.d", "/usr/local/lib/wslbare.d", "/usr/lib/wslbare.d"

SERVICES = ("wslbared.service", "wslbare-mountd.service")


def conf(uuid, where, match=None, **mount):
    """A volume's file. UUID may be None where MATCH, keys of [Match], says enough."""
    match = {**({"UUID": uuid} if uuid else {}), **(match or {})}
    lines = [f"{key}={value}" for key, value in match.items()]
    lines += ["", "[Mount]", f"Where={where}"] + [f"{key}={value}" for key, value in mount.items()]
    return "\n".join(["[Match]", *lines, ""])


def conf_path(name):
    return f"/etc/wslbare.d/{name}.conf"


def configure(distro, files):
    """Adds volumes, name → text of the file, and has wslbared load them.

    At the end of the test the files go, and so does what is mounted on their targets.
    """
    for name, text in files.items():
        distro.write(conf_path(name), text)
    machine.defer(lambda: _forget(distro, files))
    reload(distro)


def _forget(distro, files):
    for name in files:
        distro.path(conf_path(name)).unlink(missing_ok=True)
    targets = [re.search("^Where=(.*)$", text, re.M)[1] for text in files.values() if "\nWhere=" in text]
    unmount(distro, [mount["target"] for target in targets for mount in mounts(distro, target)], "-l")


def reload(distro):
    """Has wslbared load its configuration again, and waits until it has."""

    def count():
        return sum("Reloading" in entry["MESSAGE"] for entry in distro.journal("wslbared"))

    before = count()
    distro.systemctl("reload", "wslbared")
    wait_until(lambda: count() > before, what="the reload to begin")
    wait_until(lambda: distro.show("wslbared", "ActiveState") == "active" and status(distro) != "Reloading",
               what="the reload to end")


def restart(distro):
    distro.systemctl("restart", "wslbared")


def mount_table(pid):
    """What a process sees mounted: dictionaries, in the kernel's order."""
    return read_mounts(Path(f"/proc/{pid}/mountinfo"))


def read_mounts(path):
    found = []
    for line in path.read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        number, _, device, _, target, options, *tags = fields.split()
        fstype, source, super_options = rest.split()
        found.append({"id": int(number), "device": device, "target": target, "source": source, "fstype": fstype,
                      "options": options.split(","), "super": super_options.split(","),
                      "shared": any(tag.startswith("shared:") for tag in tags)})
    return found


def mounts(distro, target):
    """What is mounted on a target, from the bottom to the top."""
    return [mount for mount in read_mounts(distro.path("/proc/1/mountinfo")) if mount["target"] == target]


def mounts_below(distro, directory):
    return [mount for mount in read_mounts(distro.path("/proc/1/mountinfo")) if mount["target"].startswith(f"{directory}/")]


def wait_mounted(distro, target, timeout=10):
    """Waits until there is a mount on the target, and returns it; it must be the only one.

    Where a volume is to be there, this waits until wslbared, which verifies a mount after it was made, says it is.
    """
    wait_until(lambda: mounts(distro, target), timeout, f"a mount on {target}")
    for name in _volumes_on(distro, target):
        wait_until(lambda: name not in states(distro), timeout, f"{name} to be published as mounted")
    (mount,) = mounts(distro, target)
    return mount


def _volumes_on(distro, target):
    """The names of those whose files say so."""
    files = " ".join(f"{directory}/*.conf" for directory in CONFIGURATION)
    found = distro.shell(f"grep -lxsF {shlex.quote(f'Where={target}')} {files}", check=False).stdout
    return {Path(path).stem for path in found.splitlines()}


def unmount(distro, targets, *options):
    """Unmounts what a foreign hand would, by umount(8)."""
    left = list(targets)

    def is_done():
        result = distro.run(["umount", *options, *left], check=False)
        busy = re.findall("^umount: (.*): target is busy", result.stderr, re.M)
        if result.returncode != 0 and (not busy or len(busy) < len(result.stderr.splitlines())):
            raise RuntimeError(f"umount: {result.stderr}")
        left[:] = busy
        return not busy

    if "-l" in options and targets:
        distro.run(["umount", *options, *targets], check=False)
    elif targets:
        # For the moment in which mountd verifies a mount, that is busy.
        wait_until(is_done, 2, f"{' '.join(targets)} not to be busy")


def status(distro):
    return distro.show("wslbared", "StatusText")


def states(distro):
    """name → state, as the status line tells; volumes that are mounted are not in it.

    It tells nothing of volumes while wslbared starts or reloads; then this waits.
    """
    seen = []

    def is_told():
        seen.append(status(distro))
        return re.match("[0-9]+ of [0-9]+ mounted|No volumes are configured", seen[-1])

    wait_until(is_told, what="a status that tells of volumes")
    found = {}
    for part in seen[-1].split(", ")[1:]:
        state, _, names = part.partition(": ")
        found.update(dict.fromkeys(names.split(), state))
    return found


def state(distro, name):
    assert distro.path(conf_path(name)).exists(), f"{name} is not configured"
    return states(distro).get(name, "mounted")


def wait_state(distro, name, wanted, timeout=10):
    def is_there():
        seen.append(state(distro, name))
        return seen[-1] == wanted

    seen = []
    try:
        wait_until(is_there, timeout, f"{name} to be {wanted}")
    except TimeoutError as e:
        raise TimeoutError(f"{e}; it is {seen[-1]}") from None


def said(distro, name, pattern):
    """The messages about a volume that have the pattern; they need not be there yet."""

    def find():
        entries = distro.journal(WSLBARE_VOLUME=name)
        return [entry["MESSAGE"] for entry in entries if re.search(pattern, entry["MESSAGE"])]

    return wait_until(find, what=f"the journal to say {pattern!r} of {name}")


def logged(distro, pattern, unit="wslbared"):
    """Like said(), of a whole unit."""

    def find():
        return [entry["MESSAGE"] for entry in distro.journal(unit) if re.search(pattern, entry["MESSAGE"])]

    return wait_until(find, what=f"the journal of {unit} to say {pattern!r}")


def late_starts(distro):
    """How often wslbared was not at rest three seconds after it was started, and was ready all the same."""
    return sum("came to rest in" in entry["MESSAGE"] for entry in distro.journal("wslbared"))


@contextlib.contextmanager
def boot_to_rest(tries=3, **options):
    """A distribution in which wslbared was ready because it was at rest. Three seconds may be too little for a machine
    that is busy at the moment, so it is tried again; but not for ever."""
    for left in reversed(range(tries)):
        with Distro(**options) as distro:
            is_late = late_starts(distro) > 0
            assert left or not is_late, f"it did not come to rest in three seconds, {tries} times"
            if not is_late:
                yield distro
                return


def processes(distro, unit):
    """The processes of a unit, as the machine numbers them: main process first."""
    try:
        pids = (distro.cgroup / "system.slice" / unit / "cgroup.procs").read_text().split()
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENODEV):  # it went before, or while it was read
            raise
        return []
    # Of several that systemd started, as for a reload, the main one was the first. Numbers begin anew at some time.
    return sorted(map(int, pids), key=lambda pid: (_parent(pid) != distro.pid, _stat(pid, 22), pid))


def _stat(pid, field):
    """A number of /proc/PID/stat, counted as in proc(5); 0 when there is no such process any more."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[field - 3])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _parent(pid):
    return _stat(pid, 4)


def main_pid(distro, unit):
    pids = [pid for pid in processes(distro, unit) if _parent(pid) == distro.pid]
    return pids[0] if pids else 0


def run_inside(distro, unit, *arguments):
    """Somebody inside who sleeps until the end of the test, by systemd-run with these arguments; the PID as the
    distribution numbers it."""
    distro.run(["systemd-run", "-q", f"--unit={unit}", *arguments])
    machine.defer(lambda: distro.shell(f"systemctl stop {unit}; systemctl reset-failed {unit}", check=False))
    pid = int(distro.show(unit, "MainPID"))
    # Until it is executed, it may be neither where it is to sit nor what it is called.
    wait_until(lambda: distro.run(["cat", f"/proc/{pid}/comm"]).stdout == "sleep\n", what=f"{unit} to sleep")
    return pid


def is_free(node):
    """Whether nobody has the device: what must hold before Windows may take it back."""
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def wait_free(node):
    # The kernel takes a superblock down after umount(2) has returned, when somebody else looked at it just then.
    wait_until(lambda: is_free(node), 1, f"{node} to be free")


def leftovers(distro):
    """What must not be there while nothing is at work: half-done records, staged mounts, children of mountd."""
    root = distro.path("/run/wslbare-mountd")
    found = [path for path in (root / "volumes").glob("*") if "PHASE=mounting" in path.read_text()]
    found += (root / "staging").glob("*")
    return found + processes(distro, "wslbare-mountd.service")[1:]


def wait_tidy(distro):
    seen = []
    try:
        wait_until(lambda: not seen.append(leftovers(distro)) and not seen[-1], what="nothing half done to be left")
    except TimeoutError as e:
        raise TimeoutError(f"{e}: {', '.join(map(str, seen[-1]))}") from None
