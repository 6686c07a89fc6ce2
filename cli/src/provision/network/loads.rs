//! What `NetworkManager` demands of a connection before it loads it: what is wrong here is passed over there without a word.
//!
//! Source: nm-settings-keyfile(5) and what its reader refuses; tests give both the same files.

use super::{above, bond, dropped, fields, keyfile::Read, own::is_uuid, pairs, proof};

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
    let of = |section: &str| read.said(&[section], "interface-name");
    let interface = of("connection").or_else(|| of(kind));
    if interface
        .as_ref()
        .is_some_and(|name| !is_interface(name, kind))
    {
        return Err("its interface-name is none: it has 1 to 15 letters and digits".to_owned());
    }
    // What a section demands, it demands of each type.
    let has = |of: &&&str| kind == **of || read.has(&[**of]);
    if let Some(of) = NAMED.iter().find(has)
        && interface.is_none()
    {
        return Err(format!(
            "{} and has no interface-name in [connection]",
            what_has(of, kind)
        ));
    }
    for of in ON_ANOTHER.iter().filter(has) {
        check_parent(read, of, kind)?;
    }
    for (of, key) in WANTED.iter().filter(|(of, _)| has(&of)) {
        if read.get(&[of], key).is_none_or(str::is_empty) {
            return Err(format!("{} and has no {key} there", what_has(of, kind)));
        }
    }
    bond::check(read)?;
    fields::check(read)?;
    pairs::check(read, kind)?;
    above::check(read, kind)?;
    check_apn(read)?;
    proof::check(read)?;
    dropped::check(read)
}

/// What lies on another interface names it.
fn check_parent(read: &Read, of: &str, kind: &str) -> Result<(), String> {
    let parent = read.said(&[of], "parent");
    let hardware = read.said(&WIRED, "mac-address");
    let has_hardware = hardware.is_some_and(|address| fields::is_mac(&address));
    if parent.is_none() && !has_hardware {
        return Err(format!(
            "{} and has no parent in [{of}]",
            what_has(of, kind)
        ));
    }
    let is_parent = |parent: String| is_uuid(&parent) || is_interface(&parent, "");
    if !parent.is_none_or(is_parent) {
        return Err(format!(
            "its parent in [{of}] is neither an interface nor a uuid"
        ));
    }
    Ok(())
}

fn what_has(of: &str, kind: &str) -> String {
    if of == kind {
        format!("it is of type {kind}")
    } else {
        format!("it has a section [{of}]")
    }
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

/// The kernel has no other names; virtual switches have.
fn is_interface(name: &str, kind: &str) -> bool {
    let is_odd = |letter: char| letter.is_whitespace() || "/:%".contains(letter);
    let is_short = name.len() <= 15 || kind.starts_with("ovs-");
    !name.is_empty() && is_short && !name.contains(is_odd) && !TAKEN.contains(&name)
}
