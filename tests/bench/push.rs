//! A push: from the folder to the new version answering, beside docker-compose and the reference client on the same engine.

use std::net::SocketAddr;
use std::process::Command;

use testkit::{Device, Workstation};

use crate::desk::{command, os, peak_memory, reference, timed, until_answers};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::project::{ADDRESS, bare, desk, mark, one_service, two_services};

const OURS: &[&str] = &["push", ADDRESS, "--source", "ours", "--detached"];
const OURS_SINGLE: &[&str] = &["push", ADDRESS, "--source", "single", "--detached"];
const REFERENCE: &[&str] = &[
    "push",
    ADDRESS,
    "--source",
    "single",
    "--nolive",
    "--detached",
];
/// Rounds with a program that takes seconds.
const SLOW: usize = 3;

/// `docker-compose up --build -d` in a folder of the home, for the engine of the device.
pub(crate) fn compose(workstation: &Workstation, folder: &str) -> Command {
    let mut compose = command(workstation, "docker-compose");
    compose
        .current_dir(workstation.home().join(folder))
        .env("DOCKER_HOST", format!("tcp://{ADDRESS}:2375"))
        // The engine's own builder on both sides.
        .env("COMPOSE_DOCKER_CLI_BUILD", "0")
        .env("DOCKER_BUILDKIT", "0")
        .args(["up", "--build", "--detach"]);
    compose
}

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    two(table, rounds).await;
    one(table, rounds.min(SLOW)).await;
}

const PEER: &str = "docker-compose up --build";

/// Two projects that differ in nothing but the port: ours and the peer's.
async fn two(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    two_services(&workstation, "ours", 8081);
    two_services(&workstation, "theirs", 8082);
    cold(table, &device, &workstation, rounds).await;
    // Both are up from here on, side by side.
    timed(&workstation.machine, &mut os(&workstation, OURS));
    unchanged(table, &workstation, 3 * rounds);
    changed(table, &workstation, 2 * rounds);
}

async fn cold(table: &mut Table, device: &Device, workstation: &Workstation, rounds: usize) {
    let machine = &workstation.machine;
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    let (mut ours_end, mut theirs_end) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let marker = format!("cold-{round}");
        mark(workstation, "ours/web", &marker);
        mark(workstation, "theirs/web", &marker);
        bare(device, workstation).await;
        let mut push = os(workstation, OURS);
        let (end, there) = until_answers(machine, page(8081), &marker, &mut push);
        bare(device, workstation).await;
        let mut compose = compose(workstation, "theirs");
        let (other_end, other_there) = until_answers(machine, page(8082), &marker, &mut compose);
        if round > 0 {
            ours.time(there);
            ours_end.time(end);
            theirs.time(other_there);
            theirs_end.time(other_end);
        }
    }
    let (what, peer) = ("push, 2 services, cold: answers", (PEER, theirs));
    table.row(&Row::beside(what, ours, peer, Goal::Times(1.2)));
    let (what, peer) = ("push, 2 services, cold: ends", (PEER, theirs_end));
    table.row(&Row::beside(what, ours_end, peer, Goal::None));
}

fn unchanged(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let took = timed(&workstation.machine, &mut os(workstation, OURS)).took;
        let mut compose = compose(workstation, "theirs");
        let other = timed(&workstation.machine, &mut compose).took;
        if round > 0 {
            ours.time(took);
            theirs.time(other);
        }
    }
    let (what, peer) = ("push, 2 services, unchanged", (PEER, theirs));
    table.row(&Row::beside(what, ours, peer, Goal::AtMost(80.0)));
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    ours.add(peak_memory(workstation, &os(workstation, OURS)));
    theirs.add(peak_memory(workstation, &compose(workstation, "theirs")));
    let (what, peer) = ("push, 2 services, unchanged: memory", (PEER, theirs));
    table.row(&Row::beside(what, ours, peer, Goal::None).in_unit(Unit::Mebibytes));
}

fn changed(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let machine = &workstation.machine;
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let marker = format!("ours-{round}");
        mark(workstation, "ours/web", &marker);
        let mut push = os(workstation, OURS);
        let (_, there) = until_answers(machine, page(8081), &marker, &mut push);
        let marker = format!("theirs-{round}");
        mark(workstation, "theirs/web", &marker);
        let mut compose = compose(workstation, "theirs");
        let (_, other) = until_answers(machine, page(8082), &marker, &mut compose);
        if round > 0 {
            ours.time(there);
            theirs.time(other);
        }
    }
    let (what, peer) = ("push, 2 services, 1 file changed: answers", (PEER, theirs));
    table.row(&Row::beside(what, ours, peer, Goal::TimesPlus(1.1, 100.0)));
}

/// A port of the device.
fn page(port: u16) -> SocketAddr {
    SocketAddr::new(ADDRESS.parse().expect("an address"), port)
}

/// Beside the reference client, pushing to our device as well.
async fn one(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    if reference(&workstation, &[]).is_none() {
        table.note("the reference client is not installed; its pushes are missing".to_owned());
        return;
    }
    let machine = &workstation.machine;
    one_service(&workstation, "single");
    let page = page(8080);
    let ours = || os(&workstation, OURS_SINGLE);
    let theirs = || reference(&workstation, REFERENCE).expect("the reference client");

    let names = ["cold: answers", "unchanged", "1 file changed: answers"];
    let mut samples: [[Samples; 2]; 3] = Default::default();
    for round in 0..=rounds {
        for side in 0..2 {
            let program = || if side == 0 { ours() } else { theirs() };
            let marker = format!("cold-{round}-{side}");
            mark(&workstation, "single", &marker);
            bare(&device, &workstation).await;
            let (_, cold) = until_answers(machine, page, &marker, &mut program());
            // The first unchanged one after a cold one learns what there is.
            timed(machine, &mut program());
            let unchanged = timed(machine, &mut program()).took;
            let marker = format!("changed-{round}-{side}");
            mark(&workstation, "single", &marker);
            let (_, changed) = until_answers(machine, page, &marker, &mut program());
            if round > 0 {
                for (samples, took) in samples.iter_mut().zip([cold, unchanged, changed]) {
                    samples[side].time(took);
                }
            }
        }
    }
    for ((name, [ours, theirs]), times) in names.iter().zip(samples).zip([1.0, 0.1, 1.0]) {
        let name = format!("push, 1 service, {name}");
        table.row(&Row::beside(
            &name,
            ours,
            ("reference client", theirs),
            Goal::Times(times),
        ));
    }
    let (mut own, mut their) = (Samples::default(), Samples::default());
    own.add(peak_memory(&workstation, &ours()));
    their.add(peak_memory(&workstation, &theirs()));
    let row = Row::beside(
        "push, 1 service, unchanged: memory",
        own,
        ("reference client", their),
        Goal::None,
    );
    table.row(&row.in_unit(Unit::Mebibytes));
}
