//! What can go wrong between this machine and a device.

use std::{error::Error, io};

/// A request that got no usable answer. Each variant names the peer: device and address.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Something answers at the address, but nothing listens on the port.
    #[error("{peer} refused the connection")]
    Refused {
        /// Device and address.
        peer: String,
    },
    /// Nothing answers at the address.
    #[error("{peer} cannot be reached")]
    Unreachable {
        /// Device and address.
        peer: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Nothing answered in time, neither the address nor the request.
    #[error("{peer} did not answer {operation} within {seconds} s")]
    Timeout {
        /// Device and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// It is not the server that was meant, as far as anybody knows.
    #[error("{peer} does not prove who it is: {problem}")]
    Untrusted {
        /// The server.
        peer: String,
        /// What is wrong with its certificate, or with how it speaks TLS.
        problem: String,
    },
    /// The connection ended before the answer did.
    #[error("{peer} went away during {operation}")]
    Gone {
        /// Device and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// How the connection ended.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An answer that breaks the protocol or a limit.
    #[error("{peer} gave an unusable answer to {operation}: {problem}")]
    BadAnswer {
        /// Device and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl TransportError {
    /// Whether no connection was made at all, so that the request cannot have had an effect.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unreachable { .. } => true,
            Self::Timeout { operation, .. } => operation == super::connect::OPERATION,
            Self::Untrusted { .. } | Self::Gone { .. } | Self::BadAnswer { .. } => false,
        }
    }
}
