# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes, as the tests write and see them."""

import json


def conf(uuid, where, **mount):
    """A volume's file."""
    text = f"[Match]\nUUID={uuid}\n\n[Mount]\nWhere={where}\n"
    return text + "".join(f"{key}={value}\n" for key, value in mount.items())


def mounts(distro, target):
    """What is mounted on a target, from the bottom to the top."""
    found = distro.run(["findmnt", "-J", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS,PROPAGATION", "-M", target],
                       check=False)
    return json.loads(found.stdout)["filesystems"] if found.returncode == 0 else []
