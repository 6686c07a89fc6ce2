//! Values of config.json: what may be typed for a key, and what may stand there.
//!
//! In: what a key may hold, and a value. Out: the value with the key's type, or what it should be. Pure. Where a device takes a value in
//! more than one form, so does this.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use super::{
    super::{has_private_key, is_pem, ssh_key},
    keys::Kind,
};

/// Public keys, and rules, that devices take.
const MOST_KEYS: usize = 256;
const MOST_RULES: usize = 64;
/// Bytes of a rule, of an address, a token or an answer, and of certificates.
const MOST_RULE: usize = 64 * 1024;
const MOST_TEXT: usize = 2048;
const MOST_CERTIFICATES: usize = 256 * 1024;

/// Takes what was typed for a key. `Err`: what it should be.
pub(super) fn understand(kind: Kind, typed: &str) -> Result<Value, String> {
    let text = || Value::String(typed.to_owned());
    let value = match kind {
        Kind::Switch | Kind::SwitchOrName => switch(typed).map_or_else(text, Value::Bool),
        Kind::Number(..) => typed
            .parse::<u64>()
            .map_or_else(|_| text(), |number| Value::Number(Number::from(number))),
        Kind::PublicKeys => match serde_json::from_str(typed) {
            Ok(value @ (Value::Array(_) | Value::Bool(_))) => value,
            _ => Value::Array(vec![text()]),
        },
        Kind::Map | Kind::Rules | Kind::Any => {
            serde_json::from_str(typed).unwrap_or_else(|_| text())
        }
        Kind::Text | Kind::Form(..) | Kind::Words(..) => text(),
    };
    check(kind, &value).map(|()| value)
}

/// Whether a value may be there. `Err`: what it should be.
pub(super) fn check(kind: Kind, value: &Value) -> Result<(), String> {
    let text = value.as_str().map(str::trim);
    // A key without a value is none.
    let is_none = value.is_null() || text == Some("");
    let (fits, wanted) = match kind {
        Kind::Any => (true, ""),
        Kind::Text => (
            is_none
                || value
                    .as_str()
                    .is_some_and(|text| !text.contains(char::is_control)),
            "a text of one line",
        ),
        Kind::Form(fits, form) => (is_none || text.is_some_and(fits), form),
        Kind::Words(fits, most, form) => {
            let is_word = |letter: char| letter.is_whitespace() || letter == ',';
            let words = text.map(|text| text.split(is_word).filter(|word| !word.is_empty()));
            let are_good = words.is_some_and(|words| {
                let words: Vec<&str> = words.collect();
                words == [NOTHING] || (words.len() <= most && words.into_iter().all(fits))
            });
            (is_none || are_good, form)
        }
        Kind::Switch => {
            let is_off = value.as_u64() == Some(0);
            let is_word = text.is_some_and(|text| switch(text).is_some());
            (
                is_none || value.is_boolean() || is_off || is_word,
                "true or false",
            )
        }
        Kind::SwitchOrName => {
            let is_name = |text: &str| is_slug(text) && !text.starts_with('-');
            (
                is_none || value.is_boolean() || text.is_some_and(is_name),
                "true, false or a name",
            )
        }
        Kind::Number(least, most) => {
            let number = value.as_u64().or_else(|| text?.parse().ok());
            let is_within = number.is_some_and(|number| (least..=most).contains(&number));
            let wanted = match most {
                u64::MAX => format!("a whole number from {least} on"),
                most => format!("a whole number from {least} to {most}"),
            };
            return (is_none || is_within).then_some(()).ok_or(wanted);
        }
        Kind::PublicKeys => {
            let is_key = |line: &Value| {
                line.as_str()
                    .is_some_and(|line| ssh_key::is_one(line.trim()))
            };
            let are_keys =
                |lines: &Vec<Value>| lines.len() <= MOST_KEYS && lines.iter().all(is_key);
            let is_nobody = *value == Value::Bool(false);
            (
                value.is_null() || is_nobody || value.as_array().is_some_and(are_keys),
                "public keys of SSH: one, or a JSON array of them; `false` for nobody",
            )
        }
        Kind::Rules => {
            let is_rule = |(name, rule): (&String, &Value)| {
                let rule = rule.as_str();
                is_rule_name(name)
                    && rule.is_some_and(|rule| rule.len() <= MOST_RULE && !rule.contains('\0'))
            };
            let are_rules = value
                .as_object()
                .is_some_and(|rules| rules.len() <= MOST_RULES && rules.iter().all(is_rule));
            (
                value.is_null() || are_rules,
                "a JSON object of rules by names of files: letters, digits, `-`, `_` and `.`",
            )
        }
        Kind::Map => {
            let are_texts = value
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_string));
            (value.is_null() || are_texts, "a JSON object of texts")
        }
    };
    fits.then_some(()).ok_or_else(|| wanted.to_owned())
}

/// The word for no servers at all.
const NOTHING: &str = "null";

/// What people write for off is taken for it, and for on only one word.
fn switch(typed: &str) -> Option<bool> {
    match typed.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn is_host(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) fn is_device_name(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.contains(['\n', '\r'])
}

pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn is_uuid(text: &str) -> bool {
    [32, 62].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn is_word(text: &str) -> bool {
    text.len() <= MOST_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn is_url(text: &str) -> bool {
    let schemes = ["https://", "http://"];
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty()) && is_word(text)
}

pub(super) fn is_line(text: &str) -> bool {
    text.len() <= MOST_TEXT && !text.contains(char::is_control)
}

pub(super) fn is_slug(text: &str) -> bool {
    text.len() <= 64 && is_of(text, b"-_")
}

/// Letters and digits, and these.
fn is_of(text: &str, more: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

/// An address, or a name.
pub(super) fn is_server(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && is_of(label, b"-_")
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_label))
}

/// An address, with its port behind a `#`.
pub(super) fn is_name_server(text: &str) -> bool {
    let (address, port) = text.split_once('#').unwrap_or((text, "53"));
    let is_port = !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port != 0);
    address.parse::<IpAddr>().is_ok() && is_port
}

pub(super) fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['K', 'M', 'G']).unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (1..=12).contains(&digits.len()) && is_number && digits.bytes().any(|byte| byte != b'0')
}

/// It becomes the name of a file.
fn is_rule_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.starts_with(['.', '-']) && is_of(name, b"-_.")
}

pub(super) fn is_certificates(text: &str) -> bool {
    decoded(text).is_some_and(|bytes| {
        // In base64, four letters are three bytes.
        bytes.len() <= MOST_CERTIFICATES / 4 * 3
            && is_pem(&bytes, "CERTIFICATE")
            && !has_private_key(&bytes)
    })
}

/// Whether a private key stands in a text, as it is or in base64.
pub(super) fn is_private(text: &str) -> bool {
    has_private_key(text.as_bytes()) || decoded(text).is_some_and(|bytes| has_private_key(&bytes))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::keys::find, *};

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";

    #[test]
    fn a_value_has_the_type_of_its_key() {
        let of = |key: &str, typed: &str| understand(find(key).unwrap().0.kind, typed);
        for (key, typed, value) in [
            ("developmentMode", "true", json!(true)),
            ("hostname", "007", json!("007")),
            ("listenPort", "48484", json!(48484)),
            ("os.sshKeys", KEY, json!([KEY])),
            ("os.sshKeys", &format!("[\"{KEY}\"]"), json!([KEY])),
            ("os.sshKeys", "[]", json!([])),
            ("os.sshKeys", "false", json!(false)),
            ("developmentMode", "off", json!(false)),
            ("os.udevRules", "{\"56\":\"ENV\"}", json!({"56": "ENV"})),
            ("os.kernel.extraFirmwareVol", "fw", json!("fw")),
            ("os.kernel.extraFirmwareVol", "true", json!(true)),
            ("dnsServers", "null", json!("null")),
            ("wifiKey", "01234567", json!("01234567")),
            ("apiEndpoint", "", json!("")),
            ("hostname", "", json!("")),
            (
                "dnsServers",
                "8.8.8.8, 1.1.1.1#54",
                json!("8.8.8.8, 1.1.1.1#54"),
            ),
        ] {
            assert_eq!(of(key, typed).unwrap(), value, "{key}");
        }
        for (key, typed, words) in [
            ("developmentMode", "yes", "true or false"),
            ("listenPort", "65536", "1 to 65535"),
            ("hostname", "two words", "letters"),
            ("country", "Germany", "two letters"),
            ("os.fan.profile", "quite loud", "a name"),
            ("os.sshKeys", "[1]", "public keys"),
            (
                "os.sshKeys",
                "ssh-dss AAAAB3NzaC1kc3MAAAABAA==",
                "public keys",
            ),
            ("dnsServers", "one.one.one.one", "addresses"),
            ("dnsServers", "null 1.1.1.1", "addresses"),
            ("os.journal.disk", "0M", "a size"),
            ("os.udevRules", "{\"../../x\":\"\"}", "names of files"),
            ("uuid", "abc", "32 or 62"),
            ("balenaRootCA", "YWJj", "PEM"),
            ("username", "a\nb", "one line"),
        ] {
            let refused = of(key, typed).unwrap_err();
            assert!(refused.contains(words), "{key}: {refused}");
        }
    }
}
