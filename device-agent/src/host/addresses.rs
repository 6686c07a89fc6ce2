//! The machine's own network addresses, as a person would use them.

use fs_err as fs;

/// Addresses of the interfaces that lead out of the machine.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// IPv4 and global IPv6 addresses.
    pub(crate) ip: Vec<String>,
    /// Hardware addresses, in capitals.
    pub(crate) mac: Vec<String>,
}

/// Begin the names of interfaces that belong to engines, tunnels and proxies.
const INNER: [&str; 10] = [
    "balena",
    "docker",
    "rce",
    "tun",
    "resin-vpn",
    "lo",
    "resin-dns",
    "supervisor0",
    "br-",
    "veth",
];

/// Reads them from the kernel; what cannot be read is left out.
pub(crate) fn addresses() -> Addresses {
    let mut addresses = Addresses::default();
    let mut names = Vec::new();
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        let name = &interface.name;
        if INNER.iter().any(|inner| name.starts_with(inner)) || name.ends_with("-redsocks") {
            continue;
        }
        let ip = interface.ip();
        if let std::net::IpAddr::V6(v6) = ip
            && v6.is_unicast_link_local()
        {
            continue;
        }
        addresses.ip.push(ip.to_string());
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    addresses.mac = names
        .iter()
        .filter_map(|name| fs::read_to_string(format!("/sys/class/net/{name}/address")).ok())
        .map(|address| address.trim().to_ascii_uppercase())
        .filter(|address| !address.is_empty())
        .collect();
    addresses
}
