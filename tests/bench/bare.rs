//! What the machine can do at best: bytes over sockets that nobody looks at.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use testkit::Namespace;

use crate::project::ADDRESS;

/// Bytes that are written and read at a time, as the agent's answers are.
const PIECE: usize = 32 * 1024;

/// Sends as many bytes to each of as many clients from one machine to another: how long until the last of them has all.
pub(crate) fn transfer(from: &Namespace, to: &Namespace, clients: usize, bytes: usize) -> Duration {
    let listener = from
        .inside(|| TcpListener::bind((ADDRESS, 0)))
        .expect("a port");
    let at: SocketAddr = listener.local_addr().expect("its address");
    let pairs: Vec<(TcpStream, TcpStream)> = (0..clients)
        .map(|_| {
            let reader = to.inside(|| TcpStream::connect(at)).expect("a connection");
            (listener.accept().expect("a connection").0, reader)
        })
        .collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (mut writer, mut reader) in pairs {
            scope.spawn(move || {
                let piece = vec![b'x'; PIECE];
                let mut left = bytes;
                while left > 0 {
                    let count = left.min(PIECE);
                    writer.write_all(&piece[..count]).expect("to send");
                    left -= count;
                }
            });
            scope.spawn(move || {
                let mut piece = vec![0; PIECE];
                let mut got = 0;
                while let Ok(count @ 1..) = reader.read(&mut piece) {
                    got += count;
                }
                assert_eq!(got, bytes, "a connection was lost");
            });
        }
    });
    begun.elapsed()
}
