//! How long a line takes from a container to the screen.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use testkit::Namespace;
use testkit::until::PATIENCE;

use crate::desk::{command, connected, os, reference};
use crate::figure::{Goal, Row, Samples, Table};
use crate::project::{ADDRESS, desk, runs};

/// Prints what it is sent.
const ECHO: &str = "trap 'exit 0' TERM; echo up; while :; do nc -l -p 9000; done & wait";

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    let container = runs(&device, ECHO).await;
    let machine = &workstation.machine;

    let mut docker = command(&workstation, "docker");
    docker
        .env("DOCKER_HOST", format!("tcp://{ADDRESS}:2375"))
        .args(["logs", "--follow", "--tail", "1", &container]);
    let mut screens = vec![
        Screen::start(machine, &mut os(&workstation, &["logs", ADDRESS])),
        Screen::start(machine, &mut docker),
    ];
    if let Some(mut client) = reference(&workstation, &["device", "logs", ADDRESS]) {
        screens.push(Screen::start(machine, &mut client));
    }
    let page = SocketAddr::new(ADDRESS.parse().expect("an address"), 9000);
    let mut service = connected(machine, page);
    service.set_nodelay(true).expect("no delay");
    // Until everybody is following.
    let mut number = 0;
    for screen in &screens {
        while screen
            .shown(&send(&mut service, &mut number), Duration::from_secs(1))
            .is_none()
        {
            assert!(number < PATIENCE.as_secs(), "a screen shows nothing");
        }
    }
    let mut samples = vec![Samples::default(); screens.len()];
    for _ in 0..rounds {
        let sent = Instant::now();
        let line = send(&mut service, &mut number);
        for (screen, samples) in screens.iter().zip(&mut samples) {
            let shown = screen.shown(&line, PATIENCE).expect("a line on the screen");
            samples.time(shown.duration_since(sent));
        }
    }
    let mut samples = samples.into_iter();
    let ours = samples.next().unwrap_or_default();
    let names = ["docker logs -f", "reference client"];
    for (name, theirs) in names.into_iter().zip(samples) {
        let row = Row::beside(
            "log line, container to screen",
            ours.clone(),
            (name, theirs),
            Goal::AtMost(20.0),
        );
        table.row(&row);
    }
}

fn send(service: &mut TcpStream, number: &mut u64) -> String {
    *number += 1;
    let line = format!("line number {number}.");
    writeln!(service, "{line}").expect("to send a line");
    line
}

/// A program whose standard output is read as it comes.
#[derive(Debug)]
struct Screen {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
}

impl Screen {
    fn start(machine: &Namespace, command: &mut Command) -> Self {
        let mut child = machine.inside(|| {
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"))
        });
        let stdout = child.stdout.take().expect("standard output");
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if told.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// When a line was shown.
    fn shown(&self, line: &str, limit: Duration) -> Option<Instant> {
        loop {
            let (at, shown) = self.lines.recv_timeout(limit).ok()?;
            if shown.contains(line) {
                return Some(at);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
