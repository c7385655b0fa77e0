#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# distro.sh NAME CGROUP DIR [TREE…]
#
# Boots systemd as PID 1 over a copy-on-write view of this machine's own root, as a WSL2 distro
# runs: kernel, sysfs and devtmpfs are shared; PID, mount, IPC, UTS and cgroup namespace are its own.
# Each TREE is laid over the root (root.sh). CGROUP is a cgroup2 directory and DIR an empty one; DIR/pid
# becomes the PID of the distro's init as seen from here. Everything dies with this process.
#
# From the environment:
#   NETNS=host   share the network namespace, as WSL2's distros share theirs
#   ENABLE MASK  as root.sh takes them
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

"${0%/*}/root.sh" "$root" "$name" "$@"

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
