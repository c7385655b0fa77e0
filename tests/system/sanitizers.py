# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the sanitizers report, where our programs are built with them: $WSLBARE_SANITIZED says so.

A directory of the machine is mounted into each distribution for the reports, so that they outlive it. A report is a
failure of the test that runs, whatever else that finds.
"""

import os

import machine

ENABLED = bool(os.environ.get("WSLBARE_SANITIZED"))

WHERE = "/run/sanitizers"  # in a distribution

_COMMON = f"log_path={WHERE}/report:log_exe_name=1"
_OPTIONS = {
    "ASAN_OPTIONS": f"{_COMMON}:detect_stack_use_after_return=1:handle_abort=1",
    "UBSAN_OPTIONS": f"{_COMMON}:print_stacktrace=1:halt_on_error=1",
}

# The search for leaks, at the end, attaches to the process; and wslbared may write nowhere. Not below /etc, where tests
# have drop-ins of their own.
_DROP_IN = "[Service]\nSystemCallFilter=ptrace\n"
_FILES = {
    "/etc/systemd/system.conf.d/sanitizers.conf":
        "[Manager]\nDefaultEnvironment=" + " ".join(f"{name}={value}" for name, value in _OPTIONS.items()) + "\n",
    "/usr/lib/systemd/system/wslbared.service.d/sanitizers.conf": f"{_DROP_IN}ReadWritePaths={WHERE}\n",
    "/usr/lib/systemd/system/wslbare-mountd.service.d/sanitizers.conf": _DROP_IN,
}


def environment():
    """What a program needs in its environment."""
    return _OPTIONS if ENABLED else {}


def files():
    """What a distribution needs, path → text."""
    return _FILES if ENABLED else {}


def directory(name):
    """The directory for the reports of a distribution; "" when there can be none."""
    if not ENABLED:
        return ""
    path = machine.tmp / "sanitizers" / name
    path.mkdir(parents=True)
    path.chmod(0o1777)
    return path


def take():
    """The reports that there are; they are gone then."""
    found = []
    if not ENABLED or machine.tmp is None:
        return found
    for path in sorted((machine.tmp / "sanitizers").glob("*/*")):
        found.append(f"{path.name}\n{path.read_text(errors='backslashreplace')}")
        path.unlink()
    return found


def check():
    """Fails when there is one."""
    if reports := take():
        raise AssertionError("\n".join(reports))
