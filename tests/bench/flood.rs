//! What a flood of log costs the device: memory of the agent, while one client reads it and another does not.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::until::PATIENCE;
use testkit::{Device, Workstation};

use crate::desk::{connected, os, pause};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::memory::pss;
use crate::project::{ADDRESS, bare, desk, runs};
use crate::reader::Reader;

/// Bytes of a line, with its end.
const BYTES: u32 = 100;
/// Megabytes a second that are written, unless the engine takes less.
const FIFTY: f64 = 50.0;
/// How long a flood is watched, after it has run in.
const WATCHED: Duration = Duration::from_secs(8);
const RUNS_IN: Duration = Duration::from_secs(2);
/// How often memory is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// Glances at an agent that has nothing to do.
const GLANCES: u32 = 25;
/// Five megabytes ten times a second.
const FLOOD: &str = "trap 'exit 0' TERM; line=$(head -c 99 /dev/zero | tr '\\0' x); \
                     i=0; while [ $i -lt 50000 ]; do echo $line; i=$((i+1)); done >/five; \
                     echo up; while :; do sleep 0.1 & cat /five; wait $!; done";

/// Memory in each round, of whom.
#[derive(Debug, Default)]
struct Memory {
    before: Samples,
    agent: Samples,
    dockerd: Samples,
    rate: Samples,
}

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    let mut memory = Memory::default();
    for _ in 0..rounds {
        for _ in 0..GLANCES {
            pause(GLANCE);
            let agent = device.agent.process().pid();
            memory.before.add(pss(agent).expect("its memory"));
        }
        let container = runs(&device, FLOOD).await;
        flood(&mut memory, &device, &workstation, &container);
        // With the engine's file, which grows by a gigabyte.
        bare(&device, &workstation).await;
    }
    let Some(rate) = memory.rate.median() else {
        return;
    };
    let what = format!("agent: PSS under a flood of {rate:.0} MB/s");
    let peers = [
        ("dockerd", memory.dockerd, Goal::Times(1.0)),
        ("itself before the flood", memory.before, Goal::None),
    ];
    for (name, peer, goal) in peers {
        let row = Row::beside(&what, memory.agent.clone(), (name, peer), goal);
        table.row(&row.in_unit(Unit::Mebibytes));
    }
    let what = "flood: what the engine takes of it";
    let mut asked = Samples::default();
    asked.add(FIFTY);
    let row = Row::beside(what, memory.rate, ("what is written", asked), Goal::None);
    table.row(&row.in_unit(Unit::Megabytes));
}

/// Watches a service that floods its log, with a client that reads and one that stalls.
fn flood(memory: &mut Memory, device: &Device, workstation: &Workstation, container: &str) {
    let machine = &workstation.machine;
    let reader = Reader::start(machine, &mut os(workstation, &["logs", ADDRESS]));
    let agent = SocketAddr::new(ADDRESS.parse().expect("an address"), agent_api::API_PORT);
    let mut stalled = connected(machine, agent);
    stalled
        .write_all(b"GET /os/v1/logs HTTP/1.1\r\nHost: device\r\n\r\n")
        .expect("to ask");
    reader.finds("xxx", PATIENCE).expect("a line of the flood");
    pause(RUNS_IN);
    let file = device
        .engine
        .dir()
        .join(format!("data/containers/{container}/{container}-json.log"));
    let written = || fs_err::metadata(&file).expect("the engine's file").len();
    let (agent, engine) = (device.agent.process().pid(), device.engine.pid());
    let (begun, before) = (Instant::now(), written());
    while begun.elapsed() < WATCHED {
        pause(GLANCE);
        memory.agent.add(pss(agent).expect("its memory"));
        memory.dockerd.add(pss(engine).expect("its memory"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    memory
        .rate
        .add(text_of(written() - before, &file) / seconds);
}

/// Megabytes of log text in this many bytes of the engine's file.
fn text_of(bytes: u64, file: &Path) -> f64 {
    let mut beginning = [0; 4096];
    fs_err::File::open(file)
        .and_then(|mut file| file.read_exact(&mut beginning))
        .expect("the engine's file");
    // The first line says only that the service runs.
    let lines: Vec<&[u8]> = beginning.split(|byte| *byte == b'\n').collect();
    let row = u32::try_from(lines[1].len() + 1).expect("a row");
    let kilobytes = u32::try_from(bytes / 1000).expect("a number of kilobytes");
    f64::from(kilobytes) / f64::from(row) * f64::from(BYTES) / 1000.0
}
