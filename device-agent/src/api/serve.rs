//! Sockets and connections: TCP on both stacks, the unix socket, bounds against clients that hold on.
//!
//! In: accepted connections. Out: requests to the router. Must not know any route.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fs_err as fs;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::either::Either;

/// Connections at a time on each listener; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// For a request's head, and between two requests.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// Headers in a request.
const MAX_HEADERS: usize = 64;
/// Buffer of one connection: bounds the head, and what waits for a slow reader.
const MAX_BUFFER: usize = 64 * 1024;
/// For answers under way when the agent ends.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// After the kernel had no file descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// A peer that vanished is noticed after this and [`PROBES`] more, [`PROBE`] apart.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// Between two probes.
const PROBE: Duration = Duration::from_secs(20);
/// Probes without an answer.
const PROBES: u32 = 3;

/// A listener that could not be opened.
#[derive(Debug, Error)]
pub enum BindError {
    /// TCP.
    #[error("could not listen on {address}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The unix socket.
    #[error("could not listen on {}", path.display())]
    Unix {
        /// Where.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Open listeners.
#[derive(Debug)]
pub(crate) struct Servers {
    listeners: Vec<Listener>,
    socket: PathBuf,
}

/// What answers, by the way on which a request came.
#[derive(Debug, Clone)]
pub(crate) struct Routers {
    pub(crate) tcp: Router,
    pub(crate) unix: Router,
    /// The unix socket again, for who has the rights of root or of the agent itself.
    pub(crate) trusted: Router,
}

impl Routers {
    fn way_of(&self, stream: &Either<TcpStream, UnixStream>) -> Router {
        match stream {
            Either::Left(_) => self.tcp.clone(),
            Either::Right(stream) if is_trusted(stream) => self.trusted.clone(),
            Either::Right(_) => self.unix.clone(),
        }
    }
}

/// The kernel knows who is at the other end.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred();
    peer.is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = tune(&stream) {
                    tracing::debug!(%error, "a connection was taken as it is");
                }
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(PROBE)
        .with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Opens all listeners, or none.
pub(crate) async fn bind(listen: &[SocketAddr], socket: &Path) -> Result<Servers, BindError> {
    let mut listeners = listen
        .iter()
        .map(|&address| {
            bind_tcp(address)
                .map(Listener::Tcp)
                .map_err(|source| BindError::Tcp { address, source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let unix = bind_unix(socket).await.map_err(|source| BindError::Unix {
        path: socket.to_owned(),
        source,
    })?;
    listeners.push(Listener::Unix(unix));
    Ok(Servers {
        listeners,
        socket: socket.to_owned(),
    })
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_on(address) {
        // A kernel without IPv6 still has an IPv4 side to listen on.
        Err(error)
            if address.ip().is_unspecified()
                && address.is_ipv6()
                && error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            listen_on(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                address.port(),
            ))
        }
        result => result,
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.cloexec().nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    // What a killed agent left behind refuses connections; what accepts one is in use. A file refuses them, too.
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    match UnixStream::connect(path).await {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

impl Servers {
    /// Serves until `shutdown` turns true; then lets answers under way end for a moment and removes the unix socket.
    pub(crate) async fn run(self, routers: Routers, shutdown: watch::Receiver<bool>) {
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            serving.spawn(serve(listener, routers.clone(), shutdown.clone()));
        }
        while serving.join_next().await.is_some() {}
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the unix socket was not removed");
        }
    }
}

async fn serve(listener: Listener, routers: Routers, mut shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let stopping = shutdown.clone();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = asked_to_end(&mut shutdown) => break,
            // Reaps what has ended, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            (place, stream) = next => match stream {
                Ok(stream) => {
                    let router = routers.way_of(&stream);
                    let connection = converse(stream, router, stopping.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            },
        }
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, ended).await.is_err() {
        tracing::debug!("connections were cut");
    }
}

async fn converse(
    stream: Either<TcpStream, UnixStream>,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER);
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = asked_to_end(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Returns when the agent ends.
pub(super) async fn asked_to_end(shutdown: &mut watch::Receiver<bool>) {
    // Without a sender there is no agent any more either.
    drop(shutdown.wait_for(|stop| *stop).await);
}
