//! Why a tunnel does not come about.

use std::io;

use super::Forward;
use crate::transport::ssh::SshError;

/// Nothing of what was asked for is done then.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// A place here cannot be listened at.
    #[error("cannot listen at {at} for {forward}")]
    Listen {
        /// Address with port, or path.
        at: String,
        /// For what.
        forward: Box<Forward>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The device cannot listen.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The device has nothing that carries datagrams.
    #[error("{peer} cannot carry UDP for {forward}: {why}")]
    Relay {
        /// Device and address.
        peer: String,
        /// For what.
        forward: Box<Forward>,
        /// What is missing.
        why: NoRelay,
    },
}

/// Why there is no relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRelay {
    /// A device of another make.
    #[error("it has no os-agent, and SSH itself has no datagrams")]
    NoAgent,
    /// The agent has no such command.
    #[error("its os-agent is too old")]
    OldAgent,
    /// Something else; in its own words.
    #[error("{0}")]
    Other(String),
}
