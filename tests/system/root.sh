#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# root.sh ROOT NAME [TREE…]
#
# Makes of ROOT, a copy-on-write view of this machine's own root, the root of a distribution called NAME. Each TREE is
# laid over it.
#
# From the environment:
#   ENABLE MASK  units to enable and to mask

set -eu

root=$(realpath "$1") name=$2
shift 2
[ "$root" != / ] || { echo "root.sh: this would change the root that it runs on" >&2; exit 1; }

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
