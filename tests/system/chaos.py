#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random faults, several at once, against volumes with data on them; after each step at rest all must be as it is to be.

A seed gives the same faults each time. Ends with 1 when something was not as it must be.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid as uuids
from pathlib import Path

import machine
import sanitizers
from bus import BusError, connect
from chaos_faults import Disk, Faults
from chaos_model import UNITS, Look, Model, Volume, dependant
from disks import MiB, make_disk, make_image
from distro import UDEVD, Distro
from volumes import conf, conf_path

BELOW = "/mnt/chaos"
FAULTS_MAX = 6  # in a step
REST_TIMEOUT = 40
POLL = 0.01
N_FILES = 6

DEPENDANT = """\
[Unit]
BindsTo=wslbare@{name}.target
After=wslbare@{name}.target

[Service]
Type=exec
ExecStart=sleep infinity

[Install]
WantedBy=wslbare@{name}.target
"""

# As often as they like, and without a pause.
WITHOUT_LIMIT = "[Unit]\nStartLimitIntervalSec=0\n"

ERRORS = "Assertion .* failed"


class Violation(Exception):
    pass


def say(text=""):
    print(text, flush=True)


# The volumes: of each kind one, and again from the beginning. (name, filesystem, what else)
KINDS = (
    ("ext4", "ext4", {}),
    ("xfs", "xfs", {}),
    ("btrfs", "btrfs", {}),
    ("nojournal", "ext4", {"options": ("-O", "^has_journal")}),
    ("partition", "ext4", {"partition": True}),
    ("kept", "ext4", {"keep": True}),
    ("manual", "ext4", {"auto": False}),
    ("outer", "ext4", {"directory": None}),
    ("inner", "ext4", {"directory": None, "inside": "outer"}),
    ("twin", "ext4", {"n_disks": 2, "directory": "there"}),
)


class Volumes:
    """Makes images and files for N volumes."""

    def __init__(self, n, seed, directory):
        # The same each time, as the faults are.
        self.random = random.Random(f"{seed} volumes")
        self.directory = directory
        self.volumes = []
        self.texts = {}
        self.by_name = {}
        for i in range(n):
            name, fstype, more = KINDS[i % len(KINDS)]
            self._add(name, f"{i // len(KINDS) or ''}", fstype, **more)

    def _uuid(self):
        return str(uuids.UUID(int=self.random.getrandbits(128), version=4))

    def _add(self, name, number, fstype, options=(), partition=False, keep=False, auto=True, directory="made",
             inside=None, n_disks=1):
        name += number
        uuid = self._uuid()
        disks = []
        for i in range(n_disks):
            label = f"{name}{'abc'[i] if n_disks > 1 else ''}"
            image = self.directory / label
            size = None if fstype != "ext4" else 16 * MiB
            make_image(fstype, image, size=size, uuid=uuid, options=options)
            if partition:
                partition_uuid = self._uuid()
                make_disk(self.directory / f"{label}.disk", [{"image": image, "uuid": partition_uuid}])
                image = self.directory / f"{label}.disk"
            disks.append(Disk(label, image, partscan=partition))
        outer = self.by_name.get(f"{inside}{number}")
        where = f"{outer.where if outer else BELOW}/{name}"
        volume = Volume(name, where, disks, auto=auto, keep=keep, directory=directory)
        if outer:
            outer.inner = volume
        mount = {"RetrySec": "100ms"}
        if not auto:
            mount["Auto"] = "no"
        if keep:
            mount["KeepMounted"] = "yes"
        match = {"PartUUID": partition_uuid} if partition else {"UUID": uuid}
        self.texts[volume] = (match, where, mount)
        self.by_name[name] = volume
        self.volumes.append(volume)

    def files(self):
        """What a distribution needs for them."""
        files = {}
        for volume in self.volumes:
            match, where, mount = self.texts[volume]
            files[conf_path(volume.name)] = conf(None, where, match, **mount, Options="")
            files[f"/etc/systemd/system/{dependant(volume.name)}"] = DEPENDANT.format(name=volume.name)
        for unit in UDEVD[:3]:
            files[f"/etc/systemd/system/{unit}.d/chaos.conf"] = WITHOUT_LIMIT
        files[f"{BELOW}/.keep"] = ""
        return files


class Data:
    """Files with known checksums on the disks, looked at and written anew at rest."""

    def __init__(self, distro, seed):
        self.distro = distro
        self.seed = seed
        self.n_checked = 0

    def _root(self, volume, mount):
        """Where its files are; None when another mount hides them."""
        root = self.distro.path(volume.where)
        if not root.exists():
            return None
        device = os.stat(root).st_dev
        if mount["fstype"] != "btrfs" and f"{os.major(device)}:{os.minor(device)}" != mount["device"]:
            return None
        return root

    def check(self, volume, mount):
        root = self._root(volume, mount)
        for name, wanted in mount["disk"].files.items() if root else []:
            found = hashlib.sha256((root / name).read_bytes()).hexdigest()
            self.n_checked += 1
            if found != wanted:
                yield f"{volume.name}: file {name} has changed"

    def write(self, volume, mount, step):
        root = self._root(volume, mount)
        name = str(step % N_FILES)
        if root:
            content = random.Random(f"{self.seed} {step} {mount['disk'].label}")
            content = content.randbytes(content.randrange(1, 64 * 1024))
            (root / name).write_bytes(content)
            mount["disk"].files[name] = hashlib.sha256(content).hexdigest()


class Chaos:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.directory = Path(tempfile.mkdtemp(dir=machine.tmp))
        made = Volumes(options.volumes, options.seed, self.directory)
        self.volumes = made.volumes
        self.distro = Distro(files=made.files(), enable=["wslbared.service", *(dependant(v.name) for v in self.volumes)])
        for volume in self.volumes:
            if volume.directory == "there":
                self.distro.path(volume.where).mkdir()
        self.bus = connect(self.distro, timeout=60)
        self.model = Model(self.distro, self.volumes)
        self.faults = Faults(self.random, self.distro, self.bus, self.model, made.texts)
        self.data = Data(self.distro, options.seed)
        self.history = []
        self.n_violations = 0
        self.slowest = 0

    # Rest.

    def rest(self):
        """Waits until nothing goes on and all is as it must be, twice in a row; returns the last look."""
        deadline = time.monotonic() + REST_TIMEOUT
        n_good = 0
        while n_good < 2:
            try:
                look = Look(self.distro, self.bus, self.volumes)
                unrest = self.model.unrest(look)
                problems = [unrest] if unrest else self.model.judge(look)
            except FileNotFoundError as e:
                problems = [str(e)]  # it went while it was looked at
            n_good = 0 if problems else n_good + 1
            if problems and time.monotonic() > deadline:
                raise Violation("\n".join(problems))
            time.sleep(POLL)
        return look

    def look_after_data(self, look, step, volumes):
        for volume in volumes:
            for mount in self.model.mounts_of(volume, look):
                if problems := list(self.data.check(volume, mount)):
                    raise Violation("\n".join(problems))
                self.data.write(volume, mount, step)

    # Steps.

    def do(self, step, faults):
        faults = list(faults)
        self.history = [*self.history[-2:], (step, [text for text, _ in faults])]
        start = time.monotonic()
        for text, function in faults:
            if self.options.verbose:
                say(f"{step}: {text}")
            function()
        self.faults.end()
        look = self.rest()
        self.look_after_data(look, step, [self.volumes[step % len(self.volumes)]] if step else self.volumes)
        self.model.settle(look)
        if reports := sanitizers.take():
            raise Violation("\n".join(reports))
        self.slowest = max(self.slowest, time.monotonic() - start)

    def try_step(self, step, faults):
        """Does it, and says what is wrong afterwards. False: that is enough."""
        try:
            self.do(step, faults)
        except (Violation, BusError, TimeoutError, RuntimeError, OSError) as e:
            self.n_violations += 1
            self.complain(step, e)
            if not self.options.keep_going:
                return False
            self.model.settle(Look(self.distro, self.bus, self.volumes))
        return True

    def complain(self, step, error):
        say(f"\nVIOLATION in step {step}, seed {self.options.seed}: {error if isinstance(error, Violation) else repr(error)}")
        for number, texts in self.history:
            say("\n".join([f"step {number}:", *(f"    {text}" for text in texts)]))
        say("what is mounted:")
        for mount in Look(self.distro, self.bus, self.volumes).mounts:
            if mount["target"].startswith(BELOW):
                say(f"    {mount['id']} {mount['source']} {mount['target']}")
        say(self.distro.shell("systemctl --no-pager --no-legend --plain --failed; systemctl list-jobs --no-legend;"
                              f"systemctl is-active {' '.join(UDEVD)} || :; ls -la /run/udev;"
                              "busctl get-property org.wslbare1 /org/wslbare1 org.wslbare1.Manager EventSource;"
                              "journalctl --no-pager -q -b -n 150 -o short-monotonic"
                              " -u wslbared -u wslbare-mountd", check=False).stdout)

    def run(self):
        start = time.monotonic()
        n = 0
        good = self.try_step(0, self.faults.all_attached())
        while good and n < self.options.steps:
            n += 1
            good = self.try_step(n, self.faults.draw(self.random.randint(1, FAULTS_MAX)))
            if n % 100 == 0:
                say(f"{n} steps, {time.monotonic() - start:.0f} s")
        if good:
            good = self.end(n + 1)
        self.report(n, time.monotonic() - start)
        return good and not self.n_violations

    # The end.

    def end(self, step):
        """All is mounted and every file looked at; then all goes, to the last directory."""
        good = self.try_step(step, self.faults.all_good())
        for i in range(max(len(volume.disks) for volume in self.volumes)):
            good = good and self.try_step(step + 1 + 2 * i, self.faults.all_detached())
            good = good and self.try_step(step + 2 + 2 * i, self.faults.all_attached(i))
            if good:
                good = self.try_data()
        good = good and self.try_step(step + 10, self.faults.all_detached())
        return good and self.try_leftovers()

    def try_data(self):
        look = Look(self.distro, self.bus, self.volumes)
        problems = []
        for volume in self.volumes:
            mounts = self.model.mounts_of(volume, look)
            if not mounts:
                problems.append(f"{volume.name} is not mounted at the end")
            for mount in mounts:
                problems += self.data.check(volume, mount)
        return self.conclude(problems)

    def try_leftovers(self):
        found = {str(path.relative_to(self.distro.path(BELOW))) for path in self.distro.path(BELOW).rglob("*")}
        allowed = {".keep"} | {volume.where.removeprefix(f"{BELOW}/") for volume in self.volumes
                               if volume.directory != "made" or volume.is_directory_lost}
        problems = [f"left in {BELOW}: {found - allowed}"] if found - allowed else []
        said = self.distro.run(["journalctl", "-q", "-b", "--no-pager", "-g", ERRORS], check=False).stdout
        if said:
            problems.append(said)
        if sanitizers.ENABLED:
            self.distro.systemctl("stop", *UNITS)  # leaks are looked for at an orderly end
        problems += sanitizers.take()
        for volume in self.volumes:
            for disk in volume.disks:
                problems += check_filesystem(disk)
        return self.conclude(problems)

    def conclude(self, problems):
        if problems:
            self.n_violations += 1
            self.complain("last", Violation("\n".join(problems)))
        return not problems

    def report(self, steps, seconds):
        say()
        for kind, n in sorted(self.faults.counts.items()):
            say(f"{kind:17}{n:7}")
        n = sum(self.faults.counts.values())
        say(f"{n} faults in {steps} steps, {seconds:.0f} s, {seconds / max(steps, 1):.2f} s a step, "
            f"the longest {self.slowest:.1f} s; {self.data.n_checked} files looked at; seed {self.options.seed}; "
            f"{self.n_violations} violations")


def check_filesystem(disk):
    """The kernel's work, but it says whether two had it at once."""
    if disk.partscan:
        return
    kind = subprocess.run(["blkid", "-p", "-o", "value", "-s", "TYPE", disk.image], capture_output=True, text=True)
    program = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check"]}[kind.stdout.strip()]
    result = subprocess.run([*program, disk.image], capture_output=True, text=True)
    if result.returncode != 0:
        yield f"{disk.label}: {' '.join(program)} says\n{result.stdout}{result.stderr}"


def main():
    parser = argparse.ArgumentParser(prog="tests/chaos", description=__doc__)
    parser.add_argument("--steps", type=int, default=500, help="how many, 500 unless told")
    parser.add_argument("--seed", type=int, help="of the random numbers; one that is printed unless told")
    parser.add_argument("--volumes", type=int, default=len(KINDS), help=f"how many, {len(KINDS)} unless told")
    parser.add_argument("--keep-going", action="store_true", help="do not stop when something is wrong")
    parser.add_argument("--verbose", action="store_true", help="print each fault")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)

    machine.stop_on_signals()
    try:
        machine.start()
        say(f"seed {options.seed}")
        chaos = Chaos(options)
        try:
            return 0 if chaos.run() else 1
        finally:
            chaos.faults.release_all()  # or the disks would not go
    except machine.Skip as e:
        sys.exit(f"tests/chaos: {e}")


if __name__ == "__main__":
    sys.exit(main())
