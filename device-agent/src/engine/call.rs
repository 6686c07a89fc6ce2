//! One call to the engine, bounded in time, with the engine's refusals told apart.

use std::error::Error as _;
use std::time::Duration;

use bollard::errors::Error as Bollard;
use thiserror::Error;

/// For reading.
pub(crate) const QUICK: Duration = Duration::from_secs(30);
/// For changing: a slow card under load takes its time to create or remove a container.
pub(crate) const SLOW: Duration = Duration::from_mins(5);

/// A call that did not work.
#[derive(Debug, Error)]
pub(crate) enum EngineError {
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The object is in another state, or the name is taken.
    #[error("{0}")]
    Conflict(String),
    /// The engine refused.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The engine did not answer in time.
    #[error("the engine did not answer within {} s", .0.as_secs())]
    Hanging(Duration),
    /// The engine cannot be reached, or answered what an engine does not answer.
    #[error("the engine cannot be used: {0}")]
    Unusable(String),
}

impl From<Bollard> for EngineError {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => match status_code {
                404 => Self::NotFound(message),
                409 => Self::Conflict(message),
                status => Self::Refused { status, message },
            },
            Bollard::DockerStreamError { error } => Self::Refused {
                status: 500,
                message: error,
            },
            Bollard::RequestTimeoutError => Self::Hanging(SLOW),
            Bollard::SocketNotFoundError(_) => Self::Unusable("there is no such socket".to_owned()),
            error => {
                // The outer layers say only that sending failed; the reason is the innermost one.
                let mut words = error.to_string();
                let mut below = error.source();
                while let Some(cause) = below {
                    words = cause.to_string();
                    below = cause.source();
                }
                Self::Unusable(words)
            }
        }
    }
}

/// Waits for a call, but not for ever.
pub(crate) async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Bollard>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(EngineError::from),
        Err(_) => Err(EngineError::Hanging(limit)),
    }
}
