//! `os-agent relay-udp`: UDP for those who have only a stream to this device, as over SSH.
//!
//! ```text
//!  standard input ─► frames ─► a socket for each flow ─► ADDRESS:PORT
//!  standard output ◄─ frames ◄───────── answers ◄──────────────┘
//! ```
//!
//! In: frames of [`agent_api::datagrams`]. Out: the same. It ends with its input. What cannot be written out, because nobody reads, waits;
//! what comes meanwhile is lost, as datagrams are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use agent_api::datagrams::{Frame, GREETING, LARGEST, LARGEST_FRAME, MOST_FLOWS, NoFrame};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// Frames that wait to be written out.
const WAITING: usize = 64;
/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;

/// Why a relay ends before its input does.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    /// Standard input or output.
    #[error("could not {what}")]
    Io {
        /// What was done.
        what: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// What came in is not understood.
    #[error("standard input holds no datagrams")]
    Input(#[source] NoFrame),
}

/// Carries datagrams to a target and back until standard input ends.
pub(crate) async fn run(target: SocketAddr) -> Result<(), RelayError> {
    let own = |stream: &dyn AsFd| {
        let descriptor = stream.as_fd().try_clone_to_owned();
        descriptor.map(|descriptor| tokio::fs::File::from_std(File::from(descriptor)))
    };
    let failed = |source| RelayError::Io {
        what: "take standard input and output",
        source,
    };
    let input = own(&io::stdin()).map_err(failed)?;
    let output = own(&io::stdout()).map_err(failed)?;
    relay(target, input, output).await
}

async fn relay(
    target: SocketAddr,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> Result<(), RelayError> {
    let (out, waiting) = mpsc::channel(WAITING);
    let mut flows = Flows {
        target,
        out,
        open: BTreeMap::new(),
        answers: JoinSet::new(),
    };
    // Neither direction waits for the other.
    tokio::select! {
        ended = read(input, &mut flows) => ended,
        ended = write(output, waiting) => ended,
    }
}

async fn read(mut input: impl AsyncRead + Unpin, flows: &mut Flows) -> Result<(), RelayError> {
    let mut buffer = Vec::with_capacity(PIECE + LARGEST_FRAME);
    loop {
        let count = input.read_buf(&mut buffer).await;
        let count = count.map_err(|source| RelayError::Io {
            what: "read standard input",
            source,
        })?;
        if count == 0 {
            return Ok(());
        }
        let mut done = 0;
        while let Some(rest) = buffer.get(done..)
            && let Some((frame, length)) = Frame::read(rest).map_err(RelayError::Input)?
        {
            flows.take(frame).await;
            done += length;
        }
        buffer.drain(..done);
        buffer.reserve(PIECE);
    }
}

async fn write(
    mut output: impl AsyncWrite + Unpin,
    mut waiting: mpsc::Receiver<Vec<u8>>,
) -> Result<(), RelayError> {
    let failed = |source| RelayError::Io {
        what: "write standard output",
        source,
    };
    output.write_all(&GREETING).await.map_err(failed)?;
    output.flush().await.map_err(failed)?;
    let mut frames = Vec::new();
    while waiting.recv_many(&mut frames, WAITING).await > 0 {
        for frame in frames.drain(..) {
            output.write_all(&frame).await.map_err(failed)?;
        }
        output.flush().await.map_err(failed)?;
    }
    Ok(())
}

struct Flows {
    target: SocketAddr,
    out: mpsc::Sender<Vec<u8>>,
    open: BTreeMap<u32, (Arc<UdpSocket>, AbortHandle)>,
    answers: JoinSet<()>,
}

impl Flows {
    async fn take(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Datagram { flow, bytes } => {
                let sent = match self.socket(flow).await {
                    Ok(socket) => socket.send(bytes).await.map(drop),
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    self.trouble(flow, &error);
                }
            }
            Frame::End { flow } => {
                if let Some((_, answers)) = self.open.remove(&flow) {
                    answers.abort();
                }
            }
            // A relay says it, and is not told it.
            Frame::Trouble { .. } => {}
        }
        while self.answers.try_join_next().is_some() {}
    }

    /// The socket of a flow, which begins with its first datagram.
    async fn socket(&mut self, flow: u32) -> io::Result<Arc<UdpSocket>> {
        if let Some((socket, _)) = self.open.get(&flow) {
            return Ok(Arc::clone(socket));
        }
        if self.open.len() >= MOST_FLOWS {
            return Err(io::Error::other(format!(
                "there are {MOST_FLOWS} flows already"
            )));
        }
        let any: IpAddr = match self.target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(self.target).await?;
        let socket = Arc::new(socket);
        let answers = answers(flow, Arc::clone(&socket), self.out.clone());
        let answers = self.answers.spawn(answers);
        self.open.insert(flow, (Arc::clone(&socket), answers));
        Ok(socket)
    }

    fn trouble(&self, flow: u32, error: &io::Error) {
        // Where so much waits already, one more complaint is no loss.
        drop(self.out.try_send(trouble(flow, error)));
    }
}

fn trouble(flow: u32, error: &io::Error) -> Vec<u8> {
    let mut frame = Vec::new();
    let words = error.to_string();
    let words = &words;
    Frame::Trouble { flow, words }.write(&mut frame);
    frame
}

/// What a target answers, until nobody wants it.
async fn answers(flow: u32, socket: Arc<UdpSocket>, out: mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let mut frame = Vec::new();
        match socket.recv(&mut buffer).await {
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                Frame::Datagram { flow, bytes }.write(&mut frame);
            }
            // Such as a port on which nobody listens: that may change.
            Err(error) => frame = trouble(flow, &error),
        }
        if out.send(frame).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// A conversation with a relay.
    struct Talk {
        stream: DuplexStream,
        bytes: Vec<u8>,
    }

    impl Talk {
        async fn begin(stream: DuplexStream) -> Self {
            let mut talk = Self {
                stream,
                bytes: Vec::new(),
            };
            let mut greeting = [0; GREETING.len()];
            talk.stream.read_exact(&mut greeting).await.unwrap();
            assert_eq!(greeting, GREETING);
            talk
        }

        async fn say(&mut self, frame: Frame<'_>) {
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            self.stream.write_all(&bytes).await.unwrap();
        }

        /// The next frame: its flow, and what it carries.
        async fn hear(&mut self) -> (u32, Result<Vec<u8>, String>) {
            loop {
                if let Some((frame, length)) = Frame::read(&self.bytes).unwrap() {
                    let heard = match frame {
                        Frame::Datagram { flow, bytes } => (flow, Ok(bytes.to_vec())),
                        Frame::Trouble { flow, words } => (flow, Err(words.to_owned())),
                        Frame::End { .. } => panic!("a relay ends no flow"),
                    };
                    self.bytes.drain(..length);
                    return heard;
                }
                assert_ne!(self.stream.read_buf(&mut self.bytes).await.unwrap(), 0);
            }
        }
    }

    /// Sends back what it gets.
    async fn echo(socket: UdpSocket) {
        let mut buffer = vec![0; LARGEST];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&buffer[..count], from).await.unwrap();
        }
    }

    #[tokio::test]
    async fn datagrams_keep_their_bounds_and_their_flow() {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = target.local_addr().unwrap();
        let (ours, theirs) = duplex(4096);
        let (input, output) = tokio::io::split(theirs);
        let talk = async {
            let mut talk = Talk::begin(ours).await;
            for (flow, size) in [(7, 0), (8, 1), (7, 1472), (9, 65_507)] {
                let bytes = vec![b'x'; size];
                let frame = Frame::Datagram {
                    flow,
                    bytes: &bytes,
                };
                talk.say(frame).await;
                assert_eq!(talk.hear().await, (flow, Ok(bytes)));
            }
            // Its number may be used again.
            talk.say(Frame::End { flow: 7 }).await;
            talk.say(Frame::Datagram {
                flow: 7,
                bytes: b"again",
            })
            .await;
            assert_eq!(talk.hear().await, (7, Ok(b"again".to_vec())));
            let bytes = &vec![0; 65_508];
            talk.say(Frame::Datagram { flow: 8, bytes }).await;
            let (flow, trouble) = talk.hear().await;
            assert_eq!(flow, 8);
            assert!(trouble.unwrap_err().contains("too long"));
            talk.stream.shutdown().await.unwrap();
        };
        tokio::select! {
            () = echo(target) => panic!("it goes on"),
            (ended, ()) = async { tokio::join!(relay(address, input, output), talk) } => ended.unwrap(),
        }
    }

    #[tokio::test]
    async fn a_port_on_which_nobody_listens_is_told_and_tried_again() {
        let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = target.local_addr().unwrap();
        drop(target);
        let (ours, theirs) = duplex(4096);
        let (input, output) = tokio::io::split(theirs);
        let talk = async {
            let mut talk = Talk::begin(ours).await;
            let frame = Frame::Datagram {
                flow: 1,
                bytes: b"anybody?",
            };
            talk.say(frame).await;
            let (_, trouble) = talk.hear().await;
            assert!(trouble.unwrap_err().contains("refused"));
            let target = UdpSocket::bind(address).await.unwrap();
            talk.say(frame).await;
            let mut buffer = [0; 100];
            let (count, _) = target.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], b"anybody?");
            talk.stream.shutdown().await.unwrap();
        };
        let (ended, ()) = tokio::join!(relay(address, input, output), talk);
        ended.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_it() {
        let (ours, theirs) = duplex(4096);
        let (input, output) = tokio::io::split(theirs);
        let talk = async {
            let mut talk = Talk::begin(ours).await;
            talk.stream.write_all(b"hello").await.unwrap();
            talk
        };
        let address = ([127, 0, 0, 1], 9).into();
        let (ended, _talk) = tokio::join!(relay(address, input, output), talk);
        assert!(matches!(ended, Err(RelayError::Input(NoFrame::Kind(b'h')))));
    }
}
