//! From addresses to a connection on which we have been let in.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex as Lock, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::BoxFuture;
use russh::{
    SshId,
    client::{self, Handle},
};
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::lookup_host,
    sync::{Mutex, mpsc, watch},
    time::timeout,
};

use super::{
    AlgorithmLists, HostKey, HostKeyDecision, HostKeyRefusal, Passphrase, Place, Ssh, SshError,
    SshTarget, authenticate,
    handler::{Client, Ended, Question, WAITING},
    host_keys::HostName,
    own::Own,
    traffic::Traffic,
};
use crate::transport::{Endpoint, cloud_tunnel, connect as sockets};

/// How long the exchange of keys may take, without the time that a person takes to decide: an old board computes for seconds.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// When nothing is heard for as long, the server is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// So many questions without an answer are the end.
const UNANSWERED: usize = 3;
/// What the other side may send of a channel before we have taken it, in bytes. It hears of more room when half of it is used: so half of it is on its way at
/// least, which is 200 MB/s with 20 ms there and back.
const WINDOW: u32 = 8 << 20;
/// Messages of a channel between the library and us.
const BUFFERED: usize = 32;

/// Decides about a server's key. May wait for a person.
pub type HostKeyAsk =
    Arc<dyn Fn(Server, HostKey) -> BoxFuture<'static, HostKeyDecision> + Send + Sync>;

/// Whether a server's key is known at this moment; nobody is asked.
pub type HostKeyKnown = Arc<dyn Fn(&Server, &HostKey) -> bool + Send + Sync>;

/// The passphrase of the key in a file; `None` when nobody gives one. The flag says that the one before was wrong.
pub type PassphraseAsk =
    Arc<dyn Fn(PathBuf, bool) -> BoxFuture<'static, Option<Passphrase>> + Send + Sync>;

/// A server whose key is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What a person calls it: [`SshTarget::name`].
    pub name: String,
    /// Whose key it has to show: [`SshTarget::host`].
    pub host: HostName,
}

/// What a person may have to decide.
#[derive(Clone)]
pub struct Asks {
    /// Whether a server is the one that is meant.
    pub host_key: HostKeyAsk,
    /// Whether it is known to be.
    pub is_known: HostKeyKnown,
    /// What opens a key.
    pub passphrase: PassphraseAsk,
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asks").finish_non_exhaustive()
    }
}

/// What a connection leaves in our hands.
struct Opened {
    handle: Handle<Client>,
    ended: Ended,
    places: super::handler::Places,
    forwarded: mpsc::Receiver<super::Forwarded>,
    traffic: Arc<Traffic>,
}

pub(super) fn connect<'a>(
    target: &'a SshTarget,
    asks: &'a Asks,
) -> BoxFuture<'a, Result<Own, SshError>> {
    Box::pin(async move {
        let jump = match &target.jump {
            Some(jump) => Some(Ssh::own(connect(jump, asks).await?)),
            None => None,
        };
        let (mut opened, peer, address) = match &jump {
            Some(jump) => through(jump, target, asks).await?,
            None => directly(target, asks).await?,
        };
        let entered = authenticate::authenticate(&mut opened.handle, &peer, target, asks).await;
        entered.map_err(|error| explained(error, &opened.ended))?;
        Ok(Own {
            handle: opened.handle,
            peer,
            address,
            ended: opened.ended,
            places: opened.places,
            forwarded: Mutex::new(opened.forwarded),
            traffic: opened.traffic,
            has_room: AtomicBool::new(false),
            _jump: jump,
        })
    })
}

/// The library says only that it is over; why has been heard elsewhere.
fn explained(error: SshError, ended: &Ended) -> SshError {
    let reason = ended.borrow().clone();
    match (error, reason) {
        (
            SshError::Gone {
                peer, operation, ..
            },
            Some(reason),
        ) => SshError::Gone {
            peer,
            operation,
            source: reason.into(),
        },
        (error, _) => error,
    }
}

async fn directly(
    target: &SshTarget,
    asks: &Asks,
) -> Result<(Opened, String, Option<SocketAddr>), SshError> {
    let addresses = match &target.place {
        Place::Cloud(tunnel) => {
            let peer = format!("{} (through {})", target.name, tunnel.server.host);
            let stream = cloud_tunnel::open(tunnel).await?;
            let opened = shake_hands(stream, &peer, target, asks).await?;
            return Ok((opened, peer, None));
        }
        Place::Addresses(addresses) => addresses.clone(),
        Place::Host(host, port) => {
            let found = lookup_host((host.as_str(), *port)).await;
            let found = found.map_err(|source| SshError::Name {
                host: host.clone(),
                source,
            })?;
            found.collect()
        }
    };
    let peer = format!("{} ({})", target.name, Endpoint::Tcp(addresses.clone()));
    let patience = target.connect_timeout.unwrap_or(sockets::CONNECT_TIMEOUT);
    let (socket, address) = sockets::race(&peer, &addresses, patience).await?;
    // While what was sent is not acknowledged nothing else is, and no question whether it is there. Without it the peer is given up later.
    drop(SockRef::from(&socket).set_tcp_user_timeout(Some(silence(target))));
    let peer = format!("{} ({address})", target.name);
    let opened = shake_hands(socket, &peer, target, asks).await?;
    Ok((opened, peer, Some(address)))
}

async fn through(
    jump: &Ssh,
    target: &SshTarget,
    asks: &Asks,
) -> Result<(Opened, String, Option<SocketAddr>), SshError> {
    let places = match &target.place {
        Place::Host(host, port) => vec![(host.clone(), *port)],
        // It is reached from here, and by TLS.
        Place::Cloud(_) => Vec::new(),
        Place::Addresses(addresses) => {
            let addresses = addresses.iter();
            addresses
                .map(|address| (address.ip().to_string(), address.port()))
                .collect()
        }
    };
    let mut last = None;
    for (host, port) in places {
        match jump.tcp(&host, port).await {
            Ok(stream) => {
                let peer = format!(
                    "{} ({host} port {port}, through {})",
                    target.name,
                    jump.peer()
                );
                let opened = shake_hands(stream, &peer, target, asks).await?;
                return Ok((opened, peer, None));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| SshError::Name {
        host: target.name.clone(),
        source: std::io::Error::other("no address is known"),
    }))
}

/// How often a silent server is asked whether it is there, and how many questions may be left unanswered.
fn keep_alive(target: &SshTarget) -> (Duration, usize) {
    let (interval, unanswered) = target.keep_alive;
    let unanswered = unanswered.and_then(|count| usize::try_from(count).ok());
    // To the library none is no end, to OpenSSH the end at once.
    let unanswered = unanswered.map_or(UNANSWERED, |count| count.max(1));
    (interval.unwrap_or(KEEP_ALIVE), unanswered)
}

/// After what time a silent server is given up.
fn silence(target: &SshTarget) -> Duration {
    let (interval, unanswered) = keep_alive(target);
    let questions = u32::try_from(unanswered)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    interval.saturating_mul(questions)
}

fn config(target: &SshTarget, peer: &str) -> Result<client::Config, SshError> {
    let offered = target
        .algorithms
        .offered(&target.known_key_kinds, &target.lists);
    let preferred = offered.map_err(|kind| SshError::Excluded {
        peer: peer.to_owned(),
        kind: kind.to_owned(),
        theirs: Vec::new(),
    })?;
    let (interval, unanswered) = keep_alive(target);
    Ok(client::Config {
        client_id: SshId::Standard(concat!("SSH-2.0-os_", env!("CARGO_PKG_VERSION")).into()),
        preferred,
        window_size: WINDOW,
        keepalive_interval: Some(interval),
        keepalive_max: unanswered,
        nodelay: true,
        channel_buffer_size: BUFFERED,
        ..client::Config::default()
    })
}

/// Exchanges keys. The server has proven that it has its key before that is put before anybody.
async fn shake_hands(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &str,
    target: &SshTarget,
    asks: &Asks,
) -> Result<Opened, SshError> {
    let (questions, mut asked) = mpsc::channel::<Question>(1);
    let (forwarding, forwarded) = mpsc::channel(WAITING);
    let (ending, ended) = watch::channel(None);
    let places = Arc::new(Lock::new(HashMap::new()));
    let traffic = Traffic::new(&target.spool);
    let client = Client {
        questions,
        accepted: None,
        places: Arc::clone(&places),
        forwarded: forwarding,
        ended: ending,
        traffic: Arc::clone(&traffic),
    };
    let connecting = client::connect_stream(Arc::new(config(target, peer)?), socket, client);
    tokio::pin!(connecting);
    let first = timeout(HANDSHAKE, async {
        tokio::select! {
            biased;
            Some(question) = asked.recv() => Err(question),
            handle = &mut connecting => Ok(handle),
        }
    });
    let handle = match first.await.map_err(|_| late(peer))? {
        Ok(handle) => handle,
        Err(Question { key, answer }) => {
            let decide = &asks.host_key;
            let server = Server {
                name: target.name.clone(),
                host: target.host.clone(),
            };
            if let HostKeyDecision::Refuse(why) = decide(server, key.clone()).await {
                return Err(refused(peer, &key, why));
            }
            // Who does not wait for the answer has ended, and says so below.
            let _is_heard = answer.send(true).is_ok();
            timeout(HANDSHAKE, connecting)
                .await
                .map_err(|_| late(peer))?
        }
    };
    Ok(Opened {
        handle: handle.map_err(|error| failed(peer, error, &target.lists))?,
        ended,
        places,
        forwarded,
        traffic,
    })
}

fn refused(peer: &str, key: &HostKey, why: HostKeyRefusal) -> SshError {
    SshError::HostKey {
        peer: peer.to_owned(),
        algorithm: key.algorithm().to_owned(),
        fingerprint: key.fingerprint(),
        why,
    }
}

fn late(peer: &str) -> SshError {
    SshError::Handshake {
        peer: peer.to_owned(),
        source: format!("it took longer than {} s", HANDSHAKE.as_secs()).into(),
    }
}

fn failed(peer: &str, error: russh::Error, lists: &AlgorithmLists) -> SshError {
    let peer = peer.to_owned();
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } if is_chosen(&kind, lists) => {
            SshError::Excluded {
                peer,
                kind: kind_of(&kind).to_owned(),
                theirs,
            }
        }
        russh::Error::NoCommonAlgo { kind, theirs, .. } => SshError::Old {
            peer,
            kind: kind_of(&kind).to_owned(),
            theirs,
        },
        error => {
            let source: Box<dyn Error + Send + Sync> = Box::new(error);
            SshError::Handshake { peer, source }
        }
    }
}

/// Whether a person has said which algorithms of the kind are offered.
fn is_chosen(kind: &russh::AlgorithmKind, lists: &AlgorithmLists) -> bool {
    let list = match kind {
        russh::AlgorithmKind::Kex => &lists.kex,
        russh::AlgorithmKind::Key => &lists.host_keys,
        russh::AlgorithmKind::Cipher => &lists.ciphers,
        russh::AlgorithmKind::Mac => &lists.macs,
        russh::AlgorithmKind::Compression => return false,
    };
    list.is_some()
}

fn kind_of(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange",
        russh::AlgorithmKind::Key => "kind of key",
        russh::AlgorithmKind::Cipher => "cipher",
        russh::AlgorithmKind::Compression => "compression",
        russh::AlgorithmKind::Mac => "check sum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_silent_is_given_up_whatever_is_written() {
        let host = HostName::host("x", 22).unwrap();
        let mut target = SshTarget::new("x", host, Place::Addresses(Vec::new()));
        for (written, meant) in [(None, UNANSWERED), (Some(0), 1), (Some(7), 7)] {
            target.keep_alive.1 = written;
            let config = config(&target, "x").unwrap();
            assert_eq!(config.keepalive_max, meant, "{written:?}");
        }
    }

    #[test]
    fn who_says_which_algorithms_are_offered_is_told_that_there_are_none() {
        let failed = |lists: &AlgorithmLists| {
            let error = russh::Error::NoCommonAlgo {
                kind: russh::AlgorithmKind::Cipher,
                ours: Vec::new(),
                theirs: vec!["aes128-ctr".to_owned()],
            };
            failed("x", error, lists)
        };
        let mut lists = AlgorithmLists::default();
        assert!(matches!(failed(&lists), SshError::Old { .. }));
        lists.ciphers = Some(crate::transport::ssh::config::AlgorithmList {
            how: crate::transport::ssh::config::Combine::Replace,
            names: vec!["aes256-ctr".to_owned()],
        });
        let text = failed(&lists).to_string();
        assert!(
            text.contains("no cipher that it offers: aes128-ctr"),
            "{text}"
        );
    }
}
