#!/usr/bin/env bash
# Builds and installs `os` and `os-agent` for one user, shows them at work, and removes them again. `./install.sh --help` says how.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'HELP'
Usage: ./install.sh [--prefix DIR] [--demo | --uninstall] [--built DIR]

Builds `os` (the workstation command) and `os-agent` (the device's agent, used by simulated devices) with cargo and installs them
with their shell completions. Nothing of that needs root. Safe to run again: it then updates what is there.

  --prefix DIR    where to install; the default is ~/.local
  --demo          sets up what is missing (also a container engine, from Debian's packages), installs, starts a simulated device,
                  finds it, pushes a sample to it, shows its logs and fetches its page
  --uninstall     removes what was installed, the simulated devices, and what the demo started; packages stay
  --built DIR     for developers: installs the programs of this folder (target/debug) instead of building them
  --help          this text
HELP
}

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf '  %s\n' "$hint" >&2; done
    exit 1
}

main() {
    local action=install
    prefix=${HOME:?HOME is not set}/.local
    built=
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix) [ $# -ge 2 ] || fail '--prefix needs a folder'; prefix=$2; shift ;;
            --prefix=*) prefix=${1#*=} ;;
            --demo) action=demo ;;
            --uninstall) action=uninstall ;;
            --built) [ $# -ge 2 ] && [ -n "$2" ] || fail '--built needs a folder'; built=$2; shift ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; fail "unknown option $1" ;;
        esac
        shift
    done
    [ -n "$prefix" ] || fail '--prefix needs a folder'
    case $prefix in /*) ;; *) prefix=$OLDPWD/$prefix ;; esac
    case $built in '' | /*) ;; *) built=$OLDPWD/$built ;; esac

    # One line for each file (f) and folder (d) that was created, relative to the prefix.
    manifest=$prefix/share/os/installed
    # What the demo changed outside the prefix, as name=value.
    notes=$prefix/share/os/demo
    os=$prefix/bin/os
    user_path=$PATH
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    "$action"
}

# --- install -------------------------------------------------------------------------------------------------------------------

install() {
    check_build_tools
    build
    install_files
    say
    say "installed: $os"
    hint_path
    say "try:       os simulate   (needs a container engine; ./install.sh --demo sets one up)"
    say "undo:      ./install.sh --uninstall$(prefix_option)"
}

# Before anything is changed: nothing here can install Rust.
check_cargo() {
    [ -z "$built" ] || return 0
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null || fail 'cargo is missing' 'install Rust as https://rustup.rs says, then run this again'
    local needed has
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    has=$(cargo --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$needed" "$has" | sort -V | head -n 1)" = "$needed" ] ||
        fail "cargo is $has, and $needed or newer is needed" 'rustup update, or install Rust as https://rustup.rs says'
}

check_build_tools() {
    [ -z "$built" ] || return 0
    check_cargo
    command -v cc >/dev/null || fail 'a linker is missing' 'sudo apt-get install gcc libc6-dev'
}

build() {
    [ -z "$built" ] || return 0
    step 'build (optimised for size; this takes some minutes)'
    cargo build --locked --release -p os-cli -p os-agent
    built=$(cargo metadata --locked --offline --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release
}

install_files() {
    step "install into $prefix"
    installed=()
    put_folder share/os
    put 755 "$built/os" bin/os
    put 755 "$built/os-agent" libexec/os/os-agent
    put 644 completions/os share/bash-completion/completions/os
    put 644 completions/_os share/zsh/site-functions/_os
    put 644 completions/os.fish share/fish/vendor_completions.d/os.fish
    put 644 completions/os.ps1 share/os/completions/os.ps1
    put 644 completions/os.elv share/os/completions/os.elv
    remove_outdated
}

# Installs one file: a running program keeps the old one until it ends.
put() {
    local mode=$1 from=$2 to=$3
    put_folder "$(dirname "$to")"
    record f "$to"
    command install -m "$mode" "$from" "$prefix/$to.new"
    mv -f "$prefix/$to.new" "$prefix/$to"
    installed+=("$to")
    say "  $prefix/$to"
}

# Creates a folder and notes each one that was not there, so that the folders of others stay.
put_folder() {
    local at=$1 missing=()
    while [ ! -d "$prefix/$at" ]; do
        missing=("$at" "${missing[@]}")
        [ "$at" != . ] || break
        at=$(dirname "$at")
    done
    mkdir -p "$prefix/$1"
    for at in "${missing[@]}"; do record d "$at"; done
}

# Recorded before a file is put in place, so that nothing is forgotten when this script is killed.
record() { grep -sqxF "$1 $2" "$manifest" || printf '%s %s\n' "$1" "$2" >>"$manifest"; }

# Removes files that an earlier version installed and this one does not.
remove_outdated() {
    local kind path kept
    while read -r kind path; do
        if [ "$kind" = f ] && [[ " ${installed[*]} " != *" $path "* ]]; then rm -f "$prefix/$path"; fi
    done <"$manifest"
    kept=$(grep '^d ' "$manifest" || true)
    { [ -z "$kept" ] || printf '%s\n' "$kept"; printf 'f %s\n' "${installed[@]}"; } >"$manifest.new"
    mv "$manifest.new" "$manifest"
}

hint_path() {
    case :$user_path: in
        *:"$prefix/bin":*) ;;
        *) say "not on your PATH yet: export PATH=\"$prefix/bin:\$PATH\"   (in ~/.profile, to keep it)" ;;
    esac
    case ${SHELL:-} in
        */zsh) say "completion in zsh: put  fpath=($prefix/share/zsh/site-functions \$fpath)  before compinit in ~/.zshrc" ;;
    esac
}

prefix_option() { [ "$prefix" = "$HOME/.local" ] || printf ' --prefix %q' "$prefix"; }

# --- demo ----------------------------------------------------------------------------------------------------------------------

demo() {
    project=${OS_DEMO_PROJECT:-$HOME/os-demo}
    choose_socket
    check_cargo
    announce_demo
    trap 'say; say "cut short; undo what was done: ./install.sh --uninstall$(prefix_option)"; exit 130' INT TERM
    put_folder share/os
    install_packages
    check_build_tools
    build
    install_files
    set_up_engine
    set_up_base_image
    show
    finish_demo
}

# The engine's socket, chosen as `os simulate` does.
choose_socket() {
    case ${DOCKER_HOST:-} in
        '') socket=/var/run/docker.sock ;;
        unix:///*) socket=${DOCKER_HOST#unix://} ;;
        *) fail "DOCKER_HOST is $DOCKER_HOST, and a simulated device needs an engine of this machine" 'unset DOCKER_HOST, then run this again' ;;
    esac
}

engine() { docker --host "unix://$socket" "$@"; }
engine_answers() { command -v docker >/dev/null && engine version >/dev/null 2>&1; }

# Whether the engine answers root, so that only the permission of this user is missing.
engine_answers_root() { command -v docker >/dev/null && as_root docker --host "unix://$socket" version >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Says what will be done to this machine before anything is.
announce_demo() {
    packages=()
    [ -n "$built" ] || command -v cc >/dev/null || packages+=(gcc libc6-dev)
    command -v docker >/dev/null || packages+=(docker.io)
    command -v dockerd >/dev/null || [ -S "$socket" ] || packages+=(docker.io)
    command -v iptables >/dev/null || [ -S "$socket" ] || packages+=(iptables)
    readarray -t packages < <(printf '%s\n' "${packages[@]}" | sort -u | sed '/^$/d')

    say 'This demo will'
    [ ${#packages[@]} -eq 0 ] || say "  * install Debian packages: ${packages[*]}"
    if ! engine_answers; then
        say '  * start the container engine (dockerd), if it does not run'
        [ "$(id -u)" -eq 0 ] || say '  * let you use it: it puts you into the group docker, whose members can do what root can'
    fi
    say "  * build os and install it into $prefix"
    say '  * start a simulated device: containers of this machine, reachable from this machine only'
    say "  * write a sample project to $project, push it to the device, and show its logs and its page"
    say '  * if no image registry can be reached: make the base image of the sample from the Debian package busybox-static'
    say "It asks for nothing, except that sudo may ask for your password. Undo all of it: ./install.sh --uninstall$(prefix_option)"
    if [ "$(id -u)" -ne 0 ] && ! engine_answers && ! command -v sudo >/dev/null; then
        fail 'there is neither an engine that you may use nor sudo to set one up' 'run this as root, or install docker.io and join the group docker'
    fi
}

note() { printf '%s=%s\n' "$1" "$2" >>"$notes"; }
noted() { [ -e "$notes" ] && sed -n "s|^$1=||p" "$notes" | tail -n 1; }

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    step "install Debian packages: ${packages[*]}"
    apt_install "${packages[@]}"
    # Newer Debian releases have the client in a package of its own, which only fresh package lists know.
    command -v docker >/dev/null || apt_install docker-cli
}

apt_install() {
    command -v apt-get >/dev/null || fail "this is not Debian; install what corresponds to: $*"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    note packages "$(printf '%s %s' "$(noted packages)" "$*" | xargs -n 1 | sort -u | xargs)"
}

set_up_engine() {
    step 'container engine'
    if ! engine_answers && ! engine_answers_root; then start_engine; fi
    if ! engine_answers; then allow_engine; fi
    engine_answers || fail "the engine at $socket does not answer" "its log: $(engine_log)"
    say "engine $(engine version --format '{{.Server.Version}}') answers at $socket"
}

engine_log() { if [ -d /run/systemd/system ]; then printf 'journalctl -u docker'; else printf '%s' "$prefix/share/os/dockerd.log"; fi; }

start_engine() {
    if [ -d /run/systemd/system ] && [ -z "${DOCKER_HOST:-}" ]; then
        note engine systemd
        as_root systemctl start docker
        return
    fi
    command -v dockerd >/dev/null || fail 'dockerd is not there to be started'
    note engine dockerd
    # A password is asked for now: what runs in the background cannot ask.
    as_root true
    say 'there is no systemd: starting dockerd in the background'
    local log=$prefix/share/os/dockerd.log
    # A session of its own: neither Ctrl-C nor the end of this script reaches it.
    as_root setsid --wait dockerd --host "unix://$socket" --pidfile /var/run/os-demo-dockerd.pid >"$log" 2>&1 </dev/null &
    local child=$!
    local waited=0
    until engine_answers || engine_answers_root; do
        [ $((waited += 1)) -le 300 ] || fail "dockerd does not answer; the end of $log:" "$(tail -n 5 "$log")"
        kill -0 $child 2>/dev/null || fail "dockerd ended; the end of $log:" "$(tail -n 5 "$log")"
        # The engine has no event to wait for that this script could see.
        sleep 0.2
    done
    disown $child
}

# The group is for the next login, the ownership for this one: it lasts until the engine is started again.
allow_engine() {
    local user
    user=$(id -un)
    if [[ " $(id -nG "$user") " != *' docker '* ]]; then
        note group "$user"
        as_root usermod -aG docker "$user"
    fi
    note socket "$socket"
    as_root chown "$user" "$socket"
}

# The samples are made from busybox. Without a registry it comes from Debian, under the same name, so that all samples build.
set_up_base_image() {
    engine image inspect busybox >/dev/null 2>&1 && return
    step 'base image of the samples: busybox'
    note image busybox:latest
    if timeout 60 docker --host "unix://$socket" pull -q busybox 2>/dev/null; then return; fi
    say 'no registry answers: making it from the Debian package busybox-static'
    is_static_busybox "$(command -v busybox)" || apt_install busybox-static
    import_busybox "$(command -v busybox)"
}

is_static_busybox() { [ -n "$1" ] && [[ $(dpkg-query -W -f '${Status}' busybox-static 2>/dev/null) == *'ok installed' ]]; }

import_busybox() {
    local root applet
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,etc,tmp,var,root,usr/bin,usr/sbin}
    cp "$1" "$root/bin/busybox"
    "$1" --list | while read -r applet; do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    # Else the root folder of every container would be closed to all but root.
    chmod 755 "$root"
    chmod 1777 "$root/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\n' >"$root/etc/group"
    tar -C "$root" --owner 0 --group 0 --numeric-owner -c . |
        engine import --change 'CMD ["sh"]' --change 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' --change 'LABEL os.demo=busybox-static' - busybox:latest
    rm -r "$root"
}

run() {
    printf '\n$ %s\n' "$*"
    shift
    "$os" "$@"
}

show() {
    export PATH=$prefix/bin:$PATH
    step 'a simulated device'
    run os simulate --name demo
    step 'find it'
    run os scan
    step 'a sample project'
    if [ -e "$project/Dockerfile" ]; then
        say "$project is there already"
    else
        run os new web "$project"
        note project "$project"
    fi
    step 'build it on the device and start it there'
    run os push demo --source "$project" --detached
    step 'what it prints'
    run os logs demo --tail 5 --no-follow
    step 'its page'
    address=$("$os" simulate --list --json | sed -n 's/.*"name":"demo".*"address":"\([^"]*\)".*/\1/p')
    [ -n "$address" ] || fail 'the simulated device is gone'
    printf '\n$ curl http://%s/\n' "$address"
    local tries
    for tries in 1 2 3 4 5 6 7 8 9 10; do
        if fetch "$address" 2>/dev/null; then return; fi
        # The container runs; the server in it may need a moment.
        sleep 0.3
    done
    fail "nothing answers at http://$address/" 'os logs demo says more'
}

# GET / without needing a program that a fresh machine may not have.
fetch() {
    local answer
    answer=$(
        exec 3<>"/dev/tcp/$1/80"
        printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' "$1" >&3
        timeout 10 cat <&3
    ) || return 1
    case $answer in 'HTTP/1.'?' 200 '*) ;; *) return 1 ;; esac
    printf '%s\n' "${answer#*$'\r\n\r\n'}"
}

finish_demo() {
    step 'done. What to try next'
    hint_path
    cat <<NEXT
  edit $project/public/index.html, then      os push demo --source $project
  follow its logs                            os logs demo
  two services, a volume, a network          os new web-and-worker /tmp/two && os push demo --source /tmp/two
  a second device                            os simulate
  the page in a browser                      http://$address/

Undo
  the devices with their containers          os simulate --stop
  everything                                 ./install.sh --uninstall$(prefix_option)
NEXT
    if [ "$(noted engine)" = dockerd ]; then
        say "  the engine alone                           ${as_root_text}kill \$(cat /var/run/os-demo-dockerd.pid)"
    fi
}
if [ "$(id -u)" -eq 0 ]; then as_root_text=; else as_root_text='sudo '; fi

# --- uninstall -----------------------------------------------------------------------------------------------------------------

uninstall() {
    if [ ! -e "$manifest" ] && [ ! -e "$notes" ]; then
        say "nothing is installed in $prefix"
        return
    fi
    # What the demo and simulated devices left is in an engine; the rest needs none.
    if [ -e "$notes" ] || [ -d "${XDG_STATE_HOME:-$HOME/.local/state}/os/simulated" ]; then
        choose_socket
        remove_devices
        undo_demo
    fi
    remove_files
    say 'done'
}

remove_devices() {
    local devices state=${XDG_STATE_HOME:-$HOME/.local/state}/os
    if [ ! -x "$os" ]; then
        [ ! -d "$state/simulated" ] || fail "there are simulated devices in $state/simulated, and $os is gone" 'install it again: ./install.sh'
        return 0
    fi
    devices=$("$os" simulate --list --json --quiet)
    [ -n "$devices" ] || return 0
    # Their containers can only be removed while the engine runs.
    if ! engine_answers && [ -n "$(noted engine)" ] && ! engine_answers_root; then start_engine; fi
    if ! engine_answers && [ -n "$(noted socket)" ]; then allow_engine; fi
    "$os" simulate --stop || fail 'not all simulated devices could be removed, so os stays installed until they are'
}

undo_demo() {
    [ -e "$notes" ] || return 0
    local project image user owned
    project=$(noted project)
    if [ -n "$project" ] && [ -d "$project" ]; then
        if diff -r templates/web "$project" >/dev/null; then
            rm -r "$project"
            say "removed $project"
        else
            say "kept $project: you changed it"
        fi
    fi
    image=$(noted image)
    if [ -n "$image" ] && engine_answers && engine image rm "$image" >/dev/null 2>&1; then say "removed the image $image"; fi
    stop_engine
    user=$(noted group)
    if [ -n "$user" ]; then
        as_root gpasswd -d "$user" docker >/dev/null
        say "removed $user from the group docker"
    fi
    owned=$(noted socket)
    if [ -n "$owned" ] && [ -S "$owned" ]; then as_root chown root "$owned"; fi
    if [ -n "$(noted packages)" ]; then
        say "left: the Debian packages $(noted packages), and /var/lib/docker"
        say "      ${as_root_text}apt-get purge $(noted packages)   removes the packages"
    fi
    rm -f "$notes" "$prefix/share/os/dockerd.log"
}

stop_engine() {
    case $(noted engine) in
        systemd)
            as_root systemctl stop docker docker.socket
            say 'stopped the container engine'
            ;;
        dockerd)
            local file=/var/run/os-demo-dockerd.pid pid
            pid=$(cat $file 2>/dev/null) || return 0
            # Only if that is still the engine: after a crash the number may belong to another process.
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
            as_root kill "$pid"
            tail --pid="$pid" -f /dev/null
            say 'stopped the container engine'
            ;;
    esac
}

remove_files() {
    local kind path state=${XDG_STATE_HOME:-$HOME/.local/state}/os cache=${XDG_CACHE_HOME:-$HOME/.cache}/os
    rm -rf "$state" "$cache"
    if [ -e "$manifest" ]; then
        local lines
        readarray -t lines <"$manifest"
        local line
        for line in "${lines[@]}"; do
            read -r kind path <<<"$line"
            [ "$kind" = d ] || { rm -f "$prefix/$path"; say "removed $prefix/$path"; }
        done
        rm -f "$manifest"
        # Deepest first; what has files of others in it stays.
        printf '%s\n' "${lines[@]}" | sed -n 's/^d //p' | LC_ALL=C sort -ru | while read -r path; do
            rmdir "$prefix/${path#.}" 2>/dev/null || true
        done
    fi
}

main "$@"
