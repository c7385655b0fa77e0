# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of wslbarectl(1) for fish.

set -l verbs status list devices mount unmount umount eject reload rescan adopt show verify doctor bench wait
set -l before "not __fish_seen_subcommand_from $verbs"

function __wslbarectl_volumes
        wslbarectl list --no-legend --output=name 2>/dev/null
end

function __wslbarectl_devices
        wslbarectl devices --no-legend --output=node 2>/dev/null
end

complete -c wslbarectl -f
complete -c wslbarectl -s h -l help -d 'Show a short help'
complete -c wslbarectl -n $before -l version -d 'Show the version'

complete -c wslbarectl -n $before -a status -d 'Show volumes, or all about some of them'
complete -c wslbarectl -n $before -a list -d 'List volumes, for programs'
complete -c wslbarectl -n $before -a devices -d 'Show block devices, and why none of the volumes fits'
complete -c wslbarectl -n $before -a mount -d 'Mount volumes'
complete -c wslbarectl -n $before -a 'unmount umount' -d 'Unmount volumes'
complete -c wslbarectl -n $before -a eject -d 'Unmount volumes, and let go of their disks'
complete -c wslbarectl -n $before -a reload -d 'Load the configuration again'
complete -c wslbarectl -n $before -a rescan -d 'Look at all devices again'
complete -c wslbarectl -n $before -a adopt -d 'Write a configuration file for what is on a device'
complete -c wslbarectl -n $before -a show -d 'Show the configuration of a volume, and what would be done now'
complete -c wslbarectl -n $before -a verify -d 'Say what is wrong with configuration files'
complete -c wslbarectl -n $before -a doctor -d 'Examine the system, and say what must be mended'
complete -c wslbarectl -n $before -a bench -d 'Measure volumes beside the root filesystem'
complete -c wslbarectl -n $before -a wait -d 'Wait until volumes are mounted'

set -l tables '__fish_seen_subcommand_from status list devices show doctor bench'
complete -c wslbarectl -n $tables -s J -l json -d 'Print JSON'
complete -c wslbarectl -n $tables -l no-legend -d 'Leave out the heading'
complete -c wslbarectl -n $tables -s o -l output -x -d 'Columns to print'

complete -c wslbarectl -n '__fish_seen_subcommand_from status' -s w -l watch -d 'Show it again whenever something changes'
complete -c wslbarectl -n '__fish_seen_subcommand_from status' -s n -l lines -x -d 'Lines of the journal'
complete -c wslbarectl -n '__fish_seen_subcommand_from devices' -s a -l all -d 'RAM disks too'
complete -c wslbarectl -n '__fish_seen_subcommand_from mount unmount umount eject' -l no-block -d 'Do not wait until it is done'
complete -c wslbarectl -n '__fish_seen_subcommand_from unmount umount' -s l -l lazy -d 'Although somebody uses it'
complete -c wslbarectl -n '__fish_seen_subcommand_from adopt' -l name -x -d 'Of the volume'
complete -c wslbarectl -n '__fish_seen_subcommand_from adopt' -s n -l dry-run -d 'Only show the file'
complete -c wslbarectl -n '__fish_seen_subcommand_from bench' -l size -x -d 'Of the file that is written'
complete -c wslbarectl -n '__fish_seen_subcommand_from bench' -l time -x -d 'Of each measurement'
complete -c wslbarectl -n '__fish_seen_subcommand_from wait' -l timeout -x -d 'Give up after'
complete -c wslbarectl -n '__fish_seen_subcommand_from wait' -l any -d 'One of them is enough'
complete -c wslbarectl -n '__fish_seen_subcommand_from wait' -s q -l quiet -d 'Do not say what is waited for'

complete -c wslbarectl -n '__fish_seen_subcommand_from status list mount unmount umount eject show wait' -a '(__wslbarectl_volumes)'
complete -c wslbarectl -n '__fish_seen_subcommand_from devices adopt' -a '(__wslbarectl_devices)'
complete -c wslbarectl -n '__fish_seen_subcommand_from verify bench' -F
