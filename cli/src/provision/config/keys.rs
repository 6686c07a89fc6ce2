//! The keys of config.json: what each may hold.
//!
//! Source: the configuration that devices of the ecosystem read; what our agent makes of a key counts, and a test holds both against
//! each other. A key that is not known is most likely one that was mistyped: nothing on a device would tell so.

use super::values::{
    is_certificates, is_country, is_device_name, is_host, is_line, is_name_server, is_server,
    is_size, is_slug, is_url, is_uuid, is_word,
};
use crate::project::compose::distance;

/// Letters of a key that are compared with those that there are.
const MOST_TYPED: usize = 64;
/// Servers of each kind that devices ask.
const MOST_SERVERS: usize = 16;

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text of one line.
    Text,
    /// A text that has to be of this form, or an empty one, which is as none.
    Form(fn(&str) -> bool, &'static str),
    /// So many words at most, with blanks or commas between them, each of this form.
    Words(fn(&str) -> bool, usize, &'static str),
    /// `true` or `false`.
    Switch,
    /// A whole number from here to there.
    Number(u64, u64),
    /// `true`, `false` or a name.
    SwitchOrName,
    /// Public keys of SSH; `false` for nobody.
    PublicKeys,
    /// Rules by the names of their files.
    Rules,
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
const SIZE: Kind = Kind::Form(is_size, "a size like 32M");
const WORD: Kind = Kind::Form(is_word, "one word");
const NAME: Kind = Kind::Form(is_slug, "a name of letters, digits, `-` and `_`");
const LINE: Kind = Kind::Form(is_line, "one line");
const PORT: Kind = Kind::Number(1, 65_535);
const NUMBER: Kind = Kind::Number(0, u64::MAX);

/// Every key, in the order in which they are shown.
pub(super) const ALL: &[Key] = &[
    key("apiEndpoint", URL),
    secret("apiKey", WORD),
    key("apiTimeout", NUMBER),
    key("applicationId", NUMBER),
    key("applicationName", Kind::Text),
    key("appUpdatePollInterval", NUMBER),
    key(
        "balenaRootCA",
        Kind::Form(is_certificates, "certificates (PEM) in base64"),
    ),
    key("bootstrapRetryDelay", NUMBER),
    key("connectivity", Kind::Text),
    key("country", Kind::Form(is_country, "two letters")),
    key("debug", Kind::Any),
    key("deltaEndpoint", URL),
    key("developmentMode", Kind::Switch),
    secret("deviceApiKey", WORD),
    secret("deviceApiKeys", Kind::Map),
    key("deviceId", NUMBER),
    key("deviceType", Kind::Text),
    key(
        "dnsServers",
        Kind::Words(
            is_name_server,
            MOST_SERVERS,
            "addresses with blanks between them, each with #PORT where it is not 53, or `null` for none",
        ),
    ),
    key("files", Kind::Any),
    key("gateway", Kind::Text),
    key(
        "hostname",
        Kind::Form(is_host, "letters, digits and hyphens, at most 63"),
    ),
    key(
        "initialDeviceName",
        Kind::Form(is_device_name, "one line of at most 255 letters"),
    ),
    key("installer.migrate.force", Kind::Switch),
    key("installer.secureboot", Kind::Switch),
    key("installer.target_devices", Kind::Text),
    key("ip", Kind::Text),
    key("listenPort", PORT),
    key("logsEndpoint", URL),
    secret("mixpanelToken", Kind::Text),
    key("netmask", Kind::Text),
    key(
        "ntpServers",
        Kind::Words(
            is_server,
            MOST_SERVERS,
            "names or addresses with blanks between them",
        ),
    ),
    key("os.fan.profile", NAME),
    key("os.journal.disk", SIZE),
    key("os.journal.memory", SIZE),
    key("os.kernel.extraFirmwareVol", Kind::SwitchOrName),
    key(
        "os.network.connectivity.interval",
        Kind::Number(0, 86_400 * 365),
    ),
    key("os.network.connectivity.response", LINE),
    key("os.network.connectivity.uri", URL),
    key("os.network.wifi.randomMacAddressScan", Kind::Switch),
    key("os.power.mode", NAME),
    key("os.sshKeys", Kind::PublicKeys),
    key("os.udevRules", Kind::Rules),
    key("persistentLogging", Kind::Switch),
    key("registered_at", NUMBER),
    key("registryEndpoint", WORD),
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
            .filter(|key| matches!(key.kind, Kind::Map | Kind::Rules))
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
            let letters = |word: &str| word.chars().take(MOST_TYPED).collect::<Vec<_>>();
            let whole = distance(&letters(&typed), &key.name.to_lowercase());
            let end = distance(&letters(&last(&typed)), &last(key.name));
            let letters = whole.min(end + usize::from(key.name.contains('.')));
            (letters <= 2 + typed.len() / 8).then_some((letters, key.name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_each_is_found() {
        let names: Vec<&str> = ALL.iter().map(|key| key.name).collect();
        let mut sorted = names.clone();
        sorted.sort_by_key(|name| name.to_lowercase());
        assert_eq!(names, sorted);
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
}
