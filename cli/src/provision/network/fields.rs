//! Values that single keys of a person's own connection may have, whatever else it says.
//!
//! Source: what `NetworkManager` refuses, found by giving it each key with many values; tests do it again. It passes over most values that
//! it cannot read: those are none here, too.

use std::ops::RangeInclusive;

use super::{
    keyfile::Read,
    number::{SIGNED, UNSIGNED, number},
};

/// What a value has to be.
enum Is {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number of which this holds, where it is one within the bounds.
    Number(RangeInclusive<i64>, fn(i64) -> bool, &'static str),
    /// A text of which this holds.
    Text(fn(&str) -> bool, &'static str),
}

use Is::{Number, Text, Word};

const CONNECTION: &[&str] = &["connection"];
const WIRED: &[&str] = &["ethernet", "802-3-ethernet"];
const WIFI: &[&str] = &["wifi", "802-11-wireless"];
const SECURITY: &[&str] = &["wifi-security", "802-11-wireless-security"];
const NAMES: &[&str] = &["802-1x"];
const BRIDGE: &[&str] = &["bridge"];
const GSM: &[&str] = &["gsm"];
const V4: &[&str] = &["ipv4"];
const V6: &[&str] = &["ipv6"];
const BOTH: &[&str] = &["ipv4", "ipv6"];
const VLAN: &[&str] = &["vlan"];
/// What wakes a machine: one alone, or more of the others.
const WAKE_USUAL: i64 = 1;
const WAKE_IGNORED: i64 = 0x8000;
/// Ways of Wi-Fi to do so.
const WAKE_WIFI: i64 = 0x1FE;
/// Versions of TLS that may be left out, each with that by which it may be forced, and all flags.
const TLS: [(i64, i64); 4] = [(1, 0x20), (2, 0x40), (4, 0x80), (0x10, 0x100)];
const ALL_TLS: i64 = 0x1FF;
/// More ways than one: never, always, to be told of, all with all.
const NO_WAYS: i64 = 1;
const TOLD: i64 = 0x10;
const ALL_WITH_ALL: i64 = 0x80;
const ALL_WAYS: i64 = 0xFE;

const MAC: &str = "no list of hardware addresses with `;` between them";
const MASK: &str = "no list of hardware addresses with blanks between them";
const SOME: &str = "empty: leave it out";
const DIGITS: &str = "no number of 5 or 6 digits";
#[rustfmt::skip]
const FIELDS: &[(&[&str], &str, Is)] = &[
    (CONNECTION, "dns-over-tls", Number(SIGNED, |on| (-1..=2).contains(&on), "no number from -1 to 2")),
    (CONNECTION, "id", Text(is_some, SOME)),
    (CONNECTION, "llmnr", Number(SIGNED, |on| (-1..=2).contains(&on), "no number from -1 to 2")),
    (CONNECTION, "mdns", Number(SIGNED, |on| (-1..=2).contains(&on), "no number from -1 to 2")),
    (CONNECTION, "metered", Number(0..=4, |on| on < 3, "no number from 0 to 2")),
    (CONNECTION, "mptcp-flags", Number(UNSIGNED, is_ways, "no sum of flags that go with each other")),
    (CONNECTION, "mud-url", Text(is_mud, "neither none nor a URL of https")),
    (CONNECTION, "multi-connect", Number(SIGNED, |on| (0..=3).contains(&on), "no number from 0 to 3")),
    (CONNECTION, "permissions", Text(is_permissions, "no list like user:NAME;user:NAME;")),
    (WIRED, "duplex", Word(&["full", "half"])),
    (WIRED, "generate-mac-address-mask", Text(is_mask, MASK)),
    (WIRED, "mac-address-blacklist", Text(is_macs, MAC)),
    (WIRED, "port", Word(&["aui", "bnc", "mii", "tp"])),
    (WIRED, "s390-nettype", Word(&["ctc", "lcs", "qeth"])),
    (WIRED, "s390-subchannels", Text(is_channels, "no list of 2 or 3 channels with `;` between them")),
    (WIRED, "wake-on-lan", Number(UNSIGNED, is_wake, "no sum of flags that go with each other")),
    (WIFI, "generate-mac-address-mask", Text(is_mask, MASK)),
    (WIFI, "mac-address-blacklist", Text(is_macs, MAC)),
    (WIFI, "mac-address-randomization", Number(UNSIGNED, |on| on < 3, "no number from 0 to 2")),
    (WIFI, "wake-on-wlan", Number(UNSIGNED, is_wake_of_wifi, "no sum of flags that go with each other")),
    (SECURITY, "leap-username", Text(is_some, SOME)),
    (SECURITY, "wps-method", Number(UNSIGNED, |way| [0, 1, 2, 4, 6, 8].contains(&way), "none of these: 0, 1, 2, 4, 6, 8")),
    (NAMES, "phase1-auth-flags", Number(UNSIGNED, is_tls, "no sum of flags that go with each other")),
    (NAMES, "phase1-fast-provisioning", Word(&["0", "1", "2", "3"])),
    (NAMES, "phase1-peaplabel", Word(&["0", "1"])),
    (NAMES, "phase1-peapver", Word(&["0", "1"])),
    (VLAN, "id", Number(0..=4095, |id| id < 4095, "no number from 0 to 4094")),
    (VLAN, "protocol", Word(&["802.1Q", "802.1ad"])),
    (BRIDGE, "group-address", Text(is_group, "no address like 01:80:C2:00:00:04")),
    (BRIDGE, "group-forward-mask", Number(0..=0xFFFF, |mask| mask.trailing_zeros() >= 3, "one that has some of its lowest three bits")),
    (BRIDGE, "multicast-router", Word(&["auto", "disabled", "enabled"])),
    (BRIDGE, "vlan-protocol", Word(&["802.1Q", "802.1ad"])),
    (GSM, "device-id", Text(is_some, SOME)),
    (GSM, "network-id", Text(is_operator, DIGITS)),
    (GSM, "number", Text(is_some, SOME)),
    (GSM, "sim-id", Text(is_some, SOME)),
    (GSM, "sim-operator-id", Text(is_operator, DIGITS)),
    (GSM, "username", Text(is_some, SOME)),
    (&["ppp"], "mru", Number(0..=16384, |mru| mru == 0 || mru >= 128, "no number from 128 to 16384")),
    (&["proxy"], "method", Number(SIGNED, |way| (0..=1).contains(&way), "neither 0 nor 1")),
    (&["wireguard"], "private-key-flags", Number(0..=7, |flags| flags < 3, "no number from 0 to 2")),
    (V4, "dhcp-client-id", Text(is_some, SOME)),
    (V4, "dhcp-fqdn", Text(|name| name.contains('.'), "no name with its domain")),
    (BOTH, "dhcp-hostname", Text(is_some, SOME)),
    (BOTH, "dhcp-iaid", Text(is_iaid, "none of these: mac, perm-mac, ifname, stable, a number")),
    (V4, "dhcp-vendor-class-identifier", Text(|id| (1..=255).contains(&id.len()), "empty, or longer than 255 bytes")),
    (V4, "link-local", Number(SIGNED, |on| (0..=3).contains(&on), "no number from 0 to 3")),
    (V4, "dhcp-reject-servers", Text(is_servers, "no list of addresses with `;` between them")),
    (V6, "dhcp-reject-servers", Text(str::is_empty, "what IPv4 has alone")),
    (V6, "addr-gen-mode", Number(SIGNED, |on| (0..=3).contains(&on), "no mode: eui64 and stable-privacy are")),
    (V6, "dhcp-duid", Text(is_duid, "none of these: lease, ll, llt, stable-ll, stable-llt, stable-uuid, 3 to 130 bytes in hexadecimal digits")),
];

/// Each key that has a value here.
pub(super) fn check(read: &Read) -> Result<(), String> {
    for (sections, key, is) in FIELDS {
        for section in *sections {
            if let Some(because) = is.wrong(read, section, key) {
                let named = sections
                    .first()
                    .filter(|_| *sections != BOTH)
                    .unwrap_or(section);
                return Err(format!("its {key} in [{named}] is {because}"));
            }
        }
    }
    Ok(())
}

impl Is {
    /// What is wrong with a value.
    fn wrong(&self, read: &Read, section: &str, key: &str) -> Option<String> {
        match self {
            Self::Word(known) => {
                let said = read.said(&[section], key)?;
                let none_of = || format!("none of these: {}", known.join(", "));
                (!known.contains(&said.as_str())).then(none_of)
            }
            Self::Number(within, is, what) => {
                let number = number(read.get(&[section], key)?, within)?;
                (!is(number)).then(|| (*what).to_owned())
            }
            Self::Text(is, what) => {
                let said = read.said(&[section], key)?;
                (!is(&said)).then(|| (*what).to_owned())
            }
        }
    }
}

fn is_some(text: &str) -> bool {
    !text.is_empty()
}

fn is_wake(flags: i64) -> bool {
    let alone = WAKE_USUAL | WAKE_IGNORED;
    flags & alone == 0 || [WAKE_USUAL, WAKE_IGNORED].contains(&flags)
}

fn is_wake_of_wifi(flags: i64) -> bool {
    is_wake(flags) && flags & !(WAKE_WIFI | WAKE_USUAL | WAKE_IGNORED) == 0
}

fn is_tls(flags: i64) -> bool {
    let is_both = |(out, forced): &(i64, i64)| flags & out != 0 && flags & forced != 0;
    flags & !ALL_TLS == 0 && !TLS.iter().any(is_both)
}

fn is_ways(flags: i64) -> bool {
    let is_both = flags & TOLD != 0 && flags & ALL_WITH_ALL != 0;
    flags == NO_WAYS || flags & !ALL_WAYS == 0 && !is_both
}

/// Where a device's maker says what it needs of a network.
fn is_mud(text: &str) -> bool {
    let path = text.strip_prefix("https://");
    let is_url = |path: &str| {
        !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() < 256
    };
    text == "none" || path.is_some_and(is_url)
}

fn is_permissions(text: &str) -> bool {
    list(text).all(|one| {
        let user = one.strip_prefix("user:");
        let user = user.map(|user| user.strip_suffix(':').unwrap_or(user));
        user.is_some_and(|user| !user.is_empty() && !user.contains(':'))
    })
}

/// A hardware address of six bytes.
pub(super) fn is_mac(text: &str) -> bool {
    let between = if text.contains('-') { '-' } else { ':' };
    let is_byte = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split(between).count() == 6 && text.split(between).all(is_byte)
}

fn is_macs(text: &str) -> bool {
    list(text).all(is_mac)
}

fn is_mask(text: &str) -> bool {
    text.is_empty() || !text.trim().is_empty() && text.split_whitespace().all(is_mac)
}

/// One that no bridge hands on.
fn is_group(text: &str) -> bool {
    let between = if text.contains('-') { '-' } else { ':' };
    let byte = |part: &str| u8::from_str_radix(part, 16).ok();
    let bytes: Option<Vec<u8>> = text.split(between).map(byte).collect();
    let bytes = bytes.filter(|_| is_mac(text));
    bytes.is_some_and(|bytes| {
        bytes.starts_with(&[1, 0x80, 0xC2, 0, 0]) && matches!(bytes.last(), Some(0 | 4..=15))
    })
}

fn is_channels(text: &str) -> bool {
    (2..=3).contains(&list(text).count())
}

fn is_operator(text: &str) -> bool {
    (5..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_iaid(text: &str) -> bool {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'x');
    ["ifname", "mac", "perm-mac", "stable"].contains(&text)
        || is_number && number(text, &UNSIGNED).is_some()
}

fn is_duid(text: &str) -> bool {
    const WORDS: [&str; 6] = [
        "lease",
        "ll",
        "llt",
        "stable-ll",
        "stable-llt",
        "stable-uuid",
    ];
    let is_byte = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let count = if text.contains(':') {
        text.split(':')
            .all(is_byte)
            .then(|| text.split(':').count())
    } else {
        let is_hex =
            text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len().is_multiple_of(2);
        is_hex.then_some(text.len() / 2)
    };
    WORDS.contains(&text) || count.is_some_and(|count| (3..=130).contains(&count))
}

/// Addresses of servers, or of their networks.
fn is_servers(text: &str) -> bool {
    list(text).all(|server| {
        let (ip, bits) = server.split_once('/').unwrap_or((server, "32"));
        let is_bits = bits.bytes().all(|byte| byte.is_ascii_digit())
            && bits.parse::<u8>().is_ok_and(|bits| bits <= 32);
        is_bits && ip.parse::<std::net::Ipv4Addr>().is_ok()
    })
}

/// Words of a list, which `;` may end.
fn list(text: &str) -> impl Iterator<Item = &str> {
    let all = text.strip_suffix(';').unwrap_or(text);
    all.split(';').filter(move |_| !text.is_empty())
}
