# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a running system is asked by commands, wherever it runs."""

import json
import shlex


class Commands:
    """For classes that have run(command, check=True, timeout=30, user=None, input=None)."""

    def shell(self, script, **options):
        """Runs a bash script inside; options are those of run()."""
        return self.run(["bash", "-ec", script], **options)

    def systemctl(self, *arguments, **options):
        return self.run(["systemctl", *arguments], **options)

    def show(self, unit, property):
        """The value of a unit's property."""
        return self.systemctl("show", "--value", "-p", property, unit).stdout.rstrip("\n")

    def busctl(self, *arguments, **options):
        """Runs busctl and returns what it prints as parsed JSON, or None if that is nothing."""
        out = self.run(["busctl", "--json=short", *arguments], **options).stdout
        return json.loads(out) if out.strip() else None

    def journal(self, unit=None, **fields):
        """The journal's entries as dictionaries: of a unit, or those that have these fields.

        All that was logged before this call is among them.
        """
        command = ["journalctl", "--no-pager", "-q", "-b", "-o", "json", "--all"]
        if unit:
            command += ["-u", unit]
        command += [f"{name}={value}" for name, value in fields.items()]
        out = self.shell(f"journalctl --sync; {shlex.join(command)}", check=False).stdout
        return [json.loads(line) for line in out.splitlines()]

    def describe(self):
        """What helps to understand a failure: failed units, and the daemons' last words."""
        units = "-u wslbared -u wslbare-mountd.socket -u wslbare-mountd"
        return self.shell(
            "systemctl --no-pager --no-legend --plain --failed;"
            f"journalctl --no-pager -q -b -n 60 -o short-monotonic {units}",
            check=False,
        ).stdout
