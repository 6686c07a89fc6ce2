//! The program on the device that carries datagrams: `os-agent relay-udp`.

use std::time::Duration;

use agent_api::datagrams::{Frame, GREETING, LARGEST_FRAME};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{io::AsyncWrite, time::timeout};

use crate::{
    transport::ssh::{Exit, Input, Output, Piece, Ssh, SshError},
    tunnel::{carry::gone, error::NoRelay},
};

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);
/// Bytes of what it complains of that are kept.
const WORDS: usize = 1024;
/// What a shell ends with that knows no such program.
const NOT_FOUND: u32 = 127;
/// What a program ends with that knows no such command.
const USAGE: u32 = 2;

/// One that has said its greeting.
pub(in crate::tunnel) struct Relay {
    input: Input,
    output: Output,
    bytes: BytesMut,
    words: Vec<u8>,
}

/// What comes of the device.
#[derive(Debug)]
pub(super) enum Incoming {
    Datagram { flow: u32, bytes: Bytes },
    Trouble { flow: u32, words: String },
}

/// Why there is none.
#[derive(Debug)]
pub(in crate::tunnel) enum Missing {
    Ssh(SshError),
    Relay(NoRelay),
}

impl From<SshError> for Missing {
    fn from(error: SshError) -> Self {
        Self::Ssh(error)
    }
}

impl Relay {
    /// Starts one that sends to a port of the device.
    pub(in crate::tunnel) async fn start(ssh: &Ssh, port: u16) -> Result<Self, Missing> {
        let process = ssh.exec(format!("exec os-agent relay-udp 127.0.0.1 {port}"), None);
        let process = process.await?;
        let mut relay = Self {
            input: process.input,
            output: process.output,
            bytes: BytesMut::with_capacity(LARGEST_FRAME),
            words: Vec::new(),
        };
        let started = timeout(START, relay.greeted()).await;
        started.unwrap_or_else(|_| {
            let why = format!("its os-agent said nothing for {} s", START.as_secs());
            Err(Missing::Relay(NoRelay::Other(why)))
        })?;
        Ok(relay)
    }

    async fn greeted(&mut self) -> Result<(), Missing> {
        while self.bytes.len() < GREETING.len() {
            if !self.more().await? {
                return Err(Missing::Relay(match self.output.exit() {
                    Exit::Code(NOT_FOUND) => NoRelay::NoAgent,
                    Exit::Code(USAGE) => NoRelay::OldAgent,
                    Exit::Code(_) | Exit::Signal { .. } | Exit::Unknown => {
                        NoRelay::Other(self.complaint())
                    }
                }));
            }
        }
        if !self.bytes.starts_with(&GREETING) {
            let why = "what it calls os-agent speaks another language";
            return Err(Missing::Relay(NoRelay::Other(why.to_owned())));
        }
        self.bytes.advance(GREETING.len());
        Ok(())
    }

    /// Waits for more of what it writes; `false` when there is no more.
    async fn more(&mut self) -> Result<bool, SshError> {
        match self.output.next().await? {
            Some(Piece::Stdout(bytes)) => self.bytes.extend_from_slice(&bytes),
            Some(Piece::Stderr(bytes)) => {
                let room = WORDS.saturating_sub(self.words.len());
                self.words.extend(bytes.iter().take(room));
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    /// What it has complained of, or how it ended.
    fn complaint(&self) -> String {
        let words = String::from_utf8_lossy(&self.words);
        match words.lines().next().map(str::trim) {
            Some(line) if !line.is_empty() => format!("its os-agent says: {line}"),
            _ => format!("its os-agent ended with {}", self.output.exit().code()),
        }
    }

    /// Where frames are written to.
    pub(super) fn writer(&self) -> Result<impl AsyncWrite + Send + Unpin + 'static, SshError> {
        self.input.writer()
    }

    /// The next frame that comes. May be dropped while it waits.
    ///
    /// # Errors
    /// How it ended, when no more will come.
    pub(super) async fn next(&mut self) -> Result<Incoming, String> {
        loop {
            if let Some(incoming) = self.taken()? {
                return Ok(incoming);
            }
            match self.more().await {
                Ok(true) => {}
                Ok(false) => return Err(self.complaint()),
                Err(error) => return Err(gone(&error)),
            }
        }
    }

    /// The first frame of what has come, if it is complete.
    fn taken(&mut self) -> Result<Option<Incoming>, String> {
        loop {
            let read = Frame::read(&self.bytes);
            let read = read.map_err(|error| format!("its os-agent sends {error}"))?;
            let Some((frame, length)) = read else {
                return Ok(None);
            };
            let (flow, size) = match frame {
                Frame::Datagram { flow, bytes } => (flow, bytes.len()),
                Frame::Trouble { flow, words } => {
                    let words = words.to_owned();
                    self.bytes.advance(length);
                    return Ok(Some(Incoming::Trouble { flow, words }));
                }
                // Only we end flows.
                Frame::End { .. } => {
                    self.bytes.advance(length);
                    continue;
                }
            };
            let mut bytes = self.bytes.split_to(length);
            bytes.advance(length - size);
            let bytes = bytes.freeze();
            return Ok(Some(Incoming::Datagram { flow, bytes }));
        }
    }
}
