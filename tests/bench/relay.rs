//! A relay that holds back every byte for a while in either direction: not every kernel has `netem`. As many bytes as there are may be on
//! their way.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use testkit::Namespace;

use crate::desk::pause;

/// Bytes that are handed on at once.
const PIECE: usize = 128 * 1024;

/// Starts it, from the second port to the first.
pub(crate) fn start(machine: &Namespace, ports: (u16, u16), late: Duration) {
    let listener = machine.inside(|| TcpListener::bind(("127.0.0.1", ports.1)));
    let listener = listener.expect("a port");
    let to = SocketAddr::from(([127, 0, 0, 1], ports.0));
    let relay = move || {
        for stream in listener.incoming() {
            let here = stream.expect("a connection");
            let there = TcpStream::connect(to).expect("the server");
            for stream in [&here, &there] {
                stream.set_nodelay(true).expect("a socket");
            }
            let back = (
                there.try_clone().expect("a socket"),
                here.try_clone().expect("a socket"),
            );
            hand_on(here, there, late);
            hand_on(back.0, back.1, late);
        }
    };
    // A thread is in the network of the one that has started it.
    machine.inside(|| drop(std::thread::spawn(relay)));
}

fn hand_on(mut from: TcpStream, mut into: TcpStream, late: Duration) {
    let (told, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let due = Instant::now() + late;
            if told.send((due, piece[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in waiting {
            pause(due.saturating_duration_since(Instant::now()));
            if into.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = into.shutdown(Shutdown::Write);
    });
}
