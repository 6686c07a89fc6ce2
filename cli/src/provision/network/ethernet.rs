//! A network with a wire.

use std::net::IpAddr;

use super::{ADDRESS_MODE, Connection, NetworkError, connection, keyfile::Keyfile, name, value};

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
        if let Some(interface) = &self.interface {
            let is_name = |byte: u8| byte.is_ascii_graphic() && !b"/:;%".contains(&byte);
            if !(1..=15).contains(&interface.len()) || !interface.bytes().all(is_name) {
                return Err(value(
                    "the name of an interface",
                    "has 1 to 15 letters and digits",
                ));
            }
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
                // Longer ones the kernel does not have.
                let own = format!("{parent}.{id}");
                let own = if own.len() > 15 {
                    format!("vlan{id}")
                } else {
                    own
                };
                file.text("interface-name", &own);
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
        if gateways.next().is_some() || (gateway.is_some() && addresses.is_empty()) {
            return Err(value("a gateway", "is one for each kind of address"));
        }
        for ((ip, prefix), number) in addresses.iter().zip(1..) {
            if !(1..=bits).contains(prefix) {
                return Err(value(
                    "an address",
                    "has the bits of its network behind it: 192.168.1.5/24",
                ));
            }
            let gateway = gateway.filter(|_| number == 1);
            let gateway = gateway.map(|ip| format!(",{ip}")).unwrap_or_default();
            file.text(
                &format!("address{number}"),
                &format!("{ip}/{prefix}{gateway}"),
            );
        }
        let servers: Vec<String> = self
            .dns
            .iter()
            .filter(|ip| is_of(ip))
            .map(IpAddr::to_string)
            .collect();
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
