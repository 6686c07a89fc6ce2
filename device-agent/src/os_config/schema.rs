//! What of the cloud's answer becomes which file, and which keys of config.json belong to a fleet.
//!
//! In: `os-config.json` of the operating system, or nothing. Out: a [`Schema`]. Pure. The format is the reference's:
//! `{"services":[{"id","files":{NAME:{"path","perm"}},"systemd_services":[UNIT]}],"keys":[KEY],"config":{"whitelist":[KEY]},"schema_version":"1.0.0"}`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;
use thiserror::Error;

/// The version that this program, the cloud and the file have to have in common.
pub(super) const VERSION: &str = "1.0.0";
/// Services, files of each, keys.
const MAX_ENTRIES: usize = 256;
/// Mode of a file where none is written.
const MODE: u32 = 0o644;

/// Keys that a device has of its fleet, and loses with it; the reference's list.
const KEYS: [&str; 13] = [
    "applicationId",
    "deviceType",
    "appUpdatePollInterval",
    "listenPort",
    "apiEndpoint",
    "registryEndpoint",
    "deltaEndpoint",
    "mixpanelToken",
    "apiKey",
    "version",
    "deviceApiKey",
    "registered_at",
    "deviceId",
];
/// The last of them: without it the next cloud is not trusted by the certificate of this one.
const ROOT_CERTIFICATES: &str = "balenaRootCA";

/// Why a schema cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SchemaError {
    /// Not the format.
    #[error("it is not understood: {0}")]
    Format(String),
    /// Of another time.
    #[error("Expected schema version {VERSION}, got {0}")]
    Version(String),
    /// Too much of it.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooLarge,
    /// Not a place on a device.
    #[error("`{0}` is no absolute path")]
    Path(String),
    /// Not octal digits.
    #[error("`{0}` is no file mode")]
    Mode(String),
}

/// A file of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceFile {
    /// Name in the cloud's answer.
    pub(super) name: String,
    pub(super) path: String,
    pub(super) mode: u32,
}

/// A service of the operating system that the cloud configures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// Name in the cloud's answer.
    pub(super) id: String,
    /// By name.
    pub(super) files: Vec<ServiceFile>,
    pub(super) units: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) services: Vec<Service>,
    /// Keys of config.json that belong to a fleet.
    pub(super) keys: Vec<String>,
    /// Keys of config.json that the cloud may set.
    pub(super) overrides: Vec<String>,
}

impl Schema {
    /// The reference's, for an operating system that brings none.
    pub(super) fn own() -> Self {
        let file = |name: &str, path: &str| ServiceFile {
            name: name.to_owned(),
            path: path.to_owned(),
            mode: MODE,
        };
        Self {
            services: vec![Service {
                id: "openvpn".to_owned(),
                files: vec![
                    file("ca", "/etc/openvpn/ca.crt"),
                    file("config", "/etc/openvpn/openvpn.conf"),
                ],
                units: vec![
                    "prepare-openvpn.service".to_owned(),
                    "openvpn.service".to_owned(),
                ],
            }],
            keys: KEYS
                .into_iter()
                .chain([ROOT_CERTIFICATES])
                .map(str::to_owned)
                .collect(),
            overrides: Vec::new(),
        }
    }

    /// Reads `os-config.json`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SchemaError> {
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|error| SchemaError::Format(error.to_string()))?;
        // Newer files have none.
        if let Some(version) = written.schema_version.filter(|version| version != VERSION) {
            return Err(SchemaError::Version(version.chars().take(40).collect()));
        }
        let counts = [
            written.services.len(),
            written.keys.len(),
            written.config.whitelist.len(),
        ];
        if counts.into_iter().any(|count| count > MAX_ENTRIES) {
            return Err(SchemaError::TooLarge);
        }
        let services = written.services.into_iter().map(service);
        Ok(Self {
            services: services.collect::<Result<_, _>>()?,
            keys: written.keys,
            overrides: written.config.whitelist,
        })
    }
}

#[derive(Deserialize)]
struct Written {
    schema_version: Option<String>,
    services: Vec<WrittenService>,
    keys: Vec<String>,
    #[serde(default)]
    config: WrittenConfig,
}

#[derive(Default, Deserialize)]
struct WrittenConfig {
    #[serde(default)]
    whitelist: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenService {
    id: String,
    files: BTreeMap<String, WrittenFile>,
    systemd_services: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenFile {
    path: String,
    #[serde(default)]
    perm: String,
}

fn service(written: WrittenService) -> Result<Service, SchemaError> {
    if written.files.len() > MAX_ENTRIES || written.systemd_services.len() > MAX_ENTRIES {
        return Err(SchemaError::TooLarge);
    }
    let file = |(name, file): (String, WrittenFile)| {
        let path = Path::new(&file.path);
        let is_plain =
            |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || path.file_name().is_none() || !path.components().all(is_plain) {
            return Err(SchemaError::Path(file.path));
        }
        let mode = match file.perm.as_str() {
            "" => Some(MODE),
            digits => u32::from_str_radix(digits, 8).ok(),
        };
        match mode.filter(|mode| *mode <= 0o7777) {
            Some(mode) => Ok(ServiceFile {
                name,
                path: file.path,
                mode,
            }),
            None => Err(SchemaError::Mode(file.perm)),
        }
    };
    let files = written.files.into_iter().map(file);
    Ok(Service {
        id: written.id,
        files: files.collect::<Result<_, _>>()?,
        units: written.systemd_services,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_schema_is_read() {
        let text = r#"{"schema_version":"1.0.0","services":[{"id":"openvpn","files":{
            "config":{"path":"/etc/openvpn/openvpn.conf","perm":""},"ca":{"path":"/etc/openvpn/ca.crt"}},
            "systemd_services":["prepare-openvpn.service","openvpn.service"]}],
            "keys":["applicationId","deviceType","appUpdatePollInterval","listenPort","apiEndpoint","registryEndpoint",
            "deltaEndpoint","mixpanelToken","apiKey","version","deviceApiKey","registered_at","deviceId","balenaRootCA"]}"#;
        assert_eq!(Schema::read(text.as_bytes()).unwrap(), Schema::own());
        let newer = r#"{"services":[{"id":"a","files":{"b":{"path":"/b","perm":"0600"}},"systemd_services":[]}],"keys":[],"config":{"whitelist":["logsEndpoint"]}}"#;
        let newer = Schema::read(newer.as_bytes()).unwrap();
        assert_eq!(newer.overrides, ["logsEndpoint"]);
        assert_eq!(newer.services[0].files[0].mode, 0o600);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let with = |path: &str, perm: &str| {
            format!(
                r#"{{"services":[{{"id":"a","files":{{"b":{{"path":"{path}","perm":"{perm}"}}}},"systemd_services":[]}}],"keys":[]}}"#
            )
        };
        Schema::read(with("/b", "755").as_bytes()).unwrap();
        for bad in [
            String::new(),
            "{}".to_owned(),
            r#"{"schema_version":"2.0.0","services":[],"keys":[]}"#.to_owned(),
            with("b", ""),
            with("/", ""),
            with("/a/../b", ""),
            with("/b", "rw"),
            with("/b", "77777"),
        ] {
            assert!(Schema::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
