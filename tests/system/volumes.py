# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes, as the tests write and see them.

Tests of one file share a distribution, so each gives its volumes names and targets of its own.
"""

import errno
import os
import re
from pathlib import Path

import machine
from machine import wait_until

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
    """Waits until there is a mount on the target, and returns it; it must be the only one."""
    (mount,) = wait_until(lambda: mounts(distro, target), timeout, f"a mount on {target}")
    return mount


def unmount(distro, targets, *options):
    """Unmounts what a foreign hand would, by umount(8)."""
    if targets:
        distro.run(["umount", *options, *targets], check="-l" not in options)


def status(distro):
    return distro.show("wslbared", "StatusText")


def states(distro):
    """name → state, as the status line tells; volumes that are mounted are not in it."""
    found = {}
    for part in status(distro).split(", ")[1:]:
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

    return wait_until(find, 5, f"the journal to say {pattern!r} of {name}")


def logged(distro, pattern, unit="wslbared"):
    """Like said(), of a whole unit."""

    def find():
        return [entry["MESSAGE"] for entry in distro.journal(unit) if re.search(pattern, entry["MESSAGE"])]

    return wait_until(find, 5, f"the journal of {unit} to say {pattern!r}")


def processes(distro, unit):
    """The processes of a unit, as the machine numbers them: main process first."""
    try:
        pids = (distro.cgroup / "system.slice" / unit / "cgroup.procs").read_text().split()
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENODEV):  # it went before, or while it was read
            raise
        return []
    return sorted(map(int, pids), key=lambda pid: (_parent(pid) != distro.pid, pid))


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def main_pid(distro, unit):
    pids = [pid for pid in processes(distro, unit) if _parent(pid) == distro.pid]
    return pids[0] if pids else 0


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
