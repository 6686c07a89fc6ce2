//! What ends a copy.

use std::{io, path::PathBuf};

use super::Unreadable;
use crate::{
    engine::EngineError,
    transport::{TransportError, ssh::SshError},
};

/// A copy that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The connection.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The device's engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file of this machine.
    #[error("cannot copy {}", path.display())]
    Here {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nothing is at a path.
    #[error("there is no {path} on {side}")]
    Missing {
        /// `this machine`, or the device.
        side: String,
        /// The path.
        path: String,
    },
    /// A path that several things, or a folder, were to go to.
    #[error("{path} on {side} is no folder")]
    NoFolder {
        /// `this machine`, or the device.
        side: String,
        /// The path.
        path: String,
    },
    /// A path of a container that its engine does not reach.
    #[error("{path} of {side} is in memory ({memory}), which its engine does not read or write")]
    InMemory {
        /// The container.
        side: String,
        /// The path.
        path: String,
        /// The file system.
        memory: String,
    },
    /// A device's program failed.
    #[error("{device} could not {what}: {words}")]
    Failed {
        /// The device.
        device: String,
        /// What it was asked for.
        what: &'static str,
        /// What it said about it.
        words: String,
    },
    /// A device's answer makes no sense, or names what it must not.
    #[error("{device} cannot be copied from")]
    Answer {
        /// The device.
        device: String,
        /// What is wrong.
        #[source]
        source: Unreadable,
    },
    /// What a device sends cannot be taken.
    #[error("what {device} sends cannot be taken")]
    Content {
        /// The device.
        device: String,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
}

impl CopyError {
    /// Whether the connection is gone, so that another one may go on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Ssh(SshError::Gone { .. } | SshError::Transport(_)) => true,
            Self::Engine(EngineError::Transport(error)) => {
                !matches!(error, TransportError::BadAnswer { .. })
            }
            _ => false,
        }
    }

    /// The failure of a file of this machine.
    pub fn here(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Here { path, source }
    }
}
