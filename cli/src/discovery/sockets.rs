//! Sockets on every usable interface: to ask from, and to hear what is said to all.
//!
//! Questions go out from an ephemeral port, so that answers come straight back and no root and no free port 5353 is needed; the group is
//! joined beside whatever mDNS daemon runs here, because a firewall may let only that in.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    sync::Arc,
};

use if_addrs::IfOperStatus;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinSet};

use super::{
    DiscoveryError,
    wire::{LARGEST, PORT},
};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Interfaces and families beyond this number are left out.
const MOST_LINKS: usize = 64;
/// Packets that may wait; 50 devices answer at once on several links.
const QUEUE: usize = 1024;

/// A packet that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) bytes: Vec<u8>,
    pub(super) source: SocketAddr,
    /// Index of the interface; 0 when it came to no interface's socket.
    pub(super) link: u32,
}

/// An interface's address to ask from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) ip: IpAddr,
    pub(super) index: u32,
}

/// The sockets of one interface and family.
#[derive(Debug)]
struct Link {
    /// Port of its own.
    asker: Arc<UdpSocket>,
    /// The mDNS port, where it can be shared.
    shared: Option<Arc<UdpSocket>>,
    group: SocketAddr,
}

/// All sockets of a search.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) places: Vec<Place>,
    links: Vec<Link>,
    /// Asks addresses that are known already.
    direct: Vec<Arc<UdpSocket>>,
    heard: mpsc::Receiver<Heard>,
    // Dropped with the sockets: ends the readers.
    _readers: JoinSet<()>,
}

/// The addresses of this machine to ask from: one for each interface and family.
pub(super) fn places() -> Result<Vec<Place>, DiscoveryError> {
    let mut places: Vec<Place> = Vec::new();
    let mut interfaces = if_addrs::get_if_addrs().map_err(DiscoveryError::Interfaces)?;
    // Link-local first: multicast between neighbours is its purpose.
    interfaces.sort_by_key(|one| match one.ip() {
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) => 1 + u8::from(!ip.is_unicast_link_local()),
    });
    for one in interfaces {
        let Some(index) = one.index else { continue };
        let down = matches!(
            one.oper_status,
            IfOperStatus::Down | IfOperStatus::LowerLayerDown | IfOperStatus::NotPresent
        );
        // Nobody is behind the loopback interface's IPv6 address: simulated devices have IPv4 ones.
        let idle = down || one.is_p2p() || (one.is_loopback() && one.ip().is_ipv6());
        let known =
            |place: &Place| place.index == index && place.ip.is_ipv4() == one.ip().is_ipv4();
        if !idle && !places.iter().any(known) {
            places.push(Place {
                ip: one.ip(),
                index,
            });
        }
    }
    places.truncate(MOST_LINKS);
    places.sort_unstable();
    Ok(places)
}

impl Sockets {
    /// Opens sockets on all places where that is possible.
    ///
    /// # Errors
    /// [`DiscoveryError::NoSocket`] when it is possible nowhere.
    pub(super) fn open(places: Vec<Place>) -> Result<Self, DiscoveryError> {
        let (sender, heard) = mpsc::channel(QUEUE);
        let mut readers = JoinSet::new();
        let mut links = Vec::new();
        let mut fault = None;
        for place in &places {
            let asker = match asker(*place) {
                Ok(asker) => Arc::new(asker),
                Err(error) => {
                    fault = Some(error);
                    continue;
                }
            };
            let group = group(*place);
            readers.spawn(read(Arc::clone(&asker), place.index, sender.clone()));
            let shared = shared(group, *place).ok().map(Arc::new);
            if let Some(shared) = &shared {
                readers.spawn(read(Arc::clone(shared), place.index, sender.clone()));
            }
            links.push(Link {
                asker,
                shared,
                group,
            });
        }
        if links.is_empty() {
            let none = || io::Error::from(io::ErrorKind::NetworkUnreachable);
            return Err(DiscoveryError::NoSocket(fault.unwrap_or_else(none)));
        }
        let mut direct = Vec::new();
        for any in [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ] {
            // A machine without one of the families has no known address in it either.
            if let Ok(socket) = bound(any) {
                let socket = Arc::new(socket);
                readers.spawn(read(Arc::clone(&socket), 0, sender.clone()));
                direct.push(socket);
            }
        }
        Ok(Self {
            places,
            links,
            direct,
            heard,
            _readers: readers,
        })
    }

    /// Asks on every link; answers come to this socket alone.
    pub(super) async fn ask(&self, question: &[u8]) {
        for link in &self.links {
            // What cannot be sent is a lost packet, and lost packets are sent again.
            drop(link.asker.send_to(question, link.group).await);
        }
    }

    /// Asks on every link from the mDNS port; answers go to all.
    pub(super) async fn ask_aloud(&self, question: &[u8]) {
        for link in &self.links {
            if let Some(shared) = &link.shared {
                drop(shared.send_to(question, link.group).await);
            }
        }
    }

    /// Asks one address, which may be where multicast does not reach.
    pub(super) async fn ask_at(&self, question: &[u8], target: SocketAddr) {
        let fitting = self.direct.iter().find(|socket| {
            socket
                .local_addr()
                .is_ok_and(|own| own.is_ipv4() == target.is_ipv4())
        });
        if let Some(socket) = fitting {
            drop(socket.send_to(question, target).await);
        }
    }

    /// The next packet.
    pub(super) async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            // All readers have ended: nothing will be heard any more.
            None => std::future::pending().await,
        }
    }

    /// A packet that is here already.
    pub(super) fn waiting(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }
}

fn group(place: Place) -> SocketAddr {
    match place.ip {
        IpAddr::V4(_) => SocketAddr::from((GROUP_V4, PORT)),
        IpAddr::V6(_) => SocketAddr::V6(SocketAddrV6::new(GROUP_V6, PORT, 0, place.index)),
    }
}

fn udp(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp(address)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn send_there(socket: &Socket, place: Place) -> io::Result<()> {
    match place.ip {
        IpAddr::V4(ip) => {
            socket.set_multicast_if_v4(&ip)?;
            socket.set_multicast_ttl_v4(255)?;
            socket.set_multicast_loop_v4(true)
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(place.index)?;
            socket.set_multicast_hops_v6(255)?;
            socket.set_multicast_loop_v6(true)
        }
    }
}

fn asker(place: Place) -> io::Result<UdpSocket> {
    let own = match place.ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, 0)),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, place.index)),
    };
    let socket = udp(own)?;
    socket.bind(&own.into())?;
    send_there(&socket, place)?;
    UdpSocket::from_std(socket.into())
}

/// Bound to the group itself: hears what is said to all, and takes no packet that was meant for a daemon of this machine.
fn shared(group: SocketAddr, place: Place) -> io::Result<UdpSocket> {
    let socket = udp(group)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    match group.ip() {
        IpAddr::V4(ip) => {
            socket.set_multicast_all_v4(false)?;
            socket.bind(&group.into())?;
            socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(place.index))?;
        }
        IpAddr::V6(ip) => {
            socket.set_multicast_all_v6(false)?;
            socket.bind(&group.into())?;
            socket.join_multicast_v6(&ip, place.index)?;
        }
    }
    send_there(&socket, place)?;
    UdpSocket::from_std(socket.into())
}

async fn read(socket: Arc<UdpSocket>, link: u32, heard: mpsc::Sender<Heard>) {
    let mut buffer = vec![0u8; LARGEST.saturating_add(1)];
    loop {
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else {
            // The interface is gone; a watcher opens new sockets, a scan has others.
            return;
        };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let packet = Heard {
            bytes,
            source,
            link,
        };
        if heard.send(packet).await.is_err() {
            return;
        }
    }
}
