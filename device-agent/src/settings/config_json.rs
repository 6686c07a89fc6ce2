//! config.json as the agent reads it: by the same reading, and with the same decision about what cannot be used, as the rest of the
//! system is configured by ([`crate::configure`]).
//!
//! The file is shared with many writers and sits on FAT: a broken one is a fault that is reported, never a reason to
//! leave a device unreachable. So is a value that cannot be used.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use super::config_file::read;
use crate::configure::{self, Config, Source};
use crate::store::replace_file;

/// What config.json asks of the agent.
#[derive(Debug, Default)]
pub(super) struct ConfigJson {
    pub(super) config: Config,
    /// Whether it is known if the device is in a fleet. Without a file it is not, nor where the fleet's address cannot be used.
    pub(super) is_membership_known: bool,
}

impl ConfigJson {
    /// Reads the file and the copy of the last good one; says in `faults` what could not be used.
    pub(super) fn load(path: &Path, last_good: Option<&Path>, faults: &mut Vec<String>) -> Self {
        let Some((in_force, sentences)) = configure::in_force(path, last_good) else {
            return Self::default();
        };
        faults.extend(sentences);
        let has_address = in_force.config.cloud.api_endpoint.is_some();
        let is_address_wrong = in_force
            .complaints
            .iter()
            .any(|complaint| complaint.is_unusable && complaint.key == "apiEndpoint");
        Self {
            is_membership_known: in_force.source != Source::Defaults
                && (has_address || !is_address_wrong),
            config: in_force.config,
        }
    }
}

/// The host name in the file as it is now, if there is a fitting one.
pub(crate) fn hostname(path: &Path) -> Option<String> {
    let keys = read(path).ok()??;
    configure::understand(&keys).0.hostname
}

/// Writes the host name into the file; its other keys stay as they are, and in their order. A file that cannot be read is
/// left alone: it holds more than a name. So is one that is not there: what was made in its place would say that the device
/// is in no fleet.
pub(crate) fn set_hostname(path: &Path, name: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut keys = read(path)?.ok_or("it is not there: is the boot partition mounted?")?;
    if keys.get("hostname").and_then(Value::as_str) == Some(name) {
        return Ok(());
    }
    keys.insert("hostname".to_owned(), Value::from(name));
    replace_file(path, &serde_json::to_vec(&keys)?)?;
    Ok(())
}
