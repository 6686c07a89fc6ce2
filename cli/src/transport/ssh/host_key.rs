//! The key by which a server proves who it is, and what was decided about it.

use std::fmt;

use russh::keys::{HashAlg, PublicKey};

/// A server's key. That the server has its private half is proven already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Its kind, as in `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:` and the digest in base64, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// Kind and key in base64, as in the files of OpenSSH.
    pub openssh: String,
}

/// Whether the server is the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyDecision {
    /// It is.
    Accept,
    /// It is not, or nobody knows.
    Refuse(HostKeyRefusal),
}

/// Why a key was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyRefusal {
    /// The key is new, and there is nobody to be asked.
    Unknown,
    /// The key is new, and a person does not trust it.
    Declined,
    /// Another key was known.
    Changed {
        /// Fingerprint of the key that was known.
        known: String,
        /// Where that is written down.
        file: String,
    },
    /// What is known cannot be read or written.
    Unreadable {
        /// What is wrong.
        problem: String,
    },
}

impl HostKey {
    /// Of a key as it came over the wire.
    pub(super) fn of(key: &PublicKey) -> Self {
        let mut bare = key.clone();
        bare.set_comment("");
        let openssh = bare.to_openssh().unwrap_or_default().trim().to_owned();
        Self {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            openssh,
        }
    }
}

impl fmt::Display for HostKeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is not known yet"),
            Self::Declined => f.write_str("it was not trusted"),
            Self::Changed { known, file } => {
                write!(f, "another one is known, {known} (in {file})")
            }
            Self::Unreadable { problem } => {
                write!(f, "the known keys cannot be used: {problem}")
            }
        }
    }
}
