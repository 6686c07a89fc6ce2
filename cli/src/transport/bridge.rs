//! Two streams of this process and a connection, joined: what `ssh` expects of a `ProxyCommand`.

use std::{
    fs::File,
    io::{self, Write as _},
    net::{Shutdown, TcpStream},
};

use tokio::task::spawn_blocking;

/// Bytes of one piece: what a pipe holds.
const BUFFER: usize = 64 * 1024;

/// A direction broke before its end.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke while it was carried {direction}")]
pub struct BridgeError {
    /// `to the device` or `from the device`.
    direction: &'static str,
    /// What the system says.
    #[source]
    source: io::Error,
}

/// Carries bytes both ways until the other side has said everything. The end of `input` is passed on as the end of one direction; the
/// other goes on.
///
/// # Errors
/// [`BridgeError`] when a direction breaks. The reader of `output` going away is an end like any other.
pub async fn bridge(stream: TcpStream, input: File, output: File) -> Result<(), BridgeError> {
    let broken = |direction| move |source| BridgeError { direction, source };
    let failed = broken("to the device");
    stream.set_nonblocking(false).map_err(failed)?;
    let up = stream.try_clone().map_err(failed)?;
    let down = stream;
    // Threads: files and pipes cannot be waited for otherwise. The first may wait for input for ever, and ends with the process.
    let up = spawn_blocking(move || send(input, up));
    let down = spawn_blocking(move || receive(down, output));
    tokio::pin!(up, down);
    tokio::select! {
        received = &mut down => return received.map_err(io::Error::other).and_then(|ended| ended).map_err(broken("from the device")),
        sent = &mut up => sent.map_err(io::Error::other).and_then(|ended| ended).map_err(failed)?,
    }
    let received = down.await.map_err(io::Error::other).and_then(|ended| ended);
    received.map_err(broken("from the device"))
}

fn send(mut from: File, mut to: TcpStream) -> io::Result<()> {
    match carry(&mut from, &mut to) {
        // The other side wants no more; what it still says is carried to its end.
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match to.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        },
    }
}

fn receive(mut from: TcpStream, mut to: File) -> io::Result<()> {
    match carry(&mut from, &mut to) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error),
        Ok(()) => to.flush(),
    }
}

/// Each piece at once. `io::copy` lets the system move the bytes here, which holds back what is said from a pipe to a socket until more
/// follows.
fn carry(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener, os::fd::OwnedFd};

    use super::*;

    /// A bridge with pipes at its ends: the writer of its input, the reader of its output, the other side.
    fn bridged() -> (
        File,
        File,
        TcpStream,
        impl Future<Output = Result<(), BridgeError>>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (other, _) = listener.accept().unwrap();
        let (input, writer) = io::pipe().unwrap();
        let (reader, output) = io::pipe().unwrap();
        let file = |end: OwnedFd| File::from(end);
        let work = bridge(stream, file(input.into()), file(output.into()));
        (file(writer.into()), file(reader.into()), other, work)
    }

    #[tokio::test]
    async fn nothing_is_lost_either_way_and_one_direction_ends_before_the_other() {
        let (mut writer, mut reader, mut other, work) = bridged();
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let (sent, answer) = (
            bytes.clone(),
            bytes.iter().rev().copied().collect::<Vec<u8>>(),
        );
        let back = answer.clone();
        let device = std::thread::spawn(move || {
            let mut heard = Vec::new();
            // Ends only when the end of the input was passed on; the answer comes after it.
            other.read_to_end(&mut heard).unwrap();
            other.write_all(&back).unwrap();
            heard
        });
        let person = std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            drop(writer);
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).unwrap();
            heard
        });
        work.await.unwrap();
        assert!(device.join().unwrap() == bytes);
        assert!(person.join().unwrap() == answer);
    }

    #[tokio::test]
    async fn what_is_said_arrives_while_both_go_on() {
        let (mut writer, mut reader, mut other, work) = bridged();
        let talk = std::thread::spawn(move || {
            let mut heard = [0; 4];
            for _ in 0..100 {
                writer.write_all(b"ping").unwrap();
                other.read_exact(&mut heard).unwrap();
                other.write_all(b"pong").unwrap();
                reader.read_exact(&mut heard).unwrap();
            }
            heard
        });
        work.await.unwrap();
        assert_eq!(talk.join().unwrap(), *b"pong");
    }

    #[tokio::test]
    async fn it_ends_with_the_other_side_though_the_input_stays_open() {
        let (writer, mut reader, mut other, work) = bridged();
        other.write_all(b"bye").unwrap();
        drop(other);
        work.await.unwrap();
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "bye");
        // Its thread waits for input no longer.
        drop(writer);
    }
}
