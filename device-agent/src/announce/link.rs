//! One interface and address family: the sockets to hear queries and to answer them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{
    interfaces::Interface,
    message::{LARGEST, PORT},
    zone::Record,
};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Identity of a link: interface index and address family.
pub(super) type LinkId = (u32, Family);

/// Address family of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What a link heard.
#[derive(Debug)]
pub(super) enum Heard {
    Packet {
        link: LinkId,
        bytes: Vec<u8>,
        source: SocketAddr,
    },
    /// The link's sockets are of no use any more.
    Broken { link: LinkId, because: io::Error },
}

/// One interface and address family.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) interface: Interface,
    /// Sends, and hears what is sent to this host alone. Answers come from its address, by which clients know the device.
    speaker: Arc<UdpSocket>,
    group: SocketAddr,
    readers: Vec<AbortHandle>,
    /// Announcements that are still to be made.
    pub(super) announce: Vec<Instant>,
    /// A multicast answer that is being gathered, and when it goes out.
    pub(super) pending: Option<(Instant, Vec<Record>)>,
    /// When the last multicast answer went out.
    pub(super) answered: Option<Instant>,
}

impl Link {
    /// Opens the sockets and starts to listen.
    pub(super) fn open(
        interface: &Interface,
        family: Family,
        heard: &mpsc::Sender<Heard>,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Self> {
        let id = (interface.index, family);
        let own = match family {
            Family::V4 => interface
                .v4
                .first()
                .map(|(ip, _)| SocketAddr::from((*ip, PORT))),
            Family::V6 => link_local(interface).map(|ip| scoped(ip, interface.index)),
        };
        let own = own.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let group = match family {
            Family::V4 => SocketAddr::from((GROUP_V4, PORT)),
            Family::V6 => scoped(GROUP_V6, interface.index),
        };
        let listener = Arc::new(listener(group, interface.index)?);
        let speaker = Arc::new(speaker(own, interface.index)?);
        let readers = [listener, Arc::clone(&speaker)]
            .into_iter()
            .map(|socket| tasks.spawn(read(socket, id, heard.clone())))
            .collect();
        Ok(Self {
            id,
            interface: interface.clone(),
            speaker,
            group,
            readers,
            announce: Vec::new(),
            pending: None,
            answered: None,
        })
    }

    /// Sends to all of the link.
    pub(super) async fn to_all(&self, bytes: &[u8]) {
        self.to(bytes, self.group).await;
    }

    /// Sends to one of the link. A packet that cannot be sent is a lost packet.
    pub(super) async fn to(&self, bytes: &[u8], target: SocketAddr) {
        if let Err(error) = self.speaker.send_to(bytes, target).await {
            tracing::debug!(interface = %self.interface.name, %target, %error, "mDNS packet not sent");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

fn link_local(interface: &Interface) -> Option<Ipv6Addr> {
    let mut ips = interface.v6.iter().map(|(ip, _)| *ip);
    ips.clone()
        .find(Ipv6Addr::is_unicast_link_local)
        .or_else(|| ips.next())
}

fn scoped(ip: Ipv6Addr, index: u32) -> SocketAddr {
    SocketAddr::V6(SocketAddrV6::new(ip, PORT, 0, index))
}

/// Shares the port with whatever else speaks mDNS on this machine.
fn shared(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Hears the group on one interface only.
fn listener(group: SocketAddr, index: u32) -> io::Result<UdpSocket> {
    let socket = shared(group)?;
    match group.ip() {
        IpAddr::V4(ip) => {
            socket.set_multicast_all_v4(false)?;
            socket.bind(&group.into())?;
            socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(index))?;
        }
        IpAddr::V6(ip) => {
            socket.set_multicast_all_v6(false)?;
            socket.bind(&group.into())?;
            socket.join_multicast_v6(&ip, index)?;
        }
    }
    UdpSocket::from_std(socket.into())
}

fn speaker(own: SocketAddr, index: u32) -> io::Result<UdpSocket> {
    let socket = shared(own)?;
    socket.bind(&own.into())?;
    match own.ip() {
        IpAddr::V4(ip) => {
            socket.set_multicast_if_v4(&ip)?;
            socket.set_multicast_ttl_v4(255)?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_ttl_v4(255)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_hops_v6(255)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_unicast_hops_v6(255)?;
        }
    }
    UdpSocket::from_std(socket.into())
}

async fn read(socket: Arc<UdpSocket>, link: LinkId, heard: mpsc::Sender<Heard>) {
    let mut buffer = vec![0u8; LARGEST.saturating_add(1)];
    loop {
        let news = match socket.recv_from(&mut buffer).await {
            Ok((length, source)) => Heard::Packet {
                link,
                bytes: buffer.get(..length).unwrap_or_default().to_vec(),
                source,
            },
            Err(because) => Heard::Broken { link, because },
        };
        let last = matches!(news, Heard::Broken { .. });
        if heard.send(news).await.is_err() || last {
            return;
        }
    }
}
