//! Finding devices: the first one, all of fifty, all of fifty while a fifth of all packets is lost.
//!
//! The limit is the network's own: a bare question in UDP, asked once, and the answers of the same responders. To a question from
//! the port of mDNS they answer to everybody, after the 20 to 120 ms that RFC 6762 wants; to one from another port at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use testkit::{Lan, Namespace, Process, Workstation, programs::built};

use crate::desk::{lines, os, pause, reference, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// PTR of `_osdev._tcp.local`.
const QUESTION: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x06_osdev\x04_tcp\x05local\0\0\x0c\0\x01";
const STRAIGHT: &str = "one question, answered to us";
const TO_ALL: &str = "one question, answered to all";
const MANY: usize = 50;
/// How long to wait for answers to the bare question.
const DRY: Duration = Duration::from_millis(400);

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    one(table, rounds).await;
    many(table, rounds).await;
}

/// A machine with an agent, without an engine.
async fn device(lan: &Lan, number: usize) -> (Process, Namespace) {
    let machine = Namespace::new();
    lan.join(&machine);
    let dir = machine.dir();
    let mut command = machine.command(built("os-agent"));
    command
        .arg("run")
        .arg("--socket")
        .arg(dir.join("agent.sock"))
        .arg("--state-dir")
        .arg(dir.join("state"))
        .arg("--services-dir")
        .arg(dir.join("services"))
        .arg("--config-json")
        .arg(dir.join("config.json"))
        .arg("--engine")
        .arg(format!("unix://{}", dir.join("engine.sock").display()))
        .args([
            "--uuid",
            &format!("{:07x}{}", 0x00a0_0000 + number, "0".repeat(25)),
        ])
        .args(["--hostname", &format!("d{number:02}")])
        .args(["--device-type", "generic-amd64", "--arch", "amd64"])
        .args(["--os-version", "os 1.0.0", "--announce", "all"]);
    let agent = Process::start("os-agent", command, &dir.join("agent.log")).await;
    (agent, machine)
}

async fn one(table: &mut Table, rounds: usize) {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let _device = device(&lan, 1).await;
    all_there(&workstation, 1);
    let (mut ours, mut bare, mut whole) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut remembered, mut limit) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        forget(&workstation);
        let (first, end) = (
            found(&workstation, 1),
            timed(&workstation.machine, &mut scan(&workstation)).took,
        );
        let again = found(&workstation, 1);
        let straight = ask(&workstation, 1, From::Ourselves);
        let answers = ask(&workstation, 1, From::Everybody);
        if round > 0 {
            ours.time(*first.last().expect("the device"));
            remembered.time(*again.last().expect("the device"));
            limit.time(*straight.last().expect("an answer"));
            bare.time(*answers.last().expect("an answer"));
            whole.time(end);
        }
    }
    let what = "scan: first of 1 device";
    let goal = Goal::AtMost(150.0);
    table.row(&Row::beside(what, ours.clone(), (STRAIGHT, limit), goal));
    table.row(&Row::beside(what, ours, (TO_ALL, bare), goal));
    let row = Row::alone(
        "scan: first, seen before",
        Unit::Milliseconds,
        remembered,
        Goal::None,
    );
    table.row(&row);
    let mut client = Samples::default();
    for _ in 0..3 {
        if let Some(mut detect) = reference(&workstation, &["device", "detect", "--json"]) {
            client.time(timed(&workstation.machine, &mut detect).took);
        }
    }
    table.row(&Row::beside(
        "scan: the whole of it, 1 device",
        whole,
        ("reference client", client),
        Goal::None,
    ));
}

async fn many(table: &mut Table, rounds: usize) {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let mut devices = Vec::new();
    for number in 0..MANY {
        devices.push(device(&lan, number).await);
    }
    all_there(&workstation, MANY);
    let (mut first, mut all, mut bare) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut heard, mut limit) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        forget(&workstation);
        let found = found(&workstation, MANY);
        let straight = ask(&workstation, MANY, From::Ourselves);
        let answers = ask(&workstation, MANY, From::Everybody);
        if round > 0 {
            first.time(found[0]);
            all.time(*found.last().expect("devices"));
            limit.time(*straight.last().expect("answers"));
            bare.time(*answers.last().expect("answers"));
            heard.add(count(answers.len()));
        }
    }
    table.row(&Row::alone(
        "scan: first of 50 devices",
        Unit::Milliseconds,
        first,
        Goal::AtMost(150.0),
    ));
    let (what, goal) = ("scan: all of 50 devices", Goal::AtMost(300.0));
    table.row(&Row::beside(what, all.clone(), (STRAIGHT, limit), goal));
    table.row(&Row::beside(what, all, (TO_ALL, bare), goal));
    table.note(format!(
        "one bare question had answers of {} of 50 devices (median)",
        heard.median().unwrap_or_default()
    ));

    lose(&workstation.machine);
    let (mut all, mut heard) = (Samples::default(), Samples::default());
    let mut missed = 0;
    for _ in 0..rounds {
        forget(&workstation);
        let found = found(&workstation, MANY);
        if found.len() < MANY {
            missed += 1;
        }
        all.time(*found.last().expect("devices"));
        heard.add(count(ask(&workstation, MANY, From::Everybody).len()));
    }
    let goal = Goal::WorstAtMost(1300.0);
    table.row(&Row::alone(
        "scan: all of 50, a fifth of packets lost",
        Unit::Milliseconds,
        all,
        goal,
    ));
    table.note(format!(
        "with a fifth of packets lost, {missed} of {rounds} scans missed a device; one bare question missed {} of 50 devices (median)",
        50.0 - heard.median().unwrap_or_default()
    ));
}

fn scan(workstation: &Workstation) -> std::process::Command {
    os(workstation, &["scan", "--json"])
}

fn forget(workstation: &Workstation) {
    let _ = fs_err::remove_dir_all(workstation.home().join(".local"));
}

/// When each device was shown for the first time, until `enough` of them were.
fn found(workstation: &Workstation, enough: usize) -> Vec<Duration> {
    let mut names = BTreeSet::new();
    let mut times = Vec::new();
    lines(&workstation.machine, &mut scan(workstation), |at, line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        if names.insert(line["name"].to_string()) {
            times.push(at);
        }
        names.len() >= enough
    });
    times
}

/// Responders first ask whether their names are free.
fn all_there(workstation: &Workstation, count: usize) {
    let start = Instant::now();
    while found(workstation, count).len() < count {
        assert!(
            start.elapsed() < testkit::until::PATIENCE,
            "the devices do not announce themselves"
        );
    }
}

/// From which port the bare question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// From that of mDNS: the answers go to everybody, after a while.
    Everybody,
    /// From one of our own: the answers come straight to us, at once.
    Ourselves,
}

/// Asks once, and tells when each device's answer came.
fn ask(workstation: &Workstation, enough: usize, from: From) -> Vec<Duration> {
    let own = workstation.address.expect("a network").v4;
    // A responder does not repeat itself within a second.
    pause(Duration::from_millis(1100));
    let answers = workstation.machine.inside(|| {
        let socket = match from {
            From::Everybody => {
                let socket = UdpSocket::bind((GROUP, 5353)).expect("the port of mDNS");
                socket.join_multicast_v4(&GROUP, &own).expect("the group");
                socket
            }
            From::Ourselves => UdpSocket::bind((own, 0)).expect("a port"),
        };
        socket.set_read_timeout(Some(DRY)).expect("a limit");
        let start = Instant::now();
        socket
            .send_to(QUESTION, (GROUP, 5353))
            .expect("the question");
        let mut devices: BTreeSet<IpAddr> = BTreeSet::new();
        let mut times = Vec::new();
        let mut buffer = [0; 9000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let is_answer = length > 12 && buffer[2] & 0x80 != 0;
            if is_answer && from.ip() != IpAddr::V4(own) && devices.insert(from.ip()) {
                times.push(start.elapsed());
            }
            if devices.len() >= enough {
                break;
            }
        }
        times
    });
    pause(Duration::from_millis(1100));
    answers
}

fn lose(machine: &Namespace) {
    for chain in ["INPUT", "OUTPUT"] {
        for tables in ["iptables", "ip6tables"] {
            let rule = format!(
                "{tables} -A {chain} -p udp -m statistic --mode random --probability 0.2 -j DROP"
            );
            machine.run("sh", &["-c", &rule]);
        }
    }
}

fn count(devices: usize) -> f64 {
    f64::from(u32::try_from(devices).unwrap_or_default())
}
