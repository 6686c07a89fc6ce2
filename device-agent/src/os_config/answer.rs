//! The cloud's answer to `GET /os/v1/config`: the files of the system's services.
//!
//! In: its bytes, the schema. Out: the content of every file that the schema names, and overrides. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::schema::{Schema, VERSION};

/// Bytes of an answer.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// Why an answer cannot be used. The words are the reference's where it has some.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    /// Not the format.
    #[error("the answer is not understood: {0}")]
    Format(String),
    /// Of another time.
    #[error("Expected schema version {VERSION}, got {0}")]
    Version(String),
    /// Not in it.
    #[error("Service `{0}` not found in `os-config-api.json`")]
    NoService(String),
    /// Not in it.
    #[error("Service `{0}` config `{1}` not found in `os-config-api.json`")]
    NoFile(String, String),
}

/// What the cloud asks of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// By service and name, as the schema has them.
    pub(super) files: BTreeMap<(String, String), String>,
    /// Keys of config.json that the schema lets the cloud set.
    pub(super) overrides: Map<String, Value>,
}

#[derive(Deserialize)]
struct Written {
    schema_version: String,
    services: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    config: WrittenConfig,
}

#[derive(Default, Deserialize)]
struct WrittenConfig {
    #[serde(default)]
    overrides: Map<String, Value>,
}

/// Reads an answer. Services that the schema does not know are passed over.
pub(super) fn read(bytes: &[u8], schema: &Schema) -> Result<Answer, AnswerError> {
    let mut written: Written =
        serde_json::from_slice(bytes).map_err(|error| AnswerError::Format(error.to_string()))?;
    if written.schema_version != VERSION {
        let version = written.schema_version.chars().take(40).collect();
        return Err(AnswerError::Version(version));
    }
    let mut answer = Answer::default();
    for service in &schema.services {
        let Some(files) = written.services.get_mut(&service.id) else {
            return Err(AnswerError::NoService(service.id.clone()));
        };
        for file in &service.files {
            let Some(content) = files.remove(&file.name) else {
                let (id, name) = (service.id.clone(), file.name.clone());
                return Err(AnswerError::NoFile(id, name));
            };
            let key = (service.id.clone(), file.name.clone());
            answer.files.insert(key, content);
        }
    }
    let overrides = written.config.overrides.into_iter();
    answer.overrides = overrides
        .filter(|(key, _)| schema.overrides.contains(key))
        .collect();
    Ok(answer)
}
