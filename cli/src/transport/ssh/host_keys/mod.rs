//! Whose host key is whose: our own file of known hosts, in the format of OpenSSH.
//!
//! A device is known by its uuid, whatever address it has; a host that is no device by its address and port. In: such a name, the key
//! that a server shows, and the file's text. Out: a [`Verdict`]. [`Store`] changes the file and decides nothing. Source of the format:
//! sshd(8), `SSH_KNOWN_HOSTS` FILE FORMAT.

mod file;
mod key;
mod store;

use serde::{Deserialize, Serialize};

pub use file::{KnownHosts, Pinned, Verdict, with, without};
pub use key::{HostKey, InvalidKey};
pub use store::Store;

/// Port that OpenSSH does not write behind a name.
const USUAL_PORT: u16 = 22;

/// The name of a device or a host in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostName(String);

/// The text cannot be a name in a file of known hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot name a host in a file of host keys")]
pub struct InvalidHostName {
    /// The text, or its beginning.
    pub text: String,
}

impl HostName {
    /// Name of a device: its uuid, or its host name when it tells no uuid.
    ///
    /// # Errors
    /// [`InvalidHostName`] when there is anything but letters, digits, dots, hyphens and underscores in it.
    pub fn device(uuid: &str) -> Result<Self, InvalidHostName> {
        Self::sound(uuid, "").map(Self)
    }

    /// Name of a host that is no device, as OpenSSH writes it: `host`, or `[host]:port` for another port than 22.
    ///
    /// # Errors
    /// As [`HostName::device`]; colons are allowed, and a `%interface`.
    pub fn host(host: &str, port: u16) -> Result<Self, InvalidHostName> {
        let host = Self::sound(host, ":%")?;
        Ok(Self(match port {
            USUAL_PORT => host,
            port => format!("[{host}]:{port}"),
        }))
    }

    fn sound(text: &str, more: &str) -> Result<String, InvalidHostName> {
        let fits = |letter: char| {
            letter.is_ascii_alphanumeric() || ".-_".contains(letter) || more.contains(letter)
        };
        let sound = !text.is_empty() && text.len() <= 255 && text.chars().all(fits);
        let invalid = || InvalidHostName {
            text: text.chars().take(64).collect(),
        };
        sound.then(|| text.to_ascii_lowercase()).ok_or_else(invalid)
    }

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
