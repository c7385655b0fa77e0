# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine that the system tests run on, and how it is left as it was.

Distributions and disks share one kernel: loop devices and the devtmpfs are everybody's. So one
run at a time has the machine, whatever it makes is named so that it can be found again, and
stop() takes it all away; what a killed run left is removed by the next one.
"""

import atexit
import fcntl
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

PREFIX = "wslbare-test."

SHARED = "WSLBARE_TEST_SHARED"  # in the environment of a run within a run

ENDING = signal.SIGHUP, signal.SIGINT, signal.SIGTERM

LOOP_CTL_REMOVE = 0x4C81

# What limits of time are multiplied by: the machine may be slow or busy, and the sanitizers make it slower.
# What hangs is longer at it: a disk has 90 s.
patience = 6 if os.environ.get("WSLBARE_SANITIZED") else 4
tmp = None  # a directory of this run, removed at its end
cgroup = None  # where the machine has its cgroup2 hierarchy

_lock = None
_before = {}  # what was there: "dev" as from _walk_dev(), "loops"
_used_loops = set()
_undo = []


class Skip(Exception):
    """The test cannot run here; the text says why."""


def wait_until(condition, timeout=10, what="the condition", interval=0.02):
    """Polls CONDITION until it returns something true, and returns that."""
    timeout *= patience
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:.3g} s in vain for {what}")
        time.sleep(interval)


def _mount_point(fstype, where=None):
    """Where the last mount of FSTYPE is (that on WHERE, when given) that can be written to."""
    found = None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options, *_ = line.split()
        if kind == fstype and where in (None, target) and "rw" in options.split(","):
            found = Path(target)
    if not found:
        raise Skip(f"no writable {fstype} on {where or 'the machine'}")
    return found


def _walk_dev():
    """What is in /dev: path → mode, uid, gid, device number, target of the link."""
    found = {}
    device = os.lstat("/dev").st_dev
    for top, dirs, files in os.walk("/dev"):
        for name in dirs + files:
            path = os.path.join(top, name)
            try:
                st = os.lstat(path)
                target = os.readlink(path) if stat.S_ISLNK(st.st_mode) else None
            except FileNotFoundError:
                continue
            if st.st_dev == device:
                found[path] = [st.st_mode, st.st_uid, st.st_gid, st.st_rdev, target]
        dirs[:] = [name for name in dirs if os.path.join(top, name) in found]
    return found


def _restore_dev(before):
    """Takes back what a distribution's udevd and systemd did to /dev, which is shared."""
    now = _walk_dev()

    # Deepest first. Nodes come and go with their devices, by the kernel's hand.
    for path in sorted(now.keys() - before.keys(), key=len, reverse=True):
        mode = now[path][0]
        try:
            if stat.S_ISDIR(mode):
                os.rmdir(path)
            elif not stat.S_ISBLK(mode) and not stat.S_ISCHR(mode):
                os.unlink(path)
        except OSError:
            pass

    for path, (mode, uid, gid, rdev, target) in before.items():
        if now.get(path) == [mode, uid, gid, rdev, target]:
            continue
        if target is not None:
            if os.path.lexists(path):
                os.unlink(path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
        elif path in now and now[path][3] == rdev:
            os.chown(path, uid, gid)
            os.chmod(path, stat.S_IMODE(mode))


def remove_cgroup(path):
    """Kills whatever runs in a cgroup and removes it with all below it."""

    def gone():
        # Each time: somebody may just have been on the way into it.
        try:
            (path / "cgroup.kill").write_text("1")
        except FileNotFoundError:
            pass
        for top, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(top)
            except OSError:
                pass
        return not path.exists()

    if path.exists():
        wait_until(gone, what=f"{path} to be empty")


def _loop_numbers():
    return {int(path.name[4:]) for path in Path("/sys/block").glob("loop[0-9]*")}


def use_loop(number):
    """Has the end of the run wait until a loop device is free again."""
    _used_loops.add(number)


def _loop_is_free(number):
    return not os.path.exists(f"/sys/block/loop{number}/loop/backing_file")


def _remove_loop(number):
    """Removes a loop device; one that is in use stays."""
    fd = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, LOOP_CTL_REMOVE, number)
    except OSError:
        pass
    finally:
        os.close(fd)


def _restore(before):
    """Takes away what was not there BEFORE: loop devices that are free, and changes in /dev."""
    for number in _loop_numbers() - set(before["loops"]):
        _remove_loop(number)
    # Where the machine has a udevd of its own, /dev is that one's business.
    if not os.path.exists("/run/udev/control"):
        _restore_dev(before["dev"])


def _sweep():
    """Removes what an earlier run left, having been killed."""
    for path in cgroup.glob(PREFIX + "*"):
        remove_cgroup(path)
    for path in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        if (path / "machine.json").exists():
            _restore(json.loads((path / "machine.json").read_text()))
        shutil.rmtree(path)


def _take():
    """Waits until no other run has the machine. A run started by this one shares it."""
    global _lock

    if _lock is not None or os.environ.get(SHARED):
        return
    _lock = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("# waiting for another run to end", file=sys.stderr, flush=True)
        fcntl.flock(_lock, fcntl.LOCK_EX)


def start():
    """Takes the machine, waiting for another run that has it. Doing it twice does no harm."""
    global tmp, cgroup, _before

    if tmp is not None:
        return
    if os.geteuid() != 0:
        raise Skip("needs root")
    _mount_point("devtmpfs", "/dev")
    cgroup = _mount_point("cgroup2")
    _take()
    _sweep()

    atexit.register(stop)
    os.umask(0o022)
    tmp = Path(tempfile.mkdtemp(prefix=PREFIX))
    _before = {"dev": _walk_dev(), "loops": list(_loop_numbers())}
    (tmp / "machine.json").write_text(json.dumps(_before))


def defer(function):
    """Has FUNCTION called when the machine is given back, the latest first."""
    _undo.append(function)


def undefer(function):
    if function in _undo:
        _undo.remove(function)


def undo(mark=0):
    """Calls what was deferred since there were MARK functions; all of it, whatever fails."""
    failures = []
    while len(_undo) > mark:
        function = _undo.pop()
        try:
            function()
        except Exception as e:
            failures.append(f"{getattr(function, '__qualname__', function)}: {e}")
    return failures


def mark():
    return len(_undo)


def stop(keep=False):
    """Makes the machine what it was, and gives it back unless it is to be kept."""
    global tmp, _lock

    if tmp is None:
        return
    # Nothing interrupts this; what runs afterwards can be interrupted again.
    handlers = {s: signal.signal(s, signal.SIG_IGN) for s in ENDING}
    failures = undo()
    for number in _used_loops:
        try:
            wait_until(lambda: _loop_is_free(number), what=f"loop{number} to be free")
        except TimeoutError as e:
            failures.append(str(e))
    _restore(_before)
    shutil.rmtree(tmp, ignore_errors=True)
    for text in failures:
        print(f"# cleaning up: {text}", file=sys.stderr, flush=True)
    tmp = None
    if _lock is not None and not keep:
        os.close(_lock)
        _lock = None
    for s, handler in handlers.items():
        signal.signal(s, handler)


def stop_on_signals():
    """Makes the signals that end a program leave through the finally clauses and atexit."""

    def leave(number, _frame):
        for s in ENDING:
            signal.signal(s, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for s in ENDING:
        signal.signal(s, leave)
