//! How soon a person is told that a device is not there, or refuses.

use testkit::{Lan, Namespace, Workstation};

use crate::desk::{command, os, timed_failure};
use crate::figure::{Goal, Row, Samples, Table, Unit};

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let lan = Lan::new();
    let (silent, deaf) = (Namespace::new(), Namespace::new());
    let refusing = lan.join(&silent).v4.to_string();
    let dropping = lan.join(&deaf).v4.to_string();
    deaf.run("iptables", &["-A", "INPUT", "-p", "tcp", "-j", "DROP"]);
    let workstation = Workstation::new(Some(&lan));
    workstation.write("project/Dockerfile", "FROM scratch\n");
    let machine = &workstation.machine;

    let push = |device: &str| os(&workstation, &["push", device, "--source", "project"]);
    let curl = |device: &str| {
        let mut curl = command(&workstation, "curl");
        curl.args(["-s", &format!("http://{device}:48484/ping")]);
        curl
    };
    let mut run = |what: &str, device: &str, rounds: usize, peer: bool, goal: Goal| {
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for round in 0..=rounds {
            machine.run("ip", &["neigh", "flush", "dev", "lan0"]);
            let took = timed_failure(machine, &mut push(device)).took;
            // Else whoever comes second is told what the first one has waited for.
            machine.run("ip", &["neigh", "flush", "dev", "lan0"]);
            let their = peer.then(|| timed_failure(machine, &mut curl(device)).took);
            if round > 0 {
                ours.time(took);
            }
            if let Some(their) = their.filter(|_| round > 0) {
                theirs.time(their);
            }
        }
        table.row(&if peer {
            Row::beside(what, ours, ("curl", theirs), goal)
        } else {
            Row::alone(what, Unit::Milliseconds, ours, goal)
        });
    };
    let late = Goal::AtMost(3000.0);
    run(
        "push to a device that refuses: error",
        &refusing,
        4 * rounds,
        true,
        Goal::AtMost(100.0),
    );
    run(
        "push to an address that nobody has: error",
        "10.88.7.200",
        rounds,
        true,
        late,
    );
    run(
        "push to a device behind a firewall: error",
        &dropping,
        rounds,
        false,
        late,
    );
    run(
        "push to a name that nobody has: error",
        "nobody",
        rounds,
        false,
        late,
    );
}
