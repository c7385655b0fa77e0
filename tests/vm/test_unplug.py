# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that goes while it is mounted."""

import os

import agent
from disks import make_image
from machine import defer, wait_until
from volumes import conf, configure, mounts, said, wait_mounted

WRITER = """\
[Unit]
BindsTo=wslbare@{name}.target
After=wslbare@{name}.target

[Service]
ExecStart=/bin/sh -c 'exec >>/mnt/{name}/log; while echo line; do sleep 0.1; done; exec sleep 1000'

[Install]
WantedBy=wslbare@{name}.target
"""


# It opens its file anew each time, and starts again whenever it ends.
STUBBORN = """\
[Unit]
BindsTo=wslbare@{name}.target
After=wslbare@{name}.target
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh -c 'while echo line >>/mnt/{name}/log; do sleep 0.1; done'
Restart=always
RestartSec=0

[Install]
WantedBy=wslbare@{name}.target
"""


def add_writer(vm, name, text=WRITER):
    unit = f"writer-{name}.service"
    vm.write(f"/etc/systemd/system/{unit}", text.format(name=name))
    vm.systemctl("daemon-reload")
    vm.systemctl("enable", unit)
    defer(lambda: vm.systemctl("disable", "--now", unit))
    return unit


def active(vm, unit):
    return vm.systemctl("is-active", unit, check=False).stdout.strip()


def wait_active(vm, unit, *states):
    wait_until(lambda: active(vm, unit) in states, what=f"{unit} to be {' or '.join(states)}")


def check_lost(vm, disk, name, directory_stays=False):
    """What the world hears when a mounted disk went, and when."""

    def told(what):
        found = [time for time, who, changed in vm.call(agent.seen) if (who, changed) == what
                 or (who == what[0] and isinstance(changed, dict) and changed.get("State") == what[1])]
        return found[0] if found else None

    gone, lost, absent = [wait_until(lambda: told(what), what=f"{what}")
                          for what in ((disk.name, "remove"), (name, "lost"), (name, "absent"))]
    print(f"# {name}: lost {lost - gone:.3f} s and absent {absent - gone:.3f} s after the kernel's event", flush=True)
    # An emulated machine that hardly gets its turn is slower than what this was promised of.
    limit = max(1, os.getloadavg()[0] / os.cpu_count() / 2)
    assert gone < lost < absent < gone + limit
    assert said(vm, name, f"lost {disk.node} while mounted")
    assert not mounts(vm, f"/mnt/{name}")
    wait_active(vm, f"wslbare@{name}.target", "inactive")
    properties = vm.bus.volume(name)
    assert properties["State"] == "absent" and properties["Device"] == "" and properties["MountedOptions"] == ""
    flags = [f"/run/wslbare-mountd/mounted/{prefix}{name}" for prefix in ("", ".")]
    for path in flags + ([] if directory_stays else [f"/mnt/{name}"]):
        wait_until(lambda: not vm.path(path).exists(), what=f"{path} to go")


def test_pulled(vm, tmp):
    """Pulled out while a service writes; it comes back under another name."""
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(vm, "pulled")
    configure(vm, {"pulled": conf(uuid, "/mnt/pulled")})
    disk = vm.plug(tmp / "image")
    assert wait_mounted(vm, "/mnt/pulled")["source"] == disk.node
    wait_active(vm, unit, "active")
    wait_until(vm.path("/mnt/pulled/log").exists, what="it to write")
    vm.run("sync -f /mnt/pulled")
    before = disk.name

    vm.call(agent.watch)
    disk.pull()
    check_lost(vm, disk, "pulled")
    wait_active(vm, unit, "inactive", "failed")

    make_image("ext4", tmp / "other")
    vm.plug(tmp / "other")
    disk.plug()
    assert disk.name != before
    assert wait_mounted(vm, "/mnt/pulled")["source"] == disk.node
    wait_active(vm, unit, "active")
    assert vm.path("/mnt/pulled/log").read_text().startswith("line\n")
    assert vm.bus.volume("pulled")["Failure"] == ("", 0, "")


def test_helper_outlives_its_disk(vm, tmp):
    """What serves a filesystem goes on while somebody has a file open, and does not keep the disk from coming back."""
    uuid = make_image("ntfs", tmp / "image")
    configure(vm, {"served": conf(uuid, "/mnt/served", RetryLimit=0)})
    disk = vm.plug(tmp / "image")
    wait_mounted(vm, "/mnt/served", 20)
    vm.run("systemd-run -q --unit=sitter --working-directory=/mnt/served sleep 1000")
    defer(lambda: vm.systemctl("stop", "sitter", check=False))
    vm.call(agent.watch)
    disk.pull()
    check_lost(vm, disk, "served")
    disk.plug()
    assert wait_mounted(vm, "/mnt/served", 20)["source"] == disk.node


def test_stubborn(vm, tmp):
    """A service that starts again whatever happens does not write to what lies below the mount point."""
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(vm, "stubborn", STUBBORN)
    vm.path("/mnt/stubborn").mkdir()
    configure(vm, {"stubborn": conf(uuid, "/mnt/stubborn")})
    disk = vm.plug(tmp / "image")
    wait_mounted(vm, "/mnt/stubborn")
    wait_active(vm, unit, "active")
    wait_until(vm.path("/mnt/stubborn/log").exists, what="it to write")
    vm.call(agent.watch)
    disk.pull()
    check_lost(vm, disk, "stubborn", directory_stays=True)
    wait_active(vm, unit, "inactive", "failed")
    assert vm.run("ls -A /mnt/stubborn").stdout == ""


def test_held(vm, tmp):
    """Somebody sits in it when it is pulled out: neither does that keep it mounted, nor from coming back."""
    uuid = make_image("ext4", tmp / "image")
    configure(vm, {"held": conf(uuid, "/mnt/held")})
    disk = vm.plug(tmp / "image")
    wait_mounted(vm, "/mnt/held")
    vm.run("systemd-run -q --unit=sitter --working-directory=/mnt/held sleep 1000")
    defer(lambda: vm.systemctl("stop", "sitter", check=False))
    before = disk.name

    vm.call(agent.watch)
    disk.pull()
    check_lost(vm, disk, "held")
    assert active(vm, "sitter") == "active"
    disk.plug()
    assert disk.name != before, "the kernel still has the old one"
    assert wait_mounted(vm, "/mnt/held")["source"] == disk.node


def test_deleted(vm, tmp):
    """As `wsl --unmount` does it, first in Linux and then in Windows."""
    uuid = make_image("ext4", tmp / "image")
    configure(vm, {"deleted": conf(uuid, "/mnt/deleted")})
    disk = vm.plug(tmp / "image")
    wait_mounted(vm, "/mnt/deleted")
    vm.call(agent.watch)
    vm.path(f"/sys/block/{disk.name}/device/delete").write_text("1")
    check_lost(vm, disk, "deleted")
    disk.pull()
    disk.plug()
    assert wait_mounted(vm, "/mnt/deleted")["source"] == disk.node
