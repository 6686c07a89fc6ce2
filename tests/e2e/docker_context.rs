//! The programs of others work with a device's engine, by a context that `os` makes.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use testkit::{Engine, Lan, Namespace, Sshd, Workstation};

use crate::ssh_first::{Device, NAME, UUID, workstation};

struct Pair {
    device: Device,
    engine: Engine,
    workstation: Workstation,
    _lan: Lan,
}

impl Pair {
    async fn new() -> Self {
        let lan = Lan::new();
        let machine = Namespace::new();
        let engine = Engine::start_closed(&machine).await;
        let device = Device::on(machine, engine.socket(), &lan, (NAME, UUID)).await;
        let socket = engine.socket().display().to_string();
        device.sh(&format!("ln -sfn {socket} /run/docker.sock"));
        let workstation = workstation(&lan);
        device.lets_in(&workstation);
        Self {
            device,
            engine,
            workstation,
            _lan: lan,
        }
    }

    /// Runs a script of a shell in the home to its end; returns what it said.
    async fn sh(&self, script: &str) -> String {
        let all = format!("set -eu; export DOCKER_BUILDKIT=0; {script}");
        let output = self
            .workstation
            .start_program(&["bash", "-c", &all])
            .output()
            .await;
        output.success();
        output.stdout
    }
}

#[tokio::test]
async fn docker_and_compose_work_byte_by_byte_over_a_context() {
    let pair = Pair::new().await;
    let made = pair
        .workstation
        .os(&["docker-context", NAME, "--json"])
        .await;
    made.success();
    let told: Value = serde_json::from_str(&made.stdout).expect("a context");
    assert_eq!(told["context"], "kitchen.os", "{made}");
    assert_eq!(told["kept_by"], "process", "{made}");
    let host = told["host"].as_str().expect("a host");
    let socket = host.strip_prefix("unix://").expect("a socket");
    let rights = |path: &std::path::Path| {
        let about = fs_err::metadata(path).expect("it is there");
        about.permissions().mode() & 0o777
    };
    let socket = std::path::Path::new(socket);
    assert_eq!(rights(socket), 0o600);
    assert_eq!(rights(socket.parent().expect("a folder")), 0o700);

    pair.workstation
        .write("project/Dockerfile", "FROM os-test/busybox\nCOPY . /app\n");
    pair.workstation.write(
        "docker-compose.yml",
        "version: '3'\nservices:\n  idle:\n    image: built\n    command: [sleep, '1000000']\n",
    );
    // Beside it, docker-compose of version 1 looks for contexts.
    pair.workstation.write(".docker/config.json", "{}");
    let d = "docker --context kitchen.os";
    pair.sh(&format!(
        "head -c 5000000 /dev/urandom >project/big; {d} build -q -t built project
         {d} run --rm -i os-test/busybox cat <project/big >back; cmp project/big back
         {d} create --name copied os-test/busybox sh; {d} cp project/big copied:/big; {d} cp copied:/big back; cmp project/big back
         {d} run --rm built cat /app/big >back; cmp project/big back
         docker-compose --context kitchen.os up -d"
    ))
    .await;
    let names = pair.sh(&format!("{d} ps --format '{{{{.Image}}}}'")).await;
    assert_eq!(names, "built\n");
    assert_eq!(crate::projects::running(&pair.engine).await.len(), 1);

    // Again is safe, and takes nothing away.
    pair.workstation
        .os(&["docker-context", NAME])
        .await
        .success();
    pair.sh(&format!("{d} ps")).await;
    let removed = pair
        .workstation
        .os(&["docker-context", NAME, "--remove"])
        .await;
    removed.success();
    assert!(!socket.exists());
    let left = pair.sh("docker context ls --format '{{.Name}}'").await;
    assert_eq!(left, "default\n");
    let again = pair
        .workstation
        .os(&["docker-context", NAME, "--remove"])
        .await;
    again.success();
    assert!(again.stderr.contains("there is no context"), "{again}");
}

#[tokio::test]
async fn a_context_outlives_its_connection_and_says_when_the_device_is_away() {
    let mut pair = Pair::new().await;
    pair.workstation
        .os(&["docker-context", NAME])
        .await
        .success();
    let d = "docker --context kitchen.os";
    pair.sh(&format!("{d} ps")).await;
    let here = pair.workstation.address.expect("in a network").v4;
    pair.device
        .sh(&format!("ss --kill --tcp dst {here} sport = :22222"));
    pair.sh(&format!("{d} ps")).await;

    pair.device.sshd.process.terminate().await;
    pair.device
        .sh(&format!("ss --kill --tcp dst {here} sport = :22222"));
    let away = pair.sh(&format!("! {d} ps 2>&1")).await;
    assert!(away.contains("kitchen"), "{away}");
    // Another server has taken its place: nothing is sent to it.
    pair.device.sshd = Sshd::start(&pair.device.machine, "").await;
    pair.device.lets_in(&pair.workstation);
    let other = pair.sh(&format!("! {d} ps 2>&1")).await;
    assert!(other.contains("another one is known"), "{other}");
    assert!(!pair.device.sshd.process.log().contains("Accepted"));
}

/// Starts what a unit names with what the unit gives it, as systemd does, which has nothing of a person's environment.
const SYSTEMCTL: &str = r#"#!/usr/bin/perl
use strict; use IO::Socket::UNIX; use POSIX qw(dup2 setsid);
open(my $log, '>>', "$ENV{HOME}/asked"); print $log "@ARGV\n"; close $log;
exit unless "@ARGV" =~ /enable --now (\S+)\.socket/;
sub text { local $/; open(my $file, '<', "$ENV{HOME}/.config/systemd/user/$1.$_[0]") or die; <$file> }
my ($socket, $service) = (text('socket'), text('service'));
my ($path) = $socket =~ /^ListenStream=(.*)$/m;
my ($program, $arguments) = $service =~ /^ExecStart="(.*)" (.*)$/m;
my %given = map { /^(.*?)=(.*)$/ } $service =~ /^Environment="(.*)"$/mg;
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 9) or die "$path: $!";
exit if fork;
setsid; dup2(fileno($listener), 0); close $listener;
open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null');
%ENV = %given;
exec $program, split(/ /, $arguments);
"#;

#[tokio::test]
async fn systemd_starts_it_where_it_is_there() {
    let mut pair = Pair::new().await;
    let file = pair.workstation.write("bin/systemctl", SYSTEMCTL);
    pair.workstation
        .machine
        .run("chmod", &["755", &file.display().to_string()]);
    let bin = file.parent().expect("a folder").display().to_string();
    let path = format!("{bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    pair.workstation.set("PATH", &path);
    // Not where they usually are: the program has to be told.
    let state = pair.workstation.home().join("a state");
    let state = state.display().to_string();
    pair.workstation.set("XDG_STATE_HOME", &state);
    let made = pair
        .workstation
        .os(&["docker-context", NAME, "--json"])
        .await;
    made.success();
    assert!(made.stdout.contains("\"kept_by\":\"systemd\""), "{made}");
    let units = pair.workstation.home().join(".config/systemd/user");
    let socket = units.join("os-docker-kitchen.os.socket");
    assert!(socket.exists());
    let verify = "XDG_RUNTIME_DIR=\"$HOME\" systemd-analyze --user verify .config/systemd/user/os-docker-kitchen.os.* 2>&1";
    assert_eq!(pair.sh(verify).await, "");
    pair.sh("docker --context kitchen.os ps").await;
    let asked = fs_err::read_to_string(pair.workstation.home().join("asked"));
    let asked = asked.expect("what was asked");
    assert!(
        asked.contains("--user enable --now os-docker-kitchen.os.socket"),
        "{asked}"
    );
    pair.workstation
        .os(&["docker-context", NAME, "--remove"])
        .await
        .success();
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_context_of_somebody_else_is_left_alone_and_docker_is_needed() {
    let mut pair = Pair::new().await;
    pair.sh("docker context create kitchen.os --docker host=ssh://root@kitchen")
        .await;
    let refused = pair.workstation.os(&["docker-context", NAME]).await;
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("--name"), "{refused}");
    let left = pair.workstation.home().join(".local/state/os/docker");
    assert!(!left.exists(), "something was made");
    let named = pair
        .workstation
        .os(&["docker-context", NAME, "--name", "mine"])
        .await;
    named.success();
    pair.sh("docker --context mine.os ps").await;
    pair.workstation.set("PATH", "/nonexistent");
    let missing = pair.workstation.os(&["docker-context", NAME]).await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains("docker-cli"), "{missing}");
}
