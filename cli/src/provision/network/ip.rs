//! What is demanded of the addresses of a person's own connection: its sections [ipv4] and [ipv6].
//!
//! Source: what `NetworkManager` refuses; tests give both the same files.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    keyfile::Read,
    number::{UNSIGNED, number},
};

/// A kind of addresses.
struct Family {
    section: &'static str,
    /// Bits of an address.
    bits: u8,
    /// How addresses come.
    methods: &'static [&'static str],
    /// Where they come otherwise, none may be named.
    bare: &'static [&'static str],
    /// Nor servers of names, nor domains in which names are looked for.
    nameless: &'static [&'static str],
    /// Methods that a tunnel of `WireGuard` has not.
    not_tunnel: &'static [&'static str],
}

const FAMILIES: [Family; 2] = [
    Family {
        section: "ipv4",
        bits: 32,
        methods: &["auto", "disabled", "link-local", "manual", "shared"],
        bare: &["disabled", "link-local"],
        nameless: &["disabled", "link-local", "shared"],
        not_tunnel: &["auto", "link-local", "shared"],
    },
    Family {
        section: "ipv6",
        bits: 128,
        methods: &[
            "auto",
            "dhcp",
            "disabled",
            "ignore",
            "link-local",
            "manual",
            "shared",
        ],
        bare: &["disabled", "ignore", "link-local"],
        nameless: &["disabled", "ignore", "link-local"],
        not_tunnel: &["auto", "dhcp", "shared"],
    },
];
/// Flags of a device's name for servers that give addresses (DHCP): the server's own part, its way to write it, none of it, those of
/// the network. The first and the third exclude each other.
const FLAGS: i64 = 0b1111;
const SERVER: i64 = 0b0001;
const ENCODED: i64 = 0b0010;
const NONE: i64 = 0b0100;
const OWN: i64 = 0b1000;

/// Both sections, of a connection of this kind.
pub(super) fn check(read: &Read, kind: &str) -> Result<(), String> {
    FAMILIES
        .iter()
        .filter(|family| read.has(&[family.section]))
        .try_for_each(|family| family.check(read, kind))
}

impl Family {
    fn check(&self, read: &Read, kind: &str) -> Result<(), String> {
        let section = self.section;
        let Some(method) = read.said(&[section], "method") else {
            return Err(format!(
                "it has a section [{section}] and no method there: auto is usual"
            ));
        };
        if !self.methods.contains(&method.as_str()) {
            let methods = self.methods.join(", ");
            return Err(format!(
                "its method in [{section}] is none of these: {methods}"
            ));
        }
        let refused =
            |because: &str| Err(format!("its method in [{section}] is {method}{because}"));
        if kind == "wireguard" && self.not_tunnel.contains(&method.as_str()) {
            return refused(", which a connection of type wireguard cannot have");
        }
        self.check_addresses(read)?;
        let has_address = self.has_address(read);
        if method == "manual" && !has_address {
            return refused(", and it has no address there");
        }
        if self.bare.contains(&method.as_str()) && has_address {
            return refused(", and it has an address there");
        }
        if self.nameless.contains(&method.as_str()) {
            let key = ["dns", "dns-search"]
                .into_iter()
                .find(|key| self.has_names(read, key));
            if let Some(key) = key {
                return refused(&format!(", and it has {key} there"));
            }
        }
        self.check_gateway(read, has_address)?;
        self.check_name(read)?;
        if self.bits == 32 {
            check_link_local(read, &method)
        } else {
            check_token(read)
        }
    }

    /// Each address can be one.
    fn check_addresses(&self, read: &Read) -> Result<(), String> {
        let section = self.section;
        let mut all = read.all(section);
        let wrong = all.find(|(key, value)| {
            is_address(key) && !value.is_empty() && !self.is_address_of(value)
        });
        wrong.map_or(Ok(()), |(key, _)| {
            Err(format!(
                "its {key} in [{section}] is no address with the bits of its network"
            ))
        })
    }

    fn has_address(&self, read: &Read) -> bool {
        let mut all = read.all(self.section);
        all.any(|(key, value)| is_address(key) && !value.is_empty())
    }

    fn has_names(&self, read: &Read, key: &str) -> bool {
        let names = read.get(&[self.section], key).unwrap_or_default();
        let is_server = |server: &str| {
            let (ip, name) = server.split_once('#').unwrap_or((server, "-"));
            self.is_ip(ip) && !name.is_empty()
        };
        !names.is_empty() && (key != "dns" || names.split(';').any(is_server))
    }

    fn check_gateway(&self, read: &Read, has_address: bool) -> Result<(), String> {
        let section = self.section;
        let Some(gateway) = read.said(&[section], "gateway") else {
            return Ok(());
        };
        if !has_address {
            return Err(format!(
                "it has a gateway in [{section}] and no address there"
            ));
        }
        if !self.is_ip(&gateway) {
            return Err(format!("its gateway in [{section}] is no address"));
        }
        Ok(())
    }

    /// What servers are told of the device's name.
    fn check_name(&self, read: &Read) -> Result<(), String> {
        let section = self.section;
        let has = |key: &str| read.said(&[section], key).is_some();
        let is_short = self.bits == 32;
        if is_short && has("dhcp-fqdn") && has("dhcp-hostname") {
            return Err(format!(
                "it has dhcp-fqdn and dhcp-hostname in [{section}], of which one may be"
            ));
        }
        let flags = read
            .get(&[section], "dhcp-hostname-flags")
            .unwrap_or_default();
        let flags = number(flags, &UNSIGNED).unwrap_or_default();
        let is_silent = read
            .get(&[section], "dhcp-send-hostname")
            .is_some_and(|sent| ["0", "false"].contains(&sent.trim_end()));
        let is_good = flags & !FLAGS == 0
            && (flags & SERVER == 0 || flags & NONE == 0)
            && (flags & OWN == 0 || flags == OWN)
            && (is_short || flags & ENCODED == 0)
            && (!is_short || has("dhcp-fqdn"))
            && !is_silent;
        if flags == 0 || is_good {
            return Ok(());
        }
        Err(format!(
            "its dhcp-hostname-flags in [{section}] do not go with each other, or with the rest there"
        ))
    }

    fn is_ip(&self, text: &str) -> bool {
        let ip = text.parse::<IpAddr>();
        ip.is_ok_and(|ip| ip.is_ipv4() == (self.bits == 32))
    }

    /// `10.0.0.2/24`, or the same with a way to other networks behind it.
    fn is_address_of(&self, text: &str) -> bool {
        let is_prefix = |part: &str| {
            let is_number = part.parse::<u8>().is_ok_and(|number| number <= self.bits);
            is_number && !part.starts_with('+')
        };
        let text = text.strip_suffix([',', ';']).unwrap_or(text);
        let mut parts = text.split(['/', ',', ';']);
        let first = parts.next().is_some_and(|part| self.is_ip(part));
        let rest: Vec<&str> = parts.collect();
        first
            && match rest.as_slice() {
                [] => true,
                [one] => is_prefix(one) || self.is_ip(one),
                [prefix, gateway] => is_prefix(prefix) && self.is_ip(gateway),
                _ => false,
            }
    }
}

/// `address`, `addresses`, or one of them with a number.
fn is_address(key: &str) -> bool {
    let number = key
        .strip_prefix("addresses")
        .or_else(|| key.strip_prefix("address"));
    number.is_some_and(|rest| {
        let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
        is_number && rest.len() < 10 && (rest.len() < 2 || !rest.starts_with('0'))
    })
}

/// Addresses that a device gives itself beside others.
fn check_link_local(read: &Read, method: &str) -> Result<(), String> {
    let link_local = read.get(&["ipv4"], "link-local").unwrap_or_default();
    let is_other = match number(link_local, &UNSIGNED) {
        Some(2) => method == "link-local",
        Some(3) => method == "disabled",
        _ => false,
    };
    if is_other {
        return Err(format!(
            "its link-local in [ipv4] says another thing than its method there, which is {method}"
        ));
    }
    Ok(())
}

/// The end of an address that a network begins.
fn check_token(read: &Read) -> Result<(), String> {
    let Some(token) = read.said(&["ipv6"], "token") else {
        return Ok(());
    };
    let ip = token.parse::<Ipv6Addr>().map(Ipv6Addr::to_bits);
    if !ip.is_ok_and(|ip| ip != 0 && ip >> 64 == 0) {
        return Err("its token in [ipv6] is no end of an address, as ::1 is".to_owned());
    }
    let mode = read.get(&["ipv6"], "addr-gen-mode");
    if !mode.is_none_or(|mode| ["0", "eui64"].contains(&mode)) {
        return Err("its token in [ipv6] wants addr-gen-mode=eui64".to_owned());
    }
    Ok(())
}
