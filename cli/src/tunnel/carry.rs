//! Bytes of one connection, both ways until both have ended.

use std::{
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};

use super::event::Counts;

/// Bytes that are read at once, for each direction of each connection.
const PIECE: usize = 64 << 10;

/// Carries bytes between somebody here and the device. An end passes through, and the other direction goes on.
///
/// # Errors
/// As soon as one side cannot be read or written any more: which one, and why.
pub(super) async fn carry(
    here: impl AsyncRead + AsyncWrite,
    device: impl AsyncRead + AsyncWrite,
    counts: &Counts,
) -> Result<(), String> {
    let (mut read_here, mut write_here) = split(here);
    let (mut read_device, mut write_device) = split(device);
    let (to_device, from_device) = (&counts.to_device, &counts.from_device);
    let up = async {
        let ended = one_way(&mut read_here, &mut write_device, to_device).await;
        ended.map_err(|broken| match broken {
            Broken::Read(error) => broken_here(&error),
            Broken::Write(error) => gone(&error),
        })
    };
    let down = async {
        let ended = one_way(&mut read_device, &mut write_here, from_device).await;
        ended.map_err(|broken| match broken {
            Broken::Read(error) => gone(&error),
            Broken::Write(error) => broken_here(&error),
        })
    };
    tokio::try_join!(up, down)?;
    Ok(())
}

/// Which side of a direction it was.
enum Broken {
    Read(io::Error),
    Write(io::Error),
}

/// What is said where the device's side ends before its time.
pub(super) fn gone(why: &impl fmt::Display) -> String {
    format!("the device is gone: {why}")
}

fn broken_here(why: &io::Error) -> String {
    format!("it was broken off here: {why}")
}

async fn one_way(
    from: &mut (impl AsyncRead + Unpin),
    into: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> Result<(), Broken> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer).await.map_err(Broken::Read)?;
        if read == 0 {
            break;
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        into.write_all(bytes).await.map_err(Broken::Write)?;
        into.flush().await.map_err(Broken::Write)?;
        count.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    // Both ends may have come at once, and then nobody is left who could be told.
    match into.shutdown().await {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        ended => ended.map_err(Broken::Write),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::tunnel::Outcome;

    #[tokio::test]
    async fn an_end_passes_through_and_the_other_direction_goes_on() {
        let (mut client, here) = duplex(10);
        let (device, mut server) = duplex(10);
        let counts = Counts::default();
        let talk = async {
            client.write_all(b"a question, a long one").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            server.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "a question, a long one");
            server.write_all(b"the answer to it").await.unwrap();
            server.shutdown().await.unwrap();
            heard.clear();
            client.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "the answer to it");
        };
        let (ended, ()) = tokio::join!(carry(here, device, &counts), talk);
        ended.unwrap();
        let ending = counts.ending(std::time::Instant::now(), Outcome::Done);
        assert_eq!((ending.to_device, ending.from_device), (22, 16));
    }
}
