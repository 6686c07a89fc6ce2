//! Addresses that a device can have in a network.
//!
//! In: addresses with the bits of their networks. Out: whether they can be. Pure.

use std::net::IpAddr;

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

fn mask(bits: u8) -> u32 {
    u32::MAX
        .checked_shl(u32::from(32_u8.saturating_sub(bits)))
        .unwrap_or(0)
}
