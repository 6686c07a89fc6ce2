//! How soon the agent's report says that a container has ended, beside a bare client of the engine's events.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bollard::query_parameters::{KillContainerOptions, StartContainerOptions};
use serde_json::Value;
use testkit::Target;
use testkit::target::IDLE;
use testkit::until::PATIENCE;

use crate::figure::{Goal, Row, Samples, Table};
use crate::project::desk;

/// Services that run beside the one that ends.
const OTHERS: usize = 19;
const VICTIM: &str = "victim";

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, _workstation) = desk().await;
    let others: Vec<String> = (0..OTHERS)
        .map(|number| format!("service{number}"))
        .collect();
    let mut services = vec![(VICTIM, IDLE)];
    services.extend(others.iter().map(|name| (name.as_str(), IDLE)));
    let report = device.converge(&Target::of(&services).text()).await;
    let victim = report.services.iter().find(|s| s.name == VICTIM);
    let victim = victim
        .and_then(|service| service.container_id.clone())
        .expect("its container");
    let engine = device.engine.client().await;

    let (of_victim, socket) = (victim.clone(), device.engine.socket());
    let (asked_in, inspections) = mpsc::channel();
    let deaths = Listener::start(&device.engine.socket(), "/events", move |event| {
        let is_death = event["Type"] == "container" && event["Action"] == "die";
        if !is_death || event["Actor"]["ID"] != of_victim.as_str() {
            return None;
        }
        // At once, as the agent does.
        let inspected = answer(&socket, &format!("/containers/{of_victim}/json"));
        asked_in.send(inspected).ok()?;
        Some(String::new())
    });
    let follow = "/os/v1/report?follow=true";
    let states = Listener::start(&device.agent.socket(), follow, |report| {
        let mut services = report["services"].as_array()?.iter();
        let victim = services.find(|service| service["name"] == VICTIM)?;
        victim["status"].as_str().map(str::to_owned)
    });

    let [mut told, mut seen, mut between, mut asked] = [(); 4].map(|()| Samples::default());
    for round in 0..=rounds {
        let start = Instant::now();
        let killed = engine.kill_container(&victim, None::<KillContainerOptions>);
        killed.await.expect("to kill it");
        let (death, report) = (deaths.next(""), states.next("exited"));
        let inspected = inspections.recv_timeout(PATIENCE);
        if round > 0 {
            told.time(report.duration_since(start));
            seen.time(death.duration_since(start));
            between.time(report.saturating_duration_since(death));
            asked.time(inspected.expect("an inspection"));
        }
        let started = engine.start_container(&victim, None::<StartContainerOptions>);
        started.await.expect("to start it");
        states.next("Running");
    }
    let peer = ("GET /events", seen);
    let what = "agent: a container is killed, until the report says so";
    table.row(&Row::beside(what, told, peer, Goal::TimesPlus(1.0, 50.0)));
    let what = "agent: from the engine's event to the report";
    // An event does not say all that a report does: this is the least that must be asked then. The engine answers when it has taken
    // the container's network down; until then its list says that the container runs.
    let limit = ("GET /containers/ID/json", asked);
    table.row(&Row::beside(what, between, limit, Goal::AtMost(50.0)));
}

/// How long the engine takes to answer.
fn answer(socket: &Path, path: &str) -> Duration {
    let start = Instant::now();
    let mut stream = UnixStream::connect(socket).expect("a connection");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let took = start.elapsed();
    assert!(
        answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    took
}

/// An endless answer of lines that is read on a thread of its own: what is of interest in them, and when it came.
#[derive(Debug)]
struct Listener(mpsc::Receiver<(Instant, String)>);

impl Listener {
    fn start(
        socket: &Path,
        target: &str,
        read: impl Fn(&Value) -> Option<String> + Send + 'static,
    ) -> Self {
        let mut stream = UnixStream::connect(socket).expect("a connection");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: device\r\n\r\n").expect("a request");
        let (told, things) = mpsc::channel();
        std::thread::spawn(move || {
            // Between the lines stand the sizes of chunks, which are no objects.
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let at = Instant::now();
                let Ok(object @ Value::Object(_)) = serde_json::from_str(&line) else {
                    continue;
                };
                if let Some(thing) = read(&object)
                    && told.send((at, thing)).is_err()
                {
                    return;
                }
            }
        });
        Self(things)
    }

    /// When `wanted` came next.
    fn next(&self, wanted: &str) -> Instant {
        loop {
            let (at, thing) = self.0.recv_timeout(PATIENCE).expect("a line in time");
            if thing == wanted {
                return at;
            }
        }
    }
}
