//! Sockets and connections: TCP on both stacks, the unix socket, bounds against clients that hold on.
//!
//! In: accepted connections. Out: requests to the router. Must not know any route.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

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
/// A peer that vanished is noticed after this and three probes.
const KEEPALIVE: Duration = Duration::from_mins(1);

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
    tcp: Vec<TcpListener>,
    unix: UnixListener,
    socket: PathBuf,
}

/// Opens all listeners, or none.
pub(crate) async fn bind(listen: &[SocketAddr], socket: &Path) -> Result<Servers, BindError> {
    let tcp = listen
        .iter()
        .map(|&address| {
            bind_tcp(address).map_err(|source| BindError::Tcp { address, source })
        })
        .collect::<Result<_, _>>()?;
    let unix = bind_unix(socket).await.map_err(|source| BindError::Unix {
        path: socket.to_owned(),
        source,
    })?;
    Ok(Servers {
        tcp,
        unix,
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
    // What a killed agent left behind refuses connections; what accepts one is in use.
    match UnixStream::connect(path).await {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

impl Servers {
    /// Serves until `shutdown` turns true; then lets answers under way end for a moment and removes the unix socket.
    pub(crate) async fn run(self, router: Router, shutdown: watch::Receiver<bool>) {
        let mut listeners = JoinSet::new();
        for listener in self.tcp {
            let (router, shutdown) = (router.clone(), shutdown.clone());
            listeners.spawn(async move {
                let accept = async || {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                    Ok(stream)
                };
                serve(accept, router, shutdown).await;
            });
        }
        let unix = self.unix;
        listeners.spawn(async move {
            let accept = async || Ok(unix.accept().await?.0);
            serve(accept, router, shutdown).await;
        });
        while listeners.join_next().await.is_some() {}
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the unix socket was not removed");
        }
    }
}

async fn serve<S>(
    accept: impl AsyncFn() -> io::Result<S>,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let stopping = shutdown.clone();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept().await)
        };
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            // Reaps what has ended, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            (place, stream) = next => match stream {
                Ok(stream) => {
                    let connection = converse(stream, router.clone(), stopping.clone());
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

async fn converse<S>(stream: S, router: Router, mut shutdown: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
        _ = shutdown.wait_for(|stop| *stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}
