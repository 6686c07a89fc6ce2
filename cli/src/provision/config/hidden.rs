//! What of a configuration is shown only to those who ask for it.
//!
//! In: values by their keys. Out: the same with [`HIDDEN`] in the place of secrets. Pure. A key that is not known here hides its value
//! by its name: whoever wrote it has most likely named it as others do.

use serde_json::Value;

use super::{
    keys::{self, find},
    named::{is_named_so, is_surely_secret},
    values,
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
        Value::String(text) => *text = without_queries(&without_users(text)),
        _ => {}
    }
}

/// A text with URLs in it, each without those who are named before its host. A password may have any signs in it, and a user may be a
/// token: whatever stands before the last `@` that is still before the next URL is hidden, even if the `@` is one of a path.
fn without_users(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let (url, others) = behind.split_at(next_url(behind).unwrap_or(behind.len()));
        match url.rsplit_once('@') {
            Some((_, host)) => shown.extend([HIDDEN, "@", host]),
            None => shown.push_str(url),
        }
        rest = others;
    }
    shown + rest
}

/// Where the next URL of a text begins, with a blank before it: without one, it may be part of a password.
fn next_url(text: &str) -> Option<usize> {
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let mut found = text.match_indices("://");
    found.find_map(|(end, _)| {
        let before = text.get(..end)?.trim_end_matches(is_scheme);
        let is_one = before.len() < end && before.ends_with(char::is_whitespace);
        is_one.then_some(before.len())
    })
}

/// The same without what is named so in their queries, or behind them.
fn without_queries(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['?', '&', '#', ';']) {
        let (before, behind) = rest.split_at(start + 1);
        shown.push_str(before);
        rest = behind;
        // A value may have a `;` in it.
        let end = behind.find(is_behind_value).unwrap_or(behind.len());
        let pair = behind.get(..end).unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        if is_named_so(name) && !value.is_empty() {
            shown.extend([name, "=", HIDDEN]);
            rest = behind.get(end..).unwrap_or_default();
        }
    }
    shown + rest
}

fn is_behind_value(letter: char) -> bool {
    letter.is_whitespace() || "&#\"<>".contains(letter)
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
    fn what_within_a_url_lets_somebody_in_is_hidden() {
        let of = |text: &str| shown("apiEndpoint", &json!([text]));
        for (text, is) in [
            ("me@x, or you@y", "me@x, or you@y"),
            ("https://x/a?b", "https://x/a?b"),
            ("socks5://:PW@x:1", "socks5://(hidden)@x:1"),
            // Of a path, or of a password: nobody can tell.
            ("https://x/a@b", "https://(hidden)@b"),
            (
                "https://x:80/a@b http://[::1]/@ c",
                "https://(hidden)@b http://(hidden)@ c",
            ),
            (
                "https://x https://me:PW@y/a, http://T0KEN@z",
                "https://x https://(hidden)@y/a, http://(hidden)@z",
            ),
            ("http://a:PW@b,http://c:PW@d,e", "http://(hidden)@d,e"),
            (
                "x=http://a:PW@b http://c:P/W@d",
                "x=http://(hidden)@b http://(hidden)@d",
            ),
            (
                "https://x/a?token=PW&user=me&api_key=PW#access_token=PW",
                "https://x/a?token=(hidden)&user=me&api_key=(hidden)#access_token=(hidden)",
            ),
            (
                "<https://x?X-Amz-Signature=P%20W> https://y?q=a?b&sig=PW&key=",
                "<https://x?X-Amz-Signature=(hidden)> https://y?q=a?b&sig=(hidden)&key=",
            ),
            ("https://x/?a=b&sshKeys=c&d", "https://x/?a=b&sshKeys=c&d"),
            (
                "https://x/?a=b;token=PW;PW&jwt=P'W",
                "https://x/?a=b;token=(hidden)&jwt=(hidden)",
            ),
            ("Server=x;Password=PW", "Server=x;Password=(hidden)"),
        ] {
            assert_eq!(of(text), json!([is]));
        }
    }

    #[test]
    fn a_user_of_a_url_is_hidden_whatever_the_password_is_made_of() {
        for user in [
            "me:PW",
            "me:P@W",
            "PW",
            "PW:x-oauth-basic",
            "PW:",
            ":PW",
            "me:P W",
            "me:'PW",
            "me:\"PW",
            "me:PW'34",
            "me:2024<PW",
            "PW'en",
            "me:P@W'X",
            "me:PW@b Q",
            "me:#PW",
            "me:/PW",
            "me:2024#PW",
            "me:P/W#",
            "me@corp.com:P/W",
            "me:P@W/PW",
            "me:PW?PW",
            "me:PW://PW",
            "me:2024",
        ] {
            let value = json!([format!("https://{user}@host/a")]);
            let hidden = json!(["https://(hidden)@host/a"]);
            assert_eq!(shown("apiEndpoint", &value), hidden, "{user}");
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
