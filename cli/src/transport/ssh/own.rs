//! A connection of this process, and what is done over it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use russh::{Channel, Disconnect, client::Handle, client::Msg};
use tokio::sync::{Mutex, mpsc};

use super::{
    ForwardSource, Forwarded, Process, Pty, Ssh, SshError, SshStream,
    handler::{Client, Ended, Listening, Places, stream},
    process::{Attempt, Start},
    stream::lost,
    traffic::{Traffic, User},
};

/// A channel on which nothing runs yet.
pub(super) struct Opened {
    channel: Channel<Msg>,
    user: User,
}

/// A connection on which we have been let in.
pub(super) struct Own {
    pub(super) handle: Handle<Client>,
    pub(super) peer: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) ended: Ended,
    pub(super) places: Places,
    pub(super) forwarded: Mutex<mpsc::Receiver<Forwarded>>,
    pub(super) traffic: Arc<Traffic>,
    /// Whether there was room for a program already.
    pub(super) has_room: AtomicBool,
    /// The connection that this one goes through.
    pub(super) _jump: Option<Ssh>,
}

impl Own {
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Waits for its end, and says how it came about.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        // An error says that the one who would tell is gone, and the connection with it.
        drop(ended.wait_for(Option::is_some).await);
        lost(&ended).to_string()
    }

    /// Returns when the other side has answered.
    pub(super) async fn ping(&self) {
        drop(self.handle.send_ping().await);
    }

    /// Opens a channel for a program. Nothing was asked for on it yet. A server that has room for not even one is not full: a further
    /// connection would be no better.
    pub(super) async fn session(&self, start: &Start) -> Result<Opened, SshError> {
        let user = self.traffic.enter();
        let operation = start.operation();
        match self.handle.channel_open_session().await {
            Ok(channel) => {
                self.has_room.store(true, Ordering::Relaxed);
                Ok(Opened { channel, user })
            }
            // OpenSSH says the former, others the latter.
            Err(russh::Error::ChannelOpenFailure(
                russh::ChannelOpenFailure::ConnectFailed
                | russh::ChannelOpenFailure::ResourceShortage,
            )) if self.has_room.load(Ordering::Relaxed) => Err(SshError::Full {
                peer: self.peer.clone(),
                operation: operation.to_owned(),
            }),
            Err(error) => Err(self.failed(operation, error)),
        }
    }

    /// Starts a program on such a channel.
    pub(super) async fn start(
        &self,
        opened: Opened,
        start: Start,
        pty: Option<&Pty>,
    ) -> Result<Process, SshError> {
        let about = Attempt {
            peer: self.peer.clone(),
            operation: start.operation().to_owned(),
            ended: self.ended.clone(),
        };
        let Opened { channel, user } = opened;
        Process::start(channel, start, pty, about, &self.traffic, user).await
    }

    /// A TCP connection that the other side makes.
    pub(super) async fn tcp(&self, host: &str, port: u16) -> Result<SshStream, SshError> {
        let operation = format!("a connection to {host} port {port}");
        let user = self.traffic.enter();
        let opened = self
            .handle
            .channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0);
        let channel = opened
            .await
            .map_err(|error| self.failed(&operation, error))?;
        Ok(stream(channel, &self.traffic, user, self.ended.clone()))
    }

    /// A connection to a unix socket of the other side.
    pub(super) async fn unix(&self, path: &str) -> Result<SshStream, SshError> {
        let operation = format!("a connection to {path}");
        let user = self.traffic.enter();
        let opened = self.handle.channel_open_direct_streamlocal(path);
        let channel = opened
            .await
            .map_err(|error| self.failed(&operation, error))?;
        Ok(stream(channel, &self.traffic, user, self.ended.clone()))
    }

    /// Lets the other side take connections for us at an address of its own; port 0 leaves the choice to it. Which one it is comes back.
    pub(super) async fn listen_tcp(&self, address: &str, port: u16) -> Result<u16, SshError> {
        let operation = format!("to listen at port {port}");
        let _user = self.traffic.enter();
        let asked = self.handle.tcpip_forward(address, port.into()).await;
        let chosen = asked.map_err(|error| self.failed(&operation, error))?;
        // Only for port 0 it says which one.
        let chosen = if port == 0 { chosen } else { port.into() };
        self.remember(ForwardSource::Tcp(chosen), address);
        u16::try_from(chosen).map_err(|_| SshError::Refused {
            peer: self.peer.clone(),
            operation,
            reason: format!("it chose {chosen}, which is no port"),
        })
    }

    /// The same at a unix socket of the other side.
    pub(super) async fn listen_unix(&self, path: &str) -> Result<(), SshError> {
        let operation = format!("to listen at {path}");
        let _user = self.traffic.enter();
        let asked = self.handle.streamlocal_forward(path).await;
        asked.map_err(|error| self.failed(&operation, error))?;
        self.remember(ForwardSource::Unix(path.to_owned()), "");
        Ok(())
    }

    /// The next connection that the other side took for us; `None` when the connection has ended.
    pub(super) async fn accept(&self) -> Option<Forwarded> {
        self.forwarded.lock().await.recv().await
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        let handle = &self.handle;
        // Who cannot be told knows already.
        drop(handle.disconnect(Disconnect::ByApplication, "", "").await);
    }

    /// Takes no more connections there.
    pub(super) async fn unlisten(&self, source: &ForwardSource) {
        let place = self.listening().remove(source);
        let _user = self.traffic.enter();
        // Where the connection is gone, so is the place.
        match (source, place) {
            (ForwardSource::Tcp(port), Some(place)) => {
                drop(self.handle.cancel_tcpip_forward(place.address, *port).await);
            }
            (ForwardSource::Unix(path), Some(_)) => {
                drop(self.handle.cancel_streamlocal_forward(path).await);
            }
            (_, None) => {}
        }
    }

    fn remember(&self, source: ForwardSource, address: &str) {
        let place = Listening {
            address: address.to_owned(),
            _user: self.traffic.enter(),
        };
        self.listening().insert(source, place);
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, HashMap<ForwardSource, Listening>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, operation: &str, error: russh::Error) -> SshError {
        let (peer, operation) = (self.peer.clone(), operation.to_owned());
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
                    Box::new(lost(&self.ended))
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
