//! Why a cloud opens no way to a device.

use serde::{Deserialize, Serialize};

use crate::transport::TransportError;

/// There is no way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{cloud} opens no way to {uuid}: {why}")]
pub struct TunnelError {
    /// The server that was asked.
    pub cloud: String,
    /// The device.
    pub uuid: String,
    /// Why.
    pub why: TunnelRefusal,
}

/// Bytes do not get to a device, or not to their end.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// There is no way.
    #[error(transparent)]
    Unopened(#[from] TunnelError),
    /// It was open.
    #[error("the way through {cloud} broke")]
    Broken {
        /// The server that it led through.
        cloud: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Why not; where it answers, by the statuses of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TunnelRefusal {
    /// It does not answer.
    #[error("{problem}")]
    Unreached {
        /// What is in the way.
        problem: String,
    },
    /// It is not the server that was meant, as far as anybody knows.
    #[error("{problem}")]
    Untrusted {
        /// What is wrong with its certificate.
        problem: String,
    },
    /// 407: the token is wrong, or the device is not one of those that it may reach.
    #[error("it does not take the token, or has no such device for it (407)")]
    NotAllowed,
    /// 503: it is a device of the fleet, and not connected.
    #[error("the device is not connected to the cloud (503)")]
    Offline,
    /// 500: nothing listens at the port, or the cloud is in trouble.
    #[error("the device refuses the port, or the cloud is in trouble (500)")]
    PortShut,
    /// 400, 403: it does not understand whom we mean.
    #[error("it does not understand which device is meant ({status})")]
    NotUnderstood {
        /// The status.
        status: u16,
    },
    /// 405: it is no tunnel.
    #[error("it is no tunnel (405)")]
    NoTunnel,
    /// 3xx.
    #[error("it sends us elsewhere ({status}), which is not followed")]
    Elsewhere {
        /// The status.
        status: u16,
    },
    /// Any other status.
    #[error("it answered with status {status}")]
    Other {
        /// The status.
        status: u16,
    },
    /// It says nothing: it waits for the port of the device, and nothing comes from there.
    #[error("it did not say within {seconds} s whether the device can be reached")]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// It gave no answer that means anything.
    #[error("{problem}")]
    Unusable {
        /// What is wrong with it.
        problem: String,
    },
}

impl From<TransportError> for TunnelRefusal {
    fn from(error: TransportError) -> Self {
        let source = std::error::Error::source(&error);
        let source = source.map(|source| format!(": {source}"));
        let problem = format!("{error}{}", source.unwrap_or_default());
        match error {
            TransportError::Untrusted { .. } => Self::Untrusted { problem },
            TransportError::Refused { .. }
            | TransportError::Unreachable { .. }
            | TransportError::Timeout { .. }
            | TransportError::Gone { .. }
            | TransportError::BadAnswer { .. } => Self::Unreached { problem },
        }
    }
}

impl TunnelRefusal {
    /// What a status means; `None` when the way is open.
    pub(super) fn of(status: u16) -> Option<Self> {
        Some(match status {
            200..=299 => return None,
            300..=399 => Self::Elsewhere { status },
            400 | 403 => Self::NotUnderstood { status },
            405 => Self::NoTunnel,
            407 => Self::NotAllowed,
            500 => Self::PortShut,
            503 => Self::Offline,
            status => Self::Other { status },
        })
    }
}
