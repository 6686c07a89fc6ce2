//! Opening a connection: several addresses are tried in a staggered race, and the first that answers wins.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::{
    Lasting, TransportError,
    ssh::{SshError, SshStream},
    tls::{self, TlsServer},
};

/// How long one address may take to answer.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the other side of an SSH connection may take to open a socket there: a busy device answers late.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Head start of an address over the next one, as RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// What a connection attempt is called in errors.
pub(super) const OPERATION: &str = "a connection attempt";

/// An open connection.
pub(super) type Socket =
    Either<TcpStream, Either<UnixStream, Either<SshStream, Box<TlsStream<TcpStream>>>>>;

/// Where a device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Addresses with ports, best first.
    Tcp(Vec<SocketAddr>),
    /// A socket of this machine.
    Unix(PathBuf),
    /// A unix socket of the other side of a connection.
    Ssh {
        /// The connection.
        connection: Lasting,
        /// The socket's path there.
        socket: String,
    },
    /// A port that the other side of a connection reaches.
    SshTcp {
        /// The connection.
        connection: Lasting,
        /// The host, as the other side calls it.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A server of the internet.
    Tls(TlsServer),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(server) => write!(f, "{} port {}", server.host, server.port),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Ssh { connection, socket } => write!(f, "{socket} of {}", connection.peer()),
            Self::SshTcp {
                connection,
                host,
                port,
            } => write!(f, "{host}:{port} of {}", connection.peer()),
            Self::Tcp(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{address}")?;
                }
                Ok(())
            }
        }
    }
}

/// Connects to `endpoint`. The address that answered is returned for TCP.
pub(super) async fn connect(
    peer: &str,
    endpoint: &Endpoint,
) -> Result<(Socket, Option<SocketAddr>), TransportError> {
    match endpoint {
        Endpoint::Unix(path) => unix(peer, path).await.map(|socket| (socket, None)),
        Endpoint::Ssh { connection, socket } => {
            let socket = Channel::Unix(socket);
            let stream = over_ssh(peer, connection, &socket).await?;
            Ok((Either::Right(Either::Right(Either::Left(stream))), None))
        }
        Endpoint::SshTcp {
            connection,
            host,
            port,
        } => {
            let socket = Channel::Tcp(host, *port);
            let stream = over_ssh(peer, connection, &socket).await?;
            Ok((Either::Right(Either::Right(Either::Left(stream))), None))
        }
        Endpoint::Tls(server) => {
            let stream = Box::new(tls::connect(server).await?);
            Ok((Either::Right(Either::Right(Either::Right(stream))), None))
        }
        Endpoint::Tcp(addresses) => race(peer, addresses, CONNECT_TIMEOUT)
            .await
            .map(|(stream, address)| (Either::Left(stream), Some(address))),
    }
}

/// Connects to one of several addresses, best first; says which one answered. `peer` is the device, for words.
///
/// # Errors
/// [`TransportError`] of the first address when none answers.
pub async fn dial(
    peer: &str,
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), TransportError> {
    race(peer, addresses, CONNECT_TIMEOUT).await
}

/// What is opened at the other side of an SSH connection.
enum Channel<'a> {
    Unix(&'a str),
    Tcp(&'a str, u16),
}

async fn over_ssh(
    peer: &str,
    connection: &Lasting,
    socket: &Channel<'_>,
) -> Result<SshStream, TransportError> {
    let refused = |error: SshError| match error {
        SshError::Transport(error) => error,
        error => failed(peer, io::Error::other(error)),
    };
    // The time of connecting anew has bounds of its own.
    let ssh = connection.get().await.map_err(refused)?;
    let opened = async {
        match socket {
            Channel::Unix(path) => ssh.unix(path).await,
            Channel::Tcp(host, port) => ssh.tcp(host, *port).await,
        }
    };
    match timeout(CHANNEL_TIMEOUT, opened).await {
        Ok(opened) => opened.map_err(refused),
        Err(_elapsed) => {
            connection.drop_silent(&ssh).await;
            Err(timed_out(peer, CHANNEL_TIMEOUT))
        }
    }
}

async fn unix(peer: &str, path: &Path) -> Result<Socket, TransportError> {
    match timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(Either::Right(Either::Left(stream))),
        Ok(Err(source)) => Err(failed(peer, source)),
        Err(_) => Err(timed_out(peer, CONNECT_TIMEOUT)),
    }
}

/// An address has `patience` to answer. Starts the next address when the one before has failed or has had its head start.
pub(super) async fn race(
    peer: &str,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), TransportError> {
    let mut waiting = addresses.iter().copied();
    let mut running = JoinSet::new();
    let mut first_error = None;
    let start = |running: &mut JoinSet<_>, address: SocketAddr| {
        running.spawn(async move {
            let stream = timeout(patience, TcpStream::connect(address)).await;
            (address, stream)
        });
    };
    if let Some(address) = waiting.next() {
        start(&mut running, address);
    }
    loop {
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = sleep(STAGGER), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    start(&mut running, address);
                }
                continue;
            }
        };
        let error = match ended {
            Some(Ok((address, Ok(Ok(stream))))) => {
                prepare(&stream);
                return Ok((stream, address));
            }
            Some(Ok((_, Ok(Err(source))))) => failed(peer, source),
            Some(Ok((_, Err(_elapsed)))) => timed_out(peer, patience),
            Some(Err(join)) => failed(peer, io::Error::other(join)),
            None => {
                let nothing = || failed(peer, io::Error::other("no address is known"));
                return Err(first_error.unwrap_or_else(nothing));
            }
        };
        first_error.get_or_insert(error);
        if let Some(address) = waiting.next() {
            start(&mut running, address);
        }
    }
}

/// Small requests go out at once, and a peer that has lost power is noticed within about 15 seconds.
fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(3))
        .with_retries(3);
    // A socket without these options works; only a dead peer is noticed later.
    drop(stream.set_nodelay(true));
    drop(SockRef::from(stream).set_tcp_keepalive(&keepalive));
}

fn failed(peer: &str, source: io::Error) -> TransportError {
    let peer = peer.to_owned();
    match source.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused { peer },
        _ => TransportError::Unreachable { peer, source },
    }
}

fn timed_out(peer: &str, after: Duration) -> TransportError {
    TransportError::Timeout {
        peer: peer.to_owned(),
        operation: OPERATION.to_owned(),
        seconds: after.as_secs(),
    }
}
