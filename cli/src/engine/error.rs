//! What can go wrong at a container engine.

use std::error::Error;

use crate::transport::TransportError;

/// A request to an engine that failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No usable answer at all.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The engine answered with an error.
    #[error("{peer} answered {operation} with {status}: {message}")]
    Status {
        /// Engine and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// HTTP status.
        status: u16,
        /// What the engine says about it.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("{peer} gave an answer to {operation} that cannot be read")]
    Unreadable {
        /// Engine and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// What is sent to an engine could not be read.
    #[error("what was to be sent could not be read")]
    Unwritten(#[source] Box<dyn Error + Send + Sync>),
    /// What an engine sends could not be written on this machine.
    #[error("what {peer} sends could not be written")]
    Unkept {
        /// Engine and address.
        peer: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A build step failed.
    #[error("{message}")]
    Build {
        /// What the engine says.
        message: String,
    },
    /// The engine ended a build or a pull without saying that it is done.
    #[error("{peer} ended the {what} before it was done")]
    Unfinished {
        /// Engine and address.
        peer: String,
        /// `build` or `pull`.
        what: &'static str,
    },
    /// An image cannot be pulled.
    #[error("cannot pull `{image}`: {message}")]
    Pull {
        /// The image.
        image: String,
        /// What the engine says.
        message: String,
    },
    /// An image is larger than the disk has room for; nothing more of it is fetched.
    #[error(
        "cannot pull `{image}`: its layers have {} MiB and more, and there is room on the engine's disk for {} MiB",
        .layers >> 20, .room >> 20
    )]
    PullTooLarge {
        /// The image.
        image: String,
        /// Bytes of those layers whose size is known.
        layers: u64,
        /// Bytes that there is room for.
        room: u64,
    },
    /// The context could not be read while it was sent.
    #[error("cannot send the build context")]
    Context(#[source] Box<dyn Error + Send + Sync>),
    /// The engine keeps its connections open and answers nothing.
    #[error("{peer} has stopped answering")]
    Hanging {
        /// Engine and address.
        peer: String,
    },
}
