# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus, as the tests speak it: a client small enough to misbehave, and what wslbared says on the bus.

A file by itself: a copy of it runs inside a distribution to call as another user.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

SERVICE = "org.wslbare1"
ROOT = "/org/wslbare1"
MANAGER = "org.wslbare1.Manager"
VOLUME = "org.wslbare1.Volume"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
ERROR = "org.wslbare1.Error."
DBUS_ERROR = "org.freedesktop.DBus.Error."
GONE = "gone"  # no error of D-Bus: the connection went
SOCKET = "/run/dbus/system_bus_socket"

METHOD_CALL, METHOD_RETURN, METHOD_ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)

_FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "b": "I"}
_ALIGNMENT = {"s": 4, "o": 4, "g": 1, "a": 4, "v": 1, "(": 8, "{": 8}


class BusError(Exception):
    """A call was answered with an error."""

    def __init__(self, name, text=""):
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text

    def __reduce__(self):
        return BusError, (self.name, self.text)


def volume_path(name):
    """As sd_bus_path_encode() makes it."""

    def encode(match):
        return "".join(f"_{byte:02x}" for byte in match[0].encode())

    return f"{ROOT}/volume/" + re.sub("^[0-9]|[^A-Za-z0-9]", encode, name)


# The wire format.


def _alignment(kind):
    return _ALIGNMENT.get(kind) or struct.calcsize(_FIXED[kind])


def _split(signature):
    """The first complete type, and the rest."""
    if signature[0] == "a":
        first, rest = _split(signature[1:])
        return "a" + first, rest
    if signature[0] in "({":
        depth = 0
        for i, c in enumerate(signature):
            depth += (c in "({") - (c in ")}")
            if depth == 0:
                return signature[:i + 1], signature[i + 1:]
    return signature[0], signature[1:]


def types(signature):
    while signature:
        first, signature = _split(signature)
        yield first


def _pad(data, alignment):
    data += bytes(-len(data) % alignment)


def _pack_array(data, kind, value):
    at = len(data)
    data += bytes(4)
    _pad(data, _alignment(kind[0]))
    start = len(data)
    for item in value.items() if kind[0] == "{" else value:
        _pack_one(data, kind, item)
    struct.pack_into("<I", data, at, len(data) - start)


def _pack_one(data, kind, value):
    _pad(data, _alignment(kind[0]))
    if kind in _FIXED:
        data += struct.pack("<" + _FIXED[kind], value)
    elif kind in "so":
        raw = value if isinstance(value, bytes) else value.encode()
        data += struct.pack("<I", len(raw)) + raw + b"\0"
    elif kind == "g":
        data += bytes([len(value)]) + value.encode() + b"\0"
    elif kind == "v":
        # (signature, value)
        _pack_one(data, "g", value[0])
        _pack_one(data, value[0], value[1])
    elif kind[0] == "a":
        _pack_array(data, kind[1:], value)
    else:
        for inner, item in zip(types(kind[1:-1]), value):
            _pack_one(data, inner, item)


def pack(signature, values):
    data = bytearray()
    for kind, value in zip(types(signature), values):
        _pack_one(data, kind, value)
    return bytes(data)


class _Reader:
    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def align(self, alignment):
        self.at += -self.at % alignment

    def fixed(self, code):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def text(self, size):
        value = self.data[self.at:self.at + size].decode()
        self.at += size + 1
        return value

    def array(self, kind):
        size = self.fixed("I")
        self.align(_alignment(kind[0]))
        end = self.at + size
        items = []
        while self.at < end:
            items.append(self.one(kind))
        return dict(items) if kind[0] == "{" else items

    def one(self, kind):
        self.align(_alignment(kind[0]))
        if kind in _FIXED:
            value = self.fixed(_FIXED[kind])
            return bool(value) if kind == "b" else value
        if kind in "so":
            return self.text(self.fixed("I"))
        if kind == "g":
            return self.text(self.fixed("B"))
        if kind == "v":
            return self.one(self.text(self.fixed("B")))
        if kind[0] == "a":
            return self.array(kind[1:])
        return tuple(self.one(inner) for inner in types(kind[1:-1]))


def message(kind, serial, fields, signature="", body=b"", flags=0):
    """A message as bytes; nothing checks whether it is a good one."""
    kinds = {PATH: "o", SIGNATURE: "g", REPLY_SERIAL: "u"}
    if signature:
        fields = {**fields, SIGNATURE: signature}
    header = bytearray(pack("yyyyuua(yv)", [
        ord("l"), kind, flags, 1, len(body), serial,
        [(code, (kinds.get(code, "s"), value)) for code, value in fields.items()],
    ]))
    _pad(header, 8)
    return bytes(header) + body


class Message:
    def __init__(self, kind, serial, fields, body):
        self.kind = kind
        self.serial = serial
        self.fields = fields
        self.body = body
        self.member = fields.get(MEMBER)
        self.path = fields.get(PATH)


class Connection:
    """A client of a bus. One that is given no time to read, reads nothing."""

    def __init__(self, path=SOCKET, timeout=60):
        self.timeout = timeout
        self.held = None  # what is to be sent in one piece
        self.serial = 0
        self.signals = []
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(str(path))
            uid = str(os.geteuid()).encode().hex()
            self.socket.sendall(b"\0AUTH EXTERNAL " + uid.encode() + b"\r\n")
            if not self.socket.recv(512).startswith(b"OK "):
                raise ConnectionError("the bus does not let us in")
            self.socket.sendall(b"BEGIN\r\n")
            (self.name,) = self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, service, path, interface, member, signature="", *values, body=None, flags=0):
        """Sends a call, and returns its serial without waiting."""
        self.serial += 1
        fields = {PATH: path, INTERFACE: interface, MEMBER: member, DESTINATION: service}
        body = pack(signature, values) if body is None else body
        data = message(METHOD_CALL, self.serial, fields, signature, body, flags)
        if self.held is None:
            self.socket.sendall(data)
        else:
            self.held += data
        return self.serial

    @contextlib.contextmanager
    def together(self):
        """What is sent meanwhile goes at the end in one piece, so that nothing comes in between."""
        self.held = b""
        yield
        data, self.held = self.held, None
        self.socket.sendall(data)

    def _fill(self, size, deadline):
        while len(self.buffer) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError("no answer on the bus")
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the bus closed the connection")
            self.buffer += data

    def receive(self, timeout=None):
        """The next message."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._fill(16, deadline)
        length, serial, fields_size = struct.unpack_from("<III", self.buffer, 4)
        start = 16 + fields_size + -fields_size % 8
        self._fill(start + length, deadline)
        data, self.buffer = self.buffer[:start + length], self.buffer[start + length:]
        fields = dict(_Reader(data, 12).one("a(yv)"))
        reader = _Reader(data[start:])
        body = [reader.one(kind) for kind in types(fields.get(SIGNATURE, ""))]
        return Message(data[1], serial, fields, body)

    def answer(self, serial, timeout=None):
        """What came back for a call: the values. Signals that come meanwhile are kept in ->signals."""
        while True:
            m = self.receive(timeout)
            if m.kind == SIGNAL:
                self.signals.append(m)
            elif m.fields.get(REPLY_SERIAL) != serial:
                continue
            elif m.kind == METHOD_ERROR:
                raise BusError(m.fields[ERROR_NAME], m.body[0] if m.body else "")
            else:
                return m.body

    def call(self, service, path, interface, member, signature="", *values, timeout=None):
        return self.answer(self.send(service, path, interface, member, signature, *values), timeout)

    def match(self, rule):
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", rule)

    # wslbared.

    def manager(self, member, signature="", *values):
        result = self.call(SERVICE, ROOT, MANAGER, member, signature, *values)
        return result[0] if result else None

    def properties(self, path=ROOT, interface=MANAGER):
        return self.call(SERVICE, path, PROPERTIES, "GetAll", "s", interface)[0]

    def volume(self, name):
        """The properties of a volume."""
        return self.properties(volume_path(name), VOLUME)

    def ask(self, name, member, timeout=None, **options):
        """Calls a method of a volume. Options are booleans."""
        return self.answer(self.send_ask(name, member, **options), timeout)

    def send_ask(self, name, member, **options):
        options = {key: ("b", value) for key, value in options.items()}
        return self.send(SERVICE, volume_path(name), VOLUME, member, "a{sv}", options)


# As the tests use it, from outside the distribution.


def connect(distro, **options):
    return Connection(distro.path(SOCKET), **options)


def refusal(function, *arguments, **options):
    """The error that a call is answered with; it must be one."""
    try:
        result = function(*arguments, **options)
    except BusError as e:
        return e
    raise AssertionError(f"it went well: {result}")


def call_inside(distro, user, calls, timeout=30):
    """Makes calls inside, as a user: tuples (path, interface, member, signature, values…).

    Returns for each the list of values, or the BusError; one of the name GONE where the bus threw the caller out for it.
    """
    script = "/usr/local/lib/wslbare-test-bus.py"
    path = distro.path(script)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(__file__, path)
    path.chmod(0o644)
    out = distro.run(["python3", "-B", script], user=user, input=json.dumps(calls), timeout=timeout).stdout
    return [BusError(*item["error"]) if "error" in item else item["body"] for item in json.loads(out)]


class Monitor:
    """What `busctl monitor` sees of a service, from now on."""

    def __init__(self, distro, service=SERVICE):
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(distro.pid), "-a", "busctl", "--json=short", "monitor", service],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        # It says so when it is one.
        assert b"Monitoring" in self.process.stderr.readline()
        os.set_blocking(self.process.stdout.fileno(), False)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # nsenter's child is in the same group, and would stay.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def messages(self):
        """All so far, as busctl writes them."""
        while data := self.process.stdout.read():
            self.data += data
        return [json.loads(line) for line in self.data.splitlines(keepends=True) if line.endswith(b"\n")]

    def signals(self):
        return [m for m in self.messages() if m["type"] == "signal" and m["path"].startswith(ROOT)]

    def story(self, leave_out=()):
        """The signals in short: (path below the root, what), where what is a list of the properties that changed, with
        the value of State, or the signal's name."""
        return [tell for tell in map(shorten, self.signals()) if tell[0] not in leave_out]


def shorten(said):
    data = said["payload"]["data"]
    if said["member"] == "PropertiesChanged":
        changed = data[1]
        words = {f"State={changed['State']['data']}" if name == "State" else name for name in changed}
        return said["path"].removeprefix(ROOT), " ".join(sorted(words))
    words = [said["member"]]
    if said["member"] == "InterfacesAdded":
        words += [data[1][VOLUME]["State"]["data"]]
    return data[0].removeprefix(ROOT), " ".join(words)


def main():
    results = []
    bus = Connection()
    for path, interface, member, signature, *values in json.load(sys.stdin):
        try:
            results.append({"body": bus.call(SERVICE, path, interface, member, signature, *values)})
        except BusError as e:
            results.append({"error": [e.name, e.text]})
        except ConnectionError as e:
            results.append({"error": [GONE, str(e)]})
            bus.close()
            bus = Connection()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
