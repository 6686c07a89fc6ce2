//! The keys of config.json that the agent reads, all optional.
//!
//! The file is shared with many writers and sits on FAT: a broken one is a fault that is reported, never a reason to
//! leave a device unreachable. A key whose value cannot be used counts as absent and is reported too.

use std::error::Error;
use std::path::Path;

use serde_json::{Map, Value};

use super::config_file::read;
use super::identity::{is_hostname, is_uuid};
use crate::model::Secret;
use crate::store::replace_file;
use crate::target::is_device_name;

/// config.json as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ConfigJson {
    pub(super) uuid: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) listen_port: Option<u16>,
    pub(super) development_mode: Option<bool>,
    pub(super) api_endpoint: Option<String>,
    /// Whether there was a file that could be read: without one nothing is known of a fleet.
    pub(super) is_read: bool,
    pub(super) device_api_key: Option<Secret>,
    pub(super) registry_endpoint: Option<String>,
    pub(super) initial_device_name: Option<String>,
}

impl ConfigJson {
    /// Reads the file, or, where it is there and cannot be read, the copy of the last good one; says in `faults` what could not
    /// be understood.
    pub(super) fn load(path: &Path, last_good: &Path, faults: &mut Vec<String>) -> Self {
        match read(path) {
            Ok(Some(keys)) => Self::from_keys(&keys, faults),
            Ok(None) => Self::default(),
            Err(error) => {
                let kept = read(last_good).ok().flatten();
                let instead = match &kept {
                    Some(_) => ", and the last good one stands",
                    None => "",
                };
                faults.push(format!("{} is not used{instead}: {error}", path.display()));
                kept.map_or_else(Self::default, |keys| Self::from_keys(&keys, faults))
            }
        }
    }

    fn from_keys(keys: &Map<String, Value>, faults: &mut Vec<String>) -> Self {
        let mut wrong = |key: &str, wanted: &str| {
            faults.push(format!(
                "config.json: `{key}` is ignored: {wanted} is expected"
            ));
        };
        let mut text = |key: &str, wanted: &str, fits: fn(&str) -> bool| match keys.get(key) {
            Some(Value::String(value)) if value.is_empty() => None,
            Some(Value::String(value)) if fits(value) => Some(value.clone()),
            None | Some(Value::Null) => None,
            Some(_) => {
                wrong(key, wanted);
                None
            }
        };
        let uuid = text("uuid", "32 or 62 hexadecimal digits", is_uuid);
        let hostname = text("hostname", "a host name", is_hostname);
        let api_endpoint = text("apiEndpoint", "a string", |_| true);
        let registry_endpoint = text("registryEndpoint", "a string", |_| true);
        let is_key = |key: &str| !key.contains(char::is_control);
        let device_api_key = text("deviceApiKey", "one line", is_key).map(Secret::new);
        let initial_device_name = text(
            "initialDeviceName",
            "one line of at most 255 characters",
            is_device_name,
        );
        let listen_port = keys.get("listenPort").and_then(|value| {
            let port = match value {
                Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
                Value::String(digits) => digits.parse().ok(),
                _ => None,
            };
            if port.is_none_or(|port| port == 0) {
                wrong("listenPort", "a port number");
            }
            port.filter(|port| *port != 0)
        });
        let development_mode = keys.get("developmentMode").and_then(|value| {
            let switch = match value {
                Value::Bool(switch) => Some(*switch),
                Value::String(word) => word.parse().ok(),
                _ => None,
            };
            if switch.is_none() {
                wrong("developmentMode", "true or false");
            }
            switch
        });
        Self {
            uuid,
            hostname,
            listen_port,
            development_mode,
            api_endpoint,
            is_read: true,
            device_api_key,
            registry_endpoint,
            initial_device_name,
        }
    }
}

/// The host name in the file as it is now, if there is a fitting one.
pub(crate) fn hostname(path: &Path) -> Option<String> {
    let keys = read(path).ok()??;
    let name = keys.get("hostname")?.as_str()?;
    is_hostname(name).then(|| name.to_owned())
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
