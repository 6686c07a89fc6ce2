//! Much log at once: how fast it gets to one client and to fifty.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::until::PATIENCE;
use testkit::{Device, Workstation};

use crate::bare;
use crate::desk::{command, connected, os};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::project::{ADDRESS, desk, runs};
use crate::reader::Reader;

/// Bytes of a line of a burst, with its end.
const BYTES: usize = 100;
/// Clients that read at the same time, and lines of a burst: fewer where everybody has to get them. Both are many times what
/// the agent keeps for a client that is slow.
const BURSTS: [(usize, usize); 2] = [(1, 200_000), (50, 40_000)];
/// Rounds with many clients.
const SLOW: usize = 3;
/// Prints what it is sent, and at the word for it a burst of so many thousand lines: from a file, so that the shell is not what is
/// measured.
const BURST: &str = "trap 'exit 0' TERM; line=$(head -c 99 /dev/zero | tr '\\0' x); \
                     i=0; while [ $i -lt 1000 ]; do echo $line; i=$((i+1)); done >/thousand; \
                     serve() { while :; do nc -l -p 9000; done | while read word count; do echo $word; \
                     case $word in burst*) i=0; while [ $i -lt $count ]; do cat /thousand; i=$((i+1)); done; \
                     echo end of $word;; esac; done; }; \
                     echo up; serve & wait";

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    let container = runs(&device, BURST).await;
    let page = SocketAddr::new(ADDRESS.parse().expect("an address"), 9000);
    let mut burst = Burst {
        device: &device,
        workstation: &workstation,
        container: &container,
        service: connected(&workstation.machine, page),
        words: 0,
    };
    for (clients, lines) in BURSTS {
        let rounds = if clients == 1 {
            rounds
        } else {
            rounds.min(SLOW)
        };
        burst.throughput(table, (clients, lines), rounds);
    }
}

/// A service that writes much at a word, and who reads it.
#[derive(Debug)]
struct Burst<'a> {
    device: &'a Device,
    workstation: &'a Workstation,
    container: &'a str,
    /// Where words are sent.
    service: TcpStream,
    /// How many were.
    words: u64,
}

impl Burst<'_> {
    fn docker(&self) -> Command {
        let mut docker = command(self.workstation, "docker");
        docker
            .env("DOCKER_HOST", format!("tcp://{ADDRESS}:2375"))
            .args(["logs", "--follow", "--tail", "1", self.container]);
        docker
    }

    /// Text that came to all clients together, over the time from the word to the last line at the last of them.
    fn throughput(&mut self, table: &mut Table, (clients, lines): (usize, usize), rounds: usize) {
        let [mut of_ours, mut of_docker, mut of_sockets] = [(); 3].map(|()| Samples::default());
        let all = clients * lines;
        let mut lost = 0;
        for round in 0..=rounds {
            let mut ours = os(self.workstation, &["logs", ADDRESS]);
            let (ours_took, got) = self.once(&mut ours, clients, lines);
            let mut docker = self.docker();
            let (docker_took, docker_got) = self.once(&mut docker, clients, lines);
            // A line of the agent's has more around it than its text.
            let bytes = lines * self.row();
            let (from, to) = (&self.device.machine, &self.workstation.machine);
            let sockets_took = bare::transfer(from, to, clients, bytes);
            if round > 0 {
                of_ours.add(rate(got, ours_took));
                of_docker.add(rate(docker_got, docker_took));
                of_sockets.add(rate(all, sockets_took));
                lost += all.saturating_sub(got);
            }
        }
        let megabytes = lines * BYTES / 1_000_000;
        let what = format!("log throughput: {megabytes} MB each, clients: {clients}");
        let peers = [
            ("docker logs -f", of_docker, Goal::AtLeastTimes(1.0)),
            ("as many bytes over sockets", of_sockets, Goal::None),
        ];
        for (name, peer, goal) in peers {
            let row = Row::beside(&what, of_ours.clone(), (name, peer), goal);
            table.row(&row.in_unit(Unit::Megabytes));
        }
        let all = all * rounds;
        table.note(format!("{what}: {lost} lines of {all} were dropped"));
    }

    /// One burst: how long it took to the last of the clients, and how many lines all of them got.
    fn once(&mut self, program: &mut Command, clients: usize, lines: usize) -> (Duration, usize) {
        let machine = &self.workstation.machine;
        let readers: Vec<Reader> = (0..clients)
            .map(|_| Reader::start(machine, program))
            .collect();
        let begun = Instant::now();
        // Until everybody is following.
        for reader in &readers {
            loop {
                let word = self.word("word");
                writeln!(self.service, "{word}").expect("to send a word");
                if reader.finds(&word, Duration::from_secs(1)).is_some() {
                    break;
                }
                assert!(begun.elapsed() < 2 * PATIENCE, "a client shows nothing");
            }
        }
        let word = self.word("burst");
        let end = format!("end of {word}");
        let begun = Instant::now();
        writeln!(self.service, "{word} {}", lines / 1000).expect("to send a word");
        let (mut last, mut got) = (begun, 0);
        for reader in &readers {
            let (at, lines) = reader
                .finds(&end, 2 * PATIENCE)
                .expect("the end of the burst");
            last = last.max(at);
            got += lines;
        }
        (last.duration_since(begun), got)
    }

    /// A word that was never sent before.
    fn word(&mut self, kind: &str) -> String {
        self.words += 1;
        format!("{kind}-{}.", self.words)
    }

    /// Bytes of a line of a burst as the agent sends it.
    fn row(&self) -> usize {
        let agent = SocketAddr::new(ADDRESS.parse().expect("an address"), agent_api::API_PORT);
        let mut stream = connected(&self.workstation.machine, agent);
        // The last one is the end of the burst, which is shorter.
        stream
            .write_all(b"GET /os/v1/logs?service=main&tail=2&follow=false HTTP/1.0\r\nHost: device\r\n\r\n")
            .expect("to ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let lines = answer.lines().filter(|line| line.ends_with('}'));
        let of_a_burst = lines.filter(|line| line.contains("xxx"));
        of_a_burst
            .map(|line| line.len() + 1)
            .max()
            .expect("a line of the burst")
    }
}

/// Megabytes of text a second.
fn rate(lines: usize, took: Duration) -> f64 {
    let bytes = u32::try_from(lines * BYTES).expect("less than 4 GB");
    f64::from(bytes) / 1_000_000.0 / took.as_secs_f64()
}
