//! What `NetworkManager` loads without what somebody wrote: it passes over sections that it does not know and values that it cannot read, and
//! says so nowhere that a person looks. A network that was to be closed is open then, or one without its names or its address.
//!
//! Source: nm-settings-keyfile(5); tests show what is left of each.

use std::net::IpAddr;

use super::{fields::is_mac, keyfile::Read};

/// Sections that are often written, by their right names.
const SECTIONS: [&str; 20] = [
    "802-1x",
    "802-11-wireless",
    "802-11-wireless-security",
    "802-3-ethernet",
    "bond",
    "bridge",
    "bridge-port",
    "connection",
    "ethernet",
    "gsm",
    "ipv4",
    "ipv6",
    "ppp",
    "proxy",
    "serial",
    "vlan",
    "vpn",
    "wifi",
    "wifi-security",
    "wireguard",
];
/// What is on or off.
const SWITCHES: [(&[&str], &str); 7] = [
    (&["connection"], "autoconnect"),
    (&["wifi", "802-11-wireless"], "hidden"),
    (IP, "ignore-auto-dns"),
    (IP, "ignore-auto-routes"),
    (IP, "may-fail"),
    (IP, "never-default"),
    (&["bridge"], "stp"),
];
const IP: &[&str] = &["ipv4", "ipv6"];
const HARDWARE: [&str; 4] = ["ethernet", "802-3-ethernet", "wifi", "802-11-wireless"];

/// Sections and values that would be left out.
pub(super) fn check(read: &Read) -> Result<(), String> {
    check_sections(read)?;
    for (sections, key) in SWITCHES {
        for section in sections {
            let said = read.said(&[section], key);
            let is_switch = |said: &str| ["true", "false", "1", "0"].contains(&said.trim_end());
            if said.is_some_and(|said| !is_switch(&said)) {
                return Err(format!(
                    "its {key} in [{section}] is neither true nor false"
                ));
            }
        }
    }
    for section in HARDWARE {
        let said = read.said(&[section], "mac-address");
        if said.is_some_and(|said| !said.is_empty() && !is_mac(&said)) {
            return Err(format!(
                "its mac-address in [{section}] is no hardware address like 00:11:22:33:44:55"
            ));
        }
    }
    for section in IP {
        let servers = read.get(&[section], "dns").unwrap_or_default();
        let is_server = |server: &str| {
            let (address, _) = server.split_once('#').unwrap_or((server, ""));
            let address = address.trim().parse::<IpAddr>();
            address.is_ok_and(|address| address.is_ipv4() == (*section == "ipv4"))
        };
        let mut servers = servers.split(';').filter(|server| !server.is_empty());
        if !servers.all(is_server) {
            return Err(format!(
                "its dns in [{section}] is no list of its addresses with `;` between them"
            ));
        }
    }
    Ok(())
}

/// One that differs from a known one in capitals and signs alone is meant for that.
fn check_sections(read: &Read) -> Result<(), String> {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    for name in read.sections() {
        let known = SECTIONS.iter().find(|known| plain(known) == plain(name));
        if let Some(known) = known.filter(|known| **known != name) {
            return Err(format!(
                "it has a section [{name}], which is called [{known}]"
            ));
        }
    }
    Ok(())
}
