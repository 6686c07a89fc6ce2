//! What is demanded of a person's own Wi-Fi network.
//!
//! Source: what `NetworkManager` refuses; tests give both the same files.

use super::keyfile::Read;

/// The type, which is also its section, with its older name.
pub(super) const WIFI: [&str; 2] = ["wifi", "802-11-wireless"];
const SECURITY: [&str; 2] = ["wifi-security", "802-11-wireless-security"];
/// Bytes of a network's name.
const MOST_SSID: usize = 32;
const MODES: [&str; 4] = ["adhoc", "ap", "infrastructure", "mesh"];
/// Channels of 2.4 GHz, and those of them that 5 GHz has not by the same numbers.
const BANDS: [&str; 2] = ["a", "bg"];
const MOST_BG: u32 = 14;
const NOT_A: [u32; 9] = [1, 2, 3, 4, 5, 6, 10, 13, 14];
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
/// The greatest number for frames that are protected.
const MOST_PMF: i32 = 3;

/// A connection of this type.
pub(super) fn check(read: &Read) -> Result<(), String> {
    let ssid = read.get(&WIFI, "ssid").unwrap_or_default();
    if ssid.is_empty() {
        return Err("it is of type wifi and names no ssid in [wifi]".to_owned());
    }
    check_ssid(ssid)?;
    check_channel(read)?;
    if let Some(mode) = read.get(&WIFI, "mode")
        && !MODES.contains(&mode)
    {
        return Err(none_of("mode", "wifi", &MODES));
    }
    if !read.has(&SECURITY) {
        return Ok(());
    }
    let closed = read.get(&SECURITY, "key-mgmt").unwrap_or_default();
    let closed = closed.to_ascii_lowercase();
    if !CLOSED.contains(&closed.as_str()) {
        return Err(none_of("key-mgmt", "wifi-security", &CLOSED));
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
    // What is escaped is shorter than it is written. WPA3 alone takes a password of any length.
    let is_short = psk.len() < 8;
    let is_long = psk.len() > 64 && !psk.contains('\\');
    if closed == "wpa-psk" && (is_short || is_long) {
        return Err("its psk has another length than 8 to 63 letters".to_owned());
    }
    Ok(())
}

/// How the network is called.
fn check_ssid(ssid: &str) -> Result<(), String> {
    let numbers = ssid.strip_suffix(';').map(|list| list.split(';'));
    let numbers = numbers.filter(|list| list.clone().all(|number| number.parse::<u8>().is_ok()));
    let size = numbers.map_or(ssid.len(), Iterator::count);
    // What is escaped is shorter than it is written.
    if size > MOST_SSID && !ssid.contains('\\') {
        return Err("its ssid in [wifi] has more than 32 bytes".to_owned());
    }
    Ok(())
}

fn check_channel(read: &Read) -> Result<(), String> {
    let band = read.get(&WIFI, "band");
    if band.is_some_and(|band| !BANDS.contains(&band)) {
        return Err(none_of("band", "wifi", &BANDS));
    }
    let channel = read.get(&WIFI, "channel").unwrap_or_default();
    // 0, and what is no number, is none.
    let channel = channel.trim().parse::<u32>().unwrap_or_default();
    let is_within = match band {
        _ if channel == 0 => true,
        None => {
            return Err(
                "it has a channel and no band in [wifi]: a (5 GHz) or bg (2.4 GHz)".to_owned(),
            );
        }
        Some("bg") => channel <= MOST_BG,
        Some(_) => !NOT_A.contains(&channel),
    };
    is_within
        .then_some(())
        .ok_or_else(|| "its channel in [wifi] is none of its band".to_owned())
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
    let pmf = read.get(&SECURITY, "pmf").unwrap_or_default();
    if pmf
        .trim_end()
        .parse::<i32>()
        .is_ok_and(|pmf| pmf > MOST_PMF)
    {
        return Err("its pmf in [wifi-security] is no number from 0 to 3".to_owned());
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
