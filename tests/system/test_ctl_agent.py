# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbarectl in the terminal of an ordinary user: polkit asks for a password there."""

import os
import select
import shutil
import subprocess
import time

from disks import LoopDisk, make_image
from machine import Skip, defer, wait_until
from volumes import conf, configure, mounts, wait_state

DISTRO = {"enable": ["wslbared.service"]}

USER = "typist"
PASSWORD = "open-sesame"
ADMIN = f'polkit.addAdminRule(function(action, subject) {{ return ["unix-user:{USER}"]; }});\n'


class Terminal:
    """A command on a terminal of its own, as USER; what it says, and what is typed there."""

    def __init__(self, distro, command):
        self.distro = distro
        self.said = ""
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(distro.pid), "-a", "runuser", "-u", USER, "--", "script", "-qefc", command, "/dev/null"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm"},
        )
        defer(self.close)

    def read(self, until=None, timeout=20):
        """Waits until it has said that since the last time, or to its end."""
        start, deadline = len(self.said), time.monotonic() + timeout
        while until is None or until not in self.said[start:]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"{until!r} was not said: {self.said!r}")
            data = os.read(self.process.stdout.fileno(), 4096)
            if not data:
                assert until is None, f"it ended before it said {until!r}: {self.said!r}"
                break
            self.said += data.decode(errors="replace")

    def await_prompt(self):
        """Waits until a password may be typed: what comes before the echo is off is lost."""
        self.read(until="Password: ")
        script = "stty -a -F /dev/$(ps -o tty= -C pkttyagent)"
        wait_until(lambda: " -echo " in self.distro.shell(script, check=False).stdout, what="the echo to be off")

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        """The exit status."""
        self.read()
        return self.process.wait(10)

    def close(self):
        self.process.kill()
        self.process.communicate()


def make(distro, tmp, name, polkit=True):
    if not shutil.which("pkttyagent"):
        raise Skip("pkttyagent is not installed")
    distro.shell(f"id -u {USER} >/dev/null 2>&1 || useradd {USER}; echo {USER}:{PASSWORD} | chpasswd -c SHA512")
    distro.write("/etc/polkit-1/rules.d/10-test.rules", ADMIN)
    if polkit:
        distro.systemctl("restart", "polkit")
        defer(lambda: distro.systemctl("stop", "polkit"))
    else:
        distro.systemctl("mask", "--runtime", "--now", "polkit.service")
        defer(lambda: distro.systemctl("unmask", "--runtime", "polkit.service"))
    uuid = make_image("ext4", tmp / name)
    configure(distro, {name: conf(uuid, f"/mnt/{name}", Auto="no")})
    LoopDisk(tmp / name)
    wait_state(distro, name, "unmounted")


def agents(distro):
    return distro.run("pgrep -x pkttyagent", check=False).stdout


def test_password(distro, tmp):
    make(distro, tmp, "asked")
    for verb, words in (("mount", "Authentication is required to mount the volume asked."),
                        ("unmount", "Authentication is required to unmount the volume asked.")):
        terminal = Terminal(distro, f"wslbarectl {verb} asked && stty -a")
        terminal.await_prompt()
        assert words in terminal.said and USER in terminal.said, terminal.said
        time.sleep(1.5)  # in which there would be progress to tell
        assert bool(mounts(distro, "/mnt/asked")) == (verb == "unmount"), "before it was typed"
        terminal.type(PASSWORD)
        assert terminal.end() == 0, terminal.said
        assert bool(mounts(distro, "/mnt/asked")) == (verb == "mount"), terminal.said
        assert terminal.said.partition("Password: ")[2].startswith("\r\n"), "nothing is written over it"
        assert PASSWORD not in terminal.said and " echo " in terminal.said, terminal.said
        assert not agents(distro)
    terminal = Terminal(distro, "wslbarectl reload")
    terminal.await_prompt()
    assert "to reload the configuration" in terminal.said, terminal.said
    terminal.type(PASSWORD)
    assert terminal.end() == 0, terminal.said


def test_wrong_password(distro, tmp):
    make(distro, tmp, "wrong")
    terminal = Terminal(distro, "wslbarectl mount wrong")
    terminal.await_prompt()
    terminal.type("open-barley")
    assert terminal.end() == 7 and "cannot mount 'wrong'" in terminal.said, terminal.said
    assert not mounts(distro, "/mnt/wrong")
    assert not agents(distro)


def test_interrupted(distro, tmp):
    """Who gives up at the prompt has a terminal that is as before, and nothing is mounted."""
    make(distro, tmp, "left")
    terminal = Terminal(distro, "sh -c 'trap : INT; wslbarectl mount left; stty -a'")
    terminal.await_prompt()
    terminal.process.stdin.write(b"\x03")
    terminal.process.stdin.flush()
    terminal.end()
    assert " echo " in terminal.said, terminal.said
    assert not mounts(distro, "/mnt/left")
    wait_until(lambda: not agents(distro), what="the agent to end")


def test_without_polkit(distro, tmp):
    """Then nobody is asked, and it is said what helps."""
    make(distro, tmp, "plain", polkit=False)
    terminal = Terminal(distro, "wslbarectl mount plain")
    assert terminal.end() == 7, terminal.said
    assert "Password" not in terminal.said and "sudo" in terminal.said, terminal.said
    assert not mounts(distro, "/mnt/plain")
