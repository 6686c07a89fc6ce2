//! What can go wrong in a conversation with an agent.

use super::Version;
use crate::transport::TransportError;

/// A request to an agent that failed. Every variant names the device and its address.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No usable answer at all.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The agent answered with an error.
    #[error("{peer} answered {operation} with {status}: {message}")]
    Status {
        /// Device and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// HTTP status.
        status: u16,
        /// What the agent says about it.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("{peer} gave an answer to {operation} that cannot be read")]
    Unreadable {
        /// Device and address.
        peer: String,
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Something else listens there.
    #[error("{peer} does not answer as a device does")]
    NotADevice {
        /// Name and address.
        peer: String,
    },
    /// The device wants a key, and none was given.
    #[error("{peer} wants an API key: it belongs to a fleet and is not in local mode")]
    KeyWanted {
        /// Device and address.
        peer: String,
    },
    /// The device does not take the key that was given, or not for this.
    #[error("{peer} refuses the API key that was given")]
    KeyRefused {
        /// Device and address.
        peer: String,
    },
    /// The device's API is too old.
    #[error("{peer} runs version {version} of the device API; at least {wanted} is needed")]
    TooOld {
        /// Device and address.
        peer: String,
        /// What it runs.
        version: String,
        /// What is needed.
        wanted: Version,
    },
}
