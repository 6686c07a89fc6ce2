//! How fast a tunnel is: one connection through `os tunnel`, and the same through `ssh -L`, to the same server.
//!
//! With a delay, both go through a relay that holds back every byte for half of it in either direction: not every kernel has `netem`.
//! What it shows is how far the windows of the protocol reach.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Namespace, Workstation};

use crate::desk::{command, connected, os, server_for_key};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::relay;

/// Bytes of one transfer, without and with the delay.
const AMOUNTS: [(Duration, usize); 2] = [
    (Duration::ZERO, 400_000_000),
    (Duration::from_millis(20), 100_000_000),
];
/// Where data comes from and goes to, on the device.
const TARGET: u16 = 8080;
/// The server, and the relay before it.
const PORTS: (u16, u16) = (22222, 22223);
/// Bytes that are handed on at once.
const PIECE: usize = 128 * 1024;

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let _server = server_for_key(&workstation).await;
    source_and_sink(listener(machine, TARGET));
    for (delay, amount) in AMOUNTS {
        let port = if delay.is_zero() { PORTS.0 } else { PORTS.1 };
        if !delay.is_zero() {
            relay::start(machine, PORTS, delay / 2);
        }
        let ours = Tunnel::ours(&workstation, port);
        let theirs = Tunnel::theirs(&workstation, port);
        for (way, name) in [(b'd', "from the device"), (b'u', "to the device")] {
            let (mut fast, mut peer) = (Samples::default(), Samples::default());
            for round in 0..=rounds {
                let pair = [
                    ours.transfer(machine, way, amount),
                    theirs.transfer(machine, way, amount),
                ];
                if round > 0 {
                    fast.add(pair[0]);
                    peer.add(pair[1]);
                }
            }
            let what = format!("tunnel: {name}, {} ms of delay", delay.as_millis());
            let goal = Goal::AtLeastTimes(1.0);
            let row = Row::beside(&what, fast, ("ssh -L", peer), goal);
            table.row(&row.in_unit(Unit::Megabytes));
        }
    }
}

/// A program that listens for a forward; it ends with this.
#[derive(Debug)]
struct Tunnel {
    program: Child,
    port: u16,
}

impl Tunnel {
    fn ours(workstation: &Workstation, server: u16) -> Self {
        let port = server - 10_000;
        let (server, forward) = (server.to_string(), format!("{TARGET}:{port}"));
        let words = [
            "tunnel",
            "127.0.0.1",
            "--port",
            &server,
            "--accept-host-key",
            "--identity",
            "key",
            &forward,
        ];
        Self::start(workstation, os(workstation, &words), port)
    }

    fn theirs(workstation: &Workstation, server: u16) -> Self {
        let port = server - 9_000;
        let mut ssh = command(workstation, "ssh");
        ssh.args(["-N", "-i", "key", "-p", &server.to_string()])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args([
                "-L",
                &format!("{port}:localhost:{TARGET}"),
                "root@127.0.0.1",
            ]);
        Self::start(workstation, ssh, port)
    }

    fn start(workstation: &Workstation, mut command: Command, port: u16) -> Self {
        let machine = &workstation.machine;
        let program = machine.inside(|| {
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.spawn().expect("a program")
        });
        let tunnel = Self { program, port };
        // Until it goes all the way through.
        tunnel.transfer(machine, b'd', 1);
        tunnel
    }

    /// Megabytes a second, from the connection to the last byte.
    fn transfer(&self, machine: &Namespace, way: u8, amount: usize) -> f64 {
        let to = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = connected(machine, to);
        let start = Instant::now();
        let mut head = vec![way];
        head.extend(u64::try_from(amount).expect("an amount").to_be_bytes());
        stream.write_all(&head).expect("a tunnel");
        if way == b'd' {
            assert_eq!(read_all(&mut stream), amount, "not all of it");
        } else {
            write_all(&mut stream, amount);
            stream.shutdown(Shutdown::Write).expect("its end");
            // It answers once it has everything.
            assert_eq!(read_all(&mut stream), 1);
        }
        let seconds = start.elapsed().as_secs_f64();
        f64::from(u32::try_from(amount).expect("an amount")) / seconds / 1e6
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn listener(machine: &Namespace, port: u16) -> TcpListener {
    machine
        .inside(|| TcpListener::bind(("127.0.0.1", port)))
        .expect("a port")
}

/// Sends as much as it is asked for, or takes all that comes.
fn source_and_sink(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut head = [0; 9];
                if stream.read_exact(&mut head).is_err() {
                    return;
                }
                let amount = u64::from_be_bytes(head[1..].try_into().expect("eight bytes"));
                if head[0] == b'd' {
                    write_all(&mut stream, usize::try_from(amount).expect("an amount"));
                } else {
                    read_all(&mut stream);
                    stream.write_all(b".").expect("an answer");
                }
            });
        }
    });
}

fn write_all(stream: &mut TcpStream, mut amount: usize) {
    let piece = vec![b'x'; PIECE];
    while amount > 0 {
        let count = amount.min(PIECE);
        stream.write_all(&piece[..count]).expect("a reader");
        amount -= count;
    }
}

fn read_all(stream: &mut TcpStream) -> usize {
    let mut piece = vec![0; PIECE];
    let mut all = 0;
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        all += count;
    }
    all
}
