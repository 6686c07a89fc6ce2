//! A device as the workstation knows it: how it was found and how it may be reached.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Host label: the `abc1234` of `abc1234.local`; an address for a device that was given by address only.
    pub name: String,
    /// Full uuid, when the device told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Addresses, best first.
    pub addresses: Vec<Address>,
    /// Port of the agent's API.
    pub api_port: u16,
    /// Port of the engine in development mode.
    pub engine_port: u16,
    /// Port of the SSH server.
    pub ssh_port: u16,
    /// Device type slug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Operating system with version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Version of our agent; absent on a reference device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// `development` or `production`, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fingerprint of the SSH server's host key, as the device announces it: `SHA256:` and 43 characters. Anybody may announce anything: it
    /// counts as a first contact does, while no key of the device is kept, and never against one that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_fingerprint: Option<String>,
    /// How it became known.
    pub origin: Origin,
}

impl Device {
    /// One of which no more is known than what it is called: with the usual ports, and no address.
    #[must_use]
    pub fn bare(name: String, uuid: Option<String>, origin: Origin) -> Self {
        Self {
            name,
            uuid,
            addresses: Vec::new(),
            api_port: agent_api::API_PORT,
            engine_port: agent_api::ENGINE_PORT,
            ssh_port: agent_api::SSH_PORT,
            device_type: None,
            os_version: None,
            agent_version: None,
            variant: None,
            ssh_fingerprint: None,
            origin,
        }
    }
}

/// An address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Index of the interface, for link-local IPv6; 0 otherwise.
    #[serde(default)]
    pub scope: u32,
}

/// How a device became known. Only what this machine wrote itself may name local sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Origin {
    /// An mDNS answer: reachable over TCP.
    Network,
    /// Its address was typed.
    Given,
    /// Its cloud knows it: it is reached through that alone.
    Cloud,
    /// A virtual machine of this machine: reachable over TCP, at a loopback address.
    Machine,
    /// A simulated device of this machine, reachable over its sockets.
    Simulated {
        /// The agent's socket.
        agent_socket: PathBuf,
        /// The engine's socket.
        engine_socket: PathBuf,
    },
}

impl Address {
    /// The address with a port, with the scope of a link-local IPv6 address.
    #[must_use]
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(std::net::SocketAddrV6::new(ip, port, 0, self.scope)),
        }
    }
}
