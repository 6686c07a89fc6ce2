//! What the way over SSH costs: a push beside the same push by plain ports, and `docker` by our context beside its own way over `ssh`.

use std::net::SocketAddr;
use std::process::Command;

use testkit::{Device, Sshd, Workstation};

use crate::desk::{command, os, timed, until_answers};
use crate::figure::{Goal, Row, Samples, Table};
use crate::project::{ADDRESS, bare, desk, mark, two_services};

const PUSH: [&str; 6] = [
    "push",
    ADDRESS,
    "--source",
    "project",
    "--detached",
    "--accept-host-key",
];
const PLAIN: &str = "os push --plain";

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    let _sshd = server(&device, &workstation).await;
    two_services(&workstation, "project", 8081);
    cold(table, &device, &workstation, rounds.min(5)).await;
    again(table, &workstation, rounds);
    docker(table, &workstation, 2 * rounds);
}

/// An SSH server on the device that the workstation has a key for, and the device's sockets where they are on one.
async fn server(device: &Device, workstation: &Workstation) -> Sshd {
    let sshd = Sshd::start(&device.machine, "").await;
    let links = format!(
        "mkdir -p /run/os-agent && ln -sfn {} /run/os-agent/agent.sock && ln -sfn {} /run/docker.sock",
        device.agent.socket().display(),
        device.engine.socket().display()
    );
    device.machine.run("sh", &["-c", &links]);
    let key = workstation.home().join(".ssh/id_ed25519");
    let file = key.display().to_string();
    let make = format!(
        "mkdir -p {} && ssh-keygen -q -t ed25519 -N '' -C 'a person' -f {file}",
        workstation.home().join(".ssh").display()
    );
    workstation.machine.run("sh", &["-c", &make]);
    sshd.authorize(&key.with_extension("pub"));
    // `ssh` takes the home of the account, whatever HOME says.
    let config = format!(
        "Host *\nIdentityFile {file}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
    );
    workstation.write(".ssh/config", config);
    for (name, more) in [
        ("cold", ""),
        (
            "reused",
            "-o ControlMaster=auto -o ControlPersist=60 -o ControlPath=$HOME/.ssh/control ",
        ),
    ] {
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F $HOME/.ssh/config {more}\"$@\"\n");
        let file = workstation.write(format!("{name}/ssh"), script);
        let file = file.display().to_string();
        workstation.machine.run("chmod", &["755", &file]);
    }
    sshd
}

fn ways(workstation: &Workstation) -> [Command; 2] {
    let mut plain = os(workstation, &PUSH);
    plain.arg("--plain");
    [os(workstation, &PUSH), plain]
}

async fn cold(table: &mut Table, device: &Device, workstation: &Workstation, rounds: usize) {
    let mut samples: [Samples; 2] = Default::default();
    for round in 0..=rounds {
        for (side, mut push) in ways(workstation).into_iter().enumerate() {
            let marker = format!("cold-{round}-{side}");
            mark(workstation, "project/web", &marker);
            bare(device, workstation).await;
            let (_, there) = until_answers(&workstation.machine, page(), &marker, &mut push);
            if round > 0 {
                samples[side].time(there);
            }
        }
    }
    let [ssh, plain] = samples;
    let what = "push over SSH, 2 services, cold: answers";
    table.row(&Row::beside(what, ssh, (PLAIN, plain), Goal::Times(1.2)));
}

/// What nothing or one file of has changed.
fn again(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let machine = &workstation.machine;
    let [mut unchanged, mut single, mut changed]: [[Samples; 2]; 3] = Default::default();
    for round in 0..=rounds {
        for (side, mut push) in ways(workstation).into_iter().enumerate() {
            let marker = format!("changed-{round}-{side}");
            mark(workstation, "project/web", &marker);
            let (_, there) = until_answers(machine, page(), &marker, &mut push);
            let took = timed(machine, &mut push).took;
            push.env("OSCLI_SSH_KEEP", "0");
            let alone = timed(machine, &mut push).took;
            if round > 0 {
                changed[side].time(there);
                unchanged[side].time(took);
                single[side].time(alone);
            }
        }
    }
    for (what, [ssh, plain], goal) in [
        (
            "push over SSH, 1 file changed: answers",
            changed,
            Goal::Times(1.1),
        ),
        (
            "push over SSH, unchanged, kept connection",
            unchanged,
            Goal::AtMost(80.0),
        ),
        (
            "push over SSH, unchanged, new connection",
            single,
            Goal::None,
        ),
    ] {
        table.row(&Row::beside(what, ssh, (PLAIN, plain), goal));
    }
}

/// `docker ps` by our context, and by what `docker` does itself.
fn docker(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let machine = &workstation.machine;
    let made = [
        "docker-context",
        ADDRESS,
        "--name",
        "device",
        "--accept-host-key",
    ];
    timed(machine, &mut os(workstation, &made));
    let ours = || {
        let mut docker = command(workstation, "docker");
        docker.args(["--context", "device.os", "ps"]);
        docker
    };
    let theirs = |way: &str| {
        let mut docker = command(workstation, "docker");
        let path = workstation.home().join(way).display().to_string();
        docker
            .env("PATH", format!("{path}:/usr/local/bin:/usr/bin:/bin"))
            .env("DOCKER_HOST", format!("ssh://root@{ADDRESS}:22222"))
            .arg("ps");
        docker
    };
    let (mut own, mut cold, mut reused) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=rounds {
        let took = timed(machine, &mut ours()).took;
        let other = timed(machine, &mut theirs("cold")).took;
        let kept = timed(machine, &mut theirs("reused")).took;
        if round > 0 {
            own.time(took);
            cold.time(other);
            reused.time(kept);
        }
    }
    let what = "docker ps by our context";
    table.row(&Row::beside(
        what,
        own.clone(),
        ("DOCKER_HOST=ssh://", cold),
        Goal::Times(1.0),
    ));
    let peer = ("DOCKER_HOST=ssh://, ControlMaster", reused);
    table.row(&Row::beside(what, own, peer, Goal::Times(1.0)));
    let gone = ["docker-context", "device", "--remove"];
    timed(machine, &mut os(workstation, &gone));
    // The shared connection of `ssh` would outlive the test.
    let mut end = Command::new("/usr/bin/ssh");
    end.args(["-O", "exit", "-p", "22222", "-o"])
        .arg(format!(
            "ControlPath={}/.ssh/control",
            workstation.home().display()
        ))
        .arg(format!("root@{ADDRESS}"));
    timed(machine, &mut end);
}

fn page() -> SocketAddr {
    SocketAddr::new(ADDRESS.parse().expect("an address"), 8081)
}
