//! Registry secrets: what the engine needs to pull base images and services from private registries.
//!
//! In: a file named by the person, else the default file of the configuration folder, and the one in the project's `.balena` folder.
//! Out: the values of the engine's `X-Registry-Config` and `X-Registry-Auth` headers. A password never reaches `Debug` or an error.

mod secret;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::{Value, json};
use thiserror::Error;

pub use secret::Secret;

use super::metadata::{self, FileError, MetadataError, SettingsFile};

/// The name under which engines know Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// Names under which people know Docker Hub.
const HUB_HOSTS: [&str; 7] = [
    "",
    "docker.io",
    "index.docker.io",
    "idx.docker.io",
    "cloud.docker.com",
    "hub.docker.com",
    "docker.com",
];

/// How to log in to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// Credentials by registry, keyed the way the engine looks them up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySecrets {
    entries: BTreeMap<String, Credentials>,
}

/// Registry secrets that cannot be read.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The file that was asked for is not there.
    #[error("file of registry secrets {} does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or says something that is not allowed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The project's metadata folder is not usable.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Where to look for registry secrets.
#[derive(Debug, Clone, Copy)]
pub struct RegistryRequest<'a> {
    /// The file that was asked for; it must exist.
    pub file: Option<&'a Path>,
    /// Folder of the default files `secrets.yml`, `secrets.yaml`, `secrets.json`; the first is taken when no file was asked for.
    pub config_dir: Option<&'a Path>,
    /// The project, whose `.balena/registry-secrets.{json,yml,yaml}` counts too; where both name a registry, the person's file wins.
    pub project_root: &'a Path,
}

/// Reads the secrets that apply to a project.
pub fn load(request: &RegistryRequest<'_>) -> Result<RegistrySecrets, RegistryError> {
    let mut secrets = RegistrySecrets::default();
    if let Some(folder) = metadata::folder(request.project_root)? {
        let names = ["json", "yml", "yaml"]
            .map(|extension| folder.join(format!("registry-secrets.{extension}")));
        secrets.read_first(&names)?;
    }
    match (request.file, request.config_dir) {
        (Some(path), _) => {
            if !secrets.read_first(&[path.to_owned()])? {
                return Err(RegistryError::Missing {
                    path: path.to_owned(),
                });
            }
        }
        (None, Some(folder)) => {
            secrets.read_first(
                &["secrets.yml", "secrets.yaml", "secrets.json"].map(|name| folder.join(name)),
            )?;
        }
        (None, None) => {}
    }
    let hub = secrets
        .entries
        .iter()
        .find(|(key, _)| is_hub(key))
        .map(|(_, credentials)| credentials.clone());
    if let Some(credentials) = hub {
        secrets.entries.entry(HUB.to_owned()).or_insert(credentials);
    }
    Ok(secrets)
}

impl RegistrySecrets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Registry and credentials, in order of the registries' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Credentials)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Value of `X-Registry-Config` for a build: all credentials as base64 of JSON; `e30=` when there are none.
    pub fn config_header(&self) -> String {
        let all: serde_json::Map<String, Value> = self
            .iter()
            .map(|(key, one)| {
                (
                    key.to_owned(),
                    json!({"username": one.username, "password": one.password.expose()}),
                )
            })
            .collect();
        encode(&Value::Object(all))
    }

    /// Value of `X-Registry-Auth` for a pull of this image: its registry's credentials as base64 of JSON; `e30=` when there are none.
    pub fn auth_header(&self, image: &str) -> String {
        encode(&match self.find(image) {
            Some((registry, one)) => json!({
                "username": one.username,
                "password": one.password.expose(),
                "serveraddress": registry,
            }),
            None => json!({}),
        })
    }

    /// Credentials for the registry of an image reference.
    pub fn credentials(&self, image: &str) -> Option<&Credentials> {
        self.find(image).map(|(_, credentials)| credentials)
    }

    fn find(&self, image: &str) -> Option<(&str, &Credentials)> {
        let registry = registry(image);
        if is_hub(registry) {
            return self.entries.get(HUB).map(|credentials| (HUB, credentials));
        }
        self.iter().find(|(key, _)| host(key) == registry)
    }

    /// Reads the first of these files that exists, and tells whether one did.
    fn read_first(&mut self, paths: &[PathBuf]) -> Result<bool, FileError> {
        for path in paths {
            if let Some(file) = SettingsFile::read(path)? {
                self.read(&file)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read(&mut self, file: &SettingsFile) -> Result<(), FileError> {
        for entry in file.entries(&file.root, "the file")? {
            let mut username = None;
            let mut password = None;
            for field in file.entries(&entry.value, "a registry's entry")? {
                let slot = match field.key.as_str() {
                    "username" => &mut username,
                    "password" => &mut password,
                    other => {
                        let message = format!("a registry has username and password, not {other}");
                        return Err(file.invalid(field.at.line, message));
                    }
                };
                *slot = Some(file.text(&field.value, &field.key)?.to_owned());
            }
            let (Some(username), Some(password)) = (username, password) else {
                let message = format!("registry {:?} needs both username and password", entry.key);
                return Err(file.invalid(entry.at.line, message));
            };
            let credentials = Credentials {
                username,
                password: Secret::new(password),
            };
            self.entries.insert(entry.key.clone(), credentials);
        }
        Ok(())
    }
}

/// Base64 of JSON in the alphabet for addresses: the one that engines decode.
fn encode(value: &Value) -> String {
    URL_SAFE.encode(value.to_string())
}

fn is_hub(key: &str) -> bool {
    HUB_HOSTS.contains(&host(key))
}

/// The host (and port) of a registry that may be written as an address.
fn host(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

/// The registry of an image reference; Docker Hub where it names none.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}
