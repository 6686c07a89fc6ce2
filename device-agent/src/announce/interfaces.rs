//! The interfaces of this machine on which the device is announced, and word of their changes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use if_addrs::{IfAddr, IfOperStatus};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with,
};
use tokio::io::unix::AsyncFd;

use super::Scope;

/// Interfaces beyond this number are left out.
const MOST_INTERFACES: usize = 32;
/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const ADDRESS_GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// An interface with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) v4: Vec<(Ipv4Addr, u8)>,
    pub(super) v6: Vec<(Ipv6Addr, u8)>,
}

impl Interface {
    /// Its addresses as they are told on the network.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let v4 = self.v4.iter().map(|(ip, _)| IpAddr::V4(*ip));
        v4.chain(self.v6.iter().map(|(ip, _)| IpAddr::V6(*ip)))
            .collect()
    }

    /// Whether a packet from that address came from this link and not through a router.
    pub(super) fn is_on_link(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(source) => {
                source.is_link_local()
                    || self.v4.iter().any(|(ip, prefix)| {
                        let shift = 32u32.saturating_sub(u32::from(*prefix));
                        (source.to_bits() ^ ip.to_bits())
                            .checked_shr(shift)
                            .unwrap_or(0)
                            == 0
                    })
            }
            IpAddr::V6(source) => {
                source.is_unicast_link_local()
                    || self.v6.iter().any(|(ip, prefix)| {
                        let shift = 128u32.saturating_sub(u32::from(*prefix));
                        (source.to_bits() ^ ip.to_bits())
                            .checked_shr(shift)
                            .unwrap_or(0)
                            == 0
                    })
            }
        }
    }
}

/// The interfaces that a scope announces on, and every address of this machine.
pub(super) fn list(scope: Scope) -> io::Result<(Vec<Interface>, Vec<IpAddr>)> {
    let found = if_addrs::get_if_addrs()?;
    let every = found.iter().map(if_addrs::Interface::ip).collect();
    let interfaces = match scope {
        Scope::None => Vec::new(),
        Scope::Loopback(address) => found
            .iter()
            .find(|one| one.is_loopback() && one.ip().is_ipv4() == address.is_ipv4())
            .map(|lo| loopback(lo, address))
            .into_iter()
            .collect(),
        Scope::All => gathered(&found),
    };
    Ok((interfaces, every))
}

fn loopback(lo: &if_addrs::Interface, address: IpAddr) -> Interface {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    match address {
        IpAddr::V4(ip) => v4.push((ip, 8)),
        IpAddr::V6(ip) => v6.push((ip, 128)),
    }
    Interface {
        index: lo.index.unwrap_or(1),
        name: lo.name.clone(),
        v4,
        v6,
    }
}

fn gathered(found: &[if_addrs::Interface]) -> Vec<Interface> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for one in found.iter().filter(|one| is_usable(one)) {
        let Some(index) = one.index else { continue };
        let known = interfaces.iter().position(|known| known.index == index);
        let position = known.unwrap_or_else(|| {
            interfaces.push(Interface {
                index,
                name: one.name.clone(),
                v4: Vec::new(),
                v6: Vec::new(),
            });
            interfaces.len().saturating_sub(1)
        });
        let Some(interface) = interfaces.get_mut(position) else {
            continue;
        };
        match &one.addr {
            IfAddr::V4(v4) => interface.v4.push((v4.ip, v4.prefixlen)),
            IfAddr::V6(v6) => interface.v6.push((v6.ip, v6.prefixlen)),
        }
    }
    interfaces.truncate(MOST_INTERFACES);
    interfaces
}

fn is_usable(one: &if_addrs::Interface) -> bool {
    let down = matches!(
        one.oper_status,
        IfOperStatus::Down | IfOperStatus::LowerLayerDown | IfOperStatus::NotPresent
    );
    !one.is_loopback() && !one.is_p2p() && !down && !is_engines(&one.name)
}

/// Interfaces that the container engine made: nobody who looks for the device is behind them, and they come and go with every container.
fn is_engines(name: &str) -> bool {
    let hex_after = |prefix: &str, digits: usize| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() == digits && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    matches!(name, "docker0" | "balena0" | "supervisor0")
        || hex_after("br-", 12)
        || hex_after("veth", 7)
}

/// Word of the kernel that links or addresses changed.
#[derive(Debug)]
pub(super) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Subscribes.
    #[expect(
        deprecated,
        reason = "its fault concerns types whose descriptor can change, and its successor is unsafe to call; an OwnedFd keeps its descriptor"
    )]
    pub(super) fn subscribe() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            // NETLINK_ROUTE is protocol 0.
            None,
        )?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, ADDRESS_GROUPS))?;
        let watched = AsyncFd::new(socket)?;
        Ok(Self(watched))
    }

    /// Returns when something changed since the last call; what it was is read anew anyway.
    pub(super) async fn next(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut buffer = [0u8; 8192];
        loop {
            match recv(self.0.get_ref(), &mut buffer, RecvFlags::empty()) {
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                // NOBUFS: word was lost because so much changed, which is word enough.
                Ok(_) | Err(rustix::io::Errno::NOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> Interface {
        Interface {
            index: 2,
            name: "eth0".into(),
            v4: vec![("10.1.2.3".parse().unwrap(), 24)],
            v6: vec![("2001:db8:1::5".parse().unwrap(), 64)],
        }
    }

    #[test]
    fn only_neighbours_are_on_link() {
        let eth0 = interface();
        for source in ["10.1.2.77", "169.254.3.4", "fe80::1", "2001:db8:1::77"] {
            assert!(eth0.is_on_link(source.parse().unwrap()), "{source}");
        }
        for source in ["10.1.3.77", "8.8.8.8", "2001:db8:2::77"] {
            assert!(!eth0.is_on_link(source.parse().unwrap()), "{source}");
        }
    }

    #[test]
    fn interfaces_of_the_engine_are_left_out_and_others_are_not() {
        for name in ["docker0", "balena0", "br-0123456789ab", "veth12ab34c"] {
            assert!(is_engines(name), "{name}");
        }
        for name in ["eth0", "br-lan", "br0", "veth0", "wlan0", "vethhost"] {
            assert!(!is_engines(name), "{name}");
        }
    }
}
