//! Addresses that a device can have in a network, and ways out of it.
//!
//! In: addresses with the bits of their networks. Out: whether they can be. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether one device alone can have an address, whatever its network.
pub(super) fn is_of_one(ip: &IpAddr) -> bool {
    let is_special = match ip {
        // All of 0.0.0.0/8 is "this network".
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets().first() == Some(&0),
        IpAddr::V6(_) => false,
    };
    !is_special && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast()
}

/// Whether it is that of its network, or the one of all who are in it.
pub(super) fn is_edge(ip: &IpAddr, bits: u8) -> bool {
    let IpAddr::V4(ip) = ip else {
        return false;
    };
    // Two devices, or one, have no such addresses.
    if bits >= 31 {
        return false;
    }
    let own = ip.to_bits() & !mask(bits);
    own == 0 || own == !mask(bits)
}

/// Whether an address is in the network of another one.
pub(super) fn is_within(ip: &IpAddr, (network, bits): (&IpAddr, u8)) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = mask(bits);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX
                .checked_shl(u32::from(128_u8.saturating_sub(bits)))
                .unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

/// Whether it is one of the wire itself, which is reached whatever addresses there are.
pub(super) fn is_of_link(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::is_link_local(ip),
        IpAddr::V6(ip) => Ipv6Addr::is_unicast_link_local(ip),
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX
        .checked_shl(u32::from(32_u8.saturating_sub(bits)))
        .unwrap_or(0)
}
