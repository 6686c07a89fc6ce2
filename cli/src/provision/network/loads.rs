//! What `NetworkManager` demands of a connection before it loads it: what is wrong here is passed over there without a word.
//!
//! Source: nm-settings-keyfile(5) and what its reader refuses; tests give both the same files.

use std::net::IpAddr;

use super::keyfile::Read;

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
const MODES: [&str; 4] = ["adhoc", "ap", "infrastructure", "mesh"];
/// How names are proved.
const METHODS: [&str; 9] = [
    "external", "fast", "leap", "md5", "peap", "pwd", "sim", "tls", "ttls",
];
/// Names that the kernel has for itself.
const TAKEN: [&str; 5] = [".", "..", "all", "bonding_masters", "default"];
/// Bytes of a Wi-Fi network's name.
const MOST_SSID: usize = 32;

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
    let has_hardware = read.get(&WIRED, "mac-address").is_some();
    if ON_ANOTHER.contains(&kind) && read.get(&[kind], "parent").is_none() && !has_hardware {
        return Err(format!(
            "it is of type {kind} and has no parent in [{kind}]"
        ));
    }
    for (of, key) in WANTED {
        if kind == of && read.get(&[kind], key).is_none_or(str::is_empty) {
            return Err(format!("it is of type {kind} and has no {key} in [{kind}]"));
        }
    }
    let above = own("master").or_else(|| own("controller"));
    let below = own("slave-type").or_else(|| own("port-type"));
    if above.is_some() != below.is_some() {
        return Err(
            "it has only one of master and slave-type (or controller and port-type)".to_owned(),
        );
    }
    check_name_proof(read)
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

/// How a Wi-Fi network is called, and what the device is in it.
pub(super) fn check_wifi(ssid: &str, mode: Option<&str>) -> Result<(), String> {
    let numbers = ssid.strip_suffix(';').map(|list| list.split(';'));
    let numbers = numbers.filter(|list| list.clone().all(|number| number.parse::<u8>().is_ok()));
    let size = numbers.map_or(ssid.len(), Iterator::count);
    // What is escaped is shorter than it is written.
    if size > MOST_SSID && !ssid.contains('\\') {
        return Err("its ssid in [wifi] has more than 32 bytes".to_owned());
    }
    if mode.is_some_and(|mode| !MODES.contains(&mode)) {
        let modes = MODES.join(", ");
        return Err(format!("its mode in [wifi] is none of these: {modes}"));
    }
    Ok(())
}

fn check_name_proof(read: &Read) -> Result<(), String> {
    if !read.has(&["802-1x"]) {
        return Ok(());
    }
    let eap = read.get(&["802-1x"], "eap").unwrap_or_default();
    let mut methods = eap
        .split([';', ','])
        .map(str::trim)
        .filter(|method| !method.is_empty());
    let is_known = |method: &str| METHODS.contains(&method);
    if !methods.next().is_some_and(is_known) || !methods.all(is_known) {
        let methods = METHODS.join(", ");
        return Err(format!("its eap in [802-1x] is none of these: {methods}"));
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
    let is_prefix = |part: &str| part.parse::<u8>().is_ok_and(|number| number <= bits);
    let text = text.trim_end_matches([',', ';']);
    let mut parts = text.split(['/', ',', ';']);
    let first = parts.next().is_some_and(is_ip);
    let rest: Vec<&str> = parts.collect();
    first && rest.len() <= 2 && rest.iter().all(|part| is_prefix(part) || is_ip(part))
}
