//! The device's uuid: given, kept, or made; and what a host name may look like.

use std::io;
use std::path::Path;

use fs_err as fs;

use super::SettingsError;
use crate::host::random_hex;
use crate::store::replace_file;

/// Name in the state directory of the file that holds the uuid.
const FILE: &str = "uuid";

/// The uuid that was given, else the one in the state directory, else a new one. What is used is kept, so that a
/// config.json that cannot be read later does not change the device's identity.
pub(super) fn uuid(given: Option<&str>, state_dir: &Path) -> Result<String, SettingsError> {
    let file = state_dir.join(FILE);
    let kept = match fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().to_owned()).filter(|uuid| is_uuid(uuid)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
        Err(error) => return Err(SettingsError::Identity(error)),
    };
    let uuid = match (given, &kept) {
        (Some(given), _) if is_uuid(given) => given.to_ascii_lowercase(),
        (Some(given), _) => return Err(SettingsError::Uuid(given.to_owned())),
        (None, Some(kept)) => kept.clone(),
        (None, None) => random_hex().map_err(SettingsError::Identity)?,
    };
    if kept.as_ref() != Some(&uuid) {
        fs::create_dir_all(state_dir).map_err(SettingsError::Identity)?;
        replace_file(&file, format!("{uuid}\n").as_bytes()).map_err(SettingsError::Identity)?;
    }
    Ok(uuid)
}

/// 32 or 62 hexadecimal digits.
pub(crate) fn is_uuid(text: &str) -> bool {
    matches!(text.len(), 32 | 62) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether this can be a single DNS label.
pub(crate) fn is_hostname(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
