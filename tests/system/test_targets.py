# SPDX-License-Identifier: LGPL-2.1-or-later
"""wslbare@NAME.target and what hangs on it; requests that meet each other."""

import subprocess
from pathlib import Path

from bus import ERROR, ERROR_NAME, REPLY_SERIAL, connect, refusal
from disks import LoopDisk, make_image
from distro import Distro
from machine import defer, wait_until
from volumes import conf, conf_path, configure, mounts, run_inside, wait_mounted, wait_state

DISTRO = {"enable": ["wslbared.service"]}

# It says whether its directory was there, mounted, when it was started and when it was stopped.
WRITER = """\
[Unit]
BindsTo=wslbare@{name}.target
After=wslbare@{name}.target

[Service]
ExecStart=/bin/sh -c 'while echo line >>/mnt/{name}/log; do :; done'
ExecStopPost=/bin/sh -c 'mountpoint /mnt/{name} >>/run/{name}.stopped 2>&1'

[Install]
WantedBy=wslbare@{name}.target
"""


def active(distro, unit):
    return distro.systemctl("is-active", unit, check=False).stdout.strip()


def wait_active(distro, unit, state="active"):
    wait_until(lambda: active(distro, unit) == state, what=f"{unit} to be {state}")


def add_writer(distro, name):
    unit = f"writer-{name}.service"
    distro.write(f"/etc/systemd/system/{unit}", WRITER.format(name=name))
    distro.systemctl("daemon-reload")
    distro.systemctl("enable", unit)
    defer(lambda: forget(distro, unit))
    return unit


def forget(distro, unit):
    distro.systemctl("disable", "--now", unit)
    distro.systemctl("reset-failed", unit, check=False)
    distro.path(f"/etc/systemd/system/{unit}").unlink(missing_ok=True)
    distro.systemctl("daemon-reload")


def wait_written(distro, name):
    """Waits until there is more in its log than before, which need not be there yet."""

    def size():
        try:
            return distro.path(f"/mnt/{name}/log").stat().st_size
        except FileNotFoundError:
            return 0

    before = size()
    wait_until(lambda: size() > before, what="it to write")


def check_clean(image):
    subprocess.run(["e2fsck", "-fn", image], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    header = subprocess.run(["dumpe2fs", "-h", image], check=True, capture_output=True, text=True).stdout
    (state,) = [line for line in header.splitlines() if line.startswith("Filesystem state")]
    assert state.split(":")[1].strip() == "clean", state
    assert "needs_recovery" not in header


def test_service(distro, tmp):
    """Starts when the disk comes, stops before it is unmounted, starts again."""
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(distro, "served")
    configure(distro, {"served": conf(uuid, "/mnt/served")})
    stopped = distro.path("/run/served.stopped")
    with connect(distro) as bus:
        LoopDisk(tmp / "image")
        wait_active(distro, unit)
        for n in 1, 2:
            wait_written(distro, "served")
            assert bus.ask("served", "Unmount") == []
            # Nothing but "is a mountpoint": it was stopped while the volume was still there.
            assert stopped.read_text().splitlines() == ["/mnt/served is a mountpoint"] * n
            assert active(distro, unit) == "inactive" and active(distro, "wslbare@served.target") == "inactive"
            assert not mounts(distro, "/mnt/served") and not distro.path("/mnt/served").exists()
            assert bus.ask("served", "Mount") == []
            wait_active(distro, unit)
        # What it gives up by itself is its own business.
        assert distro.show(unit, "NRestarts") == "0"


def test_without_the_disk(distro):
    """By hand it cannot be started, and pulls no target in."""
    unit = add_writer(distro, "nodisk")
    configure(distro, {"nodisk": conf(None, "/mnt/nodisk", {"Label": "nodisk"})})
    result = distro.systemctl("start", unit, check=False)
    assert result.returncode != 0, "it was started without its disk"
    assert "dependency" in result.stderr.lower() or "Assertion" in result.stderr, result.stderr
    assert active(distro, unit) == "inactive"
    assert active(distro, "wslbare@nodisk.target") in ("inactive", "failed")
    assert not distro.path("/mnt/nodisk").exists()


def test_the_disk_goes(distro, tmp):
    """Unmounted by a foreign hand, which is the nearest to losing it that a loop device can do: the target goes, and with
    it what needs it."""
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(distro, "pulled")
    configure(distro, {"pulled": conf(uuid, "/mnt/pulled")})
    LoopDisk(tmp / "image")
    wait_active(distro, unit)
    distro.run("umount -l /mnt/pulled")
    wait_active(distro, "wslbare@pulled.target", "inactive")
    # It may have failed before it was stopped, having nothing to write to.
    wait_until(lambda: active(distro, unit) in ("inactive", "failed"), what="it to end")


def test_boot_and_poweroff(tmp):
    """Absent at boot it is not started; writing at power-off it leaves the filesystem clean."""
    image = tmp / "image"
    uuid = make_image("ext4", image)
    bind = Path(__file__).parents[2] / "conf/examples/srv-www.mount"
    files = {
        conf_path("data"): conf(uuid, "/mnt/data"),
        "/etc/systemd/system/writer.service": WRITER.format(name="data"),
        "/etc/systemd/system/srv-www.mount": bind.read_text(),
    }
    mnt = tmp / "mnt"
    mnt.mkdir()
    subprocess.run(["mount", image, mnt], check=True)
    try:
        (mnt / "www").mkdir()
        (mnt / "www/index").write_text("here\n")
    finally:
        subprocess.run(["umount", mnt], check=True)

    units = "writer.service", "srv-www.mount"
    with Distro(files=files, enable=["wslbared.service", *units]) as distro:
        assert distro.state == "running", distro.systemctl("--failed").stdout
        for unit in *units, "wslbare@data.target":
            assert active(distro, unit) == "inactive", unit
            assert distro.show(unit, "ActiveEnterTimestampMonotonic") == "0", f"{unit} was started"
        disk = LoopDisk(image)
        for unit in units:
            wait_active(distro, unit)
        assert distro.path("/srv/www/index").read_text() == "here\n"
        # The bind mount holds the volume, and gives it back in time.
        with connect(distro) as bus:
            bus.ask("data", "Unmount")
            assert not mounts(distro, "/srv/www") and not mounts(distro, "/mnt/data")
            for unit in units:
                assert active(distro, unit) == "inactive", unit
            bus.ask("data", "Mount")
        for unit in units:
            wait_active(distro, unit)
        wait_written(distro, "data")
        distro.poweroff()
    disk.detach(timeout=5)
    check_clean(image)


def test_held(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(distro, "held")
    configure(distro, {"held": conf(uuid, "/mnt/held")})
    LoopDisk(tmp / "image")
    wait_active(distro, unit)
    pid = run_inside(distro, "sitter", "--working-directory=/mnt/held", "sleep", "infinity")
    with connect(distro) as bus:
        error = refusal(bus.ask, "held", "Unmount")
        assert error.name == f"{ERROR}Busy", error
        assert bus.volume("held")["Holders"] == [(pid, "sleep")]
        assert bus.volume("held")["State"] == "mounted"
        assert mounts(distro, "/mnt/held")
        wait_active(distro, "wslbare@held.target")
        wait_active(distro, unit)
        assert bus.ask("held", "Unmount", lazy=True) == []
        assert not mounts(distro, "/mnt/held")
        assert bus.volume("held")["State"] == "unmounted" and bus.volume("held")["Holders"] == []
        distro.systemctl("stop", "sitter")
        bus.ask("held", "Mount")
        wait_active(distro, unit)


def test_no_block(distro, tmp):
    uuid = make_image("ext4", tmp / "image")
    unit = add_writer(distro, "quick")
    # What stops when it is let.
    distro.write(f"/etc/systemd/system/{unit}.d/slow.conf",
                 "[Service]\nExecStop=/bin/sh -c 'until test -e /run/may-stop; do sleep 0.05; done'\n")
    distro.systemctl("daemon-reload")
    may_stop = distro.path("/run/may-stop")
    defer(may_stop.touch)
    configure(distro, {"quick": conf(uuid, "/mnt/quick")})
    LoopDisk(tmp / "image")
    wait_active(distro, unit)
    with connect(distro) as bus:
        assert bus.ask("quick", "Unmount", no_block=True) == []
        assert mounts(distro, "/mnt/quick"), "it was answered when it was done"
        # The opposite waits for its turn, and so is refused.
        assert refusal(bus.ask, "quick", "Mount").name == f"{ERROR}InProgress"
        assert bus.volume("quick")["State"] == "unmounting"
        # The same joins, and waits.
        serial = bus.send_ask("quick", "Unmount")
        try:
            bus.answer(serial, 0.5)
        except TimeoutError:
            pass
        else:
            raise AssertionError("it was answered before it was done")
        may_stop.touch()
        assert bus.answer(serial) == []
        assert not mounts(distro, "/mnt/quick")
        assert bus.ask("quick", "Mount", no_block=True) == []
        wait_mounted(distro, "/mnt/quick")
        for options in {"nonsense": True}, {"no_block": True, "Lazy": True}:
            error = refusal(bus.ask, "quick", "Unmount", **options)
            assert error.name == "org.freedesktop.DBus.Error.InvalidArgs" and list(options)[-1] in error.text, error
        assert refusal(bus.ask, "quick", "Mount", lazy=True).name == "org.freedesktop.DBus.Error.InvalidArgs"
        assert mounts(distro, "/mnt/quick")


def test_join(distro, tmp):
    """Two who ask for the same get it; who asks for the opposite meanwhile is told so."""
    uuid = make_image("ext4", tmp / "image")
    configure(distro, {"joined": conf(uuid, "/mnt/joined", Auto="no")})
    LoopDisk(tmp / "image")
    wait_state(distro, "joined", "unmounted")
    with connect(distro) as a, connect(distro) as b:
        for _ in range(5):
            # In one breath, so that it is at work with the first when the others come.
            with a.together():
                calls = [a.send_ask("joined", member) for member in ("Mount", "Mount", "Unmount")]
            second = b.send_ask("joined", "Mount")
            results = answers(a, calls)
            assert results[:2] == [None, None], results
            assert results[2] == f"{ERROR}InProgress", results
            assert answers(b, [second])[0] in (None, f"{ERROR}AlreadyMounted")
            assert len(mounts(distro, "/mnt/joined")) == 1
            with a.together():
                calls = [a.send_ask("joined", "Unmount"), a.send_ask("joined", "Unmount")]
            assert answers(a, calls) == [None, None]
            assert not mounts(distro, "/mnt/joined")


def answers(bus, serials):
    """Of calls whose answers may come in any order: None, or the name of the error."""
    found = {}
    while len(found) < len(serials):
        m = bus.receive()
        serial = m.fields.get(REPLY_SERIAL)
        if serial in serials:
            found[serial] = m.fields.get(ERROR_NAME)
    return [found[serial] for serial in serials]
