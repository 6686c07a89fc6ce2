//! Doors for the fuzz targets over config.json and the connections of the boot partition.

use super::config::understand;
use super::connections::{keyfile, script};
use super::decide::{Found, decide};
use super::plan::plan;
use crate::settings::config_file;

/// What a config.json makes of a device, beside a last good one.
#[derive(Debug)]
pub struct Configured {
    /// The device's uuid.
    pub uuid: String,
    /// Its host name.
    pub hostname: String,
    /// Paths and contents of all files.
    pub files: Vec<(String, Vec<u8>)>,
    /// Sentences about what cannot be used.
    pub sentences: Vec<String>,
    /// Complaints about what counts in the end.
    pub complaints: usize,
}

/// Plans for these bytes.
#[must_use]
pub fn configured(file: &[u8], last_good: &[u8]) -> Configured {
    let found = Found {
        file: config_file::parse(file).map_err(|broken| broken.to_string()),
        is_boot_there: true,
        last_good: config_file::parse(last_good).ok(),
        kept_uuid: None,
        new_uuid: "0".repeat(32),
    };
    let decision = decide(&found);
    let plan = plan(&decision.in_force.config, &decision.uuid);
    let (_, complaints) = understand(&decision.in_force.keys);
    let unusable = complaints.iter().filter(|complaint| complaint.is_unusable);
    Configured {
        uuid: decision.uuid.clone(),
        hostname: plan.hostname,
        files: plan
            .parts
            .into_iter()
            .flat_map(|part| part.files)
            .map(|file| (file.path, file.content))
            .collect(),
        sentences: super::standing::sentences(&decision.in_force),
        complaints: unusable.count(),
    }
}

/// A connection as it would be copied, or why not.
///
/// # Errors
/// Words for people.
pub fn connection(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let text = keyfile::read(bytes).map_err(|no| no.to_string())?;
    Ok(text.to_vec())
}

/// A dispatcher script as it would be copied, or why not.
///
/// # Errors
/// Words for people.
pub fn dispatcher_script(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let text = script::read(bytes).map_err(|no| no.to_string())?;
    Ok(text.to_vec())
}
