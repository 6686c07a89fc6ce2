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
/// Sections of what is part of another interface, and the kind of that one.
const OF_ANOTHER: [(&str, &str); 5] = [
    ("bond-port", "bond"),
    ("bridge-port", "bridge"),
    ("ovs-interface", "ovs-port"),
    ("ovs-port", "ovs-bridge"),
    ("team-port", "team"),
];
/// Kinds of interfaces that have others as their parts.
const KINDS_ABOVE: [&str; 6] = ["bond", "bridge", "ovs-bridge", "ovs-port", "team", "vrf"];
/// Why both are not enough.
const MIXED: &str = ": NetworkManager reads master with slave-type, or controller with port-type, and no mix of them";
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
    check_above(read, kind)?;
    check_name_proof(read)
}

/// Whether a connection that is part of another one, as a bridge's port is, says of which, and of which kind that one is: by `master` and
/// `slave-type`, or by `controller` and `port-type`, which newer versions have and older ones pass over. One section says the kind as well.
fn check_above(read: &Read, kind: &str) -> Result<(), String> {
    let own = |key: &str| read.get(&["connection"], key);
    let (master, controller) = (own("master"), own("controller"));
    let sections = OF_ANOTHER.iter();
    let within: Vec<_> = sections
        .filter(|(section, _)| *section == kind || read.has(&[section]))
        .collect();
    let is_said = within.len() == 1;
    let refused = match (own("slave-type"), own("port-type")) {
        (Some(named), _) if !KINDS_ABOVE.contains(&named) => {
            let kinds = KINDS_ABOVE.join(", ");
            format!("its slave-type in [connection] is none of these: {kinds}")
        }
        (Some(_), _) if master.is_none() => {
            let mut words = "it has a slave-type and no master in [connection]".to_owned();
            if controller.is_some() {
                words += MIXED;
            }
            words
        }
        (Some(named), _) => match within.iter().find(|(_, above)| *above != named) {
            Some((section, above)) => {
                format!("its slave-type in [connection] is not {above}, as its [{section}] wants")
            }
            None => return Ok(()),
        },
        (None, Some(_)) if master.is_some() && !is_said => {
            format!("it has a master and no slave-type in [connection]{MIXED}")
        }
        (None, Some(_)) if master.or(controller).is_none() => {
            "it has a port-type and no controller in [connection]".to_owned()
        }
        (None, None) if master.is_some() && !is_said => {
            "it has a master in [connection], and neither slave-type nor a section like [bridge-port]".to_owned()
        }
        (None, None) if controller.is_some() && !is_said => {
            "it has a controller in [connection], and neither port-type nor a section like [bridge-port]".to_owned()
        }
        (None, _) => match within.iter().find(|(part, _)| part.starts_with("ovs-")) {
            Some((part, _)) if master.or(controller).is_none() => {
                format!("it is an {part} and has no master in [connection]")
            }
            _ => return Ok(()),
        },
    };
    Err(refused)
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
    // One `;` may stand at the end; blanks, commas and capitals are none of it.
    let list = eap.strip_suffix(';').unwrap_or(eap);
    if !list.split(';').all(|method| METHODS.contains(&method)) {
        let methods = METHODS.join(", ");
        return Err(format!(
            "its eap in [802-1x] is not one of these, or more with `;` between them: {methods}"
        ));
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
