# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens a thousand times leaves no more behind than what happens ten times."""

import os
from pathlib import Path

import sanitizers
from bus import connect
from disks import LoopDisk, make_image
from machine import Skip, wait_until
from volumes import conf, configure, leftovers, main_pid, mounts, processes, unmount

DISTRO = {"enable": ["wslbared.service"]}

UNITS = "wslbared.service", "wslbare-mountd.service"
FEW, MANY = 10, 200 if sanitizers.ENABLED else 1000  # they take their time
SLACK = 256  # KiB; of an allocator's own making


def resident(pid):
    """KiB that are this process's own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise Skip("this kernel does not tell how much memory a process has")


def measure(distro):
    """Of each daemon: its process, how many descriptors and processes it has, and its memory."""
    found = {}
    for unit in UNITS:
        pid = main_pid(distro, unit)
        found[unit] = pid, len(os.listdir(f"/proc/{pid}/fd")), len(processes(distro, unit)), resident(pid)
    return found


def is_no_more(now, then):
    """Whether they are the same processes, with no more descriptors and children; THEN one may have been on its way."""
    return all(now[unit][0] == then[unit][0] and now[unit][1] <= then[unit][1] and now[unit][2] <= then[unit][2]
               for unit in UNITS)


def cycle(distro, bus, disk, by_others):
    disk.attach()
    wait_until(lambda: bus.volume("soak")["State"] == "mounted", what="it to be mounted", interval=0.002)
    if by_others:
        unmount(distro, ["/mnt/soak"])
    else:
        bus.ask("soak", "Unmount")
    disk.detach(timeout=5)
    wait_until(lambda: bus.volume("soak")["State"] == "absent", what="it to be absent", interval=0.002)


def test_thousand_cycles(distro, tmp):
    """Attached, mounted, unmounted and detached: memory, descriptors and processes after 1000 as after 10."""
    uuid = make_image("ext4", tmp / "image", size=4 << 20)
    configure(distro, {"soak": conf(uuid, "/mnt/soak")})
    disk = LoopDisk(tmp / "image")
    disk.detach(timeout=5)
    before = None
    with connect(distro) as bus:
        for i in range(MANY):
            cycle(distro, bus, disk, by_others=i % 10 == 0)
            if i == FEW:
                before = measure(distro)
    wait_until(lambda: not leftovers(distro), what="all to be at rest")
    wait_until(lambda: is_no_more(measure(distro), before), what=f"them to be as in {before}")
    after = measure(distro)
    for unit in UNITS:
        if not sanitizers.ENABLED:  # which keep what was freed
            assert after[unit][3] <= before[unit][3] + SLACK, (unit, before[unit], after[unit])
    assert not mounts(distro, "/mnt/soak") and not distro.path("/mnt/soak").exists()


test_thousand_cycles.timeout = 900
