# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs inside a virtual machine for the tests: it calls the functions that they ask for.

Requests and answers are pickled: (number, function, arguments, options) and (number, good, result or exception). So
what the other side can import, it can call inside: subprocess.run, Path.read_text, and what this file has.
"""

import glob
import pickle
import select
import socket
import struct
import threading
import time

import bus

PORT = "/dev/vport*p1"
READY = 0

NETLINK_KOBJECT_UEVENT = 15
KERNEL_GROUP = 1


def on_bus(member, *arguments, **options):
    """Calls a method of bus.Connection on a connection of its own, and a patient one."""
    with bus.Connection(timeout=100) as connection:
        return getattr(connection, member)(*arguments, **options)


class Watch:
    """Notes when the kernel announces a block device, and when wslbared says that a volume changed: (monotonic time,
    "sda", "remove") or (monotonic time, "data", properties)."""

    def __init__(self):
        self.seen = []
        self.connection = bus.Connection()
        self.connection.match(f"type='signal',sender='{bus.SERVICE}',member='PropertiesChanged'")
        self.uevents = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_KOBJECT_UEVENT)
        self.uevents.bind((0, KERNEL_GROUP))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            readable = select.select([self.uevents, self.connection.socket], [], [])[0]
            now = time.monotonic()
            if self.uevents in readable:
                self.note_uevent(now, self.uevents.recv(65536))
            if self.connection.socket in readable:
                # What is read in one go may be several messages.
                self.note_signal(now, self.connection.receive())
                while self.connection.buffer:
                    self.note_signal(now, self.connection.receive())

    def note_uevent(self, now, data):
        values = dict(item.split("=", 1) for item in data.decode(errors="replace").split("\0") if "=" in item)
        if values.get("SUBSYSTEM") == "block":
            self.seen.append((now, values["DEVNAME"], values["ACTION"]))

    def note_signal(self, now, message):
        if message.member == "PropertiesChanged" and message.body[0] == bus.VOLUME:
            self.seen.append((now, message.path.rpartition("/")[2], message.body[1]))


_watch = None


def watch():
    """Begins to watch, or begins anew."""
    global _watch

    if _watch is None:
        _watch = Watch()
    _watch.seen.clear()


def seen():
    return list(_watch.seen)


def send(stream, lock, *message):
    data = pickle.dumps(message)
    data = struct.pack("<I", len(data)) + data
    with lock:
        while data:
            data = data[stream.write(data):]


def serve(stream, lock, number, function, arguments, options):
    try:
        good, result = True, function(*arguments, **options)
    except Exception as e:
        good, result = False, e
    try:
        send(stream, lock, number, good, result)
    except Exception as e:  # it cannot be pickled
        send(stream, lock, number, False, RuntimeError(repr(e)))


def main():
    lock = threading.Lock()
    (port,) = glob.glob(PORT)
    with open(port, "r+b", buffering=0) as stream:
        send(stream, lock, READY, True, None)
        while True:
            (size,) = struct.unpack("<I", read(stream, 4))
            request = pickle.loads(read(stream, size))
            threading.Thread(target=serve, args=(stream, lock, *request), daemon=True).start()


def read(stream, size):
    data = b""
    while len(data) < size:
        part = stream.read(size - len(data))
        if not part:
            raise EOFError("nobody asks any more")
        data += part
    return data


if __name__ == "__main__":
    main()
