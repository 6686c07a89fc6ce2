//! What is demanded of several interfaces that are one.
//!
//! Source: what `NetworkManager` refuses: options that only some modes have, and those that want another one. It passes over an option
//! that it does not know, and a value that the option cannot have.

use std::net::Ipv4Addr;

use super::keyfile::Read;

const SECTION: [&str; 1] = ["bond"];
/// In the order of their numbers.
const MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];
/// Those in which one interface goes first.
const WITH_FIRST: [usize; 3] = [1, 5, 6];
const LACP: usize = 4;
/// Those that never ask others.
const NEVER_ASKED: [usize; 2] = [5, 6];
/// The most often that others are told.
const MOST_TOLD: i32 = 255;
/// What waits for a look at a link.
const DELAYS: [&str; 3] = ["updelay", "downdelay", "peer_notif_delay"];
/// How often links are looked at where nothing is said, in milliseconds.
const USUAL: i32 = 100;

pub(super) fn check(read: &Read) -> Result<(), String> {
    let said = |key: &str| read.said(&SECTION, key).unwrap_or_default();
    let at = |key: &str| digits(&said(key));
    let mode = mode(&said("mode"))?;
    if !said("primary").is_empty() && !WITH_FIRST.contains(&mode) {
        return refused(
            "primary, which no other modes have than active-backup, balance-tlb and balance-alb",
        );
    }
    if (said("lacp_rate") == "fast" || at("lacp_rate") == Some(1)) && mode != LACP {
        return refused("lacp_rate, which no other mode has than 802.3ad");
    }
    let is_asked = at("arp_interval").is_some_and(|every| every > 0);
    if is_asked != has_targets(&said("arp_ip_target")) {
        return refused(
            "one of arp_interval and arp_ip_target, which want each other: a number, and addresses with `,` between them",
        );
    }
    if is_asked && NEVER_ASKED.contains(&mode) {
        return refused("arp_interval, which the modes balance-tlb and balance-alb do not have");
    }
    let both = at("num_grat_arp").zip(at("num_unsol_na"));
    if both.is_some_and(|(arp, na)| arp != na && arp.max(na) <= MOST_TOLD) {
        return refused("two values in num_grat_arp and num_unsol_na, which are the same");
    }
    let is_late = |key: &&&str| at(key).is_some_and(|delay| delay > 0);
    let every = at("miimon");
    if every == Some(0)
        && let Some(key) = DELAYS.iter().find(is_late)
    {
        return refused(&format!("{key}, which wants a miimon other than 0"));
    }
    let is_by_link = !is_asked || mode == LACP;
    let delay = at("peer_notif_delay").unwrap_or_default();
    if is_by_link && delay % every.unwrap_or(USUAL).max(1) != 0 {
        return refused(
            "peer_notif_delay, which is no multiple of miimon (100 where it is not said)",
        );
    }
    Ok(())
}

/// Its number. What is no mode is passed over.
fn mode(said: &str) -> Result<usize, String> {
    if let Some(number) = MODES.iter().position(|mode| *mode == said) {
        return Ok(number);
    }
    let number = digits(said).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| *number < MODES.len());
    // A number that begins with zeros is read, and then not taken.
    if number.is_some() && said.len() > 1 {
        let modes = MODES.join(", ");
        return Err(format!("its mode in [bond] is none of these: {modes}"));
    }
    Ok(number.unwrap_or_default())
}

/// A number of nothing but digits.
fn digits(text: &str) -> Option<i32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn has_targets(said: &str) -> bool {
    let targets = said.split(',').map(str::trim);
    let mut targets = targets.filter(|target| !target.is_empty()).peekable();
    targets.peek().is_some() && targets.all(|target| target.parse::<Ipv4Addr>().is_ok())
}

fn refused(what: &str) -> Result<(), String> {
    Err(format!("it has in [bond] {what}"))
}
