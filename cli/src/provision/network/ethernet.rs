//! A network with a wire.

use std::net::IpAddr;

use ring::digest::{SHA256, digest};

use super::{
    ADDRESS_MODE, Connection, NetworkError, address, connection,
    keyfile::{self, Keyfile},
    name, value,
};

/// A network with a wire.
#[derive(Debug, Clone, Default)]
pub struct Ethernet {
    /// The interface that it is for; any without one.
    pub interface: Option<String>,
    /// The number of a virtual network (802.1Q).
    pub vlan: Option<u16>,
    /// Addresses with the bits of their networks; none: the network gives them.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where what is not for these networks goes.
    pub gateways: Vec<IpAddr>,
    /// Servers of names.
    pub dns: Vec<IpAddr>,
}

impl Ethernet {
    /// Its file.
    ///
    /// # Errors
    /// [`NetworkError::Value`].
    pub fn connection(&self) -> Result<Connection, NetworkError> {
        if self
            .interface
            .as_deref()
            .is_some_and(|name| !is_interface(name))
        {
            return Err(value(
                "the name of an interface",
                "has 1 to 15 letters and digits",
            ));
        }
        let own = match (&self.interface, self.vlan) {
            (Some(parent), Some(id)) => format!("{parent}/{id}"),
            (interface, _) => interface.clone().unwrap_or_default(),
        };
        let name = match own.as_str() {
            "" => "os-ethernet".to_owned(),
            own => name("os-ethernet", own.as_bytes()),
        };
        let file = match (self.vlan, &self.interface) {
            (None, interface) => {
                let mut file = Keyfile::new(&name, "ethernet");
                if let Some(interface) = interface {
                    file.text("interface-name", interface);
                }
                file
            }
            (Some(id @ 1..=4094), Some(parent)) => {
                let mut file = Keyfile::new(&name, "vlan");
                file.text("interface-name", &virtual_name(parent, id));
                file.section("vlan");
                file.text("flags", "1");
                file.text("id", &id.to_string());
                file.text("parent", parent);
                file
            }
            (Some(1..=4094), None) => {
                return Err(value(
                    "a virtual network",
                    "is one of an interface, which has to be named",
                ));
            }
            (Some(_), _) => return Err(value("the number of a virtual network", "is 1 to 4094")),
        };
        let mut file = file;
        self.family(&mut file, "ipv4", IpAddr::is_ipv4, 32)?;
        self.family(&mut file, "ipv6", IpAddr::is_ipv6, 128)?;
        if self.addresses.is_empty() && !self.gateways.is_empty() {
            return Err(value("a gateway", "goes with an address"));
        }
        Ok(connection(&name, file))
    }

    fn family(
        &self,
        file: &mut Keyfile,
        name: &str,
        is_of: fn(&IpAddr) -> bool,
        bits: u8,
    ) -> Result<(), NetworkError> {
        file.section(name);
        if name == "ipv6" {
            file.text(ADDRESS_MODE.0, ADDRESS_MODE.1);
        }
        let addresses: Vec<_> = self.addresses.iter().filter(|(ip, _)| is_of(ip)).collect();
        let mut gateways = self.gateways.iter().filter(|ip| is_of(ip));
        let gateway = gateways.next();
        if gateways.next().is_some() {
            return Err(value("a gateway", "is one for each kind of address"));
        }
        if let Some(gateway) = gateway.filter(|_| addresses.is_empty()) {
            let gateway = format!("the gateway {gateway}");
            return Err(value(gateway, "goes with no address of its kind"));
        }
        check(&addresses, gateway, bits)?;
        for ((ip, prefix), number) in addresses.iter().zip(1..) {
            let gateway = gateway.filter(|_| number == 1);
            let gateway = gateway.map(|ip| format!(",{ip}")).unwrap_or_default();
            file.text(
                &format!("address{number}"),
                &format!("{ip}/{prefix}{gateway}"),
            );
        }
        let servers = self.dns.iter().filter(|ip| is_of(ip));
        if servers
            .clone()
            .any(|ip| ip.is_unspecified() || ip.is_multicast())
        {
            return Err(value("a server of names", "has an address of its own"));
        }
        let servers: Vec<String> = servers.map(IpAddr::to_string).collect();
        if !servers.is_empty() {
            file.list("dns", &servers);
        }
        file.text(
            "method",
            if addresses.is_empty() {
                "auto"
            } else {
                "manual"
            },
        );
        Ok(())
    }
}

/// Whether an interface can be called so.
pub(super) fn is_interface(name: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_graphic() && !b"/:;%".contains(&byte);
    (1..=15).contains(&name.len()) && ![".", ".."].contains(&name) && name.bytes().all(is_name)
}

/// What the interface of a virtual network is called.
fn virtual_name(parent: &str, id: u16) -> String {
    let own = format!("{parent}.{id}");
    if own.len() <= 15 {
        return own;
    }
    // Longer ones the kernel does not have, and another interface may have a network of this number, too.
    let digest = digest(&SHA256, parent.as_bytes());
    let start = digest.as_ref().get(..4).unwrap_or_default();
    format!("v{}.{id}", keyfile::hex(start))
}

/// Whether addresses of one kind, of as many bits, can be those of one device.
fn check(
    addresses: &[&(IpAddr, u8)],
    gateway: Option<&IpAddr>,
    bits: u8,
) -> Result<(), NetworkError> {
    for (index, (ip, prefix)) in addresses.iter().enumerate() {
        let address = format!("the address {ip}/{prefix}");
        if !(1..=bits).contains(prefix) {
            return Err(value(
                address,
                "has no bits of a network behind it, as 192.168.1.5/24 has",
            ));
        }
        if !address::is_of_one(ip) {
            return Err(value(address, "is none that a single device can have"));
        }
        if address::is_edge(ip, *prefix) {
            return Err(value(
                address,
                "is that of its network, or the one for all who are in it: a device has one between them",
            ));
        }
        if addresses.iter().take(index).any(|(other, _)| other == ip) {
            return Err(value(address, "is named twice"));
        }
    }
    let Some(gateway) = gateway else {
        return Ok(());
    };
    if !address::is_of_one(gateway) || addresses.iter().any(|(ip, _)| ip == gateway) {
        let gateway = format!("the gateway {gateway}");
        return Err(value(gateway, "has no address of its own"));
    }
    // It may be in another network: NetworkManager makes a way to it, and some hosters have it so.
    Ok(())
}
