//! What of a configuration is shown only to those who ask for it.
//!
//! In: values by their keys. Out: the same with [`HIDDEN`] in the place of secrets. Pure. A key that is not known here hides its value
//! by its name: whoever wrote it has most likely named it as others do.

use serde_json::Value;

use super::{
    keys::{self, find},
    values,
};

/// What stands where a secret is.
pub const HIDDEN: &str = "(hidden)";
/// How names of secrets end, without regard to capitals and to what stands between words.
const ENDS: [&str; 15] = [
    "accesskey",
    "apikey",
    "authkey",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "presharedkey",
    "privatekey",
    "psk",
    "pwd",
    "secret",
    "secretkey",
    "token",
    "wifikey",
];

/// Whether a key's value is shown only to those who ask for it, by a key above or by its own name.
#[must_use]
pub fn is_secret(path: &str) -> bool {
    find(path).is_some_and(|(key, _)| key.is_secret)
        // Old files for images that have Wi-Fi keys in them.
        || path == "files"
        || path.starts_with("files.")
        || path.split('.').any(is_named_so)
}

/// The value of a key, with [`HIDDEN`] in the place of secrets.
#[must_use]
pub fn shown(path: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if is_secret(path) {
        hide(&mut value);
    } else {
        look(&mut value);
    }
    value
}

/// The same for all keys.
pub(super) fn shown_all(mut all: Value) -> Value {
    for key in keys::ALL.iter().filter(|key| key.is_secret) {
        if let Some(found) = all.get_mut(key.name) {
            hide(found);
        }
    }
    if let Some(files) = all.get_mut("files") {
        hide(files);
    }
    look(&mut all);
    all
}

fn is_named_so(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    ENDS.iter()
        .any(|end| plain.ends_with(end) || one.ends_with(end))
}

/// Hides what is named so, and what is a secret by itself.
fn look(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if is_named_so(name) {
                    hide(value);
                } else {
                    look(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(look),
        Value::String(text) if values::is_private(text) => HIDDEN.clone_into(text),
        Value::String(text) => {
            if let Some(without) = without_password(text) {
                *text = without;
            }
        }
        _ => {}
    }
}

/// A URL that has somebody's password in it, without that.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@')?;
    // One alone may be a token.
    let shown = match user.split_once(':') {
        Some((user, _)) => format!("{user}:{HIDDEN}"),
        None => HIDDEN.to_owned(),
    };
    Some(format!("{scheme}://{shown}@{host}{behind}"))
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(hide),
        Value::Null => {}
        _ => *value = Value::String(HIDDEN.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name_and_by_its_form() {
        for name in [
            "password",
            "provisioningApiKey",
            "balenaApiKey",
            "APIKEY",
            "os.network.wifi.psk",
            "proxy.passwd",
            "a.client_secret",
            "b.refresh-token",
            "accessTokens",
            "passwords.of.mine",
            "apiKey",
            "deviceApiKeys.api.example.com",
        ] {
            assert!(is_secret(name), "{name}");
            let value = shown(name, &json!("PW"));
            assert_eq!(value, json!(HIDDEN), "{name}");
            let whole = name
                .rsplit('.')
                .fold(json!("PW"), |below, part| json!({ part: below }));
            assert!(!shown_all(whole).to_string().contains("PW"), "{name}");
        }
        for name in [
            "os.sshKeys",
            "publicKey",
            "hostname",
            "keyboard",
            "passwordless.mode",
            "tokenUrl",
            "os.network.wifi.randomMacAddressScan",
        ] {
            assert!(!is_secret(name), "{name}");
            assert_eq!(shown(name, &json!("x")), json!("x"), "{name}");
        }
    }

    #[test]
    fn a_password_within_a_url_is_hidden() {
        let of = |text: &str| shown("apiEndpoint", &json!([text]));
        for (text, is) in [
            ("https://me:PW@x/a@b", "https://me:(hidden)@x/a@b"),
            ("https://me:P@W@x", "https://me:(hidden)@x"),
            ("https://T0KEN@x?a", "https://(hidden)@x?a"),
            ("socks5://:PW@x:1", "socks5://:(hidden)@x:1"),
            ("https://x/a@b", "https://x/a@b"),
            ("me@x", "me@x"),
        ] {
            assert_eq!(of(text), json!([is]));
        }
    }
}
