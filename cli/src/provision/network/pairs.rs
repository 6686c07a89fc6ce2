//! What keys of a person's own connection demand of each other.
//!
//! Source: what `NetworkManager` refuses; tests give both the same files.

use super::{
    keyfile::Read,
    number::{UNSIGNED, number},
};

const WIRED: [&str; 2] = ["ethernet", "802-3-ethernet"];
const NAMES: [&str; 1] = ["802-1x"];
/// What wakes a machine by a packet that has a password.
const MAGIC: i64 = 0x40;
/// A bridge's times, with the least that each has where loops are looked for.
const TIMES: [(&str, i64, i64); 3] = [
    ("forward-delay", 2, 30),
    ("hello-time", 1, 10),
    ("max-age", 6, 40),
];
/// Certificates, and the passwords of those that are on a token.
const CERTIFICATES: [(&str, &str); 4] = [
    ("ca-cert", "ca-cert-password"),
    ("client-cert", "client-cert-password"),
    ("phase2-ca-cert", "phase2-ca-cert-password"),
    ("phase2-client-cert", "phase2-client-cert-password"),
];

pub(super) fn check(read: &Read, kind: &str) -> Result<(), String> {
    check_wake(read)?;
    check_names(read, kind)?;
    check_bridge(read)?;
    let at = |sections: &[&str], key: &str| {
        let said = read.get(sections, key).unwrap_or_default();
        number(said, &UNSIGNED).unwrap_or_default()
    };
    if at(&["ppp"], "lcp-echo-failure") > 0 && at(&["ppp"], "lcp-echo-interval") == 0 {
        return refused("its lcp-echo-failure in [ppp] wants a lcp-echo-interval there");
    }
    let is_proxy = at(&["proxy"], "method") == 1;
    let by_script = ["pac-url", "pac-script"];
    let script = by_script
        .iter()
        .find(|key| read.said(&["proxy"], key).is_some());
    if let Some(key) = script.filter(|_| !is_proxy) {
        return Err(format!("its {key} in [proxy] wants method=1 there"));
    }
    if read.all("user").any(|(key, _)| !key.contains('.')) {
        return refused("it has a key in [user] without a point in it");
    }
    Ok(())
}

fn check_wake(read: &Read) -> Result<(), String> {
    let Some(password) = read.said(&WIRED, "wake-on-lan-password") else {
        return Ok(());
    };
    let flags = read.get(&WIRED, "wake-on-lan").unwrap_or_default();
    let flags = number(flags, &UNSIGNED).unwrap_or_default();
    if flags & MAGIC == 0 {
        return refused("its wake-on-lan-password in [ethernet] wants wake-on-lan=64 there");
    }
    if !super::fields::is_mac(&password) {
        return refused("its wake-on-lan-password in [ethernet] is no hardware address");
    }
    Ok(())
}

fn check_names(read: &Read, kind: &str) -> Result<(), String> {
    if read.get(&NAMES, "optional").is_some_and(is_on) && !WIRED.contains(&kind) {
        return refused("its optional in [802-1x] is on, which it can be with a wire alone");
    }
    for (certificate, password) in CERTIFICATES {
        let is_on_token = |path: &str| path.starts_with("pkcs11:");
        let is_of_file = read
            .get(&NAMES, certificate)
            .is_some_and(|path| !path.is_empty() && !is_on_token(path));
        if is_of_file && read.said(&NAMES, password).is_some() {
            return Err(format!(
                "its {password} in [802-1x] wants a {certificate} of pkcs11: a file has none"
            ));
        }
    }
    Ok(())
}

fn check_bridge(read: &Read) -> Result<(), String> {
    let has_loops = read.get(&["bridge"], "stp").is_some_and(is_off);
    for (key, least, most) in TIMES {
        let time = read.get(&["bridge"], key).unwrap_or_default();
        let is_short = |time: &i64| *time < least && (*time > 0 || !has_loops);
        if number(time, &(0..=most)).as_ref().is_some_and(is_short) {
            return Err(format!(
                "its {key} in [bridge] is no number from {least} to {most}"
            ));
        }
    }
    Ok(())
}

/// Words for yes and no, with blanks behind them.
fn is_on(text: &str) -> bool {
    ["1", "true"].contains(&text.trim_end())
}

fn is_off(text: &str) -> bool {
    ["0", "false"].contains(&text.trim_end())
}

fn refused(because: &str) -> Result<(), String> {
    Err(because.to_owned())
}
