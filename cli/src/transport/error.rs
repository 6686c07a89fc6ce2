//! What can go wrong between this machine and a device.

use std::{error::Error, io};

use serde::{Deserialize, Serialize};

/// A request that got no usable answer. Each variant names the peer: device and address.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
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
        #[serde(with = "as_text::io")]
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
        /// What is wrong with its certificate.
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
        #[serde(with = "as_text")]
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

/// An error with its causes, as far as they can be told.
pub(crate) mod as_text {
    use std::error::Error;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::cause::chain;

    type Boxed = Box<dyn Error + Send + Sync>;

    pub(crate) fn serialize<S: Serializer>(
        error: &Boxed,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&chain(&**error))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Boxed, D::Error> {
        String::deserialize(from).map(Into::into)
    }

    pub(crate) mod io {
        use std::io;

        use serde::{Deserialize as _, Deserializer, Serializer};

        use crate::cause::chain;

        pub(crate) fn serialize<S: Serializer>(
            error: &io::Error,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&chain(error))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<io::Error, D::Error> {
            String::deserialize(from).map(io::Error::other)
        }
    }
}
