//! What `NetworkManager` demands of a connection before it loads it: what is wrong here is passed over there without a word.
//!
//! Source: nm-settings-keyfile(5) and what its reader refuses; tests give both the same files.

use std::net::IpAddr;

use super::{above, keyfile::Read, own::is_uuid, proof};

/// Kinds that are an interface of their own, which needs a name.
const NAMED: [&str; 9] = [
    "bond",
    "bridge",
    "dummy",
    "ovs-bridge",
    "ovs-patch",
    "ovs-port",
    "team",
    "vrf",
    "wireguard",
];
/// Kinds that lie on another interface.
const ON_ANOTHER: [&str; 4] = ["6lowpan", "macsec", "macvlan", "vlan"];
/// Where the hardware of that may be named instead.
const WIRED: [&str; 2] = ["ethernet", "802-3-ethernet"];
/// Kinds that want a value in a section of their own.
const WANTED: [(&str, &str); 5] = [
    ("adsl", "username"),
    ("pppoe", "username"),
    ("veth", "peer"),
    ("vpn", "service-type"),
    ("wifi-p2p", "peer"),
];
/// Names that the kernel has for itself.
const TAKEN: [&str; 5] = [".", "..", "all", "bonding_masters", "default"];
/// Letters of the name of a mobile network's access point.
const MOST_APN: usize = 64;

/// A connection of this kind.
pub(super) fn check(read: &Read, kind: &str) -> Result<(), String> {
    let own = |key: &str| read.get(&["connection"], key);
    let interface = own("interface-name");
    if interface.is_some_and(|name| !is_interface(name, kind)) {
        return Err("its interface-name is none: it has 1 to 15 letters and digits".to_owned());
    }
    let is_named = interface
        .or_else(|| read.get(&[kind], "interface-name"))
        .is_some();
    if NAMED.contains(&kind) && !is_named {
        return Err(format!(
            "it is of type {kind} and has no interface-name in [connection]"
        ));
    }
    let parent = read.get(&[kind], "parent");
    let has_hardware = read.get(&WIRED, "mac-address").is_some();
    if ON_ANOTHER.contains(&kind) && parent.is_none() && !has_hardware {
        return Err(format!(
            "it is of type {kind} and has no parent in [{kind}]"
        ));
    }
    let is_parent = |parent: &str| is_uuid(parent) || is_interface(parent, "");
    if ON_ANOTHER.contains(&kind) && !parent.is_none_or(is_parent) {
        return Err(format!(
            "its parent in [{kind}] is neither an interface nor a uuid"
        ));
    }
    for (of, key) in WANTED {
        if kind == of && read.get(&[kind], key).is_none_or(str::is_empty) {
            return Err(format!("it is of type {kind} and has no {key} in [{kind}]"));
        }
    }
    above::check(read, kind)?;
    check_apn(read)?;
    proof::check(read)
}

/// Where a mobile network is entered.
fn check_apn(read: &Read) -> Result<(), String> {
    // Blanks at the end are none of it there.
    let apn = read.get(&["gsm"], "apn").unwrap_or_default().trim_end();
    let is_apn = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if apn.len() > MOST_APN || !apn.bytes().all(is_apn) {
        return Err(
            "its apn in [gsm] has other signs than letters, digits, points and hyphens, or more than 64"
                .to_owned(),
        );
    }
    Ok(())
}

/// An address or more of a section, where it has any.
pub(super) fn check_addresses(read: &Read, section: &str) -> Result<(), String> {
    let bits = if section == "ipv4" { 32 } else { 128 };
    for (key, value) in read.all(section) {
        let number = key
            .strip_prefix("addresses")
            .or_else(|| key.strip_prefix("address"));
        let is_address = number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if is_address && !value.is_empty() && !is_address_of(value, bits) {
            return Err(format!(
                "its {key} in [{section}] is no address with the bits of its network"
            ));
        }
    }
    Ok(())
}

/// The kernel has no other names; virtual switches have.
fn is_interface(name: &str, kind: &str) -> bool {
    let is_odd = |letter: char| letter.is_whitespace() || "/:%".contains(letter);
    let is_short = name.len() <= 15 || kind.starts_with("ovs-");
    !name.is_empty() && is_short && !name.contains(is_odd) && !TAKEN.contains(&name)
}

/// `10.0.0.2/24`, or the same with a way to other networks behind it.
fn is_address_of(text: &str, bits: u8) -> bool {
    let is_ip = |part: &str| {
        let ip = part.parse::<IpAddr>();
        ip.is_ok_and(|ip| ip.is_ipv4() == (bits == 32))
    };
    let is_prefix = |part: &str| {
        let number = part.parse::<u8>().is_ok_and(|number| number <= bits);
        number && !part.starts_with('+')
    };
    let text = text.trim_end_matches([',', ';']);
    let mut parts = text.split(['/', ',', ';']);
    let first = parts.next().is_some_and(is_ip);
    let rest: Vec<&str> = parts.collect();
    first && rest.len() <= 2 && rest.iter().all(|part| is_prefix(part) || is_ip(part))
}
