//! What of a configuration is shown only to those who ask for it.
//!
//! In: values by their keys. Out: the same with [`HIDDEN`] in the place of secrets. Pure. A key that is not known here hides its value
//! by its name: whoever wrote it has most likely named it as others do.

use serde_json::Value;

use super::{
    keys::{self, find},
    named::{is_named_so, is_surely_secret},
    texts, values,
};

/// What stands where a secret is.
pub const HIDDEN: &str = "(hidden)";

/// Whether a key's value is shown only to those who ask for it, by a key above or by its own name.
#[must_use]
pub fn is_secret(path: &str) -> bool {
    find(path).is_some_and(|(key, _)| key.is_secret)
        || is_of_files(path)
        || path.split('.').any(is_named_so)
}

/// Whether a key's value is a secret for sure, which has no place on a command line.
#[must_use]
pub fn is_never_typed(path: &str) -> bool {
    find(path).is_some_and(|(key, _)| key.is_secret)
        || is_of_files(path)
        || path.split('.').any(is_surely_secret)
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

/// Old files for images that have Wi-Fi keys in them.
fn is_of_files(path: &str) -> bool {
    path == "files" || path.starts_with("files.")
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
        Value::String(text) => *text = texts::shown(text),
        _ => {}
    }
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
            "pass",
            "mqtt.userPass",
            "db_pass",
            "encryptionKey",
            "sharedKey",
            "signing-key",
            "sshPrivateKey",
            "pin",
            "cellular.simPin",
            "key",
            "Authorization",
            "jwt",
            "auths.registry.auth",
            "X-Signature",
            "webhookSig",
            "password2",
            "psk1",
            "wep-key0",
            "pin1",
            "passcode",
            "privateKeyPem",
            "clientSecretV2",
            "token[0]",
            "privkey",
            "HMACKEY",
            "licensekey",
            "dbpass",
            "wifipin",
            "enabledPin",
            "presetPin",
            "clientauth",
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
            "sshAuthorizedKeys",
            "authorized_keys",
            "ssh-key",
            "pubKeys",
            "proxyBypass",
            "opinion",
            "hostname",
            "keyboard",
            "passwordless.mode",
            "tokenUrl",
            "gpioPin",
            "ledPin",
            "resetPins",
            "hotkey",
            "turnkey",
            "sortKey",
            "compass",
            "spin",
            "author",
            "os.network.wifi.randomMacAddressScan",
        ] {
            assert!(!is_secret(name), "{name}");
            assert_eq!(shown(name, &json!("x")), json!("x"), "{name}");
        }
    }

    #[test]
    fn the_end_of_a_name_of_any_length_tells_a_secret() {
        let many = "aB".repeat(500_000);
        for (end, is) in [("Password", true), ("Hostname", false)] {
            assert_eq!(is_secret(&format!("{many}{end}")), is, "{end}");
        }
    }

    #[test]
    fn what_is_named_like_a_pin_of_a_board_may_be_typed() {
        for name in [
            "gpioPin",
            "buttonPin",
            "pin",
            "key",
            "hotkey",
            "basicAuth",
            "os.sshKeys",
        ] {
            assert!(!is_never_typed(name), "{name}");
        }
        for name in [
            "apiKey",
            "deviceApiKeys.api.example.com",
            "wifiKey",
            "os.network.wifi.psk",
            "password2",
            "cellular.simPin",
            "mqtt.userPass",
            "a.client_secret",
            "encryptionKey",
        ] {
            assert!(is_never_typed(name), "{name}");
        }
    }
}
