//! What config.json asks of the parts of the system, the agent among them: the keys of the ecosystem, typed and within bounds.
//!
//! In: keys. Out: a [`Config`], and complaints. Pure. Keys that are not named here are others' business and stay in the file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::reader::{Complaint, Reader};
use super::ssh_key;
use crate::model::Secret;
use crate::settings::{is_hostname, is_uuid};
use crate::target::is_device_name;

/// Keys of people who may log in.
const MAX_SSH_KEYS: usize = 256;
/// Rules for devices, and bytes of each.
const MAX_RULES: usize = 64;
const MAX_RULE: usize = 64 * 1024;
/// Servers of each kind.
const MAX_SERVERS: usize = 16;
/// Bytes of an address, a token, an answer that is expected.
const MAX_TEXT: usize = 2048;
/// Bytes of certificates.
const MAX_CERTIFICATES: usize = 256 * 1024;

/// Servers of names that are asked beside the network's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum NameServers {
    /// The key is absent.
    #[default]
    Default,
    /// The word `null`: the network's own only.
    None,
    /// These.
    These(Vec<String>),
}

/// How the network is to be watched and entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) check_uri: Option<String>,
    /// Seconds.
    pub(crate) check_interval: Option<u64>,
    pub(crate) check_response: Option<String>,
    pub(crate) random_mac_scan: Option<bool>,
}

/// Of the cloud, what parts of the system need to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cloud {
    pub(crate) api_endpoint: Option<String>,
    pub(crate) registry_endpoint: Option<String>,
    pub(crate) provisioning_key: Option<Secret>,
    pub(crate) device_key: Option<Secret>,
    pub(crate) is_registered: bool,
}

/// The switch that opens the device.
pub(super) const DEVELOPMENT_MODE: &str = "developmentMode";

/// How much the journal may hold, in journald's own words: `32M`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) is_persistent: bool,
    pub(crate) in_memory: Option<String>,
    pub(crate) on_disk: Option<String>,
}

/// Boards' own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) fan_profile: Option<String>,
    pub(crate) power_mode: Option<String>,
    /// Name of the volume in which the kernel looks for firmware, too.
    pub(crate) firmware_volume: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) uuid: Option<String>,
    pub(crate) hostname: Option<String>,
    /// Of a device that nobody has named yet.
    pub(crate) initial_name: Option<String>,
    pub(crate) is_development: bool,
    pub(crate) ssh_keys: Vec<String>,
    /// Whether SSH asks for a key though there is none here.
    pub(crate) is_ssh_closed: bool,
    pub(crate) journal: Journal,
    pub(crate) name_servers: NameServers,
    pub(crate) time_servers: Vec<String>,
    pub(crate) country: Option<String>,
    pub(crate) network: Network,
    pub(crate) udev_rules: BTreeMap<String, String>,
    pub(crate) listen_port: Option<u16>,
    /// PEM.
    pub(crate) root_certificates: Option<String>,
    pub(crate) board: Board,
    pub(crate) cloud: Cloud,
}

/// Understands the keys.
pub(crate) fn understand(keys: &Map<String, Value>) -> (Config, Vec<Complaint>) {
    let mut reader = Reader::new(keys);
    let from = &mut reader;
    let config = Config {
        uuid: from
            .text("uuid", "32 or 62 hexadecimal digits", is_uuid)
            .map(|uuid| uuid.to_ascii_lowercase()),
        hostname: from.text("hostname", "a host name", is_hostname),
        initial_name: from.text(
            "initialDeviceName",
            "one line of at most 255 characters",
            is_device_name,
        ),
        is_development: from.switch(DEVELOPMENT_MODE).unwrap_or(false),
        ssh_keys: ssh_keys(from),
        is_ssh_closed: from.value(SSH_KEYS) == Some(&Value::Bool(false)),
        journal: Journal {
            is_persistent: from.switch("persistentLogging").unwrap_or(false),
            in_memory: from.text("os.journal.memory", SIZE, is_size),
            on_disk: from.text("os.journal.disk", SIZE, is_size),
        },
        name_servers: name_servers(from),
        time_servers: from
            .words("ntpServers", "a name or address", MAX_SERVERS, is_server)
            .unwrap_or_default(),
        country: from
            .text("country", "two letters", |text| {
                text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphanumeric())
            })
            .map(|country| country.to_ascii_uppercase()),
        network: network(from),
        udev_rules: udev_rules(from),
        listen_port: from
            .number("listenPort", 1, 65535)
            .and_then(|port| u16::try_from(port).ok()),
        root_certificates: root_certificates(from),
        board: board(from),
        cloud: Cloud {
            api_endpoint: from.text("apiEndpoint", "a URL", is_url),
            registry_endpoint: from.text("registryEndpoint", "one word", is_word),
            provisioning_key: from.text("apiKey", "one word", is_word).map(Secret::new),
            device_key: from
                .text("deviceApiKey", "one word", is_word)
                .map(Secret::new),
            is_registered: from.value("registered_at").is_some_and(is_a_time),
        },
    };
    (config, reader.complaints())
}

const SIZE: &str = "a size like 32M";

fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['K', 'M', 'G']).unwrap_or(text);
    (1..=12).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.bytes().any(|b| b != b'0')
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty()) && is_word(text)
}

/// Zero, as text or number, stands for never.
fn is_a_time(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|time| time > 0.0),
        Value::String(text) => text.trim().parse::<f64>().is_ok_and(|time| time > 0.0),
        _ => false,
    }
}

/// An address, or a name of letters, digits, points and hyphens.
fn is_server(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= 253
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }))
}

/// An address, with `#PORT` behind it where it is not 53.
fn is_name_server(text: &str) -> bool {
    let (address, port) = text.split_once('#').unwrap_or((text, "53"));
    // As dnsmasq reads it: digits, and no sign before them.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port != 0);
    address.parse::<IpAddr>().is_ok() && is_port
}

fn name_servers(from: &mut Reader<'_>) -> NameServers {
    let word = from.value("dnsServers").and_then(Value::as_str);
    if word.is_some_and(|text| text.trim() == "null") {
        return NameServers::None;
    }
    let found = from.words("dnsServers", "an address", MAX_SERVERS, is_name_server);
    found.map_or(NameServers::Default, NameServers::These)
}

fn network(from: &mut Reader<'_>) -> Network {
    let is_line = |text: &str| text.len() <= MAX_TEXT && !text.contains(char::is_control);
    Network {
        check_uri: from.text("os.network.connectivity.uri", "a URL", is_url),
        check_interval: from.number("os.network.connectivity.interval", 0, 86400 * 365),
        check_response: from.text("os.network.connectivity.response", "one line", is_line),
        random_mac_scan: from.switch("os.network.wifi.randomMacAddressScan"),
    }
}

fn board(from: &mut Reader<'_>) -> Board {
    let is_slug = |text: &str| {
        text.len() <= 64
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let key = "os.kernel.extraFirmwareVol";
    let volume = match from.value(key) {
        Some(Value::Bool(true)) => Some("extra-firmware".to_owned()),
        Some(Value::Bool(false)) | None => None,
        Some(_) => from.text(key, "true, false or the name of a volume", |text| {
            is_slug(text) && !text.starts_with('-')
        }),
    };
    Board {
        fan_profile: from.text("os.fan.profile", "a name", is_slug),
        power_mode: from.text("os.power.mode", "a name", is_slug),
        firmware_volume: volume.filter(|name| name != "false"),
    }
}

/// Where people's keys are, and more.
pub(super) const OS: &str = "os";
/// People's keys.
pub(super) const SSH_KEYS: &str = "os.sshKeys";

/// Lines that are keys. Where there is none among several, the key cannot be used; an empty list asks for none, and `false` for
/// nobody.
fn ssh_keys(from: &mut Reader<'_>) -> Vec<String> {
    let key = SSH_KEYS;
    let wanted = "a list of public keys";
    let Some(value) = from.value(key) else {
        return Vec::new();
    };
    let lines = match value {
        Value::Array(lines) => lines,
        Value::Bool(false) => return Vec::new(),
        _ => {
            from.unusable(key, wanted);
            return Vec::new();
        }
    };
    let good: Vec<String> = lines
        .iter()
        .filter_map(|line| line.as_str().map(str::trim))
        .filter(|line| ssh_key::is_one(line))
        .map(str::to_owned)
        .take(MAX_SSH_KEYS)
        .collect();
    let bad = lines.len().saturating_sub(good.len());
    if bad > 0 && good.is_empty() {
        from.unusable(key, wanted);
    } else if bad > 0 {
        from.left_out(
            key,
            format!("{bad} of its lines are no public keys and are left out"),
        );
    }
    good
}

/// A name becomes the name of a file: nothing that leads out of its folder or is hidden there.
fn is_rule_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn udev_rules(from: &mut Reader<'_>) -> BTreeMap<String, String> {
    let key = "os.udevRules";
    let Some(value) = from.value(key) else {
        return BTreeMap::new();
    };
    let Value::Object(rules) = value else {
        from.unusable(key, "an object of names and rules");
        return BTreeMap::new();
    };
    let good: BTreeMap<String, String> = rules
        .iter()
        .filter_map(|(name, rule)| Some((name, rule.as_str()?)))
        .filter(|(name, rule)| is_rule_name(name) && rule.len() <= MAX_RULE && !rule.contains('\0'))
        .map(|(name, rule)| {
            let name = name.strip_suffix(".rules").unwrap_or(name);
            (name.to_owned(), rule.to_owned())
        })
        .take(MAX_RULES)
        .collect();
    let bad = rules.len().saturating_sub(good.len());
    if bad > 0 {
        from.left_out(
            key,
            format!("{bad} of its rules are left out: names of letters, digits, `-`, `_` and `.` with texts are expected"),
        );
    }
    good
}

fn root_certificates(from: &mut Reader<'_>) -> Option<String> {
    let key = "balenaRootCA";
    let text = from.text(key, "base64", |_| true)?;
    let found = certificates(&text);
    if found.is_none() {
        from.unusable(key, "a certificate in PEM, in base64,");
    }
    found
}

/// Certificates in PEM out of base64; line breaks in it do no harm.
pub(crate) fn certificates(base64: &str) -> Option<String> {
    let text: String = base64.split_ascii_whitespace().collect();
    if text.len() > MAX_CERTIFICATES {
        return None;
    }
    let pem = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let is_pem = pem.contains("-----BEGIN CERTIFICATE-----")
        && pem.contains("-----END CERTIFICATE-----")
        && !pem.contains('\0');
    is_pem.then_some(pem)
}

#[cfg(test)]
mod tests;
