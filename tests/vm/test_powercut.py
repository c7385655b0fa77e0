# SPDX-License-Identifier: LGPL-2.1-or-later
"""The power goes while a filesystem is written to.

It is cut by killing QEMU: what the kernel inside had in memory is lost, and what it had given to the disk is there,
however far it had come. (The disk's own cache is the page cache of the machine below, so it loses nothing: who forgot
to flush is not found out.)
"""

import subprocess

from disks import MiB, make_image
from machine import wait_until
from volumes import conf, conf_path, configure, said, wait_mounted

# Files whose content their names tell, and in between others that nobody waits for. One process each: in an emulated
# machine they are dear.
FILL = """\
import os
for directory in "synced", "loose", "more":
    os.mkdir(directory)
for i in range(20):
    for j in range(20):
        open(f"loose/{i}.{j}", "w").write("loose" * 200 * j)
    open(f"synced/{i}", "w").write(f"{i}\\n" * 5000)
    if i % 5 == 4:
        os.sync()
"""
GO_ON = """\
import os
for i in range(1000000):
    open(f"more/{i}", "w").write("more" * (i % 5000))
    if i % 3 == 0:
        os.rename(f"more/{i}", f"loose/{i}")
    if i % 7 == 6:
        os.unlink(f"more/{i - 2}" if (i - 2) % 3 else f"loose/{i - 2}")
"""


def cut_while_writing(vm, image, name, *mkfs):
    """Cuts the power while a volume is written to, and boots again."""
    uuid = make_image("ext4", image, size=128 * MiB, options=mkfs)
    text = conf(uuid, f"/mnt/{name}")
    configure(vm, {name: text})
    vm.plug(image)
    wait_mounted(vm, f"/mnt/{name}")
    vm.run(["env", "-C", f"/mnt/{name}", "python3", "-c", FILL])
    # So that some of it is on the disk by then, and some is not.
    for knob in "dirty_writeback_centisecs", "dirty_expire_centisecs":
        vm.path(f"/proc/sys/vm/{knob}").write_text("20")
    vm.run(["systemd-run", "-q", f"--working-directory=/mnt/{name}", "python3", "-c", GO_ON])
    wait_until(vm.path(f"/mnt/{name}/loose/999").exists, what="it to write")
    vm.kill()
    vm.give(conf_path(name), text)
    vm.boot()


def check_synced(vm, name):
    for i in range(20):
        assert vm.path(f"/mnt/{name}/synced/{i}").read_text() == f"{i}\n" * 5000, f"file {i} is damaged"


def unmount_and_check(vm, image, name):
    vm.bus.ask(name, "Unmount")
    subprocess.run(["e2fsck", "-fn", image], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_without_journal(vm, tmp):
    """It is checked before it is mounted, at the next start of wslbared."""
    cut_while_writing(vm, tmp / "image", "plain", "-O", "^has_journal")
    wait_mounted(vm, "/mnt/plain")
    assert said(vm, "plain", "is being checked")
    check_synced(vm, "plain")
    # What it had to mend is mended.
    unmount_and_check(vm, tmp / "image", "plain")


def test_with_journal(vm, tmp):
    """A journal to replay is no reason for a check."""
    cut_while_writing(vm, tmp / "image", "journal")
    wait_mounted(vm, "/mnt/journal")
    assert not [entry for entry in vm.journal(WSLBARE_VOLUME="journal") if "checked" in entry["MESSAGE"]]
    check_synced(vm, "journal")
    unmount_and_check(vm, tmp / "image", "journal")
