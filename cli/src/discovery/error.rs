//! What can go wrong while a device is looked for.

use std::{io, net::IpAddr};

use super::Device;

/// A device could not be found, or not be told from another one.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Nothing in the local network answers to this name.
    #[error("no device answers to `{selector}`")]
    NotFound {
        /// What was looked for.
        selector: String,
    },
    /// Several devices answer to one name; the addresses tell them apart.
    #[error("{} devices answer to `{selector}`: {}", .devices.len(), listed(.devices))]
    Ambiguous {
        /// What was looked for.
        selector: String,
        /// All that answered.
        devices: Vec<Device>,
    },
    /// The scope of a link-local address names no interface of this machine.
    #[error("this machine has no network interface `{name}`")]
    UnknownInterface {
        /// The part behind the `%`.
        name: String,
    },
    /// A link-local address means nothing without an interface, and there is more than one.
    #[error("{ip} is a link-local address: add the interface, as in {ip}%eth0")]
    ScopeMissing {
        /// The address that was typed.
        ip: IpAddr,
    },
    /// The list of this machine's network interfaces cannot be read.
    #[error("cannot list the network interfaces of this machine")]
    Interfaces(#[source] io::Error),
    /// No socket could be opened on any interface.
    #[error("cannot ask the local network on any interface")]
    NoSocket(#[source] io::Error),
}

fn listed(devices: &[Device]) -> String {
    let one = |device: &Device| match device.addresses.first() {
        Some(address) => format!("{} at {}", device.name, address.ip),
        None => device.name.clone(),
    };
    devices.iter().map(one).collect::<Vec<_>>().join(", ")
}
