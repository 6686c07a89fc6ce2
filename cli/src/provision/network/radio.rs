//! What is demanded of a person's own Wi-Fi network.
//!
//! Source: what `NetworkManager` refuses; tests give both the same files.

use super::{
    keyfile::Read,
    number::{SIGNED, UNSIGNED, number},
};

/// The type, which is also its section, with its older name.
pub(super) const WIFI: [&str; 2] = ["wifi", "802-11-wireless"];
const SECURITY: [&str; 2] = ["wifi-security", "802-11-wireless-security"];
/// Bytes of a network's name.
const MOST_SSID: usize = 32;
const MODES: [&str; 4] = ["adhoc", "ap", "infrastructure", "mesh"];
/// 5 GHz with its channels, and 2.4 GHz, which has them from 1 on.
const BANDS: [&str; 2] = ["a", "bg"];
const A: [i64; 45] = [
    7, 8, 9, 11, 12, 16, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 56, 58, 60, 64, 100, 104, 108,
    112, 116, 120, 124, 128, 132, 136, 140, 149, 152, 153, 157, 160, 161, 165, 183, 184, 185, 187,
    188, 192, 196,
];
const MOST_BG: i64 = 14;
/// How a network of devices among themselves may be closed.
const MESH: [&str; 2] = ["none", "sae"];
/// How a Wi-Fi network may be closed.
const CLOSED: [&str; 7] = [
    "none",
    "ieee8021x",
    "owe",
    "sae",
    "wpa-eap",
    "wpa-eap-suite-b-192",
    "wpa-psk",
];
/// Those that want a section [802-1x].
const BY_NAME: [&str; 3] = ["ieee8021x", "wpa-eap", "wpa-eap-suite-b-192"];
/// Lists of words that a closed one may have.
const LISTS: [(&str, &[&str]); 3] = [
    ("group", &["ccmp", "tkip", "wep104", "wep40"]),
    ("pairwise", &["ccmp", "tkip"]),
    ("proto", &["rsn", "wpa"]),
];
const WAYS: [&str; 3] = ["leap", "open", "shared"];
/// The greatest number for frames that are protected; with these ways nothing less than it is taken, or with the others nothing above 1.
const MOST_PMF: i64 = 3;
const WITH_PMF: [&str; 3] = ["owe", "sae", "wpa-eap-suite-b-192"];
const WITHOUT_PMF: [&str; 2] = ["ieee8021x", "none"];

/// A connection of this type, or one that has its sections.
pub(super) fn check(read: &Read, kind: &str) -> Result<(), String> {
    let is_wifi = WIFI.contains(&kind) || read.has(&WIFI);
    if is_wifi {
        check_radio(read)?;
    }
    if read.has(&SECURITY) {
        check_security(read)?;
    }
    Ok(())
}

fn check_radio(read: &Read) -> Result<(), String> {
    let ssid = read.get(&WIFI, "ssid").unwrap_or_default();
    if ssid.is_empty() {
        return Err("it is of type wifi and names no ssid in [wifi]".to_owned());
    }
    check_ssid(ssid, &read.said(&WIFI, "ssid").unwrap_or_default())?;
    check_channel(read)?;
    let mode = read.get(&WIFI, "mode").unwrap_or("infrastructure");
    if !MODES.contains(&mode) {
        return Err(none_of("mode", "wifi", &MODES));
    }
    let isolated = read.get(&WIFI, "ap-isolation").unwrap_or_default();
    if mode != "ap" && matches!(number(isolated, &SIGNED), Some(0 | 1)) {
        return Err("its ap-isolation in [wifi] wants mode=ap".to_owned());
    }
    if mode == "mesh" && (read.get(&WIFI, "band").is_none() || channel(read) == 0) {
        return Err(
            "its mode in [wifi] is mesh, which wants a band and a channel there".to_owned(),
        );
    }
    Ok(())
}

fn check_security(read: &Read) -> Result<(), String> {
    let closed = read.get(&SECURITY, "key-mgmt").unwrap_or_default();
    let closed = closed.to_ascii_lowercase();
    if !CLOSED.contains(&closed.as_str()) {
        return Err(none_of("key-mgmt", "wifi-security", &CLOSED));
    }
    if read.get(&WIFI, "mode") == Some("mesh") && !MESH.contains(&closed.as_str()) {
        return Err(none_of("key-mgmt", "wifi-security", &MESH) + ", as mode=mesh wants");
    }
    check_ways(read, &closed)?;
    // The older LEAP has its name beside it.
    let is_older = is_way(read, "leap");
    if BY_NAME.contains(&closed.as_str()) && !is_older && !read.has(&["802-1x"]) {
        return Err("its key-mgmt wants a section [802-1x]".to_owned());
    }
    let Some(psk) = read.get(&SECURITY, "psk") else {
        return Ok(());
    };
    let is_quoted = psk.len() > 1 && psk.starts_with('"') && psk.ends_with('"');
    if is_quoted {
        return Err(
            "its psk is in quotes, which would be part of the password: leave them out".to_owned(),
        );
    }
    // What is escaped is shorter than it is written. WPA3 alone takes a password of any length; 64 letters are none, but a key.
    let psk = read.said(&SECURITY, "psk").unwrap_or_default();
    let is_key = psk.len() == 64 && psk.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_password = (8..=63).contains(&psk.len());
    if closed == "wpa-psk" && !is_key && !is_password {
        return Err(
            "its psk has another length than 8 to 63 letters, and is no key of 64 hexadecimal digits"
                .to_owned(),
        );
    }
    Ok(())
}

/// How the network is called: as it is written, which may be a list of bytes, and as that is read.
fn check_ssid(written: &str, said: &str) -> Result<(), String> {
    let is_byte = |number: &str| number.trim().parse::<u8>().is_ok();
    let numbers = written.strip_suffix(';').map(|list| list.split(';'));
    let numbers = numbers.filter(|list| list.clone().all(is_byte));
    if numbers.map_or(said.len(), Iterator::count) > MOST_SSID {
        return Err("its ssid in [wifi] has more than 32 bytes".to_owned());
    }
    Ok(())
}

fn check_channel(read: &Read) -> Result<(), String> {
    let band = read.get(&WIFI, "band");
    if band.is_some_and(|band| !BANDS.contains(&band)) {
        return Err(none_of("band", "wifi", &BANDS));
    }
    let channel = channel(read);
    let is_within = match band {
        _ if channel == 0 => true,
        None => {
            return Err(
                "it has a channel and no band in [wifi]: a (5 GHz) or bg (2.4 GHz)".to_owned(),
            );
        }
        Some("bg") => channel <= MOST_BG,
        Some(_) => A.contains(&channel),
    };
    is_within
        .then_some(())
        .ok_or_else(|| "its channel in [wifi] is none of its band".to_owned())
}

/// 0, and what is no number, is none.
fn channel(read: &Read) -> i64 {
    let channel = read.get(&WIFI, "channel").unwrap_or_default();
    number(channel, &UNSIGNED).unwrap_or_default()
}

/// How both sides of a closed network speak.
fn check_ways(read: &Read, closed: &str) -> Result<(), String> {
    for (key, known) in LISTS {
        let list = read.get(&SECURITY, key).filter(|list| !list.is_empty());
        let Some(list) = list else {
            continue;
        };
        let list = list.strip_suffix(';').unwrap_or(list);
        if !list.split(';').all(|word| known.contains(&word)) {
            let known = known.join(", ");
            return Err(format!(
                "its {key} in [wifi-security] is not one of these, or more with `;` between them: {known}"
            ));
        }
    }
    let way = read.get(&SECURITY, "auth-alg");
    if way.is_some_and(|way| !WAYS.contains(&way.to_ascii_lowercase().as_str())) {
        return Err(none_of("auth-alg", "wifi-security", &WAYS));
    }
    for (way, wanted) in [("leap", "ieee8021x"), ("shared", "none")] {
        if is_way(read, way) && closed != wanted {
            return Err(format!(
                "its auth-alg in [wifi-security] is {way}, which wants key-mgmt={wanted}"
            ));
        }
    }
    if is_way(read, "leap")
        && read
            .get(&SECURITY, "leap-username")
            .is_none_or(str::is_empty)
    {
        return Err(
            "its auth-alg in [wifi-security] is leap, and it has no leap-username there".to_owned(),
        );
    }
    check_pmf(read, closed)
}

/// Whether frames that say nothing of their own are protected.
fn check_pmf(read: &Read, closed: &str) -> Result<(), String> {
    let pmf = read.get(&SECURITY, "pmf").unwrap_or_default();
    let pmf = number(pmf, &SIGNED).unwrap_or_default();
    if pmf > MOST_PMF {
        return Err("its pmf in [wifi-security] is no number from 0 to 3".to_owned());
    }
    let is_wrong = if WITH_PMF.contains(&closed) {
        ![0, MOST_PMF].contains(&pmf)
    } else {
        WITHOUT_PMF.contains(&closed) && pmf > 1
    };
    if is_wrong {
        return Err(format!(
            "its pmf in [wifi-security] is {pmf}, which does not go with key-mgmt={closed}"
        ));
    }
    Ok(())
}

fn is_way(read: &Read, way: &str) -> bool {
    read.get(&SECURITY, "auth-alg")
        .is_some_and(|own| own.eq_ignore_ascii_case(way))
}

fn none_of(key: &str, section: &str, known: &[&str]) -> String {
    let known = known.join(", ");
    format!("its {key} in [{section}] is none of these: {known}")
}
