# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be true of the volumes at rest, said once more and in other words than the product says it.

It knows what was done to each volume since the last rest, and looks at the kernel, systemd and what is published. Where
several things were done at once it allows every outcome that some order of them could have, but never one that
contradicts itself.
"""

import os
import time

from bus import OBJECT_MANAGER, PROPERTIES, ROOT, SERVICE, VOLUME, BusError
from distro import UDEVD
from volumes import mount_table, processes

SYSTEMD, SYSTEMD_PATH = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
SYSTEMD_MANAGER = f"{SYSTEMD}.Manager"
WSLBARED, MOUNTD = UNITS = "wslbared.service", "wslbare-mountd.service"

UP, DOWN, ANY = "up", "down", "any"  # what is wanted of an incarnation of a disk
GOOD, BROKEN, GONE = "good", "broken", "gone"  # the file

AT_REST = {"absent", "mounted", "unmounted", "ambiguous", "failed"}

# KeepMounted= mounts again three times within a minute. That is measured somewhat later than here.
KEEP_MAX, KEEP_SURELY, KEEP_MAYBE = 3, 50, 70

FDS_MORE = 3  # than at its first rest: a timer, a watch of udev's queue


def dependant(name):
    """The service that needs the volume."""
    return f"chaos-{name}.service"


class Volume:
    """What is known of one volume.

    disks      those that fit
    directory  of the mount point: "made" by mountd and to be removed, "there" before, or None: not looked at
    inner      the volume that is mounted below it
    """

    def __init__(self, name, where, disks, auto=True, keep=False, directory="made"):
        self.name = self.own_name = name
        self.other_name = f"{name}-renamed"
        self.where = where
        self.disks = disks
        self.auto = auto
        self.keep = keep
        self.directory = directory
        self.inner = None
        self.file = GOOD
        self.options = ""
        self.is_directory_lost = False  # another name does not know who made it
        self.is_name_unheard = False  # there was no good file of that name since it was given
        # At the last rest:
        self.mount = None  # mount ID, diskseq
        self.dependant = []  # the process of the service that needs it; None: it may be another one
        self.attached = set()  # diskseqs
        self.may_mount = True  # its file was good then, or since
        self.wishes = {}  # of each incarnation: diskseq → wish
        self.kept_surely, self.kept_maybe = [], []  # when it was mounted again
        # Since then:
        self.is_touched = self.is_file_touched = self.is_renamed = False
        self.notes = []  # (wish that this leads to if nothing else happens, whether it is over)
        self.n_attached = 0
        self.n_kept = 0  # unmounted by somebody else

    # What is done.

    def note(self, wish, is_over=False):
        self.is_touched = True
        self.notes.append((wish, is_over))

    def note_foreign_unmount(self):
        self.n_kept += self.keep
        self.note(UP if self.keep else DOWN, is_over=True)
        self.disturb_inner()

    def note_attached(self):
        self.n_attached += 1
        if len(self.disks) == 1:
            # What was over by then is not about this incarnation.
            self.notes = [note for note in self.notes if not note[1]]

    def disturb_inner(self):
        if self.inner:
            self.inner.note(ANY)

    def set_file(self, file):
        self.file = file
        self.is_file_touched = True
        self.may_mount |= file == GOOD

    def rename(self, name):
        self.name = name
        self.is_file_touched = self.is_directory_lost = self.is_name_unheard = self.is_renamed = True
        self.dependant = None
        if not self.mount or self.is_touched:
            self.note(ANY)

    # What follows.

    def wish(self, diskseq):
        # What was done to the volume of one name, that of the other one knows nothing of.
        n = len(self.notes) + self.n_attached + self.is_renamed
        if self.notes and n > 1 or self.n_kept and not self.must_keep():
            return ANY
        if self.notes and (not self.mount or diskseq == self.mount[1]):
            return self.notes[0][0]
        return self.wishes.get(diskseq, UP if self.auto else DOWN)

    def was_only_kept(self):
        return self.n_kept > 0 and self.notes == [(UP, True)] * self.n_kept and not self.n_attached

    def must_keep(self):
        return count_since(self.kept_maybe, KEEP_MAYBE) + self.n_kept <= KEEP_MAX

    def is_kept_too_often(self, mount):
        again = self.n_kept - (not mount)
        return self.was_only_kept() and again > 0 and count_since(self.kept_surely, KEEP_SURELY) + again > KEEP_MAX

    def settle(self, mount, attached, is_counted_anew):
        """All that was done has had its effect."""
        wishes = {diskseq: self.wish(diskseq) for diskseq in attached}
        if mount:
            wishes[mount["diskseq"]] = UP
        elif len(attached) == 1 and self.file == GOOD:
            wishes = dict.fromkeys(attached, DOWN)
        if self.was_only_kept():
            self.kept_surely += [time.monotonic()] * (self.n_kept - (not mount))
        if is_counted_anew or self.is_file_touched:
            self.kept_surely = []
        if is_counted_anew:
            self.kept_maybe = []
        self.kept_maybe += [time.monotonic()] * self.n_kept
        self.wishes = wishes
        self.attached = set(attached)
        self.mount = (mount["id"], mount["diskseq"]) if mount else None
        self.may_mount = self.file == GOOD
        self.is_name_unheard &= self.file != GOOD
        self.is_touched = self.is_file_touched = self.is_renamed = False
        self.notes = []
        self.n_attached = self.n_kept = 0


def count_since(times, seconds):
    return sum(time.monotonic() - t < seconds for t in times)


class Look:
    """All that can be seen, at one moment or nearly so."""

    def __init__(self, distro, bus, volumes):
        disks = [disk for volume in volumes for disk in volume.disks]
        self.attached = {disk: disk.content() for disk in disks if disk.attached() and disk.content()}
        self.mounts = mount_table(distro.pid)
        self.published = self._published(bus)
        self.manager = self._manager(bus)
        units = [*UNITS]
        for volume in volumes:
            units += [f"wslbare@{volume.name}.target", dependant(volume.own_name)]
        answer = bus.call(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByNames", "as", units)[0]
        self.units = {unit[0]: unit[3] for unit in answer}
        self.n_jobs = self._property(bus, "NJobs")
        failed = bus.call(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsFiltered", "as", ["failed"])[0]
        helpers = bus.call(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns", "asas", [],
                           ["wslbare-mount-*"])[0]
        # What goes through all devices stumbles over one that goes just then.
        self.failed = [unit[0] for unit in failed if unit[0] not in UDEVD]
        self.helpers = [unit[0] for unit in helpers]
        self.processes = {unit: processes(distro, unit) for unit in UNITS}
        self.dependants = {volume: processes(distro, dependant(volume.own_name)) for volume in volumes}
        self.fds = {pids[0]: self._count_fds(pids[0]) for pids in self.processes.values() if pids}
        directory = distro.path("/run/wslbare-mountd")
        self.records = {path.name: self._record(path) for path in (directory / "volumes").iterdir()}
        self.flags = set(os.listdir(directory / "mounted"))
        self.staged = os.listdir(directory / "staging")
        self.udev_is_busy = distro.path("/run/udev/queue").exists()

    @staticmethod
    def _published(bus):
        try:
            objects = bus.call(SERVICE, ROOT, OBJECT_MANAGER, "GetManagedObjects")[0]
        except BusError:
            return None
        return {found[VOLUME]["Name"]: found[VOLUME] for found in objects.values()}

    @staticmethod
    def _manager(bus):
        try:
            return bus.properties()
        except BusError:
            return {"State": "none"}

    @staticmethod
    def _property(bus, name):
        return bus.call(SYSTEMD, SYSTEMD_PATH, PROPERTIES, "Get", "ss", SYSTEMD_MANAGER, name)[0]

    @staticmethod
    def _count_fds(pid):
        try:
            return len(os.listdir(f"/proc/{pid}/fd"))
        except (FileNotFoundError, ProcessLookupError):
            return 0

    @staticmethod
    def _record(path):
        try:
            return dict(line.split("=", 1) for line in path.read_text().splitlines())
        except FileNotFoundError:
            return {}

    def is_active(self, unit):
        return self.units.get(unit) == "active"


class Model:
    def __init__(self, distro, volumes):
        self.distro = distro
        self.volumes = volumes
        self.pids = {}
        self.may_die = set()  # units that were killed or restarted in this step
        self.fds = {}  # of each process when it was first seen at rest

    def unrest(self, look):
        """What is going on still, or None."""
        if look.published is None or look.manager["State"] not in ("running", "degraded"):
            return f"wslbared is {look.manager['State']}"
        if look.n_jobs:
            return f"systemd has {look.n_jobs} jobs"
        if look.udev_is_busy:
            return "udevd is busy"
        for name, properties in look.published.items():
            if properties["State"] not in AT_REST:
                return f"{name} is {properties['State']}"
            if properties["NextRetryTimestampMonotonic"]:
                return f"{name} is tried again later"
        return None

    def judge(self, look):
        """What is not as it must be, as a list of texts."""
        return [*self._judge_daemons(look), *self._judge_mounts(look)] + [
            f"{volume.name}: {text}" for volume in self.volumes for text in self._judge_volume(volume, look)]

    def settle(self, look):
        is_new = self.pids.get(WSLBARED) != look.processes[WSLBARED]
        for volume in self.volumes:
            mounts = self.mounts_of(volume, look)
            attached = [disk.diskseq for disk in look.attached if disk in volume.disks]
            volume.settle(mounts[0] if mounts else None, attached, is_new)
            # Where the name is no volume's, nobody but mountd, at its next start, stops what an earlier one left.
            volume.dependant = None if volume.is_name_unheard else look.dependants[volume]
        self.pids = look.processes
        self.fds = {pid: self.fds.get(pid, n) for pid, n in look.fds.items()}
        self.may_die = set()

    # Daemons.

    def _judge_daemons(self, look):
        for unit, pids in look.processes.items():
            if len(pids) != 1:
                yield f"{unit} has the processes {pids}"
            if self.pids.get(unit, pids) != pids and unit not in self.may_die:
                yield f"{unit} died and was started again"
            if not look.is_active(unit):
                yield f"{unit} is {look.units[unit]}"
        for pid, n in look.fds.items():
            if n > self.fds.get(pid, n) + FDS_MORE:
                yield f"process {pid} had {self.fds[pid]} descriptors, and has {n}"
        if look.failed:
            yield f"failed: {' '.join(look.failed)}"
        if look.helpers:
            yield f"left over: {' '.join(look.helpers)}"
        if look.staged:
            yield f"in staging: {look.staged}"
        names = {volume.name for volume in self.volumes}
        if strange := {name for name in look.published if name not in names}:
            yield f"published, and not configured: {strange}"
        # What a file that went has left is tidied when it comes back; whether its target runs is not known until then.
        known = {name for volume in self.volumes for name in (volume.own_name, volume.other_name)}
        known |= {f".{name}" for name in known - {volume.name for volume in self.volumes if volume.file == GOOD}}
        if strange := (look.records.keys() | look.flags) - known:
            yield f"records or flags of nobody: {strange}"

    # Mounts.

    def mounts_of(self, volume, look):
        """What is on its target; with the disk where it is one that fits."""
        nodes = {node: disk for disk, node in look.attached.items() if disk in volume.disks}
        found = []
        for mount in look.mounts:
            if mount["target"] == volume.where:
                disk = nodes.get(mount["source"])
                found.append({**mount, "disk": disk, "diskseq": disk.diskseq if disk else 0})
        return found

    def _judge_mounts(self, look):
        targets = {volume.where for volume in self.volumes}
        sources = set(look.attached.values())
        seen = set()
        for mount in look.mounts:
            if mount["source"] not in sources:
                if mount["target"] in targets or mount["target"].startswith("/run/wslbare-mountd"):
                    yield f"{mount['source']} is mounted on {mount['target']}"
                continue
            if mount["source"] in seen:
                yield f"{mount['source']} is mounted twice"
            seen.add(mount["source"])
            if mount["target"] not in targets:
                yield f"{mount['source']} is mounted on {mount['target']}"

    # Volumes.

    def _judge_volume(self, volume, look):
        mounts = self.mounts_of(volume, look)
        if len(mounts) > 1 or any(not mount["disk"] for mount in mounts):
            yield f"on its target are {[mount['source'] for mount in mounts]}"
            return
        mount = mounts[0] if mounts else None
        attached = {disk: node for disk, node in look.attached.items() if disk in volume.disks}
        yield from self._judge_mount(volume, mount, attached, look)
        properties = look.published.get(volume.name)
        if not properties:
            if volume.file == GOOD:
                yield "not published"
            return
        if volume.file == GONE:
            yield "published, and its file is gone"
        yield from self._judge_published(volume, mount, attached, properties)
        yield from self._judge_traces(volume, mount, look)

    def _judge_mount(self, volume, mount, attached, look):
        """Whether it may be mounted, or not mounted."""
        is_as_before = bool(mount) and (mount["id"], mount["diskseq"]) == volume.mount
        if volume.mount and not volume.is_touched:
            if not is_as_before:
                yield f"nobody touched its mount {volume.mount}, and now it is {mount}"
            # One whose file went just then may not have been started yet.
            elif volume.name == volume.own_name and volume.dependant not in (None, [], look.dependants[volume]):
                yield "nobody touched it, and what needs it was started again"
            return
        is_new = self.pids.get(WSLBARED) != look.processes[WSLBARED]  # and has the limit before it again
        if not is_new and volume.is_kept_too_often(mount):
            yield f"mounted again more than {KEEP_MAX} times within a minute"
        if not mount:
            if volume.file == GOOD and [volume.wish(disk.diskseq) for disk in attached] == [UP]:
                yield f"{list(attached.values())} is not mounted"
            return
        if volume.wish(mount["diskseq"]) == DOWN:
            yield f"{mount['source']} is mounted, and must not be"
        if not is_as_before:
            if not volume.may_mount:
                yield f"mounted, and its file is {volume.file}"
            if any(disk.diskseq in volume.attached for disk in attached if disk is not mount["disk"]):
                yield f"{mount['source']} was mounted while more than one fits"

    def _judge_published(self, volume, mount, attached, properties):
        state, failure = properties["State"], properties["Failure"]
        wanted = ("mounted" if mount else "absent" if not attached else "failed" if volume.file == BROKEN
                  else "ambiguous" if len(attached) > 1 else "unmounted")
        if state != wanted:
            yield f"{state}, and must be {wanted}; {failure}"
        if (failure[0] == "config") != (volume.file == BROKEN) or failure[0] not in ("", "config", "unmount") and mount:
            yield f"its file is {volume.file}, and Failure {failure}"
        if sorted(properties["Candidates"]) != sorted(attached.values()):
            yield f"candidates are {properties['Candidates']}, and must be {sorted(attached.values())}"
        if volume.file == GOOD and properties["Options"] != volume.options:
            yield f"Options is {properties['Options']!r}, and must be {volume.options!r}"
        if mount:
            yield from self._judge_published_mount(volume, mount, properties)

    def _judge_published_mount(self, volume, mount, properties):
        published = properties["Device"], properties["DiskSequence"]
        if published != (mount["source"], mount["diskseq"]):
            yield f"{published} is published, and mounted is {mount}"
        if properties["MountedOptions"].split(",")[:len(mount["options"])] != mount["options"]:
            yield f"MountedOptions is {properties['MountedOptions']}, and in force are {mount['options']}"
        asked = {"nosuid", "nodev", *filter(None, volume.options.split(","))}
        in_force = set(mount["options"]) & {"nosuid", "nodev", "noatime", "noexec"}
        # Taken over under another name, it has to have what is asked for, and may have more.
        differs = asked - in_force if volume.is_directory_lost else asked != in_force
        if differs and not properties["Stale"] and volume.file == GOOD:
            yield f"mounted with {in_force}, asked for {asked}, and not stale"

    def _judge_traces(self, volume, mount, look):
        units = [f"wslbare@{volume.name}.target"]
        if volume.name == volume.own_name:
            units.append(dependant(volume.name))
        for unit in units:
            if look.is_active(unit) != bool(mount):
                yield f"{unit} is {look.units.get(unit)}"
        if (volume.name in look.flags) != bool(mount):
            yield f"its flag is {'there' if volume.name in look.flags else 'not there'}"
        record = look.records.get(volume.name)
        is_to_be_kept = volume.keep and volume.file == BROKEN  # and is mounted again when that is mended
        if mount:
            wanted = {"PHASE": "mounted", "TARGET": volume.where, "MOUNT_ID": str(mount["id"]),
                      "DISKSEQ": str(mount["diskseq"])}
            if not record or any(record.get(key) != value for key, value in wanted.items()):
                yield f"its record says {record}, and mounted is {mount}"
        elif is_to_be_kept:
            return
        elif record is not None and (record.get("PHASE") != "unmounted" or record.get("DIRECTORY_MADE") == "1"):
            yield f"not mounted, and its record says {record}"
        exists = os.path.lexists(self.distro.path(volume.where))
        volume.is_directory_lost &= exists
        if volume.directory == "made" and exists != bool(mount) and not volume.is_directory_lost:
            yield f"its directory is {'there' if exists else 'not there'}"
        if volume.directory == "there" and not exists:
            yield "the directory that was there before is gone"
