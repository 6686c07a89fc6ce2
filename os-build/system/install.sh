#!/bin/sh
# Installs the system tree below a folder: what both builders, and every test of a unit, have on their root.
#
#   install.sh DESTDIR
#
# AGENT_UNIT names the agent's own unit where it does not lie in the repository. The agent itself is the builder's to add.
# What lies in DESTDIR already is kept, unless it has the same name. No file of a package is overwritten: units that replace
# a package's stand below /etc, what is ours below /usr.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "install.sh: $*" >&2; exit 1; }
[ $# -eq 1 ] && [ -n "$1" ] || fail 'usage: install.sh DESTDIR'
root=$1
agent_unit=${AGENT_UNIT:-$here/../../device-agent/systemd/os-agent.service}
units=$root/usr/lib/systemd/system
overriding=$root/etc/systemd/system
umask 022

# put MODE FROM TO
put() {
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3"
}
# words FILE: its lines without comments.
words() { sed 's/#.*//' "$1" | grep '[^[:space:]]'; }
# link TARGET PATH
link() {
    mkdir -p "$(dirname "$2")"
    ln -sfn "$1" "$2"
}

(cd "$here/rootfs" && find . -type f) | while IFS= read -r file; do
    mode=644
    [ ! -x "$here/rootfs/$file" ] || mode=755
    put $mode "$here/rootfs/$file" "$root/$file"
done
put 644 "$agent_unit" "$units/os-agent.service"
put 644 "$here/binds" "$root/usr/share/os/binds"
put 644 "$here/partitions.toml" "$root/usr/share/os/partitions.toml"

# Names of the ecosystem for what we have.
link os-agent.service "$units/balena-supervisor.service"
link os-agent.service "$units/resin-supervisor.service"
link balena.service "$units/balena-engine.service"
link chronyd.service "$overriding/chrony.service"
link os-agent "$root/usr/bin/os-config"
link docker "$root/usr/bin/balena"
link docker "$root/usr/bin/balena-engine"
link mnt/data "$root/resin-data"
# Made of config.json at every boot.
link ../run/os/hostname "$root/etc/hostname"
link ../../../etc/machine-id "$root/var/lib/dbus/machine-id"
mkdir -p "$root/mnt/boot" "$root/mnt/state" "$root/mnt/data"

words "$here/enabled" | while read -r by unit; do
    link "../$unit" "$units/$by.wants/$unit"
done
words "$here/masked" | while read -r unit; do
    link /dev/null "$overriding/$unit"
done

# unit_name PATH: of the mount unit, as systemd-escape makes it.
unit_name() {
    case $1 in
    *[!A-Za-z0-9:_./-]* | /.* | *//* | */) fail "binds: $1 does not become the name of a unit here" ;;
    esac
    printf '%s' "${1#/}" | sed 's/-/\\x2d/g; s,/,-,g'
}
# mount_unit PATH DESCRIPTION WHAT TYPE OPTIONS [LINE OF UNIT]
mount_unit() {
    name=$(unit_name "$1").mount
    mkdir -p "$overriding"
    cat >"$overriding/$name" <<UNIT
# Made by install.sh from binds.
[Unit]
Description=$2
Before=local-fs.target
${6:-}
[Mount]
What=$3
Where=$1
Type=$4
Options=$5
UNIT
    link "../$name" "$overriding/local-fs.target.wants/$name"
}
behind_folders='Wants=os-state-folders.service
After=os-state-folders.service
'
folders=$root/usr/share/os/state-folders.conf
echo '# Made by install.sh from binds; see os-state-folders.service.' >"$folders"
words "$here/binds" | while read -r kind path one two; do
    case $kind in
    state)
        mkdir -p "$(dirname "$root$path")"
        [ -e "$root$path" ] || mkdir -m "$one" "$root$path"
        echo "C /mnt/state/root-overlay$path $one ${two:-root} ${two:-root} - $path" >>"$folders"
        mount_unit "$path" "$path, kept in the state partition" "/mnt/state/root-overlay$path" none bind "$behind_folders"
        ;;
    data)
        mkdir -p "$root$path"
        echo "d /mnt/data/$one $two root root -" >>"$folders"
        mount_unit "$path" "$path, kept in the data partition" "/mnt/data/$one" none bind "$behind_folders"
        ;;
    volatile)
        mkdir -p "$root$path"
        mount_unit "$path" "$path, in memory" tmpfs tmpfs "mode=$one,nosuid,nodev"
        ;;
    *) fail "binds: $kind is neither state, data nor volatile" ;;
    esac
done
chmod 700 "$root/root"
