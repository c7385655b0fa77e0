# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks made of images: filesystems, partition tables, loop devices, and a disk that hangs."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import uuid as uuids
from pathlib import Path

import machine

LOOP_CLR_FD = 0x4C01
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_GET_FREE = 0x4C82
LO_FLAGS_READ_ONLY = 1
LO_FLAGS_AUTOCLEAR = 4
LO_FLAGS_PARTSCAN = 8
BLKFLSBUF = 0x1261

MiB = 1024 * 1024

# The smallest that mkfs makes without special options, or that is of use.
_SIZES = {"xfs": 300 * MiB, "btrfs": 128 * MiB}


def _tool(*command):
    """Runs a program that may not be installed."""
    if not shutil.which(command[0]):
        raise machine.Skip(f"{command[0]} is not installed")
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _mkfs(fstype, path, uuid, label, options):
    if fstype in ("ext2", "ext3", "ext4"):
        _tool(f"mkfs.{fstype}", "-q", "-F", "-U", uuid, "-L", label, *options, path)
    elif fstype == "xfs":
        _tool("mkfs.xfs", "-q", "-f", "-m", f"uuid={uuid}", "-L", label, *options, path)
    elif fstype == "btrfs":
        _tool("mkfs.btrfs", "-q", "-f", "-U", uuid, "-L", label, *options, path)
    elif fstype == "ntfs":
        _tool("mkntfs", "-q", "-F", "-Q", "-s", "512", "-p", "0", "-H", "0", "-S", "0", "-L", label, *options, path)
        _tool("ntfslabel", "-f", f"--new-serial={uuid}", path)
    elif fstype == "vfat":
        _tool("mkfs.vfat", "-i", uuid.replace("-", ""), *(["-n", label] if label else []), *options, path)
    elif fstype == "swap":
        _tool("mkswap", "-q", "-U", uuid, *(["-L", label] if label else []), *options, path)
    else:
        _tool(f"mkfs.{fstype}", *options, path)


def make_image(fstype, path, size=None, uuid=None, label="", options=()):
    """Makes a sparse file that holds a filesystem and returns the UUID, as blkid writes it."""
    path = str(path)
    if uuid is None:
        uuid = str(uuids.uuid4())
        if fstype == "ntfs":
            uuid = uuid.replace("-", "")[:16].upper()
        elif fstype == "vfat":
            uuid = f"{uuid[:4]}-{uuid[9:13]}".upper()
    with open(path, "wb") as f:
        f.truncate(size or _SIZES.get(fstype, 32 * MiB))
    _mkfs(fstype, path, uuid, label, options)
    return uuid


def damage_ext4(path, file):
    """Spoils what a file of an ext4 is known by: its name is all that can be read from then on."""
    said = subprocess.run(["debugfs", "-R", f"imap {file}", path], check=True, capture_output=True, text=True).stdout
    block, offset = (int(number, 0) for number in re.search("at block ([0-9]+), offset (0x[0-9a-f]+)", said).groups())
    with open(path, "r+b") as f:
        f.seek(1024 + 24)  # of the superblock, the logarithm of the block size
        size = 1024 << struct.unpack("<I", f.read(4))[0]
        f.seek(block * size + offset + 64)
        f.write(b"garbage")


def make_btrfs(paths, size=None, uuid=None, label="", options=()):
    """Makes one btrfs over several images and returns its UUID."""
    uuid = uuid or str(uuids.uuid4())
    for path in paths:
        with open(path, "wb") as f:
            f.truncate(size or _SIZES["btrfs"])
    _tool("mkfs.btrfs", "-q", "-f", "-U", uuid, "-L", label, *options, *map(str, paths))
    return uuid


def _crc(data, crc):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc


def _luks(uuid):
    """LUKS1: magic and version, and the UUID as text."""
    return {0: b"LUKS\xba\xbe" + struct.pack(">H", 1), 168: str(uuid).encode()}, str(uuid)


def _bitlocker(_):
    """The boot sector with BitLocker's GUID, that leads to the metadata of Windows 7 and later; it has no UUID."""
    guid = uuids.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
    return {0: b"\xeb\x58\x90-FVE-FS-", 160: guid + struct.pack("<Q", 4096),
            4096: b"-FVE-FS-" + struct.pack("<HH", 64, 2)}, None


def _lvm(uuid):
    """The label in the second sector, whose checksum is over all that follows it; 32 letters are the UUID."""
    name = uuid.hex
    rest = (struct.pack("<I", 32) + b"LVM2 001" + name.encode()).ljust(492, b"\0")
    label = b"LABELONE" + struct.pack("<QI", 1, _crc(rest, 0xF597A6CF)) + rest
    parts = [name[:6], *(name[i:i + 4] for i in range(6, 26, 4)), name[26:]]
    return {512: label}, "-".join(parts)


def _raid(uuid):
    """Version 1.2 of md's superblock at 4 KiB, with the sum of its words."""
    block = bytearray(256)
    struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
    block[16:32] = uuid.bytes
    struct.pack_into("<Q", block, 144, 8)  # where it is itself, in sectors
    block[168:184] = uuids.uuid4().bytes  # of this one of its devices
    total = sum(struct.unpack("<64I", block))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32))
    return {4096: block}, str(uuid)


_SIGNATURES = {"crypto_LUKS": _luks, "BitLocker": _bitlocker, "LVM2_member": _lvm, "linux_raid_member": _raid}


def make_signature(kind, path, size=8 * MiB):
    """Makes an image that is recognised as KIND, and no more than that; returns its UUID, None where it has none."""
    pieces, uuid = _SIGNATURES[kind](uuids.uuid4())
    with open(path, "wb") as f:
        f.truncate(size)
        for offset, data in pieces.items():
            f.seek(offset)
            f.write(data)
    return uuid


def make_disk(path, partitions, table="gpt", uuid=None):
    """Makes a partitioned image and returns the UUID of the table.

    partitions   one dictionary each: image, the file to fill it with, and what sfdisk understands
                 beside that: uuid, name, type
    """
    table_uuid = uuid or (str(uuids.uuid4()) if table == "gpt" else os.urandom(4).hex())
    script = [f"label: {table}", f"label-id: {table_uuid if table == 'gpt' else '0x' + table_uuid}"]
    start = 1
    places = []
    for partition in partitions:
        size = -(-os.stat(partition["image"]).st_size // MiB)
        fields = [f"start={start}MiB", f"size={size}MiB"]
        fields += [f'{key}="{value}"' for key, value in partition.items() if key != "image"]
        script.append(", ".join(fields))
        places.append((partition["image"], start))
        start += size

    with open(path, "wb") as f:
        f.truncate((start + 1) * MiB)
    subprocess.run(
        ["sfdisk", "-q", str(path)], input="\n".join(script) + "\n", text=True, check=True, stdout=subprocess.PIPE
    )
    for image, start in places:
        _tool("dd", f"if={image}", f"of={path}", "bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none")
    return table_uuid


class LoopDisk:
    """An image attached to a loop device, until detach() or the end of the test.

    The kernel detaches it when nobody has it open; this object does, so it goes even with a
    process that is killed.

    read_only, sector_size   as the names say; 512 unless told
    partscan                 announce the partitions; by hand where the kernel cannot read the table

    After attaching: number, name, node, devnum, diskseq.
    """

    def __init__(self, image, read_only=False, partscan=False, sector_size=0):
        machine.start()
        self.image = image
        self.read_only = read_only
        self.partscan = partscan
        self.sector_size = sector_size
        self._fd = None
        self.attach()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def attach(self):
        """Attaches it, maybe as another device than before."""
        assert self._fd is None, "it is attached already"
        flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY * self.read_only | LO_FLAGS_PARTSCAN * self.partscan
        backing = os.open(self.image, (os.O_RDONLY if self.read_only else os.O_RDWR) | os.O_CLOEXEC)
        try:
            # struct loop_config: the file, the sector size, struct loop_info64, and spare room
            info = struct.pack("=5Q4I", 0, 0, 0, 0, 0, 0, 0, 0, flags).ljust(232, b"\0")
            config = struct.pack("=II", backing, self.sector_size) + info + bytes(64)
            self.number, self._fd = self._configure(config)
        finally:
            os.close(backing)
        # udevd announces a disk again that was open for writing, and has the partitions read again:
        # that is like losetup, but where the kernel cannot read them they would be gone.
        if not self.partscan:
            writable, self._fd = self._fd, os.open(self.node, os.O_RDONLY | os.O_CLOEXEC)
            os.close(writable)
        machine.use_loop(self.number)
        machine.defer(self.close)
        self.diskseq = self._diskseq()
        if self.partscan and not self.partitions():
            subprocess.run(["partx", "-a", self.node], check=True, capture_output=True)

    @staticmethod
    def _configure(config):
        """Configures a free device and returns its number and a descriptor of it."""
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            while True:
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                fd = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(fd, LOOP_CONFIGURE, config)
                    return number, fd
                except OSError as e:
                    os.close(fd)
                    if e.errno != errno.EBUSY:  # somebody else was faster
                        raise
        finally:
            os.close(control)

    @property
    def name(self):
        return f"loop{self.number}"

    @property
    def node(self):
        return f"/dev/{self.name}"

    @property
    def devnum(self):
        """(major, minor)"""
        rdev = os.stat(self.node).st_rdev
        return os.major(rdev), os.minor(rdev)

    def _diskseq(self):
        return int(Path(f"/sys/block/{self.name}/diskseq").read_text())

    def partitions(self):
        """The nodes of the partitions that the kernel knows."""
        found = Path(f"/sys/block/{self.name}").glob(f"{self.name}p*")
        return sorted((f"/dev/{path.name}" for path in found), key=lambda node: int(node.rpartition("p")[2]))

    def trigger(self, action="change"):
        """Has the kernel announce the device again."""
        Path(f"/sys/block/{self.name}/uevent").write_text(action)

    def attached(self):
        """Whether the image is still on the device; it stays until the last mount is gone."""
        return os.path.exists(f"/sys/block/{self.name}/loop/backing_file") and self._diskseq() == self.diskseq

    def detach(self, timeout=0):
        """Lets go of it and waits, if told, until it is free: a mounted one is when unmounted."""
        if self._fd is not None:
            if self.partitions():
                subprocess.run(["partx", "-d", self.node], capture_output=True)
            os.close(self._fd)
            self._fd = None
        if timeout:
            machine.wait_until(lambda: not self.attached(), timeout, f"{self.name} to be free")

    def close(self):
        self.detach()
        machine.undefer(self.close)


class PlainLoop:
    """A loop device that stays when nobody has it open any more, as losetup makes it."""

    def __init__(self, image):
        self.image = image
        self.node = self.attach()
        machine.use_loop(int(self.node.removeprefix("/dev/loop")))
        machine.defer(self.release)

    def attach(self):
        return subprocess.run(["losetup", "-f", "--show", self.image], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def attached(self):
        file = Path(f"/sys/block/{self.node.removeprefix('/dev/')}/loop/backing_file")
        try:
            return file.read_text().rstrip("\n") == str(self.image)
        except OSError:
            return False

    def release(self):
        if self.attached():
            with open(self.node, "rb") as f:
                fcntl.ioctl(f, LOOP_CLR_FD)


class HangingDisk(LoopDisk):
    """A disk that stops answering at hang() and goes on at resume().

    The image is a file on an NTFS that ntfs-3g serves in a mount namespace of its own; stopped,
    it leaves every reader waiting.
    """

    def __init__(self, image, **options):
        machine.start()
        image = Path(image)
        container = image.with_name(f"{image.name}.ntfs")
        directory = image.with_name(f"{image.name}.mnt")
        make_image("ntfs", container, size=os.stat(image).st_size + 32 * MiB)
        _tool("ntfscp", "-q", "-f", str(container), str(image), "image")
        directory.mkdir()
        # Whatever happens to this process, ntfs-3g goes with it.
        self._server = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "ntfs-3g", "-o", "no_detach", container, directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._backing = None
        inside = Path(f"/proc/{self._server.pid}/root{directory}/image")
        machine.wait_until(inside.exists, what="ntfs-3g to serve")
        super().__init__(inside, **options)
        self._backing = os.open(inside, os.O_RDONLY | os.O_CLOEXEC)

    def hang(self):
        """Stops answering, and has the kernel forget what was read before."""
        fcntl.ioctl(self._fd, BLKFLSBUF, 0)
        os.fsync(self._backing)
        # Whoever waits for this disk can only be ended when it answers again.
        machine.defer(self.resume)
        self._server.send_signal(signal.SIGSTOP)
        machine.wait_until(self._stopped, what="ntfs-3g to stop")
        # From here on nothing that waits for the disk would come back; this does not.
        for fd in self._fd, self._backing:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _stopped(self):
        stat = Path(f"/proc/{self._server.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def resume(self):
        machine.undefer(self.resume)
        self._server.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def resumed(self):
        """It answers at the end, in any case: nothing that waits for it ends before."""
        try:
            yield
        finally:
            self.resume()

    def close(self):
        self.resume()
        super().close()
        if self._backing is not None:
            os.close(self._backing)
            self._backing = None
        # As long as somebody has it mounted, ntfs-3g goes on.
        try:
            self.detach(timeout=1)
        except TimeoutError:
            return
        self._server.terminate()
        self._server.wait()
