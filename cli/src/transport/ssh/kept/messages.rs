//! What is said in messages.

use std::{io, net::SocketAddr, path::PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::frames::{Frame, VERSION};
use crate::transport::ssh::{
    ForwardSource, HostKey, HostKeyDecision, Pty, SshError, SshTarget, connect::Server,
    process::Size, process::Start,
};

/// The first thing that is said on a connection to the socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Greeting {
    version: u32,
    hello: Hello,
}

/// What a connection is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Hello {
    /// A connection to a server is to be made, and kept. Only said to a process that was started for it.
    Make(Box<SshTarget>),
    /// Somebody wants to use the connection.
    Attach,
    /// A channel.
    Open { session: u64, what: What },
    /// Something about a program.
    Tell {
        session: u64,
        channel: u64,
        what: Telling,
    },
    /// A connection that the server took for us.
    Take { session: u64, forwarded: u64 },
}

/// Kinds of channels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum What {
    Program { start: Start, pty: Option<Pty> },
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

/// What a program is told besides its input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Telling {
    Resize(Size),
    Signal(String),
}

/// What a command says later on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wish {
    Judged(HostKeyDecision),
    NoPassphrase,
    ListenTcp {
        address: String,
        port: u16,
    },
    ListenUnix {
        path: String,
    },
    /// The connection is not to be used by commands to come.
    Retire,
}

/// What a command is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Notice {
    Judge {
        server: Server,
        key: String,
    },
    Unlock {
        path: PathBuf,
        is_wrong: bool,
    },
    Attached(Connection),
    Opened {
        channel: u64,
    },
    Done,
    Listening {
        port: u16,
    },
    Forwarded {
        id: u64,
        source: ForwardSource,
    },
    Failed {
        error: SshError,
        is_repeatable: bool,
    },
    Ended(String),
}

/// The connection that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Connection {
    /// Name of the socket for all that follows.
    pub(super) socket: String,
    pub(super) session: u64,
    pub(super) peer: String,
    pub(super) address: Option<SocketAddr>,
    /// The keys that were accepted, of each server on the way, as in files.
    pub(super) keys: Vec<(Server, String)>,
}

impl Hello {
    pub(super) fn greeting(self) -> Greeting {
        Greeting {
            version: VERSION,
            hello: self,
        }
    }
}

impl Greeting {
    /// What is wanted, in this version of the protocol.
    pub(super) fn hello(self) -> io::Result<Hello> {
        let other = || io::Error::new(io::ErrorKind::Unsupported, "it is of another version of os");
        (self.version == VERSION)
            .then_some(self.hello)
            .ok_or_else(other)
    }
}

/// As a frame.
pub(super) fn message(of: &impl Serialize) -> io::Result<Frame> {
    let text = serde_json::to_vec(of).map_err(io::Error::other)?;
    Ok(Frame::Message(Bytes::from(text)))
}

/// Of a frame.
pub(super) fn read<T: DeserializeOwned>(frame: Option<Frame>) -> io::Result<T> {
    match frame {
        Some(Frame::Message(text)) => serde_json::from_slice(&text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A key as in files.
pub(super) fn key(text: &str) -> io::Result<HostKey> {
    let words = text.split_once(' ').unwrap_or_default();
    HostKey::from_words(words.0, words.1)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_understood() {
        let greeting = Greeting {
            version: VERSION + 1,
            hello: Hello::Attach,
        };
        assert_eq!(
            greeting.hello().unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
    }

    #[test]
    fn any_bytes_of_a_command_line_pass() {
        let line: Vec<u8> = (0..=255).collect();
        let what = What::Program {
            start: Start::Command(line.clone()),
            pty: None,
        };
        let frame = message(&Hello::Open { session: 1, what }.greeting()).unwrap();
        let greeting: Greeting = read(Some(frame)).unwrap();
        let Hello::Open {
            what: What::Program { start, .. },
            ..
        } = greeting.hello().unwrap()
        else {
            panic!("it is something else");
        };
        assert_eq!(start, Start::Command(line));
    }
}
