//! A program on the other side: what it reads, what it writes, how it ends.

use std::sync::Arc;

use bytes::Bytes;
use russh::{Channel, Pty as Mode, Sig, client::Msg};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{
    SshError,
    handler::Ended,
    inbox::{Event, Inbox},
    incoming::Incoming,
    outgoing::{Closed, Outgoing},
    stream::lost,
    traffic::{Traffic, User},
};

/// A terminal that is made for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pty {
    /// Kind of the terminal, as in `TERM`.
    pub term: String,
    /// Its size at the beginning.
    pub size: Size,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// How many stand in a line.
    pub columns: u16,
    /// How many lines there are.
    pub rows: u16,
}

/// A program that runs. Dropping it closes its streams.
#[derive(Debug)]
pub struct Process {
    /// What it reads.
    pub input: Input,
    /// What it writes.
    pub output: Output,
}

/// The side that a program reads.
#[derive(Debug)]
pub struct Input {
    outgoing: Outgoing,
    about: Attempt,
}

/// The side that a program writes.
#[derive(Debug)]
pub struct Output {
    incoming: Incoming,
    exit: Option<Exit>,
    /// Whether all that it wrote has come.
    is_whole: bool,
    about: Attempt,
}

/// What errors say.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) peer: String,
    pub(super) operation: String,
    pub(super) ended: Ended,
}

/// A piece of what a program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Of its standard output.
    Stdout(Bytes),
    /// Of its standard error.
    Stderr(Bytes),
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself.
    Code(u32),
    /// By a signal.
    Signal {
        /// Its name without `SIG`.
        name: String,
        /// What the server says about it.
        message: String,
    },
    /// The server does not say.
    Unknown,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Start {
    Shell,
    Command(Vec<u8>),
}

impl Start {
    /// What errors call it.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Shell => "a shell",
            Self::Command(_) => "a command",
        }
    }
}

impl Attempt {
    fn gone(&self) -> SshError {
        self.lost(Box::new(lost(&self.ended)))
    }

    fn lost(&self, source: Box<dyn std::error::Error + Send + Sync>) -> SshError {
        SshError::Gone {
            peer: self.peer.clone(),
            operation: self.operation.clone(),
            source,
        }
    }

    fn refused(&self, reason: &str) -> SshError {
        SshError::Refused {
            peer: self.peer.clone(),
            operation: self.operation.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl Process {
    /// Starts it on a channel that was opened for it, for which `user` stands.
    pub(super) async fn start(
        channel: Channel<Msg>,
        start: Start,
        pty: Option<&Pty>,
        about: Attempt,
        traffic: &Arc<Traffic>,
        user: User,
    ) -> Result<Self, SshError> {
        let (read, write) = channel.split();
        let mut incoming = Incoming::Own(Inbox::new(read, traffic, user));
        let mut wanted = 1;
        if let Some(pty) = pty {
            let (columns, rows) = (pty.size.columns.into(), pty.size.rows.into());
            let modes = [(Mode::IUTF8, 1)];
            let asked = write.request_pty(true, &pty.term, columns, rows, 0, 0, &modes);
            asked.await.map_err(|_| about.gone())?;
            wanted = 2;
        }
        let asked = match start {
            Start::Shell => write.request_shell(true).await,
            Start::Command(command) => write.exec(true, command).await,
        };
        asked.map_err(|_| about.gone())?;
        let outgoing = Outgoing::own(write, traffic);
        let mut exit = None;
        while wanted > 0 {
            match incoming.next().await {
                Some(Event::Success) => wanted -= 1,
                Some(Event::Failure) if wanted == 2 => {
                    return Err(about.refused("it makes no terminals"));
                }
                Some(Event::Failure) => return Err(about.refused("it starts no programs")),
                Some(Event::Exit(how)) => exit = Some(how),
                Some(Event::Close) => return Err(about.refused("it closed the channel")),
                Some(Event::Lost(reason)) => return Err(about.lost(reason.into())),
                Some(Event::Data(_) | Event::Stderr(_) | Event::Eof) => {}
                None => return Err(about.gone()),
            }
        }
        let mut process = Self::new(incoming, outgoing, about);
        process.output.exit = exit;
        Ok(process)
    }

    /// What it is made of.
    pub(super) fn into_parts(self) -> (Incoming, Outgoing, Option<Exit>) {
        (self.output.incoming, self.input.outgoing, self.output.exit)
    }

    /// One that was started already.
    pub(super) fn new(incoming: Incoming, outgoing: Outgoing, about: Attempt) -> Self {
        Self {
            input: Input {
                outgoing,
                about: about.clone(),
            },
            output: Output {
                incoming,
                exit: None,
                is_whole: false,
                about,
            },
        }
    }
}

impl Input {
    /// Where its standard input is written to; shutting it down is the input's end.
    pub fn writer(&self) -> Result<impl AsyncWrite + Send + Unpin + 'static, SshError> {
        self.outgoing.writer().map_err(|Closed| self.about.gone())
    }

    /// Writes all of it to the program's standard input.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), SshError> {
        let mut writer = self.writer()?;
        let written = writer.write_all(bytes).await;
        written.map_err(|_| self.about.gone())
    }

    /// Ends the program's standard input.
    pub async fn end(&self) -> Result<(), SshError> {
        let ended = self.outgoing.end().await;
        ended.map_err(|Closed| self.about.gone())
    }

    /// Tells it the new size of its terminal.
    pub async fn resize(&self, size: Size) -> Result<(), SshError> {
        let told = self.outgoing.resize(size).await;
        told.map_err(|Closed| self.about.gone())
    }

    /// Sends it a signal, named without `SIG`. Servers may ignore it.
    pub async fn signal(&self, name: &str) -> Result<(), SshError> {
        let sent = self.outgoing.signal(name).await;
        sent.map_err(|Closed| self.about.gone())
    }
}

impl Output {
    /// The next piece of what it writes; `None` when nothing more will come. May be dropped while it waits.
    ///
    /// # Errors
    /// [`SshError::Gone`] when the connection is lost before the program's end is known, or before all that it wrote has come.
    pub async fn next(&mut self) -> Result<Option<Piece>, SshError> {
        loop {
            match self.incoming.next().await {
                Some(Event::Data(data)) => return Ok(Some(Piece::Stdout(data))),
                Some(Event::Stderr(data)) => return Ok(Some(Piece::Stderr(data))),
                Some(Event::Exit(exit)) => self.exit = Some(exit),
                Some(Event::Close) => return Ok(None),
                Some(Event::Eof) => self.is_whole = true,
                Some(Event::Success | Event::Failure) => {}
                // A server may say how a program ended before the last of what it wrote.
                None | Some(Event::Lost(_)) if self.is_whole && self.exit.is_some() => {
                    return Ok(None);
                }
                Some(Event::Lost(reason)) => return Err(self.about.lost(reason.into())),
                None => return Err(self.about.gone()),
            }
        }
    }

    /// How it ended, once nothing more comes.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit.clone().unwrap_or(Exit::Unknown)
    }
}

/// Name of a signal in the protocol.
pub(super) fn name_of(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

impl Exit {
    /// The exit code of a command that ends as the program did: its own, or 128 and the signal's number, as shells have it. What no
    /// exit code can hold, and what is not known, is 255.
    #[must_use]
    pub fn code(&self) -> u8 {
        let number = |name: &str| {
            let known = [
                ("HUP", 1),
                ("INT", 2),
                ("QUIT", 3),
                ("ILL", 4),
                ("TRAP", 5),
                ("ABRT", 6),
                ("BUS", 7),
                ("FPE", 8),
                ("KILL", 9),
                ("USR1", 10),
                ("SEGV", 11),
                ("USR2", 12),
                ("PIPE", 13),
                ("ALRM", 14),
                ("TERM", 15),
            ];
            known
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, number)| *number)
        };
        match self {
            Self::Code(code) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Signal { name, .. } => number(name).map_or(u8::MAX, |number: u8| 128 + number),
            Self::Unknown => u8::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_program_ended_becomes_our_exit_code() {
        let signal = |name: &str| Exit::Signal {
            name: name.to_owned(),
            message: String::new(),
        };
        assert_eq!(Exit::Code(0).code(), 0);
        assert_eq!(Exit::Code(42).code(), 42);
        assert_eq!(Exit::Code(70_000).code(), 255);
        assert_eq!(signal("KILL").code(), 137);
        assert_eq!(signal("TERM").code(), 143);
        assert_eq!(signal("odd@example.org").code(), 255);
        assert_eq!(Exit::Unknown.code(), 255);
    }

    #[test]
    fn signals_have_the_names_of_the_protocol() {
        assert_eq!(name_of(&Sig::KILL), "KILL");
        assert_eq!(name_of(&Sig::Custom("TRAP".to_owned())), "TRAP");
    }
}
