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
const ENDS: [&str; 12] = [
    "authorization",
    "credential",
    "key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "psk",
    "pwd",
    "secret",
    "token",
];
/// What is no secret of those: keys that everybody may know, and a word.
const OPEN: [&str; 5] = ["authorizedkey", "bypass", "pubkey", "publickey", "sshkey"];
/// What a name in the query of a URL may end with, too.
const QUERY_ENDS: [&str; 4] = ["auth", "jwt", "sig", "signature"];

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
    ends(name, &ENDS) && !ends(name, &OPEN)
}

/// Whether a name, or one of which this is the plural, ends so.
fn ends(name: &str, with: &[&str]) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    let mut with = with.iter();
    with.any(|end| plain.ends_with(end) || one.ends_with(end))
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
            let shown = without_queries(&without_users(text));
            if shown != *text {
                *text = shown;
            }
        }
        _ => {}
    }
}

/// A text with URLs in it, each without the password that it has before its host.
fn without_users(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        rest = behind;
        let end = behind.find(is_behind_host).unwrap_or(behind.len());
        let authority = behind.get(..end).unwrap_or_default();
        let own = authority.rsplit_once('@').map(|(user, _)| user);
        let Some(user) = own.or_else(|| unescaped(behind, authority)) else {
            continue;
        };
        // One alone may be a token.
        if let Some((name, _)) = user.split_once(':') {
            shown.push_str(name);
            shown.push(':');
        }
        shown.push_str(HIDDEN);
        // The host may have another URL behind it.
        rest = behind.get(user.len()..).unwrap_or_default();
    }
    shown + rest
}

/// What is before the host where a password has signs in it that should be escaped: what seems to be the port is no number then.
fn unescaped<'t>(behind: &'t str, authority: &str) -> Option<&'t str> {
    let (_, port) = authority.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port || authority.starts_with('[') {
        return None;
    }
    let word = behind.split(char::is_whitespace).next()?;
    word.rsplit_once('@').map(|(user, _)| user)
}

fn is_behind_host(letter: char) -> bool {
    letter.is_whitespace() || "/?#\"'<>".contains(letter)
}

/// The same without what is named so in their queries, or behind them.
fn without_queries(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['?', '&', '#']) {
        let (before, behind) = rest.split_at(start + 1);
        shown.push_str(before);
        rest = behind;
        let end = behind.find(is_behind_value).unwrap_or(behind.len());
        let pair = behind.get(..end).unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let is_secret = is_named_so(name) || ends(name, &QUERY_ENDS);
        if is_secret && !value.is_empty() {
            shown.push_str(name);
            shown.push('=');
            shown.push_str(HIDDEN);
            rest = behind.get(end..).unwrap_or_default();
        }
    }
    shown + rest
}

fn is_behind_value(letter: char) -> bool {
    letter.is_whitespace() || "&#\"'<>".contains(letter)
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
            ("https://me:PW@x/a@b", "https://me:(hidden)@x/a@b"),
            ("https://me:P@W@x", "https://me:(hidden)@x"),
            ("https://T0KEN@x?a", "https://(hidden)@x?a"),
            ("socks5://:PW@x:1", "socks5://:(hidden)@x:1"),
            ("https://x/a@b", "https://x/a@b"),
            ("me@x", "me@x"),
            ("https://me:P/W#@x/a", "https://me:(hidden)@x/a"),
            (
                "https://x:80/a@b http://[::1]/@",
                "https://x:80/a@b http://[::1]/@",
            ),
            (
                "https://x https://me:PW@y/a, http://T0KEN@z",
                "https://x https://me:(hidden)@y/a, http://(hidden)@z",
            ),
            (
                "http://a:PW@b,http://c:PW@d,e",
                "http://a:(hidden)@b,http://c:(hidden)@d,e",
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
        ] {
            assert_eq!(of(text), json!([is]));
        }
    }
}
