# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's monitor."""

import json


class QmpError(Exception):
    """A command was refused."""


class Qmp:
    def __init__(self, connection, timeout=30):
        self.socket = connection
        self.socket.settimeout(timeout)
        self.file = self.socket.makefile("rb")
        self.events = []
        self.file.readline()  # the greeting
        self.execute("qmp_capabilities")

    def close(self):
        self.file.close()
        self.socket.close()

    def _receive(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("QEMU closed its monitor")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def execute(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = self._receive()
            if "error" in message:
                raise QmpError(f"{command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def wait_event(self, name, **data):
        """Waits for an event that has these data, and forgets it and what came before it."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            self._receive()
