# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done to the volumes, to those who mount them, and around them.

Which fault comes next depends on the random numbers and on the faults before it, never on what these did: so a seed
gives the same faults each time.
"""

import errno
import fcntl
import itertools
import os
import re
import signal
from pathlib import Path

import machine
from bus import ERROR_NAME, MANAGER, METHOD_ERROR, REPLY_SERIAL, ROOT, SERVICE, BusError, connect
from chaos_model import (ANY, BROKEN, DOWN, GONE, GOOD, MOUNTD, SYSTEMD, SYSTEMD_MANAGER, SYSTEMD_PATH, UP, WSLBARED,
                         dependant)
from disks import LOOP_CONFIGURE, LoopDisk
from distro import UDEVD
from volumes import conf, conf_path, main_pid

LOOP_CTL_ADD = 0x4C80

OPTIONS = "", "noatime", "noexec", "noatime,noexec"
BROKEN_TEXTS = "[Match\n", "[Match]\nUUID=nonsense\n", "[Mount]\nWhere=/mnt\n", "UUID\n", "[Match]\nUUUID=\n"
ACTIONS = "add", "change", "remove", "move", "online", "offline", "bind", "unbind"
REPLY_TIMEOUT = 60
N_CLIENTS = 4

# Errors of a call that changed nothing, and will not.
WITHOUT_EFFECT = {"AlreadyMounted", "NotMounted", "DeviceAbsent", "Ambiguous", "ConfigInvalid", "NoSuchVolume",
                  "ServiceUnknown", "UnknownObject"}
# Among them, those that may come of a file that was changed when the volume was at it already.
ABOUT_FILE = {"NoSuchVolume", "ConfigInvalid"}


class Disk(LoopDisk):
    """An image that is attached as whichever loop device it is told, or not attached."""

    def __init__(self, name, image, partscan=False):
        machine.start()
        self.label = name
        self.image = image
        self.read_only = False
        self.partscan = partscan
        self.sector_size = 0
        self.number = None
        self.first = 0
        self.files = {}  # on it: name → checksum
        self._fd = None

    def attached(self):
        try:
            return self.number is not None and super().attached()
        except FileNotFoundError:
            return False

    def content(self):
        """The node of what is to be mounted; None while it comes or goes."""
        if not self.partscan:
            return self.node
        partitions = self.partitions()
        return partitions[0] if partitions else None

    def _configure(self, config):
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            for number in itertools.count(self.first):
                try:
                    fcntl.ioctl(control, LOOP_CTL_ADD, number)
                except OSError as e:
                    if e.errno != errno.EEXIST:
                        raise
                if os.path.exists(f"/sys/block/loop{number}/loop/backing_file"):
                    continue
                fd = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(fd, LOOP_CONFIGURE, config)
                    return number, fd
                except OSError as e:
                    os.close(fd)
                    if e.errno != errno.EBUSY:
                        raise
        finally:
            os.close(control)

    def plug(self, first):
        """Attaches it as the FIRST loop device or one after it. False: it had not gone, being mounted still."""
        while self.attached():
            if self._fd is not None:
                return False
            try:
                fd = os.open(self.node, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # on its way out
            if self.attached():
                self._fd = fd
                machine.defer(self.close)
                return False
            os.close(fd)
        self.first = first
        self.attach()
        return True

    def unplug(self):
        """Lets go of it: it goes at once, or when it is unmounted."""
        self.close()


class Faults:
    """Draws faults and does them. Of each kind there is a method draw_KIND(), which returns a text and a function."""

    WEIGHTS = {
        "attach": 10, "foreign-unmount": 5, "kill": 3, "restart": 2, "stop": 2, "udevd": 2, "events": 3, "configuration": 4,
        "reload": 3, "calls": 6, "dependant": 2, "hold": 2,
    }

    def __init__(self, random, distro, bus, model, texts):
        self.random = random
        self.distro = distro
        self.bus = bus
        self.model = model
        self.texts = texts  # volume → keys of its file, less Options=
        self.volumes = model.volumes
        self.disks = [(volume, disk) for volume in self.volumes for disk in volume.disks]
        self.clients = [connect(distro, timeout=REPLY_TIMEOUT) for _ in range(N_CLIENTS)]
        self.pending = {client: {} for client in self.clients}  # serial → volume, what it leads to
        self.counts = {}
        # As it was drawn:
        self.plugged = set()
        self.files = {volume: GOOD for volume in self.volumes}
        self.held = set()
        self.udevd_runs = True
        self.stopped = []
        # As it is:
        self.fds = {}

    # One step.

    def draw(self, n):
        """N faults, and what ends with the step, as (text, function)."""
        kinds = self.random.choices(list(self.WEIGHTS), self.WEIGHTS.values(), k=n)
        drawn = []
        for kind in kinds:
            text, function = getattr(self, f"draw_{kind.replace('-', '_')}")()
            name = text.split()[0] if kind in ("attach", "udevd") else kind
            self.counts[name] = self.counts.get(name, 0) + 1
            drawn.append((text, function))
        for unit in self.stopped:
            drawn.append((f"start {unit}", lambda unit=unit: self.systemd("StartUnit", unit)))
        self.stopped = []
        return drawn

    def end(self):
        """Takes the answers to all calls, which come in any order."""
        for client, calls in self.pending.items():
            while calls:
                m = client.receive()
                volume, wish = calls.pop(m.fields.get(REPLY_SERIAL), (None, None))
                if volume and m.kind == METHOD_ERROR:
                    note_refusal(volume, BusError(m.fields[ERROR_NAME], m.body[0] if m.body else ""))
                elif volume:
                    volume.note(wish)

    # What is not drawn.

    def all_attached(self, nth=0):
        """Of each volume the NTH disk, or its only one; and all are mounted."""
        for volume in self.volumes:
            disk = volume.disks[nth % len(volume.disks)]
            self.plugged.add(disk)
            yield f"attach {disk.label}", lambda volume=volume, disk=disk: self.attach(volume, disk, 8)
            if not volume.auto:
                yield f"mount {volume.name}", lambda volume=volume: self.mount_manual(volume)
            if volume.inner:
                yield f"await {volume.name}", lambda volume=volume: self.await_state(volume, "mounted")

    def await_state(self, volume, state):
        machine.wait_until(lambda: self.bus.volume(volume.name)["State"] == state, 20, f"{volume.name} to be {state}")

    def mount_manual(self, volume):
        self.await_state(volume, "unmounted")
        self.ask_and_wait(volume, "Mount")

    def all_detached(self):
        # What is mounted below another one, and what another one is mounted above.
        inner = [(volume, disk) for volume, disk in self.disks if volume.inner]
        for volume, disk in [*reversed(self.disks), *((volume.inner, volume.inner.disks[0]) for volume, _ in inner)]:
            self.plugged.discard(disk)
            yield f"detach {disk.label}", lambda volume=volume, disk=disk: self.detach(volume, disk, True)

    def all_good(self):
        """Files, udevd and those who hold files."""
        for volume in self.volumes:
            self.files[volume] = GOOD
            yield f"mend {volume.own_name}", lambda volume=volume: self.mend(volume)
            yield f"release {volume.own_name}", lambda volume=volume: self.release(volume)
        self.held.clear()
        if not self.udevd_runs:
            yield self.draw_udevd()

    # What others stand on.

    def systemd(self, member, unit, signature="ss", *more):
        try:
            self.bus.call(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, member, signature, unit, *(more or ("replace",)))
        except BusError as e:
            # What cannot be started by hand now is refused; reloading a unit that does not run, too.
            if not e.name.startswith("org.freedesktop.systemd1."):
                raise

    def write(self, volume):
        match, where, mount = self.texts[volume]
        self.distro.write(conf_path(volume.name), conf(None, where, match, **mount, Options=volume.options))

    def draw_volume(self):
        return self.random.choice(self.volumes)

    def draw_node(self):
        return 8 + self.random.randrange(40)

    # Disks.

    def attach(self, volume, disk, first):
        if disk.plug(first):
            volume.note_attached()

    def detach(self, volume, disk, politely):
        if politely:
            self.ask_and_wait(volume, "Unmount")
        disk.unplug()

    def draw_attach(self):
        volume, disk = self.random.choice(self.disks)
        first = self.draw_node()
        politely = self.random.random() < 0.8
        again = self.random.random() < 0.5
        if disk not in self.plugged:
            self.plugged.add(disk)
            return f"attach {disk.label} from loop{first}", lambda: self.attach(volume, disk, first)
        how = "" if politely else ", without unmounting"
        if again:
            def both():
                self.detach(volume, disk, politely)
                self.attach(volume, disk, first)

            return f"reattach {disk.label} from loop{first}{how}", both
        self.plugged.remove(disk)
        return f"detach {disk.label}{how}", lambda: self.detach(volume, disk, politely)

    def draw_hold(self):
        volume = self.draw_volume()
        if volume in self.held:
            self.held.remove(volume)
            return f"release a file of {volume.name}", lambda: self.release(volume)
        self.held.add(volume)
        return f"hold a file of {volume.name}", lambda: self.hold(volume)

    def hold(self, volume):
        try:
            self.fds[volume] = os.open(self.distro.path(f"{volume.where}/0"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # it is not mounted

    def release(self, volume):
        if volume in self.fds:
            os.close(self.fds.pop(volume))

    def release_all(self):
        for volume in self.volumes:
            self.release(volume)

    def draw_foreign_unmount(self):
        kept = [volume for volume in self.volumes if volume.keep]
        volume = self.random.choice(kept if kept and self.random.random() < 0.4 else self.volumes)
        options = self.random.choice([[], ["-l"]])

        def unmount():
            if self.distro.run(["umount", *options, volume.where], check=False).returncode == 0:
                volume.note_foreign_unmount()

        return f"umount {' '.join([*options, volume.where])}", unmount

    # Daemons.

    def draw_kill(self):
        units = self.random.choice([[WSLBARED], [MOUNTD], [MOUNTD, WSLBARED]])
        return f"kill {' '.join(units)}", lambda: [self.kill(unit) for unit in units]

    def kill(self, unit):
        self.model.may_die.add(unit)
        try:
            if pid := main_pid(self.distro, unit):
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def draw_restart(self):
        unit = self.random.choice([WSLBARED, MOUNTD])

        def restart():
            self.model.may_die.add(unit)
            self.systemd("RestartUnit", unit)

        return f"restart {unit}", restart

    def draw_stop(self):
        unit = self.random.choice([WSLBARED, MOUNTD])
        # mountd is started by who needs it.
        if unit == WSLBARED and unit not in self.stopped:
            self.stopped.append(unit)

        def stop():
            self.model.may_die.add(unit)
            self.systemd("StopUnit", unit)

        return f"stop {unit}", stop

    def stop_udevd(self):
        """At once with its sockets: an event in between would start it again, with the one and not the other. Where that
        happened before, it has made the other one itself, and leaves it behind."""
        self.distro.shell(f"systemctl stop {' '.join(UDEVD)} || :; rm -f /run/udev/control", check=False)

    def draw_udevd(self):
        if not self.udevd_runs:
            self.udevd_runs = True
            return "udevd-start", lambda: [self.systemd("StartUnit", unit) for unit in UDEVD]
        if self.random.random() < 0.5:
            return "udevd-kill", lambda: self.kill("systemd-udevd.service")
        self.udevd_runs = False
        return "udevd-stop", self.stop_udevd

    def draw_events(self):
        actions = [self.random.choice(ACTIONS) for _ in range(self.random.randint(1, 8))]

        def flood():
            for action in actions:
                for _, disk in self.disks:
                    for path in [disk.node, *disk.partitions()] if disk.attached() else []:
                        announce(Path(path).name, action)

        return f"events {' '.join(actions)}", flood

    def draw_dependant(self):
        volume = self.draw_volume()
        unit = dependant(volume.own_name)
        return f"start {unit}", lambda: self.systemd("StartUnit", unit)

    # Configuration.

    def draw_configuration(self):
        bad = [volume for volume in self.volumes if self.files[volume] != GOOD]
        if bad and self.random.random() < 0.6:
            volume = self.random.choice(bad)
            self.files[volume] = GOOD
            return f"mend {volume.own_name}", lambda: self.mend(volume)
        volume = self.draw_volume()
        what = self.random.choice(["options", "options", "broken", "removed", "masked", "renamed"])
        text = self.random.choice(BROKEN_TEXTS)
        options = self.random.choice(OPTIONS)
        # Of a mount that another one hides, a volume of another name cannot know.
        if what == "renamed" and any(outer.inner is volume for outer in self.volumes):
            what = "options"
        if what == "options":
            self.files[volume] = GOOD
            return f"options {volume.own_name} {options}", lambda: self.mend(volume, options)
        self.files[volume] = what
        return f"{what} {volume.own_name}", lambda: self.spoil(volume, what, text)

    def spoil(self, volume, what, text):
        path = self.distro.path(conf_path(volume.name))
        if what == "renamed":
            self.mend(volume)
            path = self.distro.path(conf_path(volume.name))
            volume.rename(volume.other_name)
            path.rename(self.distro.path(conf_path(volume.name)))
        elif what == "removed":
            path.unlink(missing_ok=True)
            volume.set_file(GONE)
        else:
            self.distro.write(conf_path(volume.name), "" if what == "masked" else text)
            volume.set_file(GONE if what == "masked" else BROKEN)

    def mend(self, volume, options=None):
        if options is not None:
            volume.options = options
        if volume.name != volume.own_name:
            self.distro.path(conf_path(volume.name)).unlink(missing_ok=True)
            volume.rename(volume.own_name)
        self.write(volume)
        volume.set_file(GOOD)

    def draw_reload(self):
        how = self.random.choice(["SIGHUP", "Reload()", "systemctl reload"])
        functions = {
            "SIGHUP": self.hang_up,
            "Reload()": lambda: self.send_manager(self.clients[0], "Reload"),
            "systemctl reload": lambda: self.systemd("ReloadUnit", WSLBARED),
        }
        return f"reload by {how}", functions[how]

    def hang_up(self):
        """Unless it would die of it, as anybody does who was started just now."""
        pid = main_pid(self.distro, WSLBARED)
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            if pid and int(re.search(r"^SigBlk:\s*(\w+)", status, re.M)[1], 16) & 1 << signal.SIGHUP - 1:
                os.kill(pid, signal.SIGHUP)
        except (FileNotFoundError, ProcessLookupError):
            pass

    # Calls.

    def send_manager(self, client, member):
        self.pending[client][client.send(SERVICE, ROOT, MANAGER, member)] = None, None

    def send_volume(self, client, volume, member, options):
        if member == "Unmount" and options.get("lazy"):
            volume.disturb_inner()
        wish = ANY if options.get("no_block") else UP if member == "Mount" else DOWN
        self.pending[client][client.send_ask(volume.name, member, **options)] = volume, wish

    def ask_and_wait(self, volume, member):
        try:
            self.bus.ask(volume.name, member, timeout=REPLY_TIMEOUT)
        except BusError as e:
            note_refusal(volume, e)
        else:
            volume.note(UP if member == "Mount" else DOWN, is_over=True)

    def draw_calls(self):
        calls = []
        for _ in range(self.random.randint(1, 5)):
            client = self.random.randrange(N_CLIENTS)
            member = self.random.choice(["Mount", "Mount", "Mount", "Unmount", "Unmount", "Rescan", "Reload"])
            volume = self.draw_volume()
            options = {}
            if member in ("Mount", "Unmount") and self.random.random() < 0.3:
                options["no_block"] = True
            if member == "Unmount" and self.random.random() < 0.2:
                options["lazy"] = True
            calls.append((client, member, volume, options))

        def send():
            for client, member, volume, options in calls:
                if member in ("Mount", "Unmount"):
                    self.send_volume(self.clients[client], volume, member, options)
                else:
                    self.send_manager(self.clients[client], member)

        words = [f"{client}:{member} {volume.own_name if member.endswith('ount') else ''} {' '.join(options)}".strip()
                 for client, member, volume, options in calls]
        return f"calls {', '.join(words)}", send


def note_refusal(volume, error):
    """What was not in time for a file that just changed is done when that is loaded, or mended; and a volume whose file
    goes may do to the end what it was at."""
    name = error.name.rpartition(".")[2]
    if name not in WITHOUT_EFFECT or name in ABOUT_FILE and volume.is_file_touched or (
            "changed since it was loaded" in str(error)):
        volume.note(ANY)


def announce(name, action):
    try:
        Path(f"/sys/class/block/{name}/uevent").write_text(action)
    except OSError:
        pass  # it is gone, or this kernel does not know the action
