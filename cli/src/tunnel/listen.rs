//! Listening here: addresses, ports, unix sockets.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket as Raw, Type};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket, UnixListener},
    time::sleep,
};
use tokio_util::either::Either;

use super::{Forward, From, Local, Protocol, TunnelError};

/// Connections that wait in the kernel.
const BACKLOG: i32 = 256;
/// How often a free port is looked for that is free on both addresses of loopback.
const TRIES: usize = 16;
/// How long nothing is taken when the system has no room for more.
const NO_ROOM: Duration = Duration::from_millis(200);

/// A forward that is listened for.
#[derive(Debug)]
pub struct Bound {
    pub(super) forward: Forward,
    pub(super) listeners: Vec<Listener>,
    /// One for each address of this machine, beside one that listens at all of them for datagrams: an answer comes from the address that was
    /// asked.
    pub(super) beside: Vec<UdpSocket>,
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Made),
    Udp(UdpSocket),
}

/// A socket's file, which goes with its listener.
#[derive(Debug)]
pub(super) struct Made {
    path: PathBuf,
    /// Which file it is, by its device and number: another one may be there later.
    file: Option<(u64, u64)>,
}

/// A connection that was taken here.
pub(super) type Socket = Either<TcpStream, tokio::net::UnixStream>;

/// Listens for all of them, or for none.
///
/// # Errors
/// [`TunnelError::Listen`] with the place that cannot be had.
pub fn bind(forwards: Vec<Forward>) -> Result<Vec<Bound>, TunnelError> {
    let bound = forwards.into_iter().map(|forward| {
        let listeners = match &forward.local {
            Local::Unix(path) => unix(path).map(|listener| vec![listener]),
            Local::Port(host, port) => addresses(forward.protocol, &host.addresses(*port)),
        };
        match listeners {
            Ok(listeners) => Ok(Bound {
                forward,
                beside: beside(&listeners),
                listeners,
            }),
            Err(source) => Err(TunnelError::Listen {
                at: forward.local.to_string(),
                forward: Box::new(forward),
                source,
            }),
        }
    });
    bound.collect()
}

impl Bound {
    /// Where it listens, as it has turned out.
    pub(super) fn places(&self) -> Vec<String> {
        let place = |listener: &Listener| match listener {
            Listener::Tcp(listener) => listener.local_addr().map(|at| at.to_string()),
            Listener::Udp(socket) => socket.local_addr().map(|at| at.to_string()),
            Listener::Unix(_, made) => Ok(made.path.display().to_string()),
        };
        self.listeners
            .iter()
            .filter_map(|listener| place(listener).ok())
            .collect()
    }
}

/// The first address has to be had, the others only if this machine has them: a port that somebody else has on one of them would take
/// a part of those who connect.
fn addresses(protocol: Protocol, addresses: &[SocketAddr]) -> io::Result<Vec<Listener>> {
    let Some((first, others)) = addresses.split_first() else {
        return Ok(Vec::new());
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let listener = internet(protocol, *first)?;
        let port = match &listener {
            Listener::Tcp(listener) => listener.local_addr()?.port(),
            Listener::Udp(socket) => socket.local_addr()?.port(),
            Listener::Unix(..) => 0,
        };
        let mut listeners = vec![listener];
        let mut taken = None;
        for other in others {
            let mut other = *other;
            other.set_port(port);
            match internet(protocol, other) {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = Some(error),
                // There is no such address here.
                Err(_) => {}
            }
        }
        match taken {
            None => return Ok(listeners),
            Some(_) if first.port() == 0 && tries < TRIES => {}
            Some(error) => return Err(error),
        }
    }
}

fn internet(protocol: Protocol, address: SocketAddr) -> io::Result<Listener> {
    let kind = match protocol {
        Protocol::Stream => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Raw::new(Domain::for_address(address), kind.nonblocking(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if protocol == Protocol::Udp {
        socket.bind(&address.into())?;
        return Ok(Listener::Udp(UdpSocket::from_std(socket.into())?));
    }
    // A port whose last connections are fading away is free.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener::Tcp(TcpListener::from_std(socket.into())?))
}

/// An address that cannot be had, or comes later, is served by the one that listens at all.
fn beside(listeners: &[Listener]) -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for listener in listeners {
        let Listener::Udp(all) = listener else {
            continue;
        };
        let Some(at) = all.local_addr().ok().filter(|at| at.ip().is_unspecified()) else {
            continue;
        };
        let own = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
        let own = own.map(|interface| address(&interface, at.port()));
        let own = own.filter(|own| own.is_ipv6() == at.is_ipv6());
        // Only we share the port, and only now: who else had it was found out before.
        let share = |socket: socket2::SockRef<'_>, is_shared| socket.set_reuse_address(is_shared);
        if share(all.into(), true).is_err() {
            continue;
        }
        let one = |own: SocketAddr| {
            let socket = Raw::new(Domain::for_address(own), Type::DGRAM.nonblocking(), None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&own.into())?;
            UdpSocket::from_std(socket.into())
        };
        let first = sockets.len();
        sockets.extend(own.filter_map(|own| one(own).ok()));
        for socket in sockets.iter().skip(first).chain([all]) {
            // Where it fails, who asks for it may have the port, too.
            drop(share(socket.into(), false));
        }
    }
    sockets
}

fn address(interface: &if_addrs::Interface, port: u16) -> SocketAddr {
    match interface.ip() {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, port, 0, interface.index.unwrap_or(0)).into()
        }
        ip => SocketAddr::new(ip, port),
    }
}

/// Only we may connect. A socket on which nobody listens any more is replaced.
fn unix(path: &Path) -> io::Result<Listener> {
    let socket = Raw::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let address = SockAddr::unix(path)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_forsaken(path) {
            return Err(error);
        }
        fs_err::remove_file(path)?;
        socket.bind(&address)?;
    }
    let made = Made {
        path: path.to_owned(),
        file: file(path),
    };
    // Nobody can connect before it listens.
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(Listener::Unix(UnixListener::from_std(socket.into())?, made))
}

fn is_forsaken(path: &Path) -> bool {
    let is_socket = fs_err::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    // Somebody who is slow to take connections must not hold us up.
    let connected = Raw::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
        .and_then(|socket| socket.connect(&SockAddr::unix(path)?));
    is_socket && connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn file(path: &Path) -> Option<(u64, u64)> {
    let found = fs_err::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.file.is_some() && file(&self.path) == self.file {
            // Somebody may have removed it.
            drop(fs_err::remove_file(&self.path));
        }
    }
}

impl Listener {
    /// The next one who connects.
    pub(super) async fn accept(&self) -> (Socket, From) {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                    // One that is gone already says so when it is read.
                    drop(stream.set_nodelay(true));
                    (Either::Left(stream), From::Address(from))
                }),
                Self::Unix(listener, _) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| (Either::Right(stream), From::Here)),
                Self::Udp(_) => std::future::pending().await,
            };
            match accepted {
                Ok(accepted) => return accepted,
                // Too many files are open: the kernel keeps who connects waiting, and tells us of nothing.
                Err(_) => sleep(NO_ROOM).await,
            }
        }
    }
}

/// Ends a connection so that the other side learns that it was no proper end.
pub(super) fn reset(socket: &Socket) {
    if let Either::Left(stream) = socket {
        // A connection that is gone cannot be reset, and need not be.
        drop(socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)));
    }
}

/// Connects to a place here.
pub(super) async fn connect(place: &Local) -> io::Result<Socket> {
    match place {
        Local::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            Ok(Socket::Right(stream))
        }
        Local::Port(host, port) => {
            let addresses = host.addresses(*port);
            let stream = TcpStream::connect(addresses.as_slice()).await?;
            stream.set_nodelay(true)?;
            Ok(Socket::Left(stream))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Theirs;

    use super::*;

    #[tokio::test]
    async fn a_socket_of_another_program_at_our_path_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let ours = unix(&path).unwrap();
        fs_err::remove_file(&path).unwrap();
        let theirs = Theirs::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
        drop(unix(&path).unwrap());
        assert!(!path.exists(), "ours goes with us");
    }

    #[tokio::test]
    async fn somebody_who_takes_no_connections_is_there_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let theirs = Raw::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = SockAddr::unix(&path).unwrap();
        theirs.bind(&address).unwrap();
        theirs.listen(0).unwrap();
        let mut waiting = Vec::new();
        // Until its queue is full.
        loop {
            let client = Raw::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
            let connected = client.connect(&address);
            waiting.push(client);
            if let Err(error) = connected {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
        assert!(!is_forsaken(&path));
    }
}
