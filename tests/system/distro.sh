#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# distro.sh NAME CGROUP DIR [TREE…]
#
# Boots systemd as PID 1 over a copy-on-write view of this machine's own root, as a WSL2 distro
# runs: kernel, sysfs and devtmpfs are shared; PID, mount, IPC, UTS and cgroup namespace are its own.
# Each TREE is laid over the root. CGROUP is a cgroup2 directory and DIR an empty one; DIR/pid
# becomes the PID of the distro's init as seen from here. Everything dies with this process.
#
# From the environment:
#   NETNS=host   share the network namespace, as WSL2's distros share theirs
#   ENABLE MASK  units to enable and to mask
#   REPORTS      a directory that is to be /run/sanitizers

set -eu

name=$1 cgroup=$2 dir=$3
shift 3

if [ "${INSIDE:-}" != yes ]; then
        echo $$ >"$cgroup/cgroup.procs"
        net=--net
        [ "${NETNS:-}" != host ] || net=
        INSIDE=yes exec unshare --cgroup --mount --pid --uts --ipc $net --fork --kill-child \
                "$0" "$name" "$cgroup" "$dir" "$@"
fi

# /proc is still the machine's, so this is the PID that the machine knows.
read -r pid _ </proc/self/stat
echo "$pid" >"$dir/pid"

root=$dir/root
mount -t tmpfs -o mode=0755 "$name" "$dir"
mkdir "$dir/upper" "$dir/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$name" "$root"

# None of the machine's own services, mounts, rules or volumes: only what packages bring below /usr.
rm -rf "$root"/etc/{systemd,udev,wslbare.d,fstab,crypttab,machine-id}
mkdir -p "$root"/etc/systemd/{system,system-generators,journald.conf.d}
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
echo "$name" >"$root/etc/hostname"
for g in getty sysv; do
        ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$g-generator"
done
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' \
        >"$root/etc/systemd/journald.conf.d/test.conf"

# The devices that are there already: announce disks, and leave the machine's other hardware alone.
mkdir "$root/etc/systemd/system/systemd-udev-trigger.service.d"
printf '[Service]\nExecStart=\nExecStart=-udevadm trigger --action=add --subsystem-match=block\n' \
        >"$root/etc/systemd/system/systemd-udev-trigger.service.d/test.conf"

# tar follows links like /lib → usr/lib where it meets them, as a package manager does.
for tree; do
        tar -C "$tree" --owner=0 --group=0 -c . | tar -C "$root" -x --keep-directory-symlink --no-overwrite-dir
done

systemd-sysusers --root="$root"
[ -z "${ENABLE:-}" ] || systemctl --root="$root" --quiet enable $ENABLE
systemctl --root="$root" --quiet mask getty.target systemd-journald-audit.socket ${MASK:-}

# Caches are as good as the machine's: no hwdb or ldconfig at boot.
touch "$root/etc/.updated" "$root/var/.updated"

cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
if [ -n "${REPORTS:-}" ]; then
        mkdir run/sanitizers
        mount --bind "$REPORTS" run/sanitizers
fi
echo "$name" >proc/sys/kernel/hostname
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys

# The machine's root is stacked below the new one, and goes.
pivot_root . .
umount -l .
cd /
exec env -i container=wsl PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --log-target=journal --show-status=false
