//! A door for the fuzz target over apps.json.

use super::decide::{Device, MAX_BYTES, understand};
use crate::model::Target;

/// The target that a file asks for; `None`: it asks for nothing.
///
/// # Errors
/// Words for people.
pub fn preloaded(text: &[u8], uuid: &str) -> Result<Option<Target>, String> {
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MAX_BYTES) {
        return Err("it is too large".to_owned());
    }
    let name = "local";
    understand(text, Device { uuid, name })
}
