//! Doors for the fuzz target over what a cloud, an operating system and people give to `os-config`.

use serde_json::{Map, Value};

use super::change;
use super::schema::Schema;
use super::{answer, transaction};
use crate::settings::config_file;

/// What became of it.
#[derive(Debug)]
pub struct Joined {
    /// config.json afterwards, or why there is none.
    pub config: Result<Map<String, Value>, String>,
    /// Whether the cloud would be shown the key that the device had before.
    pub shows_old_key: bool,
    /// Files that the cloud asks for, or why none.
    pub files: Result<usize, String>,
    /// Words about an unfinished change that cannot be read.
    pub pending: Option<String>,
}

/// Joins with this input, reads that answer.
#[must_use]
pub fn joined(config: &[u8], input: &[u8], schema: &[u8], told: &[u8]) -> Joined {
    let config = config_file::parse(config).unwrap_or_default();
    let schema = Schema::read(schema).unwrap_or_else(|_| Schema::own());
    let input = String::from_utf8_lossy(input);
    let joined = change::join(&config, &input, &schema, "0123456789abcdef");
    let old_key = config.get("deviceApiKey").and_then(Value::as_str);
    let old_endpoint = config.get("apiEndpoint").and_then(Value::as_str);
    let shows_old_key = joined.as_ref().is_ok_and(|(_, cloud)| {
        cloud.key.is_some()
            && cloud.key.as_deref() == old_key
            && Some(cloud.endpoint.as_str()) != old_endpoint
    });
    let files = answer::read(told, &schema);
    Joined {
        config: joined
            .map(|(config, _)| config)
            .map_err(|error| error.to_string()),
        shows_old_key,
        files: files
            .map(|answer| answer.files.len())
            .map_err(|error| error.to_string()),
        pending: transaction::read(told).err().map(|error| error.to_string()),
    }
}
