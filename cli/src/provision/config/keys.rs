//! The keys of config.json: what each may hold.
//!
//! In: a key and a value as typed. Out: a value of the key's type, or what is wrong with it. Source: the configuration that devices of
//! the ecosystem read. A key that is not known is most likely one that was mistyped: nothing on a device would tell so.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text of one line.
    Text,
    /// A text that has to be of this form.
    Form(fn(&str) -> bool, &'static str),
    /// One of these.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number from here to there.
    Number(u64, u64),
    /// `true`, `false` or a name.
    SwitchOrName,
    /// Texts.
    List,
    /// Texts by names.
    Map,
    /// Anything that JSON has.
    Any,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it is shown only to those who ask for it.
    pub(super) is_secret: bool,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    let is_secret = false;
    Key {
        name,
        kind,
        is_secret,
    }
}

const fn secret(name: &'static str, kind: Kind) -> Key {
    let is_secret = true;
    Key {
        name,
        kind,
        is_secret,
    }
}

const URL: Kind = Kind::Form(is_url, "a URL that begins with https:// or http://");
const ADDRESSES: Kind = Kind::Form(
    is_servers,
    "names or addresses with blanks between them, or `null` for none",
);
const SIZE: Kind = Kind::Form(is_size, "a size like 32M");
const PORT: Kind = Kind::Number(1, 65_535);
const NUMBER: Kind = Kind::Number(0, u64::MAX);

/// Every key, in the order in which they are shown.
pub(super) const ALL: &[Key] = &[
    key(
        "apiEndpoint",
        Kind::Form(is_url_or_none, "a URL, or nothing"),
    ),
    secret("apiKey", Kind::Text),
    key("apiTimeout", NUMBER),
    key("appUpdatePollInterval", NUMBER),
    key("applicationId", NUMBER),
    key("applicationName", Kind::Text),
    key(
        "balenaRootCA",
        Kind::Form(is_certificates, "certificates (PEM) in base64"),
    ),
    key("bootstrapRetryDelay", NUMBER),
    key("connectivity", Kind::Text),
    key("country", Kind::Form(is_country, "two letters")),
    key("debug", Kind::Any),
    key("deltaEndpoint", URL),
    secret("deviceApiKey", Kind::Text),
    secret("deviceApiKeys", Kind::Map),
    key("deviceId", NUMBER),
    key("deviceType", Kind::Text),
    key("developmentMode", Kind::Switch),
    key("dnsServers", ADDRESSES),
    key("files", Kind::Any),
    key("gateway", Kind::Text),
    key(
        "hostname",
        Kind::Form(is_host, "letters, digits and hyphens, at most 63"),
    ),
    key("initialDeviceName", Kind::Text),
    key("installer.migrate.force", Kind::Switch),
    key("installer.secureboot", Kind::Switch),
    key("installer.target_devices", Kind::Text),
    key("ip", Kind::Text),
    key("listenPort", PORT),
    key("logsEndpoint", URL),
    secret("mixpanelToken", Kind::Text),
    key("netmask", Kind::Text),
    key("ntpServers", ADDRESSES),
    key("os.fan.profile", Kind::Choice(&["quiet", "cool"])),
    key("os.journal.disk", SIZE),
    key("os.journal.memory", SIZE),
    key("os.kernel.extraFirmwareVol", Kind::SwitchOrName),
    key("os.network.connectivity.interval", NUMBER),
    key("os.network.connectivity.response", Kind::Text),
    key("os.network.connectivity.uri", URL),
    key("os.network.wifi.randomMacAddressScan", Kind::Switch),
    key("os.power.mode", Kind::Choice(&["low", "mid", "high"])),
    key("os.sshKeys", Kind::List),
    key("os.udevRules", Kind::Map),
    key("persistentLogging", Kind::Switch),
    key("registered_at", NUMBER),
    key("registryEndpoint", Kind::Text),
    key("userId", NUMBER),
    key("username", Kind::Text),
    key("uuid", Kind::Form(is_uuid, "32 or 62 hexadecimal digits")),
    key("version", Kind::Text),
    key("vpnEndpoint", Kind::Text),
    key("vpnPort", PORT),
    secret("wifiKey", Kind::Text),
    key("wifiSsid", Kind::Text),
];

/// The key of a path, and the name within it where it is one of a map.
pub(super) fn find(path: &str) -> Option<(&'static Key, Option<&str>)> {
    let whole = ALL.iter().find(|key| key.name == path);
    whole.map(|key| (key, None)).or_else(|| {
        ALL.iter()
            .filter(|key| matches!(key.kind, Kind::Map))
            .find_map(|key| {
                let name = path.strip_prefix(key.name)?.strip_prefix('.')?;
                Some((key, Some(name)))
            })
    })
}

/// Keys of a name like this one, the likeliest first.
pub(super) fn near(path: &str) -> Vec<&'static str> {
    let typed = path.to_lowercase();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let mut near: Vec<(usize, &str)> = ALL
        .iter()
        .filter_map(|key| {
            let whole = distance(&typed, &key.name.to_lowercase());
            let end = distance(&last(&typed), &last(key.name));
            let letters = whole.min(end + usize::from(key.name.contains('.')));
            (letters <= 2 + typed.len() / 8).then_some((letters, key.name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

/// How many letters have to be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (column, theirs) in other.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or_default();
            let least = (diagonal + usize::from(letter != *theirs))
                .min(before + 1)
                .min(above + 1);
            if let Some(place) = row.get_mut(column) {
                *place = before;
            }
            diagonal = above;
            before = least;
        }
        if let Some(place) = row.last_mut() {
            *place = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Takes what was typed for a key. `Err`: what it should be.
pub(super) fn understand(kind: Kind, typed: &str) -> Result<Value, String> {
    let text = || Value::String(typed.to_owned());
    let is_line = !typed.contains(char::is_control);
    match kind {
        Kind::Text if is_line => Ok(text()),
        Kind::Text => Err("a text of one line".to_owned()),
        Kind::Form(fits, _) if fits(typed) => Ok(text()),
        Kind::Form(_, form) => Err(form.to_owned()),
        Kind::Choice(choices) if choices.contains(&typed) => Ok(text()),
        Kind::Choice(choices) => Err(format!("one of {}", choices.join(", "))),
        Kind::Switch => switch(typed).ok_or_else(|| "true or false".to_owned()),
        Kind::SwitchOrName if is_line => Ok(switch(typed).unwrap_or_else(text)),
        Kind::SwitchOrName => Err("true, false or a name".to_owned()),
        Kind::Number(least, most) => number(typed, least, most),
        Kind::List => match serde_json::from_str(typed) {
            Ok(list @ Value::Array(_)) => checked(kind, list),
            _ if is_line && !typed.is_empty() => Ok(Value::Array(vec![text()])),
            _ => Err("a text, or a JSON array of texts".to_owned()),
        },
        Kind::Map => match serde_json::from_str(typed) {
            Ok(map @ Value::Object(_)) => checked(kind, map),
            _ => Err("a JSON object of texts".to_owned()),
        },
        Kind::Any => Ok(serde_json::from_str(typed).unwrap_or_else(|_| text())),
    }
}

/// Whether a value may be there. `Err`: what it should be.
pub(super) fn checked(kind: Kind, value: Value) -> Result<Value, String> {
    let fits = match (kind, &value) {
        (Kind::List, Value::Array(list)) => list.iter().all(Value::is_string),
        (Kind::Map, Value::Object(map)) => map.values().all(Value::is_string),
        // By `false` in the place of keys, SSH is closed. A key without a value is none.
        (Kind::Any, _) | (Kind::List, Value::Bool(false)) | (_, Value::Null) => true,
        (kind, Value::Bool(_)) => matches!(kind, Kind::Switch | Kind::SwitchOrName),
        (Kind::List | Kind::Map, _) => false,
        // What others wrote as a text, their readers take, too.
        (_, Value::String(text)) => return understand(kind, text).map(|_| value),
        (Kind::Number(..), Value::Number(number)) => {
            return understand(kind, &number.to_string()).map(|_| value);
        }
        _ => false,
    };
    let wanted = match kind {
        Kind::List => "an array of texts",
        Kind::Map => "an object of texts",
        Kind::Switch => "true or false",
        Kind::Number(..) => "a number",
        _ => "a text",
    };
    fits.then_some(value).ok_or_else(|| wanted.to_owned())
}

fn switch(typed: &str) -> Option<Value> {
    match typed {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn number(typed: &str, least: u64, most: u64) -> Result<Value, String> {
    let number = typed
        .parse()
        .ok()
        .filter(|found| (least..=most).contains(found));
    number
        .map(|found| Value::Number(Number::from(found)))
        .ok_or_else(|| match most {
            u64::MAX => format!("a whole number from {least} on"),
            most => format!("a whole number from {least} to {most}"),
        })
}

pub(crate) fn is_host(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_uuid(text: &str) -> bool {
    [32, 62].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn is_url_or_none(text: &str) -> bool {
    text.is_empty() || is_url(text)
}

fn is_servers(text: &str) -> bool {
    text.split_ascii_whitespace().all(|word| {
        word.len() <= 261
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".:-_#%".contains(&byte))
    }) && text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['K', 'M', 'G']).unwrap_or(text);
    (1..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_certificates(text: &str) -> bool {
    let decoded = STANDARD.decode(text).ok();
    decoded.is_some_and(|bytes| super::super::is_pem(&bytes, "CERTIFICATE"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_in_order_and_each_is_found() {
        let names: Vec<&str> = ALL.iter().map(|key| key.name).collect();
        let mut sorted = names.clone();
        sorted.sort_by_key(|name| name.to_lowercase());
        for name in names {
            assert!(find(name).is_some(), "{name}");
        }
        let (key, name) = find("os.udevRules.56.rules").unwrap();
        assert_eq!((key.name, name), ("os.udevRules", Some("56.rules")));
        assert!(find("os.udevRulesx").is_none() && find("hostname.x").is_none());
    }

    #[test]
    fn what_was_mistyped_is_near_to_what_was_meant() {
        for (typed, meant) in [
            ("hostnam", "hostname"),
            ("HOSTNAME", "hostname"),
            ("developementMode", "developmentMode"),
            ("sshKeys", "os.sshKeys"),
            (
                "os.network.randomMacAddressScan",
                "os.network.wifi.randomMacAddressScan",
            ),
            ("persistantLogging", "persistentLogging"),
            ("dnsServer", "dnsServers"),
        ] {
            assert_eq!(near(typed).first(), Some(&meant), "{typed}");
        }
        assert!(near("entirelySomethingElse").is_empty());
    }

    #[test]
    fn a_value_has_the_type_of_its_key() {
        let of = |key: &str, typed: &str| understand(find(key).unwrap().0.kind, typed);
        for (key, typed, value) in [
            ("developmentMode", "true", json!(true)),
            ("hostname", "007", json!("007")),
            ("listenPort", "48484", json!(48484)),
            (
                "os.sshKeys",
                "ssh-ed25519 AAAA",
                json!(["ssh-ed25519 AAAA"]),
            ),
            ("os.sshKeys", "[\"a\",\"b\"]", json!(["a", "b"])),
            ("os.udevRules", "{\"56\":\"ENV\"}", json!({"56": "ENV"})),
            ("os.kernel.extraFirmwareVol", "fw", json!("fw")),
            ("os.kernel.extraFirmwareVol", "true", json!(true)),
            ("dnsServers", "null", json!("null")),
            ("wifiKey", "01234567", json!("01234567")),
            ("apiEndpoint", "", json!("")),
        ] {
            assert_eq!(of(key, typed).unwrap(), value, "{key}");
        }
        for (key, typed, words) in [
            ("developmentMode", "yes", "true or false"),
            ("listenPort", "65536", "1 to 65535"),
            ("hostname", "two words", "letters"),
            ("country", "Germany", "two letters"),
            ("os.fan.profile", "loud", "quiet, cool"),
            ("os.sshKeys", "[1]", "array of texts"),
            ("uuid", "abc", "32 or 62"),
            ("balenaRootCA", "YWJj", "PEM"),
            ("username", "a\nb", "one line"),
        ] {
            let refused = of(key, typed).unwrap_err();
            assert!(refused.contains(words), "{key}: {refused}");
        }
    }
}
