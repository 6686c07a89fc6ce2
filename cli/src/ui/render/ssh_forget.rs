//! What `os ssh-forget` says.

use std::io;

use serde_json::json;

use crate::{
    transport::ssh::host_keys::{HostKey, HostName},
    ui::{Console, style::neutralise},
};

/// These keys are not kept any more.
pub fn forgotten(console: &Console, typed: &str, keys: &[(HostName, HostKey)]) -> io::Result<()> {
    if console.is_json() {
        return keys.iter().try_for_each(|(host, key)| {
            console.json(&json!({
                "host": host.as_str(),
                "algorithm": key.algorithm(),
                "fingerprint": key.fingerprint(),
            }))
        });
    }
    if keys.is_empty() {
        console.say(&format!(
            "no key of {} was kept; forgot the one that it announced",
            neutralise(typed)
        ));
    }
    for (host, key) in keys {
        console.say(&format!(
            "forgot the {} key of {}: {}",
            neutralise(key.algorithm()),
            host.as_str(),
            key.fingerprint()
        ));
    }
    console.hint(&format!(
        "the next connection to {} shows its key and asks",
        neutralise(typed)
    ));
    Ok(())
}
