//! What is done when the server speaks unasked: its key is put before whoever decides, forwards that were asked for are taken, all else
//! is refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use russh::{
    Channel,
    client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session},
    keys::{PublicKey, PublicKeyOrCertificate},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    HostKey, SshStream,
    inbox::Inbox,
    incoming::Incoming,
    outgoing::Outgoing,
    traffic::{Traffic, User},
};

/// How many forwarded connections may wait to be taken; more are refused.
pub(super) const WAITING: usize = 64;

/// A connection that the server took for us.
#[derive(Debug)]
pub struct Forwarded {
    /// Where it came in.
    pub source: ForwardSource,
    /// Its bytes.
    pub stream: SshStream,
}

/// A place on the server where connections are taken for us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardSource {
    /// A TCP port.
    Tcp(u32),
    /// A unix socket.
    Unix(String),
}

/// The places that were asked for.
pub(super) type Places = Arc<Mutex<HashMap<ForwardSource, Listening>>>;

/// What is known of such a place.
#[derive(Debug)]
pub(super) struct Listening {
    /// The address that was asked for.
    pub(super) address: String,
    /// Somebody may come in at any time.
    pub(super) _user: User,
}

/// A key that waits for a decision.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) key: HostKey,
    pub(super) answer: oneshot::Sender<bool>,
}

/// How a connection ended, once it has.
pub(super) type Ended = watch::Receiver<Option<String>>;

/// Our side of a connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) accepted: Option<PublicKey>,
    pub(super) places: Places,
    pub(super) forwarded: mpsc::Sender<Forwarded>,
    pub(super) ended: watch::Sender<Option<String>>,
    pub(super) traffic: Arc<Traffic>,
}

/// The stream of a channel, for which `user` stands.
pub(super) fn stream(
    channel: Channel<Msg>,
    traffic: &Arc<Traffic>,
    user: User,
    ended: Ended,
) -> SshStream {
    let (read, write) = channel.split();
    let incoming = Incoming::Own(Inbox::new(read, traffic, user));
    SshStream::new(incoming, Outgoing::own(write, traffic), ended)
}

impl Client {
    async fn take(&self, source: ForwardSource, channel: Channel<Msg>, reply: ChannelOpenHandle) {
        let is_wanted = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.contains_key(&source)
        };
        // Dropped without an answer, the request is refused.
        if let (true, Ok(room)) = (is_wanted, self.forwarded.try_reserve()) {
            reply.accept().await;
            let user = self.traffic.enter();
            let stream = stream(channel, &self.traffic, user, self.ended.subscribe());
            room.send(Forwarded { source, stream });
        }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        // No certificates are offered, so none is taken.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        if let Some(accepted) = &self.accepted {
            return Ok(accepted.key_data() == key.key_data());
        }
        let blob = key.to_bytes().map_err(russh::Error::from)?;
        let Ok(shown) = HostKey::from_blob(&blob) else {
            return Ok(false);
        };
        let (answer, decided) = oneshot::channel();
        let question = Question { key: shown, answer };
        if self.questions.send(question).await.is_err() {
            return Ok(false);
        }
        let is_accepted = decided.await.unwrap_or(false);
        if is_accepted {
            self.accepted = Some(key.clone());
        }
        Ok(is_accepted)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _address: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.take(ForwardSource::Tcp(port), channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        let source = ForwardSource::Unix(path.to_owned());
        self.take(source, channel, reply).await;
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (info.message, Ok(())),
            DisconnectReason::Error(error) => (error.to_string(), Err(error)),
        };
        self.ended.send_replace(Some(text));
        result
    }
}

/// What the library would take if we did not say otherwise.
async fn refuse(reply: ChannelOpenHandle) -> Result<(), russh::Error> {
    reply
        .reject(russh::ChannelOpenFailure::AdministrativelyProhibited)
        .await;
    Ok(())
}
