//! A door for the fuzz target of the state file.

use std::io;
use std::sync::Arc;

use super::format;
use crate::model::Target;

/// Generation and local target of a state file, or why it is not used.
pub fn read_state(bytes: &[u8]) -> Result<(u64, Option<Target>), String> {
    let content = format::decode(bytes).map_err(|error| error.to_string())?;
    let local = content.local.as_deref().cloned();
    Ok((content.generation, local))
}

/// The bytes of a state file.
///
/// # Errors
/// When the target cannot be written as JSON.
pub fn write_state(generation: u64, target: Option<Target>) -> io::Result<Vec<u8>> {
    format::encode(&format::Content {
        generation,
        local: target.map(Arc::new),
        ..format::Content::default()
    })
}
