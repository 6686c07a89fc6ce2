//! What was decided about the key by which a server proves who it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether the server is the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostKeyDecision {
    /// It is.
    Accept,
    /// It is not, or nobody knows.
    Refuse(HostKeyRefusal),
}

/// Why a key was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostKeyRefusal {
    /// The key is new, and there is nobody to be asked.
    Unknown,
    /// The key is new, and a person's configuration wants none that is.
    Strict,
    /// The key is new, and a person does not trust it.
    Declined,
    /// The key is new, and the device announces another one.
    Announced {
        /// The fingerprint of that.
        fingerprint: String,
    },
    /// Other keys are known.
    Changed {
        /// Their kinds and fingerprints, and where they stand.
        known: String,
    },
    /// Nobody may use it any more.
    Revoked {
        /// Where that is said.
        place: String,
    },
    /// What is known cannot be read or written.
    Unreadable {
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for HostKeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is not known yet"),
            Self::Strict => f.write_str(
                "it is not known yet, and the SSH configuration has `StrictHostKeyChecking yes`",
            ),
            Self::Declined => f.write_str("it was not trusted"),
            Self::Announced { fingerprint } => {
                write!(f, "the device announces another one, {fingerprint}")
            }
            Self::Changed { known } => write!(f, "another one is known, {known}"),
            Self::Revoked { place } => write!(f, "it was revoked, in {place}"),
            Self::Unreadable { problem } => f.write_str(problem),
        }
    }
}
