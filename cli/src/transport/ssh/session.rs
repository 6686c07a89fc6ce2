//! What is done over a connection.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, PoisonError},
};

use russh::{Disconnect, client::Handle};
use tokio::sync::{Mutex, mpsc};

use super::{
    Asks, ForwardSource, Forwarded, Process, Pty, SshError, SshStream, SshTarget, connect,
    handler::{Client, Ended, Places},
    process::{About, Start},
    stream::lost,
};

/// A connection on which we have been let in. Clones share it; it ends with the last of them and of what was opened over it.
#[derive(Clone)]
pub struct Ssh {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) handle: Handle<Client>,
    pub(super) peer: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) ended: Ended,
    pub(super) places: Places,
    pub(super) forwarded: Mutex<mpsc::Receiver<Forwarded>>,
    /// The connection that this one goes through.
    pub(super) _jump: Option<Ssh>,
}

impl Ssh {
    /// Connects, has the server's key decided about, and is let in.
    pub async fn connect(target: &SshTarget, asks: &Asks) -> Result<Self, SshError> {
        connect::connect(target, asks).await
    }

    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What errors call the other side: name and address.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.peer
    }

    /// The address that answered, unless it is reached through another server.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.address
    }

    /// Whether nothing more can be done over it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.handle.is_closed()
    }

    /// Waits for its end, and says how it came about.
    pub async fn ended(&self) -> String {
        let mut ended = self.shared.ended.clone();
        // An error says that the one who would tell is gone, and the connection with it.
        drop(ended.wait_for(Option::is_some).await);
        lost(&ended).to_string()
    }

    /// Runs a command line in the account's shell.
    pub async fn exec(
        &self,
        command: impl Into<Vec<u8>>,
        pty: Option<&Pty>,
    ) -> Result<Process, SshError> {
        self.start(Start::Command(command.into()), pty).await
    }

    /// Starts the account's shell.
    pub async fn shell(&self, pty: Option<&Pty>) -> Result<Process, SshError> {
        self.start(Start::Shell, pty).await
    }

    async fn start(&self, start: Start, pty: Option<&Pty>) -> Result<Process, SshError> {
        let operation = match &start {
            Start::Shell => "a shell",
            Start::Command(_) => "a command",
        };
        let channel = self.shared.handle.channel_open_session().await;
        let channel = channel.map_err(|error| self.failed(operation, error))?;
        let about = About {
            peer: self.shared.peer.clone(),
            operation: operation.to_owned(),
            ended: self.shared.ended.clone(),
        };
        Process::start(channel, start, pty, about).await
    }

    /// A TCP connection that the other side makes.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<SshStream, SshError> {
        let operation = format!("a connection to {host} port {port}");
        let handle = &self.shared.handle;
        let opened = handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0);
        let channel = opened
            .await
            .map_err(|error| self.failed(&operation, error))?;
        Ok(SshStream::new(channel, self.shared.ended.clone()))
    }

    /// A connection to a unix socket of the other side.
    pub async fn unix(&self, path: &str) -> Result<SshStream, SshError> {
        let operation = format!("a connection to {path}");
        let opened = self.shared.handle.channel_open_direct_streamlocal(path);
        let channel = opened
            .await
            .map_err(|error| self.failed(&operation, error))?;
        Ok(SshStream::new(channel, self.shared.ended.clone()))
    }

    /// Lets the other side take connections for us at an address of its own; port 0 leaves the choice to it. Which one it is comes back.
    pub async fn listen_tcp(&self, address: &str, port: u16) -> Result<u16, SshError> {
        let operation = format!("to listen at port {port}");
        let asked = self.shared.handle.tcpip_forward(address, port.into()).await;
        let chosen = asked.map_err(|error| self.failed(&operation, error))?;
        // Only for port 0 it says which one.
        let chosen = if port == 0 { chosen } else { port.into() };
        self.remember(ForwardSource::Tcp(chosen));
        u16::try_from(chosen).map_err(|_| SshError::Refused {
            peer: self.shared.peer.clone(),
            operation,
            reason: format!("it chose {chosen}, which is no port"),
        })
    }

    /// The same at a unix socket of the other side.
    pub async fn listen_unix(&self, path: &str) -> Result<(), SshError> {
        let operation = format!("to listen at {path}");
        let asked = self.shared.handle.streamlocal_forward(path).await;
        asked.map_err(|error| self.failed(&operation, error))?;
        self.remember(ForwardSource::Unix(path.to_owned()));
        Ok(())
    }

    /// The next connection that the other side took for us; `None` when the connection has ended.
    pub async fn accept(&self) -> Option<Forwarded> {
        self.shared.forwarded.lock().await.recv().await
    }

    /// Says goodbye.
    pub async fn close(&self) {
        let handle = &self.shared.handle;
        // Who cannot be told knows already.
        drop(handle.disconnect(Disconnect::ByApplication, "", "").await);
    }

    fn remember(&self, source: ForwardSource) {
        let mut places = self
            .shared
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        places.insert(source);
    }

    fn failed(&self, operation: &str, error: russh::Error) -> SshError {
        let (peer, operation) = (self.shared.peer.clone(), operation.to_owned());
        let reason = match error {
            russh::Error::ChannelOpenFailure(reason) => match reason {
                russh::ChannelOpenFailure::AdministrativelyProhibited => {
                    "it is forbidden there".to_owned()
                }
                russh::ChannelOpenFailure::ConnectFailed => "nothing listens there".to_owned(),
                russh::ChannelOpenFailure::UnknownChannelType => "it cannot do that".to_owned(),
                russh::ChannelOpenFailure::ResourceShortage => "it has no room for more".to_owned(),
                russh::ChannelOpenFailure::Other { reason, .. } => reason,
            },
            russh::Error::RequestDenied => "it is forbidden there, or taken".to_owned(),
            error => {
                let source: Box<dyn std::error::Error + Send + Sync> = if self.is_closed() {
                    Box::new(lost(&self.shared.ended))
                } else {
                    Box::new(error)
                };
                return SshError::Gone {
                    peer,
                    operation,
                    source,
                };
            }
        };
        SshError::Refused {
            peer,
            operation,
            reason,
        }
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh")
            .field("peer", &self.shared.peer)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Ssh {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Ssh {}
