//! How soon a one-shot command answers: `os ssh` and `ssh`, with a connection of its own and with one that is there already.

use std::process::Command;
use std::time::Duration;

use testkit::Workstation;

use crate::desk::{command, lines, os, server_for_key, timed};
use crate::figure::{Goal, Row, Samples, Table};

const ADDRESS: &str = "127.0.0.1";
const PORT: &str = "22222";

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let _server = server_for_key(&workstation).await;
    timed(machine, &mut theirs(&workstation, &["-M", "-N", "-f"], &[]));
    for (what, keep, shared) in [
        ("first byte of a command: cold", "0", "none"),
        ("first byte of a command: reused", "1", "control"),
    ] {
        let (mut fast, mut peer) = (Samples::default(), Samples::default());
        for round in 0..=rounds {
            let mut ours = ours(&workstation);
            ours.env("OSCLI_SSH_KEEP", keep);
            let mut theirs = theirs(&workstation, &["-S", shared], &["echo", "here"]);
            let pair = [&mut ours, &mut theirs].map(|one| first_line(&workstation, one));
            if round > 0 {
                fast.time(pair[0]);
                peer.time(pair[1]);
            }
        }
        let name = match shared {
            "none" => "ssh",
            _ => "ssh, ControlMaster",
        };
        table.row(&Row::beside(what, fast, (name, peer), Goal::Times(1.0)));
    }
    timed(machine, &mut theirs(&workstation, &["-O", "exit"], &[]));
}

fn ours(workstation: &Workstation) -> Command {
    let words = ["ssh", "--port", PORT, "--identity", "key"];
    let mut command = os(workstation, &words);
    command.args(["--accept-host-key", ADDRESS, "--", "echo", "here"]);
    command
}

fn theirs(workstation: &Workstation, options: &[&str], run: &[&str]) -> Command {
    let mut ssh = command(workstation, "ssh");
    ssh.args(["-p", PORT, "-i", "key", "-S", "control"])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(options)
        .arg(format!("root@{ADDRESS}"))
        .args(run);
    ssh
}

fn first_line(workstation: &Workstation, command: &mut Command) -> Duration {
    let mut first = None;
    lines(&workstation.machine, command, |after, line| {
        assert_eq!(line, "here");
        first = Some(after);
        true
    });
    first.unwrap_or_else(|| panic!("{command:?} printed nothing"))
}
