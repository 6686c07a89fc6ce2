//! What is on the device: config.json, the schema, the files of services as they are.
//!
//! In: places. Out: values, and files with what they are to hold. Changes nothing.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::answer::Answer;
use super::schema::Schema;
use super::transaction::Write;
use super::{OsConfigError, Places};
use crate::configure::files::{self, CLOSED};
use crate::host;
use crate::settings::config_file;
use crate::store::disk::{Disk, OwnDisk};

/// Bytes of files that are looked at.
const MAX_BYTES: u64 = 1024 * 1024;

/// All files of services, as they are and are to be. Without an answer none is to be.
pub(super) fn service_files(
    schema: &Schema,
    answer: Option<&Answer>,
    places: &Places,
) -> Result<Vec<Write>, OsConfigError> {
    let mut writes = Vec::new();
    for service in &schema.services {
        for file in &service.files {
            let failed = |source| OsConfigError::File {
                path: PathBuf::from(&file.path),
                source,
            };
            let key = (service.id.clone(), file.name.clone());
            let after = answer.and_then(|answer| answer.files.get(&key));
            let after = after.map(|text| text.clone().into_bytes());
            let path = files::place(&places.root, &file.path).map_err(failed)?;
            writes.push(Write::of(&path, file.mode, after, MAX_BYTES).map_err(failed)?);
        }
    }
    Ok(writes)
}

pub(super) fn config_write(
    keys: &Map<String, Value>,
    places: &Places,
) -> Result<Write, OsConfigError> {
    let failed = |source| OsConfigError::File {
        path: places.config_json.clone(),
        source,
    };
    let text = serde_json::to_vec_pretty(keys).map_err(|error| failed(error.into()))?;
    Write::of(&places.config_json, CLOSED, Some(text), MAX_BYTES).map_err(failed)
}

pub(super) fn read_config(path: &Path) -> Result<Map<String, Value>, OsConfigError> {
    let failed = |because: String| OsConfigError::Config {
        path: path.to_owned(),
        because,
    };
    match config_file::read(path) {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) => Err(failed("it is not there".to_owned())),
        Err(broken) => Err(failed(broken.to_string())),
    }
}

/// The system's schema, or our own where it brings none.
pub(super) fn read_schema(path: &Path) -> Result<Schema, OsConfigError> {
    let text = OwnDisk.read(path, MAX_BYTES);
    let text = text.map_err(|source| OsConfigError::File {
        path: path.to_owned(),
        source,
    })?;
    match text {
        None => Ok(Schema::own()),
        Some(text) => Schema::read(&text).map_err(|source| OsConfigError::Schema {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(super) fn new_key(places: &Places) -> Result<String, OsConfigError> {
    host::random_hex().map_err(|source| OsConfigError::File {
        path: places.root.join("dev/urandom"),
        source,
    })
}
