//! Labels that mark what is ours on the engine, and the older spelling of all labels of the ecosystem.

use std::collections::BTreeMap;

/// Marks containers, networks and volumes of this family of agents; its value is `true`.
pub const SUPERVISED: &str = "io.balena.supervised";
/// Application id, on containers and networks.
pub const APP_ID: &str = "io.balena.app-id";
/// Application uuid, on containers and volumes.
pub const APP_UUID: &str = "io.balena.app-uuid";
/// Service id, on containers.
pub const SERVICE_ID: &str = "io.balena.service-id";
/// Service name, on containers.
pub const SERVICE_NAME: &str = "io.balena.service-name";
/// On services that talk to the agent; see [`is_on`].
pub const AGENT_API: &str = "io.balena.features.supervisor-api";
/// On networks whose address pools were asked for; its value is `true`.
pub const IPAM_CONFIG: &str = "io.balena.private.ipam.config";

/// Spells `io.resin.…` as `io.balena.…`; where both are given, the newer spelling wins.
#[must_use]
pub fn renamed<'a>(
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut old = Vec::new();
    for (key, value) in labels {
        match key.strip_prefix("io.resin.") {
            Some(rest) => old.push((rest.replace("resin", "balena"), value)),
            None => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    for (rest, value) in old {
        out.entry(format!("io.balena.{rest}"))
            .or_insert_with(|| value.clone());
    }
    out
}

/// Whether the value of a label turns something on: `1`, `true` or `on`, in capitals or not.
#[must_use]
pub fn is_on(value: &str) -> bool {
    ["1", "true", "on"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::is_on;

    #[test]
    fn three_words_turn_something_on() {
        for on in ["1", "true", "True", "TRUE", "on", "ON"] {
            assert!(is_on(on), "{on}");
        }
        for off in ["", "0", "false", "off", "yes", " true", "1.0", "01"] {
            assert!(!is_on(off), "{off}");
        }
    }
}
