//! A door for the fuzz target of the state file.

use std::io;

use super::format;
use crate::model::Target;

/// Generation and target of a state file, or why it is not used.
pub fn read_state(bytes: &[u8]) -> Result<(u64, Target), String> {
    let content = format::decode(bytes).map_err(|error| error.to_string())?;
    Ok((content.generation, content.target))
}

/// The bytes of a state file.
///
/// # Errors
/// When the target cannot be written as JSON.
pub fn write_state(generation: u64, target: &Target) -> io::Result<Vec<u8>> {
    format::encode(generation, target)
}
